//! How a store is set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Millis;

/// One commit of the journal, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Events that it stored.
    pub events: usize,
    /// Bytes that it wrote.
    pub bytes: usize,
    /// How long writing took.
    pub write: Duration,
    /// How long the fsync took.
    pub sync: Duration,
}

/// How a store is set up. [`Settings::default`] is right for production.
#[derive(Clone)]
pub struct Settings {
    /// Events older than this are dropped, in milliseconds. Default: 7 days.
    pub retention: Millis,
    /// Links of anonymous ids that were not learnt again for so long are forgotten, in milliseconds.
    /// Default: 90 days.
    pub link_age: Millis,
    /// Events are dropped beyond so many bytes of journal. Default: 20 GB.
    pub retention_bytes: u64,
    /// How long a message id is remembered, in milliseconds. Default: 24 h.
    pub dedup_window: Millis,
    /// Rejected input that is kept, in items. Default: 10,000.
    pub rejected_items: usize,
    /// Rejected input that is kept, in bytes of text. Default: 32 MB.
    pub rejected_bytes: usize,
    /// Reports of pages that are kept, in items. Default: 500,000.
    pub report_items: usize,
    /// Reports of pages that are kept, in bytes of text. Default: 64 MB.
    pub report_bytes: usize,
    /// Size of a segment of the journal. Retention drops whole segments. Default: 64 MiB.
    pub segment_bytes: u32,
    /// Appends that may wait for the journal before [`append`](crate::Store::append) blocks.
    /// Default: 1,024.
    pub queue: usize,
    /// Places in one file of the ledger. Fixed when a directory is first opened. Default: 2^20.
    pub ledger_span: u64,
    /// Events that one search looks at before it answers with what it has. Default: 100,000.
    pub search_limit: usize,
    /// Called after each commit, on the journal's thread: it must not block.
    pub observer: Option<Arc<dyn Fn(Commit) + Send + Sync>>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            retention: 7 * 24 * 3_600_000,
            link_age: 90 * 24 * 3_600_000,
            retention_bytes: 20_000_000_000,
            dedup_window: 24 * 3_600_000,
            rejected_items: 10_000,
            rejected_bytes: 32_000_000,
            report_items: 500_000,
            report_bytes: 64_000_000,
            segment_bytes: 64 << 20,
            queue: 1_024,
            ledger_span: 1 << 20,
            search_limit: 100_000,
            observer: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("retention", &self.retention)
            .field("link_age", &self.link_age)
            .field("retention_bytes", &self.retention_bytes)
            .field("dedup_window", &self.dedup_window)
            .field("rejected_items", &self.rejected_items)
            .field("rejected_bytes", &self.rejected_bytes)
            .field("report_items", &self.report_items)
            .field("report_bytes", &self.report_bytes)
            .field("segment_bytes", &self.segment_bytes)
            .field("queue", &self.queue)
            .field("ledger_span", &self.ledger_span)
            .field("search_limit", &self.search_limit)
            .finish_non_exhaustive()
    }
}
