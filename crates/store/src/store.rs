//! The interface.

use std::collections::BTreeMap;

use crate::{
    AppendDone, Count, Error, Extent, HeldEvent, LedgerBatch, Millis, NewEvent, Note, Outcome,
    Page, PageReport, PageSummary, Query, Reason, Rejected, RequestRecord, Retained, Revision, Seq,
    Settlement, Span, StoredEvent,
};

/// Reads the journal in order. Sees only durable events.
pub trait Reader: Send {
    /// The next events, at most `max_events`, stopping after about `max_bytes`; empty if there are
    /// none yet. If retention has dropped the reader's place, it goes on at the first that is left.
    /// Places whose events were lost to damage and mended away are left out.
    fn next(&mut self, max_events: usize, max_bytes: usize) -> Result<Vec<StoredEvent>, Error>;
}

/// The store. All methods may be called from any thread.
pub trait Store: Send + Sync {
    /// Appends `events` in order, all or none, and calls `done` once they are on disk (or known to
    /// be there already). Several appends share one fsync. Blocks while the queue is full.
    fn append(&self, events: Vec<NewEvent>, done: AppendDone);

    /// Reads from `from` on.
    fn reader(&self, from: Seq) -> Result<Box<dyn Reader>, Error>;

    /// One event, if the journal still has it.
    fn event(&self, seq: Seq) -> Result<Option<StoredEvent>, Error>;

    /// How much there is.
    fn extent(&self) -> Extent;

    /// Calls `wake` after every commit with the new [`Extent::next`]. It must not block.
    fn on_commit(&self, wake: Box<dyn Fn(Seq) + Send + Sync>);

    /// Writes `batch` whole or not at all. On return it survives a crash of the process.
    fn record(&self, batch: &LedgerBatch) -> Result<(), Error>;

    /// A fresh id for a [`RequestRecord`], larger than all before, also after a restart.
    fn next_request_id(&self) -> u64;

    /// Everything below is settled or held. `None` if the integration never wrote one.
    fn cursor(&self, integration: &str) -> Result<Option<Seq>, Error>;

    /// What is known of the events from `from` to below `to` at `integration`, by place.
    fn settlements(
        &self,
        integration: &str,
        from: Seq,
        to: Seq,
    ) -> Result<BTreeMap<Seq, Settlement>, Error>;

    /// Requests by id.
    fn requests(&self, ids: &[u64]) -> Result<Vec<RequestRecord>, Error>;

    /// Events of `integration` held for `anonymous_id`, oldest first.
    fn held(&self, integration: &str, anonymous_id: &str) -> Result<Vec<HeldEvent>, Error>;

    /// Anonymous ids for which `integration` holds events, in no order.
    fn held_anonymous_ids(&self, integration: &str) -> Result<Vec<String>, Error>;

    /// The user id that `anonymous_id` was last linked to at `integration`.
    fn linked(&self, integration: &str, anonymous_id: &str) -> Result<Option<String>, Error>;

    /// Held events of `integration` whose time is up at `now`, oldest first, at most `limit`.
    fn held_until(
        &self,
        integration: &str,
        now: Millis,
        limit: usize,
    ) -> Result<Vec<HeldEvent>, Error>;

    /// Events that match, newest first.
    fn find(&self, query: &Query) -> Result<Page, Error>;

    /// Deliveries with one of `outcomes` and a code, at `integration` or at all, counted by reason,
    /// in no order. Those of events that retention has dropped may be counted for a while.
    fn reasons(
        &self,
        integration: Option<&str>,
        outcomes: &[Outcome],
    ) -> Result<Vec<Reason>, Error>;

    /// Keeps `rejected`, dropping the oldest beyond the bound of the settings. Batched; may be lost
    /// in a crash.
    fn reject(&self, rejected: Vec<Rejected>);

    /// The latest rejected input, newest first, of one source or of all.
    fn rejected(&self, source: Option<&str>, limit: usize) -> Result<Vec<Rejected>, Error>;

    /// Keeps what pages reported, dropping the oldest beyond the bounds of the settings. Batched; may
    /// be lost in a crash.
    fn report(&self, reports: Vec<PageReport>);

    /// What pages reported of one event, oldest first.
    fn page_reports(&self, source: &str, message_id: &str) -> Result<Vec<PageReport>, Error>;

    /// What pages with `integration` reported at or after `since`, with the latest `failures`.
    fn page_summary(
        &self,
        integration: &str,
        since: Millis,
        failures: usize,
    ) -> Result<PageSummary, Error>;

    /// Saves a workspace document as the revision after `expected` (0: the first). A conflict is
    /// [`Error::Conflict`] with the current number.
    fn save_revision(
        &self,
        expected: u64,
        at: Millis,
        by: &str,
        document: &str,
    ) -> Result<u64, Error>;

    /// One revision; the latest if `number` is `None`.
    fn revision(&self, number: Option<u64>) -> Result<Option<Revision>, Error>;

    /// All revisions without their documents' text, newest first.
    fn revisions(&self) -> Result<Vec<Revision>, Error>;

    /// Keeps a small text by kind and key, in place of an earlier one; `None` forgets it. On return
    /// it survives a loss of power.
    fn keep(&self, kind: &str, key: &str, text: Option<&str>) -> Result<(), Error>;

    /// All kept texts of a kind, by key.
    fn kept(&self, kind: &str) -> Result<BTreeMap<String, String>, Error>;

    /// Adds to the log of changes, which nothing takes away from. On return it survives a loss of
    /// power.
    fn note(&self, note: &Note) -> Result<(), Error>;

    /// The log of changes with its numbers, newest first, below `before`, at most `limit`.
    fn notes(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, Note)>, Error>;

    /// Adds to the counters of the minute and the hour of each count, all or none. A subject and
    /// name is always gathered in the same way.
    fn count(&self, counts: &[Count]) -> Result<(), Error>;

    /// The counters of the minutes or hours that begin from `from` to before `to`, by time, subject
    /// and name.
    fn counts(&self, span: Span, from: Millis, to: Millis) -> Result<Vec<Count>, Error>;

    /// Drops what is older than the settings allow, at `now`, and gives the space back.
    /// Events are dropped whether they are delivered or not; the answer says which were not.
    fn retain(&self, now: Millis) -> Result<Retained, Error>;

    /// Writes what is queued and closes. Later appends fail with [`Error::Closed`].
    fn close(&self) -> Result<(), Error>;
}
