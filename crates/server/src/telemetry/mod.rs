//! What the program says of itself: metrics, logs, traces. Names live here and nowhere else.

pub mod logs;
pub mod metrics;
pub(crate) mod spans;
pub mod statistics;
mod tail;

pub use metrics::Metrics;
pub use statistics::{Latencies, Statistics, Subject};
pub use tail::Tail;
