//! The door: takes the calls of Segment and Customer.io clients over HTTP, judges each item, and
//! answers 200 only when what it took is on disk.
//!
//! [`decode`] is the judge, a function of the request, the sources and the limits. [`Ingest`] is the
//! thin edge around it: bodies, store, counters, CORS.

mod answer;
mod body;
mod client_ip;
mod cors;
mod counters;
mod decode;
mod edge;
mod inspect;
mod item;
mod json;
mod keeper;
mod key;
mod limits;
mod route;
mod side;
mod source;
mod time;

pub use answer::{Answer, Code, Fault};
pub use client_ip::{Network, TrustedProxies};
pub use counters::{Counters, IntakeSnapshot, Snapshot};
pub use decode::{Decoded, Request, Warning, WarningCode, decode};
pub use edge::Ingest;
pub use keeper::Keeper;
pub use key::unknown as unknown_key;
pub use limits::Limits;
pub use route::{Call, Route};
pub use side::{Receipts, Reported};
pub use source::{Answers, Source, SourceTable};
