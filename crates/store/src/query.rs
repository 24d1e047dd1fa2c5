//! Questions to the store and their answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Millis, Outcome, Seq, Settlement, StoredEvent};

/// A question about events that the journal still has; all given conditions must hold. Newest
/// first. `integration`, `outcome` and `code` hold if one and the same delivery meets them.
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
    /// Only this place and those above.
    pub from: Option<Seq>,
    /// At most so many.
    pub limit: usize,
}

impl Query {
    /// True if the event itself meets the conditions that are about it.
    pub(crate) fn takes(&self, event: &StoredEvent) -> bool {
        let StoredEvent { seq, event } = event;
        let same = |asked: &Option<String>, has: Option<&str>| {
            asked.as_deref().is_none_or(|asked| has == Some(asked))
        };
        self.before.is_none_or(|before| *seq < before)
            && self.from.is_none_or(|from| *seq >= from)
            && self.since.is_none_or(|since| event.received_at >= since)
            && self.until.is_none_or(|until| event.received_at < until)
            && same(&self.message_id, Some(&event.message_id))
            && same(&self.user_id, event.user_id.as_deref())
            && same(&self.anonymous_id, event.anonymous_id.as_deref())
            && same(&self.source, Some(&event.source))
            && same(&self.event, Some(&event.name))
    }

    /// True if it asks for something that only the ledger knows.
    pub(crate) fn asks_ledger(&self) -> bool {
        self.integration.is_some() || self.outcome.is_some() || self.code.is_some()
    }

    /// True if what became of an event meets the conditions that are about that.
    pub(crate) fn takes_fate(&self, settlements: &[Settlement]) -> bool {
        if !self.asks_ledger() {
            return true;
        }
        settlements
            .iter()
            .filter(|s| self.integration.as_deref().is_none_or(|asked| *asked == *s.integration))
            .any(|s| {
                (self.outcome.is_none() && self.code.is_none())
                    || s.deliveries.iter().any(|d| {
                        self.outcome.is_none_or(|asked| d.outcome == asked)
                            && self.code.as_deref().is_none_or(|asked| *asked == *d.code)
                    })
            })
    }
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

/// Deliveries of one action that had one fate for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Id of the integration.
    pub integration: Arc<str>,
    /// Id of the action.
    pub action: Arc<str>,
    /// Their fate.
    pub outcome: Outcome,
    /// Short fixed name of the reason.
    pub code: Arc<str>,
    /// How many they are.
    pub count: u64,
    /// When the first of them came to be: of these, or of others like them that have another fate
    /// now.
    pub first: Millis,
    /// When the latest came to be.
    pub last: Millis,
    /// Place of the latest event.
    pub latest: Seq,
    /// The reason of that one in one plain sentence; empty if the code says all.
    pub sentence: Box<str>,
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

impl Retained {
    pub(crate) fn new(first: Seq, kept: Seq, cursors: &BTreeMap<Arc<str>, Seq>) -> Retained {
        let undelivered = cursors
            .iter()
            .map(|(integration, cursor)| (integration.clone(), ((*cursor).max(first), kept)))
            .filter(|(_, (from, to))| from < to)
            .collect();
        Retained { dropped: (first, kept), undelivered }
    }
}
