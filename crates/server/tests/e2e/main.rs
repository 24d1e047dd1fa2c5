//! The whole of Heapline against a local Heap: server, couriers, ledger, command line.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod delivery;
mod hold;
mod retry;
#[path = "../support/mod.rs"]
mod support;
