//! A file of records that come in bulk and may be lost in a crash, the oldest dropped beyond a
//! bound; written by a thread of its own.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, Transaction, params};

use super::sql::{self, failed};
use crate::{Error, Millis};

/// What such a file holds: a table with, among others, the columns
/// `id INTEGER PRIMARY KEY AUTOINCREMENT`, `at` and `bytes`.
pub(super) trait Record: Send + 'static {
    /// Name of the file, without its extension, and of the table.
    const NAME: &'static str;
    /// Version of the schema.
    const VERSION: i64;
    /// Makes the table.
    const SCHEMA: &'static str;
    /// The earliest version of the schema that is still known.
    const OLDEST: i64 = Self::VERSION;
    /// Brings a table of the version before to the present one.
    const UPGRADE: &'static str = "";

    /// Bytes of its text.
    fn bytes(&self) -> usize;

    /// Adds it to the table.
    fn insert(&self, into: &Transaction<'_>) -> rusqlite::Result<()>;
}

/// See the [module](self).
pub(super) struct Ring<R> {
    shared: Arc<Shared<R>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<R> {
    /// What isn't written yet. Locked before `table` where both are.
    queue: Mutex<Queue<R>>,
    come: Condvar,
    table: Mutex<Table>,
    most: Size,
}

struct Queue<R> {
    records: VecDeque<R>,
    bytes: usize,
    closed: bool,
}

struct Table {
    path: PathBuf,
    connection: Connection,
    size: Size,
}

/// How many records, and bytes of their text.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

impl<R: Record> Ring<R> {
    pub(super) fn open(dir: &Path, most: Size) -> Result<Ring<R>, Error> {
        let path = dir.join(format!("{}.db", R::NAME));
        let (connection, version) = sql::open_since(&path, R::OLDEST, R::VERSION, R::SCHEMA)?;
        if version < R::VERSION {
            let (upgrade, now) = (R::UPGRADE, R::VERSION);
            let steps = format!("BEGIN IMMEDIATE; {upgrade} PRAGMA user_version = {now}; COMMIT");
            connection.execute_batch(&steps).map_err(failed(&path))?;
        }
        connection.execute_batch("PRAGMA synchronous = NORMAL").map_err(failed(&path))?;
        let mut table = Table { path, connection, size: Size { items: 0, bytes: 0 } };
        table.measure::<R>()?;
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { records: VecDeque::new(), bytes: 0, closed: false }),
            come: Condvar::new(),
            table: Mutex::new(table),
            most,
        });
        let run = {
            let shared = shared.clone();
            move || shared.run()
        };
        let thread = std::thread::Builder::new()
            .name(R::NAME.into())
            .spawn(run)
            .map_err(|e| Error::Io(format!("cannot start a thread: {e}")))?;
        Ok(Ring { shared, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn push(&self, records: Vec<R>) {
        let mut queue = self.shared.queue();
        for record in records {
            queue.bytes += record.bytes();
            queue.records.push_back(record);
        }
        let most = self.shared.most;
        while queue.records.len() > most.items || queue.bytes > most.bytes {
            let Some(oldest) = queue.records.pop_front() else { break };
            queue.bytes -= oldest.bytes();
        }
        self.shared.come.notify_one();
    }

    /// Writes what is queued, and asks.
    pub(super) fn read<T>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.shared.flush()?;
        let table = self.shared.table();
        ask(&table.connection).map_err(failed(&table.path))
    }

    /// Drops what is older.
    pub(super) fn drop_before(&self, at: Millis) -> Result<(), Error> {
        self.shared.flush()?;
        let mut table = self.shared.table();
        let dropped = table
            .connection
            .execute(&format!("DELETE FROM {} WHERE at < ?1", R::NAME), params![at])
            .map_err(failed(&table.path))?;
        if dropped > 0 { table.measure::<R>() } else { Ok(()) }
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

impl<R: Record> Shared<R> {
    fn run(&self) {
        loop {
            let mut queue = self.queue();
            while queue.records.is_empty() && !queue.closed {
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
        let records = std::mem::take(&mut queue.records);
        queue.bytes = 0;
        drop(queue);
        if records.is_empty() { Ok(()) } else { table.add(&records, self.most) }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn measure<R: Record>(&mut self) -> Result<(), Error> {
        let ask = format!("SELECT count(*), ifnull(sum(bytes), 0) FROM {}", R::NAME);
        let read = |row: &rusqlite::Row<'_>| {
            let (items, bytes) = (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?);
            Ok(Size { items: items as usize, bytes: bytes as usize })
        };
        self.size = self.connection.query_row(&ask, [], read).map_err(failed(&self.path))?;
        Ok(())
    }

    fn add<R: Record>(&mut self, records: &VecDeque<R>, most: Size) -> Result<(), Error> {
        let mut size = self.size;
        let mut write = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            for record in records {
                record.insert(&transaction)?;
                size.items += 1;
                size.bytes += record.bytes();
            }
            let drop_oldest = format!(
                "DELETE FROM {0} WHERE id = (SELECT min(id) FROM {0}) RETURNING bytes",
                R::NAME
            );
            while size.items > most.items || size.bytes > most.bytes {
                let oldest: i64 =
                    transaction.prepare_cached(&drop_oldest)?.query_row([], |row| row.get(0))?;
                size.items -= 1;
                size.bytes -= oldest as usize;
            }
            transaction.commit()
        };
        write().map_err(failed(&self.path))?;
        self.size = size;
        Ok(())
    }
}
