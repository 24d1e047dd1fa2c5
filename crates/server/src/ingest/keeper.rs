//! What the door needs of a store.

use std::sync::Arc;

use heapline_store::{AppendDone, NewEvent, Rejected, Store};

/// Where events go that come through the door, and what was turned away.
pub trait Keeper: Send + Sync {
    /// As [`Store::append`].
    fn append(&self, events: Vec<NewEvent>, done: AppendDone);

    /// As [`Store::reject`].
    fn reject(&self, rejected: Vec<Rejected>);
}

impl<S: Store + ?Sized> Keeper for Arc<S> {
    fn append(&self, events: Vec<NewEvent>, done: AppendDone) {
        S::append(self, events, done);
    }

    fn reject(&self, rejected: Vec<Rejected>) {
        S::reject(self, rejected);
    }
}
