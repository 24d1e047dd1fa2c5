//! What a courier writes: settlements, requests, held events.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Millis, Seq, StoredEvent};

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

impl Outcome {
    /// All outcomes.
    pub const ALL: [Outcome; 7] = [
        Outcome::Pending,
        Outcome::Held,
        Outcome::Delivered,
        Outcome::Filtered,
        Outcome::Refused,
        Outcome::Failed,
        Outcome::Expired,
    ];

    /// Its word in metrics, answers and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Pending => "pending",
            Outcome::Held => "held",
            Outcome::Delivered => "delivered",
            Outcome::Filtered => "filtered",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
            Outcome::Expired => "expired",
        }
    }
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
    /// Revision of the workspace by which it was planned, if that isn't the settlement's: a replay
    /// plans some deliveries anew and leaves others.
    pub revision: Option<u64>,
}

/// All that became of one event at one integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The event.
    pub seq: Seq,
    /// Id of the integration.
    pub integration: Arc<str>,
    /// Revision of the workspace by which it was planned last.
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
    /// Remember these; a later link of the same anonymous id replaces an earlier one.
    pub links: Vec<Link>,
}

/// That an anonymous id belongs to a user id, as an event at an integration that holds has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Id of the integration.
    pub integration: Arc<str>,
    /// The anonymous id.
    pub anonymous_id: Box<str>,
    /// The user id.
    pub user_id: Box<str>,
    /// When it was learnt.
    pub at: Millis,
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
