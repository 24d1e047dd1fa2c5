//! The whole of Heapline against a local Heap: server, couriers, ledger, command line.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod chaos;
mod clients;
mod commands;
mod delivery;
mod eval;
mod full_disk;
mod garbage;
mod handover;
mod hold;
mod kill;
mod operate;
mod refusing;
mod retry;
#[path = "../support/mod.rs"]
mod support;
mod traces;
