//! Couriers: one for each cloud integration, each with its own place in the journal.
//!
//! A courier is a thread that reads the journal, plans each event, lets its lane decide, carries
//! the decisions out, and writes what became of it to the ledger. What is decided is pure
//! (`heapline_action::pipeline`, `heapline_delivery::Lane`); here is only the doing.

mod carrying;
mod fleet;
mod health;
mod hold;
mod ledger;
mod planning;
mod replay;
mod ripe;
mod run;
mod taking;
mod tally;
mod window;

pub use fleet::{Fleet, Surroundings};
pub use health::{Trouble, TroubleKind};
pub use planning::{Names, Planned, digest, plan_event, requests};
pub use replay::{Chunk, Repeated, Replayed};
