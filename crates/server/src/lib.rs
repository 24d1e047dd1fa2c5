//! The program `heapline`, as a library so that tests and benchmarks reach its parts.

pub mod admin;
pub mod cli;
pub mod config;
pub mod courier;
pub mod ingest;
pub mod server;
pub mod telemetry;
pub mod transport;
pub mod workspace;
