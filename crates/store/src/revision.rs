//! Revisions of the workspace document.

use crate::Millis;

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
