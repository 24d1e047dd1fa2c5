//! `reports.db`: what pages reported.

use std::path::Path;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Row, Transaction, params};

use super::ring::{Record, Ring, Size};
use crate::page_report::HOUR;
use crate::{Error, Millis, PageReport, PageResult, PageSummary, Settings, Told};

/// See the [module](self).
pub(crate) struct Reports {
    ring: Ring<PageReport>,
    retention: Millis,
}

impl Record for PageReport {
    const NAME: &'static str = "reports";
    const VERSION: i64 = 2;
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
        bytes INTEGER NOT NULL,
        plugin TEXT NOT NULL,
        revision INTEGER NOT NULL,
        stands_for REAL NOT NULL
    );
    CREATE INDEX reports_event ON reports (source, message_id) WHERE message_id <> '';
    CREATE INDEX reports_integration ON reports (integration, at);
    CREATE INDEX reports_at ON reports (at);";
    const OLDEST: i64 = 1;
    const UPGRADE: &'static str = "
    ALTER TABLE reports ADD COLUMN plugin TEXT NOT NULL DEFAULT '';
    ALTER TABLE reports ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE reports ADD COLUMN stands_for REAL NOT NULL DEFAULT 1;";

    fn bytes(&self) -> usize {
        PageReport::bytes(self)
    }

    fn insert(&self, into: &Transaction<'_>) -> rusqlite::Result<()> {
        let PageReport { at, source, integration, message_id, action, result, reason, .. } = self;
        into.prepare_cached(
            "INSERT INTO reports (at, source, integration, message_id, action, result, reason, ms,
                                  browser, bytes, plugin, revision, stands_for)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
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
            self.bytes() as i64,
            self.plugin,
            self.revision as i64,
            self.stands_for
        ])?;
        Ok(())
    }
}

const COLUMNS: &str = "SELECT at, source, integration, message_id, action, result, reason, ms, \
                       browser, plugin, revision, stands_for FROM reports";

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
        plugin: row.get(9)?,
        revision: row.get::<_, i64>(10)? as u64,
        stands_for: row.get(11)?,
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
        let told = "count(*), sum(stands_for)";
        let pages = format!(
            "SELECT at / {HOUR} * {HOUR}, browser, result, reason, {told} {about} \
             AND message_id = '' GROUP BY 1, 2, 3, 4"
        );
        let events =
            format!("SELECT result, reason, {told} {about} AND message_id <> '' GROUP BY 1, 2");
        let latest = format!(
            "{COLUMNS} WHERE integration = ?1 AND at >= ?2 AND result = ?3 \
             ORDER BY id DESC LIMIT ?4"
        );
        let most = i64::try_from(failures).unwrap_or(i64::MAX);
        self.ring.read(|connection| {
            let told = |row: &Row<'_>, at| -> rusqlite::Result<Told> {
                let reports = row.get::<_, i64>(at)? as u64;
                Ok(Told { reports, in_all: row.get(at + 1)? })
            };
            Ok(PageSummary {
                pages: connection
                    .prepare_cached(&pages)?
                    .query_map(params![integration, since], |row| {
                        let of = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                        Ok((of, told(row, 4)?))
                    })?
                    .collect::<rusqlite::Result<_>>()?,
                events: connection
                    .prepare_cached(&events)?
                    .query_map(params![integration, since], |row| {
                        Ok(((row.get(0)?, row.get(1)?), told(row, 2)?))
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
