//! The store of one process: a directory with the journal's segments and SQLite files.
//!
//! | file | what |
//! |---|---|
//! | `lock` | locked while a process has the directory open |
//! | `store` | format version and key, see [`identity`] |
//! | `journal/` | events, see [`journal`] |
//! | `ledger/`, `main.db`, `admin.db`, `rejected.db`, `reports.db` | all else, see [`ledger`] |

mod find;
mod fs;
mod identity;
mod inspect;
mod journal;
mod ledger;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{
    AppendDone, Count, Error, Extent, HeldEvent, LedgerBatch, Millis, NewEvent, Note, Outcome,
    Page, PageReport, PageSummary, Query, Reader, Reason, Rejected, RequestRecord, Retained,
    Revision, Seq, Settings, Settlement, Span, Store, StoredEvent,
};
pub use inspect::{Damage, IndexState, Report, SegmentReport, inspect, mend};

use fs::{Fs, RealFs};
use journal::Journal;
use ledger::Ledger;

/// The store of one process. See the [module](self).
pub struct Embedded {
    settings: Settings,
    journal: Journal,
    ledger: Ledger,
    closed: AtomicBool,
    /// Held until the store is gone.
    _lock: File,
}

impl Embedded {
    /// Opens the store in `dir`, which is made if it doesn't exist. A torn commit at the end of the
    /// journal is cut off; any other damage is an error.
    pub fn open(dir: &Path, settings: Settings) -> Result<Embedded, Error> {
        Embedded::open_on(Arc::new(RealFs), dir, settings)
    }

    fn open_on(fs: Arc<dyn Fs>, dir: &Path, settings: Settings) -> Result<Embedded, Error> {
        for dir in [dir, &dir.join("journal"), &dir.join("ledger")] {
            std::fs::create_dir_all(dir).map_err(fs::failed("make the directory", dir))?;
        }
        let lock = lock(dir)?;
        let key = identity::read_or_make(&*fs, &dir.join("store"))?;
        let journal = Journal::open(fs, dir.join("journal"), key, settings.clone())?;
        let ledger = Ledger::open(dir, &settings)?;
        let next = journal.extent().next;
        let known = ledger.highest()?;
        if known > next {
            return Err(Error::Damaged {
                file: dir.join("journal").display().to_string(),
                offset: 0,
                what: format!(
                    "the journal ends before event {next}, but the ledger knows what became of \
                     events up to {}: segments are missing or cut",
                    known - 1
                ),
            });
        }
        Ok(Embedded { settings, journal, ledger, closed: AtomicBool::new(false), _lock: lock })
    }

    fn open_still(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }
}

/// Keeps other processes out of the directory.
fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(fs::failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Io(format!(
            "{} is in use by another process: only one at a time can open it",
            dir.display()
        ))),
        Err(TryLockError::Error(error)) => Err(fs::failed("lock", &path)(error)),
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Who wants to know closes by himself.
        self.close().ok();
    }
}

impl Store for Embedded {
    fn append(&self, events: Vec<NewEvent>, done: AppendDone) {
        self.journal.append(events, done);
    }

    fn reader(&self, from: Seq) -> Result<Box<dyn Reader>, Error> {
        Ok(Box::new(self.journal.reader(from)))
    }

    fn event(&self, seq: Seq) -> Result<Option<StoredEvent>, Error> {
        self.journal.event(seq)
    }

    fn extent(&self) -> Extent {
        self.journal.extent()
    }

    fn on_commit(&self, wake: Box<dyn Fn(Seq) + Send + Sync>) {
        self.journal.on_commit(wake);
    }

    fn record(&self, batch: &LedgerBatch) -> Result<(), Error> {
        self.open_still()?;
        self.ledger.record(batch)
    }

    fn next_request_id(&self) -> u64 {
        self.ledger.next_request_id()
    }

    fn cursor(&self, integration: &str) -> Result<Option<Seq>, Error> {
        self.ledger.cursor(integration)
    }

