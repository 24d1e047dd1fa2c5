//! Input that was turned away.

use crate::Millis;

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

impl Rejected {
    /// Bytes of its text.
    pub(crate) fn bytes(&self) -> usize {
        self.source.len() + self.code.len() + self.message.len() + self.excerpt.len()
    }
}
