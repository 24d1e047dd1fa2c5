//! The program `heapline`, as a library so that tests and benchmarks reach its parts.

pub mod config;
pub mod ingest;
