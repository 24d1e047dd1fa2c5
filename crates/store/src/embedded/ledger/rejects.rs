//! `rejected.db`: input that was turned away, written by a thread of its own.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, Row, params};

use super::sql::{self, failed};
use crate::{Error, Rejected, Settings};

const VERSION: i64 = 1;
const SCHEMA: &str = "
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

/// See the [module](self).
pub(super) struct Rejects {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    /// What isn't written yet. Locked before `table` where both are.
    queue: Mutex<Queue>,
    come: Condvar,
    table: Mutex<Table>,
    items: usize,
    bytes: usize,
}

#[derive(Default)]
struct Queue {
    rejected: VecDeque<Rejected>,
    bytes: usize,
    closed: bool,
}

struct Table {
    path: PathBuf,
    connection: Connection,
    items: usize,
    bytes: usize,
}

impl Rejects {
    pub(super) fn open(dir: &Path, settings: &Settings) -> Result<Rejects, Error> {
        let path = dir.join("rejected.db");
        let connection = sql::open(&path, VERSION, SCHEMA)?;
        let (items, bytes) = connection
            .execute_batch("PRAGMA synchronous = NORMAL")
            .and_then(|()| {
                connection.query_row(
                    "SELECT count(*), ifnull(sum(bytes), 0) FROM rejected",
                    [],
                    |row| Ok((row.get::<_, i64>(0)? as usize, row.get::<_, i64>(1)? as usize)),
                )
            })
            .map_err(failed(&path))?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            come: Condvar::new(),
            table: Mutex::new(Table { path, connection, items, bytes }),
            items: settings.rejected_items,
            bytes: settings.rejected_bytes,
        });
        let run = {
            let shared = shared.clone();
            move || shared.run()
        };
        let thread = std::thread::Builder::new()
            .name("rejected".into())
            .spawn(run)
            .map_err(|e| Error::Io(format!("cannot start a thread: {e}")))?;
        Ok(Rejects { shared, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn push(&self, rejected: Vec<Rejected>) {
        let mut queue = self.shared.queue();
        for rejected in rejected {
            queue.bytes += rejected.bytes();
            queue.rejected.push_back(rejected);
        }
        while queue.rejected.len() > self.shared.items || queue.bytes > self.shared.bytes {
            let Some(oldest) = queue.rejected.pop_front() else { break };
            queue.bytes -= oldest.bytes();
        }
        self.shared.come.notify_one();
    }

    pub(super) fn latest(
        &self,
        source: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Rejected>, Error> {
        self.shared.flush()?;
        let table = self.shared.table();
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
        match source {
            None => table
                .connection
                .prepare_cached(&format!("{columns} ORDER BY id DESC LIMIT ?1"))
                .and_then(|mut s| s.query_map(params![limit], read)?.collect()),
            Some(source) => table
                .connection
                .prepare_cached(&format!("{columns} WHERE source = ?2 ORDER BY id DESC LIMIT ?1"))
                .and_then(|mut s| s.query_map(params![limit, source], read)?.collect()),
        }
        .map_err(failed(&table.path))
    }

    /// Writes what is queued, and stops.
    pub(super) fn close(&self) -> Result<(), Error> {
        self.shared.queue().closed = true;
        self.shared.come.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A thread that panicked has said so; there is nothing left to stop.
            thread.join().ok();
        }
        self.shared.flush()
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let mut queue = self.queue();
            while queue.rejected.is_empty() && !queue.closed {
                queue = self.come.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            let closed = queue.closed;
            drop(queue);
            // What can't be written is lost, as is allowed; the next may be.
            self.flush().ok();
            if closed {
                return;
            }
        }
    }

    fn flush(&self) -> Result<(), Error> {
        let mut queue = self.queue();
        // Taken before the queue is free again: whoever reads next finds it written.
        let mut table = self.table();
        let rejected = std::mem::take(&mut queue.rejected);
        queue.bytes = 0;
        drop(queue);
        if rejected.is_empty() { Ok(()) } else { table.add(&rejected, self.items, self.bytes) }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn add(
        &mut self,
        rejected: &VecDeque<Rejected>,
        most: usize,
        most_bytes: usize,
    ) -> Result<(), Error> {
        let (mut items, mut bytes) = (self.items, self.bytes);
        let mut write = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            for one in rejected {
                let Rejected { at, source, code, message, excerpt } = one;
                transaction
                    .prepare_cached(
                        "INSERT INTO rejected (at, source, code, message, excerpt, bytes)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    )?
                    .execute(params![at, source, code, message, excerpt, one.bytes() as i64])?;
                items += 1;
                bytes += one.bytes();
            }
            while items > most || bytes > most_bytes {
                let oldest: i64 = transaction
                    .prepare_cached(
                        "DELETE FROM rejected WHERE id = (SELECT min(id) FROM rejected)
                         RETURNING bytes",
                    )?
                    .query_row([], |row| row.get(0))?;
                items -= 1;
                bytes -= oldest as usize;
            }
            transaction.commit()
        };
        write().map_err(failed(&self.path))?;
        (self.items, self.bytes) = (items, bytes);
        Ok(())
    }
}
