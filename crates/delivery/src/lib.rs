//! The delivery policy: facts and the time in, decisions out.
//!
//! A [`Lane`] holds what one integration still has to deliver. It owns order, merging, limits,
//! retries, back-off, bisection and giving up, and has no clock, no I/O and no randomness but the
//! seed in its [`Policy`]: the same facts at the same times give the same decisions.
//!
//! What it promises:
//!
//! * A user's parcels are delivered in order, and never are two requests in flight that carry the
//!   same user. Only property updates may overtake events of the same user, and nothing overtakes
//!   a property update.
//! * A step that the destination has taken is not sent again.
//! * Each parcel ends exactly once, by [`Decision::Settle`].
//! * Nothing is sent while the destination asked for quiet, and no limit of an endpoint is exceeded.
//! * An endpoint that refuses everything, with answers that find no fault with the items, costs few
//!   parcels: it is held, and the rest waits. One that refuses some of the items is not held for long.
#![deny(missing_docs)]

mod batch;
mod budget;
mod health;
mod lane;
mod message;
mod outlet;
mod random;
mod users;

pub use lane::Lane;
pub use message::{
    Carried, Decision, End, Fact, Held, Load, Memory, Outgoing, Parcel, Policy, RequestId, Sent,
    Standing, Trouble, Unfinished, Usage,
};
