//! What the program says of itself: metrics, logs, traces. Names live here and nowhere else.

pub mod logs;
pub mod metrics;

pub use metrics::Metrics;
