//! What the door has seen, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use heapline_store::Appended;

use super::answer::Code;
use super::decode::Decoded;

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    bytes: AtomicU64,
    accepted: AtomicU64,
    duplicate: AtomicU64,
    refused: [AtomicU64; Code::ALL.len()],
    warnings: AtomicU64,
    series: AtomicU64,
}

/// All counts at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Requests on the paths of the door, preflights too.
    pub requests: u64,
    /// Bytes of their bodies as received.
    pub bytes: u64,
    /// Events stored.
    pub accepted: u64,
    /// Events acknowledged and not stored again.
    pub duplicate: u64,
    /// Items, and requests as a whole, that were refused, by code.
    pub refused: [(Code, u64); Code::ALL.len()],
    /// Oddities in what was taken.
    pub warnings: u64,
    /// Metric series that clients reported.
    pub series: u64,
}

impl Counters {
    /// Reads them; concurrent requests may be counted in part.
    pub fn snapshot(&self) -> Snapshot {
        let refused = Code::ALL.map(|code| (code, self.refused(code).load(Relaxed)));
        Snapshot {
            requests: self.requests.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            duplicate: self.duplicate.load(Relaxed),
            refused,
            warnings: self.warnings.load(Relaxed),
            series: self.series.load(Relaxed),
        }
    }

    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn body(&self, bytes: usize) {
        self.bytes.fetch_add(number(bytes), Relaxed);
    }

    pub(super) fn refuse(&self, code: Code) {
        self.refused(code).fetch_add(1, Relaxed);
    }

    pub(super) fn decoded(&self, decoded: &Decoded) {
        for fault in &decoded.faults {
            self.refuse(fault.code);
        }
        self.warnings.fetch_add(number(decoded.warnings.len()), Relaxed);
        self.series.fetch_add(decoded.series, Relaxed);
    }

    pub(super) fn appended(&self, appended: &[Appended]) {
        let stored = appended.iter().filter(|one| matches!(one, Appended::Stored(_))).count();
        self.accepted.fetch_add(number(stored), Relaxed);
        self.duplicate.fetch_add(number(appended.len() - stored), Relaxed);
    }

    fn refused(&self, code: Code) -> &AtomicU64 {
        let [malformed, invalid, large, key, path, method, unavailable] = &self.refused;
        match code {
            Code::Malformed => malformed,
            Code::InvalidEvent => invalid,
            Code::TooLarge => large,
            Code::UnknownWriteKey => key,
            Code::NotFound => path,
            Code::MethodNotAllowed => method,
            Code::Unavailable => unavailable,
        }
    }
}

fn number(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
