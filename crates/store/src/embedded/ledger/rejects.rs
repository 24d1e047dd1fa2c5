//! `rejected.db`: input that was turned away.

use std::path::Path;

use rusqlite::{Row, Transaction, params};

use super::ring::{Record, Ring, Size};
use crate::{Error, Rejected, Settings};

/// See the [module](self).
pub(super) struct Rejects(Ring<Rejected>);

impl Record for Rejected {
    const NAME: &'static str = "rejected";
    const VERSION: i64 = 1;
    const SCHEMA: &'static str = "
    CREATE TABLE rejected (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        source TEXT NOT NULL,
        code TEXT NOT NULL,
        message TEXT NOT NULL,
        excerpt TEXT NOT NULL,
        bytes INTEGER NOT NULL
    );
    CREATE INDEX rejected_source ON rejected (source, id);";

    fn bytes(&self) -> usize {
        Rejected::bytes(self)
    }

    fn insert(&self, into: &Transaction<'_>) -> rusqlite::Result<()> {
        let Rejected { at, source, code, message, excerpt } = self;
        into.prepare_cached(
            "INSERT INTO rejected (at, source, code, message, excerpt, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![at, source, code, message, excerpt, self.bytes() as i64])?;
        Ok(())
    }
}

impl Rejects {
    pub(super) fn open(dir: &Path, settings: &Settings) -> Result<Rejects, Error> {
        let most = Size { items: settings.rejected_items, bytes: settings.rejected_bytes };
        Ring::open(dir, most).map(Rejects)
    }

    pub(super) fn push(&self, rejected: Vec<Rejected>) {
        self.0.push(rejected);
    }

    pub(super) fn latest(
        &self,
        source: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Rejected>, Error> {
        let read = |row: &Row<'_>| {
            Ok(Rejected {
                at: row.get(0)?,
                source: row.get(1)?,
                code: row.get(2)?,
                message: row.get(3)?,
                excerpt: row.get(4)?,
            })
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let columns = "SELECT at, source, code, message, excerpt FROM rejected";
        self.0.read(|connection| match source {
            None => connection
                .prepare_cached(&format!("{columns} ORDER BY id DESC LIMIT ?1"))?
                .query_map(params![limit], read)?
                .collect(),
            Some(source) => connection
                .prepare_cached(&format!("{columns} WHERE source = ?2 ORDER BY id DESC LIMIT ?1"))?
                .query_map(params![limit, source], read)?
                .collect(),
        })
    }

    /// Writes what is queued, and stops.
    pub(super) fn close(&self) -> Result<(), Error> {
        self.0.close()
    }
}
