//! Why an operation wasn't done.

use std::fmt;

use heapline_action::destination::Fault;
use heapline_store::Error;
use http::StatusCode;

/// Why an operation wasn't done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The question makes no sense: what was expected, what was found.
    Bad(String),
    /// There is no such thing.
    Missing(String),
    /// The workspace has moved on to this revision: read it again, and decide again.
    Moved(u64),
    /// It can't be done as things stand: a fixed code, and why.
    Conflict(&'static str, String),
    /// The document has these faults.
    Faulty(Vec<Fault>),
    /// The workspace is this file: change that.
    ReadOnly(String),
    /// The caller's role doesn't go so far.
    Forbidden(String),
    /// The store can't do it.
    Store(Error),
    /// Something of ours is broken.
    Broken(String),
}

impl Problem {
    /// The HTTP status that tells it.
    pub fn status(&self) -> StatusCode {
        match self {
            Problem::Bad(_) => StatusCode::BAD_REQUEST,
            Problem::Missing(_) => StatusCode::NOT_FOUND,
            Problem::Moved(_) | Problem::Conflict(..) | Problem::ReadOnly(_) => {
                StatusCode::CONFLICT
            }
            Problem::Faulty(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Problem::Forbidden(_) => StatusCode::FORBIDDEN,
            Problem::Store(Error::Full(_) | Error::Poisoned(_) | Error::Closed) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Problem::Store(Error::Conflict(_)) => StatusCode::CONFLICT,
            Problem::Store(Error::Damaged { .. } | Error::Io(_)) | Problem::Broken(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// Its fixed name.
    pub fn code(&self) -> &'static str {
        match self {
            Problem::Bad(_) => "bad_request",
            Problem::Missing(_) => "not_found",
            Problem::Moved(_) => "revision_conflict",
            Problem::Conflict(code, _) => code,
            Problem::Faulty(_) => "faulty_document",
            Problem::ReadOnly(_) => "read_only",
            Problem::Forbidden(_) => "forbidden",
            Problem::Store(Error::Full(_)) => "disk_full",
            Problem::Store(Error::Poisoned(_) | Error::Closed) => "store_unavailable",
            Problem::Store(Error::Conflict(_)) => "revision_conflict",
            Problem::Store(Error::Damaged { .. }) => "damaged",
            Problem::Store(Error::Io(_)) => "io",
            Problem::Broken(_) => "internal",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Bad(what)
            | Problem::Missing(what)
            | Problem::Conflict(_, what)
            | Problem::Forbidden(what)
            | Problem::Broken(what) => f.write_str(what),
            Problem::Moved(number) => {
                write!(f, "the workspace is at revision {number} now; read it and try again")
            }
            Problem::Faulty(faults) => {
                let list: Vec<String> = faults.iter().map(Fault::to_string).collect();
                f.write_str(&list.join("; "))
            }
            Problem::ReadOnly(file) => {
                write!(f, "the workspace is the file {file}: change it there")
            }
            Problem::Store(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for Problem {}

impl From<Error> for Problem {
    fn from(e: Error) -> Problem {
        match e {
            Error::Conflict(number) => Problem::Moved(number),
            e => Problem::Store(e),
        }
    }
}
