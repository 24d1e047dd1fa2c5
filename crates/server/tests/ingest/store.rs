//! The memory store behind a hand that can make appends fail or wait.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use heapline_store::{
    AppendDone, Count, Error, Extent, HeldEvent, LedgerBatch, Memory, Millis, NewEvent, Note,
    Outcome, Page, PageReport, PageSummary, Query, Reader, Reason, Rejected, RequestRecord,
    Retained, Revision, Seq, Settings, Settlement, Span, Store, StoredEvent,
};

pub(crate) struct Handled {
    inner: Memory,
    hand: Mutex<Hand>,
}

#[derive(Default)]
pub(crate) struct Hand {
    pub(crate) fail: Option<Error>,
    /// Appends wait.
    pub(crate) hold: bool,
    pub(crate) waiting: Vec<(Vec<NewEvent>, AppendDone)>,
}

impl Handled {
    pub(crate) fn new() -> Handled {
        Handled { inner: Memory::new(Settings::default()), hand: Mutex::default() }
    }

    pub(crate) fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap()
    }

    /// Lets waiting appends finish.
    pub(crate) fn release(&self) {
        self.hand().hold = false;
        let waiting = std::mem::take(&mut self.hand().waiting);
        for (events, done) in waiting {
            self.append(events, done);
        }
    }

    pub(crate) fn events(&self) -> Vec<NewEvent> {
        let stored = self.inner.reader(1).unwrap().next(usize::MAX, usize::MAX).unwrap();
        stored.into_iter().map(|one| one.event).collect()
    }

    /// Oldest first.
    pub(crate) fn refusals(&self) -> Vec<Rejected> {
        let mut rejected = self.inner.rejected(None, usize::MAX).unwrap();
        rejected.reverse();
        rejected
    }
}

impl Store for Handled {
    fn append(&self, events: Vec<NewEvent>, done: AppendDone) {
        let mut hand = self.hand();
        if hand.hold {
            hand.waiting.push((events, done));
            return;
        }
        let fail = hand.fail.clone();
        drop(hand);
        match fail {
            Some(e) => done(Err(e)),
            None => self.inner.append(events, done),
        }
    }

    fn reader(&self, from: Seq) -> Result<Box<dyn Reader>, Error> {
        self.inner.reader(from)
    }
    fn event(&self, seq: Seq) -> Result<Option<StoredEvent>, Error> {
        self.inner.event(seq)
    }
    fn extent(&self) -> Extent {
        self.inner.extent()
    }
    fn on_commit(&self, wake: Box<dyn Fn(Seq) + Send + Sync>) {
        self.inner.on_commit(wake);
    }
    fn record(&self, batch: LedgerBatch) -> Result<(), Error> {
        self.inner.record(batch)
    }
    fn next_request_id(&self) -> u64 {
        self.inner.next_request_id()
    }
    fn cursor(&self, integration: &str) -> Result<Option<Seq>, Error> {
        self.inner.cursor(integration)
    }
    fn settlements(
        &self,
        integration: &str,
        from: Seq,
        to: Seq,
    ) -> Result<BTreeMap<Seq, Settlement>, Error> {
        self.inner.settlements(integration, from, to)
    }
    fn requests(&self, ids: &[u64]) -> Result<Vec<RequestRecord>, Error> {
        self.inner.requests(ids)
    }
    fn held(&self, integration: &str, anonymous_id: &str) -> Result<Vec<HeldEvent>, Error> {
        self.inner.held(integration, anonymous_id)
    }
    fn held_until(
        &self,
        integration: &str,
        now: Millis,
        limit: usize,
    ) -> Result<Vec<HeldEvent>, Error> {
        self.inner.held_until(integration, now, limit)
    }
    fn held_anonymous_ids(&self, integration: &str) -> Result<Vec<String>, Error> {
        self.inner.held_anonymous_ids(integration)
    }
    fn linked(&self, integration: &str, anonymous_id: &str) -> Result<Option<String>, Error> {
        self.inner.linked(integration, anonymous_id)
    }
    fn reasons(&self, only: Option<&str>, outcomes: &[Outcome]) -> Result<Vec<Reason>, Error> {
        self.inner.reasons(only, outcomes)
    }
    fn find(&self, query: &Query) -> Result<Page, Error> {
        self.inner.find(query)
    }
    fn reject(&self, rejected: Vec<Rejected>) {
        self.inner.reject(rejected);
    }
    fn rejected(&self, source: Option<&str>, limit: usize) -> Result<Vec<Rejected>, Error> {
        self.inner.rejected(source, limit)
    }
    fn report(&self, reports: Vec<PageReport>) {
        self.inner.report(reports);
    }
    fn page_reports(&self, source: &str, message_id: &str) -> Result<Vec<PageReport>, Error> {
        self.inner.page_reports(source, message_id)
    }
    fn page_summary(
        &self,
        integration: &str,
        since: Millis,
        failures: usize,
    ) -> Result<PageSummary, Error> {
        self.inner.page_summary(integration, since, failures)
    }
    fn save_revision(
        &self,
        expected: u64,
        at: Millis,
        by: &str,
        document: &str,
    ) -> Result<u64, Error> {
        self.inner.save_revision(expected, at, by, document)
    }
    fn revision(&self, number: Option<u64>) -> Result<Option<Revision>, Error> {
        self.inner.revision(number)
    }
    fn revisions(&self) -> Result<Vec<Revision>, Error> {
        self.inner.revisions()
    }
    fn keep(&self, kind: &str, key: &str, text: Option<&str>) -> Result<(), Error> {
        self.inner.keep(kind, key, text)
    }
    fn kept(&self, kind: &str) -> Result<BTreeMap<String, String>, Error> {
        self.inner.kept(kind)
    }
    fn note(&self, note: &Note) -> Result<(), Error> {
        self.inner.note(note)
    }
    fn notes(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, Note)>, Error> {
        self.inner.notes(before, limit)
    }
    fn count(&self, counts: &[Count]) -> Result<(), Error> {
        self.inner.count(counts)
    }
    fn counts(&self, span: Span, from: Millis, to: Millis) -> Result<Vec<Count>, Error> {
        self.inner.counts(span, from, to)
    }
    fn retain(&self, now: Millis) -> Result<Retained, Error> {
        self.inner.retain(now)
    }
    fn close(&self) -> Result<(), Error> {
        self.inner.close()
    }
}
