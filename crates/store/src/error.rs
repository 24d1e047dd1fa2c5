//! What can go wrong.

use std::fmt;

/// What went wrong, by what a caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No space left: nothing was written, try again later.
    Full(String),
    /// An fsync or a write failed half-way: this store takes nothing more until it is opened anew.
    Poisoned(String),
    /// A file says something that can't be: name, offset and what was found.
    Damaged {
        /// The file.
        file: String,
        /// Byte in it.
        offset: u64,
        /// What was found and what was expected.
        what: String,
    },
    /// The workspace has moved on to this revision.
    Conflict(u64),
    /// The store is closed.
    Closed,
    /// Anything else: what was tried, and what the system said.
    Io(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Full(what) => write!(f, "the disk is full: {what}"),
            Error::Poisoned(what) => {
                write!(f, "the store stopped after a failed write ({what}); restart to go on")
            }
            Error::Damaged { file, offset, what } => {
                write!(f, "{file} is damaged at byte {offset}: {what}")
            }
            Error::Conflict(number) => write!(f, "the workspace is at revision {number} now"),
            Error::Closed => f.write_str("the store is closed"),
            Error::Io(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}
