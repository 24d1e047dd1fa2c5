//! `main.db`: cursors, held events and revisions of the workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::sql::{self, failed};
use crate::embedded::journal::{Sources, read_event, write_event};
use crate::{Error, HeldEvent, LedgerBatch, Link, Millis, Retained, Revision, Seq, StoredEvent};

const VERSION: i64 = 2;

/// Links that are forgotten at one time: the couriers wait meanwhile.
const FORGOTTEN: i64 = 20_000;

/// `held.event` is laid out as the payload of a record of the journal.
const SCHEMA: &str = "
    CREATE TABLE fact (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE cursor (integration TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE held (
        integration TEXT NOT NULL,
        seq INTEGER NOT NULL,
        anonymous_id TEXT,
        until INTEGER NOT NULL,
        event BLOB NOT NULL,
        PRIMARY KEY (integration, seq)
    );
    CREATE INDEX held_anonymous ON held (integration, anonymous_id, seq);
    CREATE INDEX held_until ON held (integration, until, seq);
    CREATE INDEX held_seq ON held (seq);
    CREATE TABLE link (
        integration TEXT NOT NULL,
        anonymous_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (integration, anonymous_id)
    ) WITHOUT ROWID;
    CREATE INDEX link_at ON link (at);
    CREATE TABLE revision (
        number INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        saved_by TEXT NOT NULL,
        document TEXT NOT NULL
    );
    CREATE TABLE dropped (
        integration TEXT NOT NULL,
        from_seq INTEGER NOT NULL,
        to_seq INTEGER NOT NULL,
        at INTEGER NOT NULL
    );";

/// See the [module](self).
pub(super) struct State {
    path: PathBuf,
    connection: Connection,
}

impl State {
    pub(super) fn open(dir: &Path) -> Result<State, Error> {
        let path = dir.join("main.db");
        let (connection, version) = sql::open_since(&path, 1, VERSION, SCHEMA)?;
        if version == 1 {
            let upgrade = format!(
                "BEGIN IMMEDIATE; CREATE INDEX IF NOT EXISTS link_at ON link (at);
                 PRAGMA user_version = {VERSION}; COMMIT;"
            );
            connection.execute_batch(&upgrade).map_err(failed(&path))?;
        }
        Ok(State { path, connection })
    }

    /// Gives a number a name, unless it has one: returns the number of that name.
    pub(super) fn settle(&self, name: &str, value: u64) -> Result<u64, Error> {
        self.run("INSERT OR IGNORE INTO fact VALUES (?1, ?2)", params![name, value as i64])?;
        self.fact(name)
    }

    /// Counts one more of `name`: returns how many now.
    pub(super) fn count(&self, name: &str) -> Result<u64, Error> {
        self.run(
            "INSERT INTO fact VALUES (?1, 1) ON CONFLICT DO UPDATE SET value = value + 1",
            params![name],
        )?;
        self.fact(name)
    }

    fn fact(&self, name: &str) -> Result<u64, Error> {
        self.connection
            .query_row("SELECT value FROM fact WHERE name = ?1", [name], |row| row.get::<_, i64>(0))
            .map(|value| value as u64)
            .map_err(failed(&self.path))
    }

    /// Writes the held events and links of `batch`. They survive a loss of power.
    pub(super) fn hold(
        &mut self,
        LedgerBatch { hold, links, .. }: &LedgerBatch,
    ) -> Result<(), Error> {
        if hold.is_empty() && links.is_empty() {
            return Ok(());
        }
        let write = |connection: &mut Connection| -> rusqlite::Result<()> {
            connection.execute_batch("PRAGMA synchronous = FULL")?;
            let transaction = connection.transaction()?;
            let mut payload = Vec::new();
            for HeldEvent { integration, until, event } in hold {
                payload.clear();
                write_event(&mut payload, &event.event);
                let anonymous_id = &event.event.anonymous_id;
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO held VALUES (?1, ?2, ?3, ?4, ?5)")?
                    .execute(params![
                        integration,
                        event.seq as i64,
                        anonymous_id,
                        until,
                        payload
                    ])?;
            }
            for Link { integration, anonymous_id, user_id, at } in links {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO link VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![integration, anonymous_id, user_id, at])?;
            }
            transaction.commit()
        };
        write(&mut self.connection).map_err(failed(&self.path))
    }

    /// Releases the held events of `batch`, and moves its cursors. A loss of power may undo that,
    /// as if it had come a moment earlier: nothing is lost by it, so there is no fsync.
    pub(super) fn advance(&mut self, batch: &LedgerBatch) -> Result<(), Error> {
        let LedgerBatch { release, cursors, .. } = batch;
        if release.is_empty() && cursors.is_empty() {
            return Ok(());
        }
        let write = |connection: &mut Connection| -> rusqlite::Result<()> {
            connection.execute_batch("PRAGMA synchronous = NORMAL")?;
            let transaction = connection.transaction()?;
            for (integration, seq) in release {
                transaction
                    .prepare_cached("DELETE FROM held WHERE integration = ?1 AND seq = ?2")?
                    .execute(params![integration, *seq as i64])?;
            }
            for (integration, seq) in cursors {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO cursor VALUES (?1, ?2)")?
                    .execute(params![integration, *seq as i64])?;
            }
            transaction.commit()
        };
        write(&mut self.connection).map_err(failed(&self.path))
    }

    pub(super) fn cursor(&self, integration: &str) -> Result<Option<Seq>, Error> {
        self.connection
            .prepare_cached("SELECT seq FROM cursor WHERE integration = ?1")
            .and_then(|mut statement| statement.query_row([integration], read_seq).optional())
            .map_err(failed(&self.path))
    }

    pub(super) fn cursors(&self) -> Result<BTreeMap<Arc<str>, Seq>, Error> {
        self.connection
            .prepare_cached("SELECT seq, integration FROM cursor")
            .and_then(|mut statement| {
                statement.query_map([], |row| Ok((row.get(1)?, read_seq(row)?)))?.collect()
            })
            .map_err(failed(&self.path))
    }

    pub(super) fn held(
        &self,
        integration: &str,
        anonymous_id: &str,
    ) -> Result<Vec<HeldEvent>, Error> {
        self.held_by(
            "SELECT seq, until, event FROM held
             WHERE integration = ?1 AND anonymous_id = ?2 ORDER BY seq",
            integration,
            params![integration, anonymous_id],
        )
    }

    pub(super) fn held_anonymous_ids(&self, integration: &str) -> Result<Vec<String>, Error> {
        self.connection
            .prepare_cached(
                "SELECT DISTINCT anonymous_id FROM held
                 WHERE integration = ?1 AND anonymous_id IS NOT NULL",
            )
            .and_then(|mut statement| {
                statement.query_map([integration], |row| row.get(0))?.collect()
            })
            .map_err(failed(&self.path))
    }

    pub(super) fn linked(
        &self,
        integration: &str,
        anonymous_id: &str,
    ) -> Result<Option<String>, Error> {
        self.connection
            .prepare_cached("SELECT user_id FROM link WHERE integration = ?1 AND anonymous_id = ?2")
            .and_then(|mut statement| {
                statement.query_row([integration, anonymous_id], |row| row.get(0)).optional()
            })
            .map_err(failed(&self.path))
    }

    pub(super) fn held_until(
        &self,
        integration: &str,
        now: Millis,
        limit: usize,
    ) -> Result<Vec<HeldEvent>, Error> {
        self.held_by(
            "SELECT seq, until, event FROM held
             WHERE integration = ?1 AND until <= ?2 ORDER BY until, seq LIMIT ?3",
            integration,
            params![integration, now, i64::try_from(limit).unwrap_or(i64::MAX)],
        )
    }

    /// The first held event at or after `from`.
    pub(super) fn first_held(&self, from: Seq) -> Result<Option<Seq>, Error> {
        self.connection
            .prepare_cached("SELECT seq FROM held WHERE seq >= ?1 ORDER BY seq LIMIT 1")
            .and_then(|mut statement| statement.query_row([from as i64], read_seq).optional())
            .map_err(failed(&self.path))
    }

    pub(super) fn save_revision(
        &mut self,
        expected: u64,
        at: Millis,
        by: &str,
        document: &str,
    ) -> Result<u64, Error> {
        let write = |connection: &mut Connection| -> rusqlite::Result<Result<u64, Error>> {
            connection.execute_batch("PRAGMA synchronous = FULL")?;
            let transaction = connection.transaction()?;
            let current = transaction.query_row(
                "SELECT ifnull(max(number), 0) FROM revision",
                [],
                read_seq,
            )?;
            if current != expected {
                return Ok(Err(Error::Conflict(current)));
            }
            transaction.execute(
                "INSERT INTO revision VALUES (?1, ?2, ?3, ?4)",
                params![(current + 1) as i64, at, by, document],
            )?;
            transaction.commit()?;
            Ok(Ok(current + 1))
        };
        write(&mut self.connection).map_err(failed(&self.path))?
    }

    pub(super) fn revision(&self, number: Option<u64>) -> Result<Option<Revision>, Error> {
        self.connection
            .query_row(
                "SELECT number, at, saved_by, document FROM revision
                 WHERE ?1 IS NULL OR number = ?1 ORDER BY number DESC LIMIT 1",
                [number.map(|number| i64::try_from(number).unwrap_or(i64::MAX))],
                read_revision,
            )
            .optional()
            .map_err(failed(&self.path))
    }

    pub(super) fn revisions(&self) -> Result<Vec<Revision>, Error> {
        self.connection
            .prepare_cached("SELECT number, at, saved_by, '' FROM revision ORDER BY number DESC")
            .and_then(|mut statement| statement.query_map([], read_revision)?.collect())
            .map_err(failed(&self.path))
    }

    /// Keeps for good what retention has dropped undelivered.
    pub(super) fn note(&self, retained: &Retained, now: Millis) -> Result<(), Error> {
        for (integration, (from, to)) in &retained.undelivered {
            self.run(
                "INSERT INTO dropped VALUES (?1, ?2, ?3, ?4)",
                params![integration, *from as i64, *to as i64, now],
            )?;
        }
        Ok(())
    }

    /// Forgets links that were last learnt before `at`, some at a time.
    pub(super) fn forget_links(&self, at: Millis) -> Result<(), Error> {
        self.run(
            "DELETE FROM link WHERE (integration, anonymous_id) IN
                 (SELECT integration, anonymous_id FROM link WHERE at < ?1 LIMIT ?2)",
            params![at, FORGOTTEN],
        )?;
        Ok(())
    }

    /// Gives space of deleted rows back to the system.
    pub(super) fn shrink(&self) -> Result<(), Error> {
        let shrink = || -> rusqlite::Result<()> {
            // It frees a page with each row that is taken from it.
            let mut vacuum = self.connection.prepare("PRAGMA incremental_vacuum(4096)")?;
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
            self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        };
        shrink().map_err(failed(&self.path))
    }

    fn held_by(
        &self,
        sql: &str,
        integration: &str,
        params: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<HeldEvent>, Error> {
        let rows: Vec<(Seq, Millis, Vec<u8>)> = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                let read = |row: &Row<'_>| Ok((read_seq(row)?, row.get(1)?, row.get(2)?));
                statement.query_map(params, read)?.collect()
            })
            .map_err(failed(&self.path))?;
        let (integration, mut sources) = (Arc::<str>::from(integration), Sources::default());
        rows.into_iter()
            .map(|(seq, until, payload)| {
                let event = read_event(&payload, &mut sources).ok_or_else(|| Error::Damaged {
                    file: self.path.display().to_string(),
                    offset: 0,
                    what: format!("held event {seq} can't be read"),
                })?;
                let event = StoredEvent { seq, event };
                Ok(HeldEvent { integration: integration.clone(), until, event })
            })
            .collect()
    }

    fn run(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<usize, Error> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map_err(failed(&self.path))
    }
}

fn read_seq(row: &Row<'_>) -> rusqlite::Result<Seq> {
    Ok(row.get::<_, i64>(0)? as Seq)
}

fn read_revision(row: &Row<'_>) -> rusqlite::Result<Revision> {
    let number = read_seq(row)?;
    Ok(Revision { number, at: row.get(1)?, by: row.get(2)?, document: row.get(3)? })
}
