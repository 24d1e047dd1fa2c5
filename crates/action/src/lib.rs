//! What an event means: values, triggers, mappings, field checks and plans, all as functions of data.
//!
//! Nothing here reads a clock, a file, the environment or a random number. A destination is
//! described by [`destination::Definition`]; [`pipeline`] runs one event through one action of it.
#![deny(missing_docs)]

pub mod datetime;
pub mod destination;
pub mod fields;
pub mod integrations;
pub mod mapping;
mod path;
pub mod pipeline;
pub mod plan;
pub mod reads;
pub mod trigger;
pub mod value;
