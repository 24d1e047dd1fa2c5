//! How much a mapping may make of one event.

use std::cell::Cell;

/// Most bytes, counted as [`Room::take`] does: an event's largest form sixteen times over. Without
/// a bound, directives inside one another can double a value sixty times.
const MOST: usize = 16 << 20;

/// What a value counts beside its text, in bytes.
pub(super) const NODE: usize = 32;

/// Counts down what is made. Once it is exceeded nothing more is made, and what there is counts for
/// nothing.
#[derive(Debug)]
pub(super) struct Room {
    left: Cell<usize>,
    exceeded: Cell<bool>,
}

impl Room {
    pub(super) fn new() -> Room {
        Room { left: Cell::new(MOST), exceeded: Cell::new(false) }
    }

    /// Takes room for so many bytes; false if there isn't so much left.
    pub(super) fn take(&self, bytes: usize) -> bool {
        match self.left.get().checked_sub(bytes) {
            Some(left) if !self.exceeded.get() => {
                self.left.set(left);
                true
            }
            _ => {
                self.exceeded.set(true);
                false
            }
        }
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.get()
    }
}
