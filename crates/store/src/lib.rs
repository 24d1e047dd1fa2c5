//! What survives a crash: the journal of accepted events, the ledger of what became of them, held
//! events, refused input, workspace revisions.
//!
//! [`Store`] is the one interface. Its verbs are promises; the conformance suite in `tests/` holds
//! every implementation to them. Stored types are this crate's own: they change only with a format
//! version.
#![deny(missing_docs)]

mod admin;
pub mod embedded;
mod error;
mod event;
mod memory;
mod page_report;
mod query;
mod rejected;
mod revision;
mod settings;
mod settlement;
mod store;

pub use admin::{Count, Gather, Note, Span};
pub use embedded::Embedded;
pub use error::Error;
pub use event::{AppendDone, Appended, Millis, NewEvent, Seq, StoredEvent};
pub use memory::Memory;
pub use page_report::{PageReport, PageResult, PageSummary, Told};
pub use query::{Extent, Found, Page, Query, Reason, Retained};
pub use rejected::Rejected;
pub use revision::Revision;
pub use settings::{Commit, Settings};
pub use settlement::{Delivery, HeldEvent, LedgerBatch, Link, Outcome, RequestRecord, Settlement};
pub use store::{Reader, Store};
