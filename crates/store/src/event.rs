//! Events on their way into the journal and out of it.

use std::sync::Arc;

use crate::Error;

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
    /// Its event name, or its type if it has none: what [`Query::event`](crate::Query) asks for.
    pub name: Box<str>,
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
