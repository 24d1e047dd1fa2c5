//! What operators ask and change, over HTTP and from the command line.

mod ask;
pub mod events;
mod http;
pub mod pages;
mod problem;
mod token;

pub use ask::{Ask, EventParams, Refused, RefusedParams, answer_locally};
pub use events::Revisions;
pub use http::{Admin, router};
pub(crate) use problem::Problem;
pub use token::{ADMIN_FILE, AdminFile};
