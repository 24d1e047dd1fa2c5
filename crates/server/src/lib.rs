//! The program `heapline`, as a library so that tests and benchmarks reach its parts.

pub mod admin;
pub mod cli;
pub mod config;
pub mod console;
pub mod control;
pub mod courier;
mod front;
pub mod ingest;
pub mod server;
pub mod telemetry;
pub mod transport;
pub mod web;
pub mod workspace;
