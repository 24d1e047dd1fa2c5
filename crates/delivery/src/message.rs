//! What goes into a lane and what comes out of it.

use std::sync::Arc;

use heapline_action::plan::{Answer, Endpoint, EndpointId, Item, Limit, Reading, Step};

/// How a lane behaves.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The destination's endpoints, by [`EndpointId`].
    pub endpoints: Vec<Endpoint>,
    /// How long a parcel is tried again after its first failed attempt, in milliseconds.
    pub retry_window_ms: u64,
    /// Upper end of the first back-off, in milliseconds.
    pub first_backoff_ms: u64,
    /// Upper end of every back-off, in milliseconds.
    pub max_backoff_ms: u64,
    /// Most requests in flight to one endpoint; at least 1.
    pub max_in_flight: usize,
    /// How long a first item waits for company while nothing is in flight, in milliseconds.
    pub linger_ms: u64,
    /// Where jitter comes from. It also keys hashes, so it should be random in production.
    pub seed: u64,
}

/// The steps of one event at one action, on their way to one end.
#[derive(Clone, Debug, PartialEq)]
pub struct Parcel {
    /// Unique in the lane; grows in journal order.
    pub id: u64,
    /// The ordering key: parcels of one user are delivered in the order in which they are offered.
    pub user: Arc<str>,
    /// What to send, in order; at most 8 steps.
    pub steps: Vec<Step>,
    /// Bit *n* is set if the destination took step *n* before a restart.
    pub done: u8,
    /// When it first failed, in milliseconds, if that was before a restart. `None`: its retry window
    /// starts with its first failure in this lane.
    pub failing_since_ms: Option<u64>,
}

/// Names a request of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What of a lane matters to the one that comes after it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// [`Lane::quiet_until_ms`](crate::Lane::quiet_until_ms).
    pub quiet_until_ms: u64,
    /// Endpoints that were [`Standing::Held`]. They are asked once, and go on if that is taken.
    pub held: Vec<Held>,
    /// What was sent of late, oldest answer first: it counts under the limits of the integration.
    pub sent: Vec<Sent>,
}

/// An endpoint that was held.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Which.
    pub endpoint: EndpointId,
    /// [`Trouble::since_ms`].
    pub since_ms: u64,
    /// What it says.
    pub answer: Answer,
}

/// A request that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Where to.
    pub endpoint: EndpointId,
    /// When it was answered, in milliseconds.
    pub answered_ms: u64,
    /// What it carried.
    pub items: u32,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Fact {
    /// There was a lane before. To be told first, if at all.
    Recall(Memory),
    /// These are to be delivered.
    Offer(Vec<Parcel>),
    /// A request that the lane ordered has ended.
    Ended {
        /// Which one.
        request: RequestId,
        /// The courier's own id for it, e.g. its record in the ledger. Comes back in
        /// [`Decision::Settle`].
        record: u64,
        /// How the destination reads its answer. Without an answer (connection refused, reset, time
        /// out): [`Reading::Retry`].
        reading: Reading,
        /// The answer; status 0 and what went wrong if there was none.
        answer: Answer,
    },
    /// Time has passed; due at each [`Decision::WakeAt`], harmless at any other time.
    Tick,
    /// Send nothing until [`Fact::Resume`]. What is in flight still settles.
    Pause,
    /// Send again.
    Resume,
    /// Send nothing any more: the courier stops. What is in flight still settles; the rest is
    /// told by [`Lane::unfinished`](crate::Lane::unfinished).
    Drain,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Send this, and report its end with [`Fact::Ended`].
    Send(Outgoing),
    /// The destination has taken a step of a parcel that has more steps to go.
    Progress {
        /// [`Parcel::id`].
        parcel: u64,
        /// Index of the step.
        step: u8,
    },
    /// A parcel has come to its end. The lane has forgotten it.
    Settle {
        /// [`Parcel::id`].
        parcel: u64,
        /// Which end.
        end: End,
        /// Bit *n* is set if the destination took step *n*.
        steps_done: u8,
        /// The courier's ids of the requests that carried it since it was offered, oldest first. Of
        /// many, the first few and the last ones.
        requests: Vec<u64>,
    },
    /// Call again with [`Fact::Tick`] at this time in milliseconds, unless another fact comes first.
    /// Replaces any earlier one; if a call gives none, no time is awaited.
    WakeAt(u64),
}

/// How a parcel ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The destination took every step.
    Delivered,
    /// The destination refused a step for good. Its later steps were sent all the same.
    Failed {
        /// Index of the first step that was refused.
        step: u8,
        /// What the destination said when that step stood alone in a request.
        answer: Arc<Answer>,
    },
    /// The retry window is over.
    Expired {
        /// The last failure.
        answer: Arc<Answer>,
    },
}

/// A request to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Its name in [`Fact::Ended`].
    pub request: RequestId,
    /// Where it goes.
    pub endpoint: EndpointId,
    /// What it says, in order; property updates of one user are folded.
    pub items: Vec<Item>,
    /// The steps that it carries.
    pub carried: Vec<Carried>,
}

/// A step in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// [`Parcel::id`].
    pub parcel: u64,
    /// Index of the step.
    pub step: u8,
    /// Index of the item in [`Outgoing::items`] that says it.
    pub item: u32,
}

/// How an endpoint does.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// It takes what it is sent, as far as is known.
    Open,
    /// It fails. It is tried now and then.
    Down(Trouble),
    /// It refuses everything, for what seems to be no fault of the items: what is for it waits, and
    /// now and then a single step is tried. It goes on as soon as one is taken or refused for another
    /// reason.
    Held(Trouble),
}

/// What is the matter with an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// When it began, in milliseconds.
    pub since_ms: u64,
    /// When it is tried again, in milliseconds; not before, at least.
    pub until_ms: u64,
    /// What it said at last.
    pub answer: Arc<Answer>,
}

/// How much is inside a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Parcels that have not ended.
    pub parcels: usize,
    /// About how many bytes their steps take as JSON.
    pub bytes: usize,
    /// Requests that have not ended.
    pub in_flight: usize,
}

/// How far a limit of an endpoint is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Its limit.
    pub limit: Limit,
    /// What counts against it: in flight, or answered no longer than one window ago. Where each
    /// identity has its own budget, that of the busiest.
    pub used: u32,
    /// Budgets of which something is used: at most one, unless each identity has its own.
    pub budgets: usize,
    /// Those of them that have no room left.
    pub exhausted: usize,
}

/// A parcel that a stopped lane gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// [`Parcel::id`].
    pub parcel: u64,
    /// Bit *n* is set if the destination took step *n*.
    pub steps_done: u8,
    /// When it first failed, if it ever did.
    pub failing_since_ms: Option<u64>,
}
