//! Questions to the store and their answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Millis, Outcome, Seq, Settlement, StoredEvent};

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

/// One page of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub found: Vec<Found>,
    /// If there may be more: ask again with [`Query::before`] set to this. A search stops early
    /// where it would look at too many events at a time, so a page may be short, even empty, and
    /// still have more behind it.
    pub more: Option<Seq>,
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

/// What retention has dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Places dropped from the journal, from the first to below the second.
    pub dropped: (Seq, Seq),
    /// Those among them that an integration had neither settled nor held, if any: dropped
    /// undelivered. By integration, from the first to below the second.
    pub undelivered: BTreeMap<Arc<str>, (Seq, Seq)>,
}
