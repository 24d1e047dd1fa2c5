//! The catalog: every destination that Heapline knows, one folder each.
//!
//! A new destination is a folder beside `heap/`, its `mod` line below, and its line in [`CATALOG`].
#![deny(missing_docs)]

use heapline_action::destination::Destination;

mod actions;
mod evaluate;
mod fields;
mod flatten;
mod json_text;
mod notices;
mod settings;
mod text;

#[path = "../heap/mod.rs"]
pub mod heap;
#[path = "../heap_web/mod.rs"]
pub mod heap_web;

pub use actions::{Problem, action_names, actions, default_mapping};
pub use evaluate::{Evaluation, evaluate, start};

static CATALOG: &[&dyn Destination] = &[&heap::Heap, &heap_web::HeapWeb];

/// All destinations, in the order in which they are shown.
pub fn catalog() -> &'static [&'static dyn Destination] {
    CATALOG
}

/// The destination called `slug` in workspace documents.
pub fn find(slug: &str) -> Option<&'static dyn Destination> {
    CATALOG.iter().copied().find(|destination| destination.definition().slug == slug)
}
