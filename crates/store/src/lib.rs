//! What survives a crash: the journal of accepted events, the ledger of what became of them, held
//! events, refused input, workspace revisions.
//!
//! [`Store`] is the one interface. Its verbs are promises; the conformance suite in `tests/` holds
//! every implementation to them. Stored types are this crate's own: they change only with a format
//! version.
#![deny(missing_docs)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Place of an event in the journal: 1 for the first, then without gaps.
pub type Seq = u64;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// An accepted event on its way into the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Id of the source.
    pub source: Arc<str>,
    /// When the request that carried it arrived.
    pub received_at: Millis,
    /// Never empty.
    pub message_id: Box<str>,
    /// The user id, if there is one.
    pub user_id: Option<Box<str>>,
    /// The anonymous id, if there is one.
    pub anonymous_id: Option<Box<str>>,
    /// The normalised event as JSON text.
    pub json: Box<[u8]>,
}

/// An event read back from the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place.
    pub seq: Seq,
    /// What was stored.
    pub event: NewEvent,
}

/// What became of one event of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is on disk at this place.
    Stored(Seq),
    /// An event of the same source with the same message id is on disk already, no older than the
    /// dedup window.
    Duplicate(Seq),
}

/// Called once with the result of an append, on the journal's own thread: it must not block.
pub type AppendDone = Box<dyn FnOnce(Result<Vec<Appended>, Error>) + Send>;

/// The fate of one event at one action. `Pending` is the only one that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// On its way.
    Pending,
    /// Waiting for its anonymous id to be linked to a user id.
    Held,
    /// The destination took it.
    Delivered,
    /// The action didn't take it.
    Filtered,
    /// It can't become a request.
    Refused,
    /// The destination refused it: a dead letter.
    Failed,
    /// Retries or the hold ran out: a dead letter.
    Expired,
}

/// What became of one event at one action of an integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Id of the action.
    pub action: Arc<str>,
    /// Its fate.
    pub outcome: Outcome,
    /// Short fixed name of the reason, e.g. `trigger`, `no_identity`, `http_400`; empty if none.
    pub code: Arc<str>,
    /// The reason in one plain sentence; empty if the code says all.
    pub sentence: Box<str>,
    /// Bit *n* is set once step *n* of its plan was taken by the destination.
    pub steps_done: u8,
    /// Requests that carried it, oldest first: ids of [`RequestRecord`]s.
    pub requests: Vec<u64>,
    /// First 16 bytes of the SHA-256 of its own unmerged requests; zeros if none were planned.
    pub digest: [u8; 16],
    /// What was cut or left out on the way, as sentences.
    pub notices: Vec<Box<str>>,
    /// When the outcome was reached or last changed.
    pub at: Millis,
}

/// All that became of one event at one integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The event.
    pub seq: Seq,
    /// Id of the integration.
    pub integration: Arc<str>,
    /// Revision of the workspace by which it was planned.
    pub revision: u64,
    /// One entry for each action, in the workspace's order.
    pub deliveries: Vec<Delivery>,
}

impl Settlement {
    /// True if no delivery can change any more.
    pub fn is_final(&self) -> bool {
        !self.deliveries.iter().any(|d| matches!(d.outcome, Outcome::Pending | Outcome::Held))
    }
}

/// One HTTP request to a destination, and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// Unique in the store; grows with time. See [`Store::next_request_id`].
    pub id: u64,
    /// Id of the integration.
    pub integration: Arc<str>,
    /// Name of the endpoint, e.g. `track`.
    pub endpoint: Arc<str>,
    /// When it was sent.
    pub at: Millis,
    /// How long the answer took, in milliseconds.
    pub took_ms: u32,
    /// HTTP status; 0 if there was no answer.
    pub status: u16,
    /// Items that it carried.
    pub items: u32,
    /// The first 1,024 bytes of the answer, or what went wrong on the way.
    pub excerpt: Box<str>,
}

/// What a courier has to write at one time. Written whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct LedgerBatch {
    /// Replace what is known of these events at their integrations.
    pub settlements: Vec<Settlement>,
    /// Add these requests.
    pub requests: Vec<RequestRecord>,
    /// Everything below this place is settled or held, by integration.
    pub cursors: BTreeMap<Arc<str>, Seq>,
    /// Keep these events until linked, resolved or expired, also beyond the journal's retention.
    pub hold: Vec<HeldEvent>,
    /// Forget these held events: (integration, seq).
    pub release: Vec<(Arc<str>, Seq)>,
}

