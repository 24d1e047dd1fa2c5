//! `admin.db`: what operators leave behind. Small, and away from the couriers' files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row, params};

use super::sql::{self, failed};
use crate::{Count, Error, Gather, Millis, Note, Span};

const VERSION: i64 = 1;

/// `counted.span` is the length in milliseconds; `counted.peak` is 1 for [`Gather::Peak`].
const SCHEMA: &str = "
    CREATE TABLE kept (
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (kind, key)
    ) WITHOUT ROWID;
    CREATE TABLE note (
        number INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        who TEXT NOT NULL,
        what TEXT NOT NULL,
        revision INTEGER
    );
    CREATE TABLE counted (
        span INTEGER NOT NULL,
        at INTEGER NOT NULL,
        subject TEXT NOT NULL,
        name TEXT NOT NULL,
        peak INTEGER NOT NULL,
        value INTEGER NOT NULL,
        PRIMARY KEY (span, at, subject, name)
    ) WITHOUT ROWID;";

/// See the [module](self).
pub(crate) struct Desk {
    path: PathBuf,
    connection: Connection,
}

impl Desk {
    pub(super) fn open(dir: &Path) -> Result<Desk, Error> {
        let path = dir.join("admin.db");
        let connection = sql::open(&path, VERSION, SCHEMA)?;
        Ok(Desk { path, connection })
    }

    pub(crate) fn keep(&self, kind: &str, key: &str, text: Option<&str>) -> Result<(), Error> {
        let done = match text {
            Some(text) => self
                .connection
                .prepare_cached("INSERT OR REPLACE INTO kept VALUES (?1, ?2, ?3)")
                .and_then(|mut statement| statement.execute([kind, key, text])),
            None => self
                .connection
                .prepare_cached("DELETE FROM kept WHERE kind = ?1 AND key = ?2")
                .and_then(|mut statement| statement.execute([kind, key])),
        };
        done.map(|_| ()).map_err(failed(&self.path))
    }

    pub(crate) fn kept(&self, kind: &str) -> Result<BTreeMap<String, String>, Error> {
        self.connection
            .prepare_cached("SELECT key, text FROM kept WHERE kind = ?1")
            .and_then(|mut statement| {
                statement.query_map([kind], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .map_err(failed(&self.path))
    }

    pub(crate) fn note(&self, note: &Note) -> Result<(), Error> {
        let revision = note.revision.map(|number| number as i64);
        self.connection
            .prepare_cached("INSERT INTO note (at, who, what, revision) VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut insert| insert.execute(params![note.at, note.who, note.what, revision]))
            .map(|_| ())
            .map_err(failed(&self.path))
    }

    pub(crate) fn notes(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Note)>, Error> {
        let before = before.map_or(i64::MAX, |number| i64::try_from(number).unwrap_or(i64::MAX));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.connection
            .prepare_cached(
                "SELECT number, at, who, what, revision FROM note
                 WHERE number < ?1 ORDER BY number DESC LIMIT ?2",
            )
            .and_then(|mut statement| statement.query_map([before, limit], read_note)?.collect())
            .map_err(failed(&self.path))
    }

    pub(crate) fn count(&mut self, counts: &[Count]) -> Result<(), Error> {
        let write = |connection: &mut Connection| -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            for count in counts {
                let peak = count.how == Gather::Peak;
                for span in Span::ALL {
                    transaction
                        .prepare_cached(
                            "INSERT INTO counted VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                             ON CONFLICT DO UPDATE SET value = iif(peak,
                                 max(value, excluded.value), value + excluded.value)",
                        )?
                        .execute(params![
                            span.millis(),
                            span.start(count.at),
                            count.subject,
                            count.name,
                            peak,
                            i64::try_from(count.value).unwrap_or(i64::MAX),
                        ])?;
                }
            }
            transaction.commit()
        };
        write(&mut self.connection).map_err(failed(&self.path))
    }

    pub(crate) fn counts(&self, span: Span, from: Millis, to: Millis) -> Result<Vec<Count>, Error> {
        self.connection
            .prepare_cached(
                "SELECT at, subject, name, value, peak FROM counted
                 WHERE span = ?1 AND at >= ?2 AND at < ?3 ORDER BY at, subject, name",
            )
            .and_then(|mut statement| {
                statement.query_map([span.millis(), from, to], read_count)?.collect()
            })
            .map_err(failed(&self.path))
    }

    pub(super) fn retain(&self, now: Millis) -> Result<(), Error> {
        for span in Span::ALL {
            self.connection
                .prepare_cached("DELETE FROM counted WHERE span = ?1 AND at < ?2")
                .and_then(|mut delete| {
                    delete.execute([span.millis(), now.saturating_sub(span.kept())])
                })
                .map_err(failed(&self.path))?;
        }
        Ok(())
    }
}

fn read_note(row: &Row<'_>) -> rusqlite::Result<(u64, Note)> {
    let revision: Option<i64> = row.get(4)?;
    let note = Note {
        at: row.get(1)?,
        who: row.get(2)?,
        what: row.get(3)?,
        revision: revision.map(|number| number as u64),
    };
    Ok((row.get::<_, i64>(0)? as u64, note))
}

fn read_count(row: &Row<'_>) -> rusqlite::Result<Count> {
    let how = if row.get::<_, bool>(4)? { Gather::Peak } else { Gather::Sum };
    Ok(Count {
        at: row.get(0)?,
        subject: row.get(1)?,
        name: row.get(2)?,
        value: row.get::<_, i64>(3)? as u64,
        how,
    })
}
