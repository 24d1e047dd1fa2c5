//! `reports.db`: what pages reported.

use std::path::Path;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Row, Transaction, params};

use super::ring::{Record, Ring, Size};
use crate::{Error, Millis, PageReport, PageResult, PageSummary, Settings};

/// See the [module](self).
pub(crate) struct Reports {
    ring: Ring<PageReport>,
    retention: Millis,
}

impl Record for PageReport {
    const NAME: &'static str = "reports";
    const VERSION: i64 = 1;
    const SCHEMA: &'static str = "
    CREATE TABLE reports (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        source TEXT NOT NULL,
        integration TEXT NOT NULL,
        message_id TEXT NOT NULL,
        action TEXT NOT NULL,
        result TEXT NOT NULL,
        reason TEXT NOT NULL,
        ms INTEGER NOT NULL,
        browser TEXT NOT NULL,
        bytes INTEGER NOT NULL
    );
    CREATE INDEX reports_event ON reports (source, message_id) WHERE message_id <> '';
    CREATE INDEX reports_integration ON reports (integration, at);
    CREATE INDEX reports_at ON reports (at);";

    fn bytes(&self) -> usize {
        PageReport::bytes(self)
    }

    fn insert(&self, into: &Transaction<'_>) -> rusqlite::Result<()> {
        let PageReport { at, source, integration, message_id, action, result, reason, .. } = self;
        into.prepare_cached(
            "INSERT INTO reports (at, source, integration, message_id, action, result, reason, ms,
                                  browser, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            at,
            source,
            integration,
            message_id,
            action,
            result,
            reason,
            self.ms,
            self.browser,
            self.bytes() as i64
        ])?;
        Ok(())
    }
}

const COLUMNS: &str = "SELECT at, source, integration, message_id, action, result, reason, ms, \
                       browser FROM reports";

fn report(row: &Row<'_>) -> rusqlite::Result<PageReport> {
    Ok(PageReport {
        at: row.get(0)?,
        source: row.get(1)?,
        integration: row.get(2)?,
        message_id: row.get(3)?,
        action: row.get(4)?,
        result: row.get(5)?,
        reason: row.get(6)?,
        ms: row.get(7)?,
        browser: row.get(8)?,
    })
}

impl Reports {
    pub(super) fn open(dir: &Path, settings: &Settings) -> Result<Reports, Error> {
        let most = Size { items: settings.report_items, bytes: settings.report_bytes };
        Ok(Reports { ring: Ring::open(dir, most)?, retention: settings.retention })
    }

    pub(crate) fn push(&self, reports: Vec<PageReport>) {
        self.ring.push(reports);
    }

    /// Those of one event, oldest first.
    pub(crate) fn of_event(
        &self,
        source: &str,
        message_id: &str,
    ) -> Result<Vec<PageReport>, Error> {
        let ask = format!(
            "{COLUMNS} WHERE source = ?1 AND message_id = ?2 AND message_id <> '' ORDER BY id"
        );
        self.ring.read(|connection| {
            connection
                .prepare_cached(&ask)?
                .query_map(params![source, message_id], report)?
                .collect()
        })
    }

    pub(crate) fn summary(
        &self,
        integration: &str,
        since: Millis,
        failures: usize,
    ) -> Result<PageSummary, Error> {
        let about = "FROM reports WHERE integration = ?1 AND at >= ?2";
        let pages = format!(
            "SELECT browser, result, reason, count(*) {about} AND message_id = '' \
             GROUP BY browser, result, reason"
        );
        let events = format!(
            "SELECT result, reason, count(*) {about} AND message_id <> '' GROUP BY result, reason"
        );
        let latest = format!(
            "{COLUMNS} WHERE integration = ?1 AND at >= ?2 AND result = ?3 \
             ORDER BY id DESC LIMIT ?4"
        );
        let most = i64::try_from(failures).unwrap_or(i64::MAX);
        self.ring.read(|connection| {
            let count = |row: &Row<'_>, at| row.get::<_, i64>(at).map(|count| count as u64);
            Ok(PageSummary {
                pages: connection
                    .prepare_cached(&pages)?
                    .query_map(params![integration, since], |row| {
                        Ok(((row.get(0)?, row.get(1)?, row.get(2)?), count(row, 3)?))
                    })?
                    .collect::<rusqlite::Result<_>>()?,
                events: connection
                    .prepare_cached(&events)?
                    .query_map(params![integration, since], |row| {
                        Ok(((row.get(0)?, row.get(1)?), count(row, 2)?))
                    })?
                    .collect::<rusqlite::Result<_>>()?,
                failures: connection
                    .prepare_cached(&latest)?
                    .query_map(params![integration, since, PageResult::Failed, most], report)?
                    .collect::<rusqlite::Result<_>>()?,
            })
        })
    }

    /// Drops what is older than events are kept.
    pub(super) fn retain(&self, now: Millis) -> Result<(), Error> {
        self.ring.drop_before(now.saturating_sub(self.retention))
    }

    /// Writes what is queued, and stops.
    pub(super) fn close(&self) -> Result<(), Error> {
        self.ring.close()
    }
}

impl ToSql for PageResult {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.word().as_bytes())))
    }
}

impl FromSql for PageResult {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        PageResult::of(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}