/// An event that waits for its anonymous id to be linked to a user id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldEvent {
    /// Id of the integration.
    pub integration: Arc<str>,
    /// When it stops being held.
    pub until: Millis,
    /// The event.
    pub event: StoredEvent,
}

/// Input that was turned away at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// When it arrived.
    pub at: Millis,
    /// Id of the source; empty if the key was unknown.
    pub source: Box<str>,
    /// Short fixed name of the reason, e.g. `invalid_event`.
    pub code: Box<str>,
    /// What the caller was told.
    pub message: Box<str>,
    /// The item or the body, at most 4 KiB of it.
    pub excerpt: Box<str>,
}

/// One revision of the workspace document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// 1 for the first, then without gaps.
    pub number: u64,
    /// When it was saved.
    pub at: Millis,
    /// Who saved it.
    pub by: Box<str>,
    /// The document.
    pub document: Box<str>,
}

/// A question to the ledger; all given conditions must hold. Newest first.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Exact message id.
    pub message_id: Option<String>,
    /// Exact user id.
    pub user_id: Option<String>,
    /// Exact anonymous id.
    pub anonymous_id: Option<String>,
    /// Id of a source.
    pub source: Option<String>,
    /// Exact event name, or the type of calls without one.
    pub event: Option<String>,
    /// Id of an integration; with `outcome` or `code`, theirs.
    pub integration: Option<String>,
    /// Some delivery has this outcome.
    pub outcome: Option<Outcome>,
    /// Some delivery has this code.
    pub code: Option<String>,
    /// Received at or after.
    pub since: Option<Millis>,
    /// Received before.
    pub until: Option<Millis>,
    /// Only places below this one: for the next page.
    pub before: Option<Seq>,
    /// At most so many.
    pub limit: usize,
}

/// An event and what became of it at every integration that has taken it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The event.
    pub event: StoredEvent,
    /// One for each integration.
    pub settlements: Vec<Settlement>,
}

/// How much there is, for metrics and `doctor`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Lowest place still in the journal; equal to `next` if it is empty.
    pub first: Seq,
    /// Place of the next event. All below are durable.
    pub next: Seq,
    /// Bytes of the journal on disk.
    pub bytes: u64,
}

/// Reads the journal in order. Sees only durable events.
pub trait Reader: Send {
    /// The next events, at most `max_events`, stopping after about `max_bytes`; empty if there are
    /// none yet. If retention has dropped the reader's place, it goes on at the first that is left.
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
    fn record(&self, batch: LedgerBatch) -> Result<(), Error>;

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

    /// Held events of `integration` whose time is up at `now`, oldest first, at most `limit`.
    fn held_until(
        &self,
        integration: &str,
        now: Millis,
        limit: usize,
    ) -> Result<Vec<HeldEvent>, Error>;

    /// Events that match, newest first.
    fn find(&self, query: &Query) -> Result<Vec<Found>, Error>;

    /// Keeps `rejected`, dropping the oldest beyond the bound of the settings. Batched; may be lost
    /// in a crash.
    fn reject(&self, rejected: Vec<Rejected>);

    /// The latest rejected input, newest first, of one source or of all.
    fn rejected(&self, source: Option<&str>, limit: usize) -> Result<Vec<Rejected>, Error>;

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

    /// Drops what is older than the retention settings allow, at `now`, and gives the space back.
    fn retain(&self, now: Millis) -> Result<(), Error>;

    /// Writes what is queued and closes. Later appends fail with [`Error::Closed`].
    fn close(&self) -> Result<(), Error>;
}

/// What went wrong, by what a caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No space left: nothing was written, try again later.
    Full(String),
    /// An fsync or a write failed half-way: this store takes nothing more until it is opened anew.
    Poisoned(String),
    /// A file says something that can't be: name, offset and what was found.
    Damaged {
        /// The file.
        file: String,
        /// Byte in it.
        offset: u64,
        /// What was found and what was expected.
        what: String,
    },
    /// The workspace has moved on to this revision.
    Conflict(u64),
    /// The store is closed.
    Closed,
    /// Anything else: what was tried, and what the system said.
    Io(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Full(what) => write!(f, "the disk is full: {what}"),
            Error::Poisoned(what) => {
                write!(f, "the store stopped after a failed write ({what}); restart to go on")
            }
            Error::Damaged { file, offset, what } => {
                write!(f, "{file} is damaged at byte {offset}: {what}")
            }
            Error::Conflict(number) => write!(f, "the workspace is at revision {number} now"),
            Error::Closed => f.write_str("the store is closed"),
            Error::Io(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}