    fn settlements(
        &self,
        integration: &str,
        from: Seq,
        to: Seq,
    ) -> Result<BTreeMap<Seq, Settlement>, Error> {
        self.ledger.settlements(integration, from, to)
    }

    fn requests(&self, ids: &[u64]) -> Result<Vec<RequestRecord>, Error> {
        self.ledger.requests(ids)
    }

    fn held(&self, integration: &str, anonymous_id: &str) -> Result<Vec<HeldEvent>, Error> {
        self.ledger.held(integration, anonymous_id)
    }

    fn held_anonymous_ids(&self, integration: &str) -> Result<Vec<String>, Error> {
        self.ledger.held_anonymous_ids(integration)
    }

    fn linked(&self, integration: &str, anonymous_id: &str) -> Result<Option<String>, Error> {
        self.ledger.linked(integration, anonymous_id)
    }

    fn held_until(
        &self,
        integration: &str,
        now: Millis,
        limit: usize,
    ) -> Result<Vec<HeldEvent>, Error> {
        self.ledger.held_until(integration, now, limit)
    }

    fn find(&self, query: &Query) -> Result<Page, Error> {
        find::find(self, query)
    }

    fn reasons(
        &self,
        integration: Option<&str>,
        outcomes: &[Outcome],
    ) -> Result<Vec<Reason>, Error> {
        self.ledger.reasons(integration, outcomes)
    }

    fn reject(&self, rejected: Vec<Rejected>) {
        self.ledger.reject(rejected);
    }

    fn rejected(&self, source: Option<&str>, limit: usize) -> Result<Vec<Rejected>, Error> {
        self.ledger.rejected(source, limit)
    }

    fn report(&self, reports: Vec<PageReport>) {
        self.ledger.reports().push(reports);
    }

    fn page_reports(&self, source: &str, message_id: &str) -> Result<Vec<PageReport>, Error> {
        self.ledger.reports().of_event(source, message_id)
    }

    fn page_summary(
        &self,
        integration: &str,
        since: Millis,
        failures: usize,
    ) -> Result<PageSummary, Error> {
        self.ledger.reports().summary(integration, since, failures)
    }

    fn save_revision(
        &self,
        expected: u64,
        at: Millis,
        by: &str,
        document: &str,
    ) -> Result<u64, Error> {
        self.open_still()?;
        self.ledger.save_revision(expected, at, by, document)
    }

    fn revision(&self, number: Option<u64>) -> Result<Option<Revision>, Error> {
        self.ledger.revision(number)
    }

    fn revisions(&self) -> Result<Vec<Revision>, Error> {
        self.ledger.revisions()
    }

    fn keep(&self, kind: &str, key: &str, text: Option<&str>) -> Result<(), Error> {
        self.open_still()?;
        self.ledger.desk().keep(kind, key, text)
    }

    fn kept(&self, kind: &str) -> Result<BTreeMap<String, String>, Error> {
        self.ledger.desk().kept(kind)
    }

    fn note(&self, note: &Note) -> Result<(), Error> {
        self.open_still()?;
        self.ledger.desk().note(note)
    }

    fn notes(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, Note)>, Error> {
        self.ledger.desk().notes(before, limit)
    }

    fn count(&self, counts: &[Count]) -> Result<(), Error> {
        self.open_still()?;
        self.ledger.desk().count(counts)
    }

    fn counts(&self, span: Span, from: Millis, to: Millis) -> Result<Vec<Count>, Error> {
        self.ledger.desk().counts(span, from, to)
    }

    fn retain(&self, now: Millis) -> Result<Retained, Error> {
        self.open_still()?;
        let (first, kept) = self.journal.retain(now)?;
        let retained = Retained::new(first, kept, &self.ledger.cursors()?);
        self.ledger.retain(&retained, now)?;
        Ok(retained)
    }

    fn close(&self) -> Result<(), Error> {
        self.closed.store(true, Ordering::Release);
        self.journal.close();
        self.ledger.close()
    }
}
