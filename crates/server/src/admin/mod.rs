//! What operators ask and change, over HTTP and from the command line.

mod api;
mod ask;
pub mod events;
mod http;
pub mod page_reports;
pub mod pages;
mod problem;
mod token;

pub use ask::{Ask, EventParams, Refused, RefusedParams, answer_locally, page_reports, refused};
pub use events::Revisions;
pub use http::{openapi, router};
pub use token::{ADMIN_FILE, AdminFile};
