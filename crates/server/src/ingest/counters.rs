//! What the door has seen, for metrics: in all, and of each source.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use heapline_store::Appended;

use super::answer::Code;
use super::decode::{Decoded, WarningCode};

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    bytes: AtomicU64,
    series: AtomicU64,
    all: Intake,
    sources: RwLock<BTreeMap<Arc<str>, Arc<Intake>>>,
}

/// What came of the events of one source, or of all.
#[derive(Debug, Default)]
pub(super) struct Intake {
    accepted: AtomicU64,
    duplicate: AtomicU64,
    refused: [AtomicU64; Code::ALL.len()],
    warned: [AtomicU64; WarningCode::ALL.len()],
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
    /// Oddities in what was taken, in all.
    pub warnings: u64,
    /// The same by code.
    pub warned: [(WarningCode, u64); WarningCode::ALL.len()],
    /// Metric series that clients reported.
    pub series: u64,
    /// The same counts of each source that was heard of, where the source is known.
    pub sources: BTreeMap<Arc<str>, IntakeSnapshot>,
}

/// What came of the events of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntakeSnapshot {
    /// Events stored.
    pub accepted: u64,
    /// Events acknowledged and not stored again.
    pub duplicate: u64,
    /// Items, and requests as a whole, that were refused, by code.
    pub refused: [(Code, u64); Code::ALL.len()],
    /// Oddities in what was taken, by code.
    pub warned: [(WarningCode, u64); WarningCode::ALL.len()],
}

impl Snapshot {
    /// What came of the events of all sources, and of those without one.
    pub fn intake(&self) -> IntakeSnapshot {
        let Snapshot { accepted, duplicate, refused, warned, .. } = *self;
        IntakeSnapshot { accepted, duplicate, refused, warned }
    }
}

impl IntakeSnapshot {
    /// Each count with its name in the statistics.
    pub fn named(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        let plain = [("accepted", self.accepted), ("duplicate", self.duplicate)];
        let plain = plain.into_iter().map(|(name, count)| (name.to_owned(), count));
        let refused = self.refused.iter();
        let refused = refused.map(|(code, count)| (format!("refused/{}", code.name()), *count));
        let warned = self.warned.iter();
        let warned = warned.map(|(code, count)| (format!("warned/{}", code.name()), *count));
        plain.chain(refused).chain(warned)
    }
}

impl Counters {
    /// Reads them; concurrent requests may be counted in part.
    pub fn snapshot(&self) -> Snapshot {
        let IntakeSnapshot { accepted, duplicate, refused, warned } = self.all.snapshot();
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        Snapshot {
            requests: self.requests.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            accepted,
            duplicate,
            refused,
            warnings: warned.iter().map(|(_, count)| count).sum(),
            warned,
            series: self.series.load(Relaxed),
            sources: sources.iter().map(|(id, of)| (id.clone(), of.snapshot())).collect(),
        }
    }

    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn body(&self, bytes: usize) {
        self.bytes.fetch_add(number(bytes), Relaxed);
    }

    pub(super) fn refuse(&self, code: Code) {
        self.all.refuse(code);
    }

    /// Counts what was found wrong or odd. Gives the counts of the source, if it is known.
    pub(super) fn decoded(&self, decoded: &Decoded) -> Option<Arc<Intake>> {
        let of_source = decoded.source.as_ref().map(|source| self.of_source(&source.id));
        for intake in std::iter::once(&self.all).chain(of_source.as_deref()) {
            for fault in &decoded.faults {
                intake.refuse(fault.code);
            }
            for warning in &decoded.warnings {
                intake.warn(warning.code);
            }
        }
        self.series.fetch_add(decoded.series, Relaxed);
        of_source
    }

    pub(super) fn appended(&self, appended: &[Appended], of_source: Option<&Intake>) {
        let stored = appended.iter().filter(|one| matches!(one, Appended::Stored(_))).count();
        for intake in std::iter::once(&self.all).chain(of_source) {
            intake.accepted.fetch_add(number(stored), Relaxed);
            intake.duplicate.fetch_add(number(appended.len() - stored), Relaxed);
        }
    }

    fn of_source(&self, id: &Arc<str>) -> Arc<Intake> {
        if let Some(known) = self.sources.read().unwrap_or_else(PoisonError::into_inner).get(id) {
            return known.clone();
        }
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        sources.entry(id.clone()).or_default().clone()
    }
}

impl Intake {
    fn snapshot(&self) -> IntakeSnapshot {
        let refused = Code::ALL.map(|code| (code, self.refused(code).load(Relaxed)));
        let warned = WarningCode::ALL.map(|code| (code, self.warned(code).load(Relaxed)));
        IntakeSnapshot {
            accepted: self.accepted.load(Relaxed),
            duplicate: self.duplicate.load(Relaxed),
            refused,
            warned,
        }
    }

    fn refuse(&self, code: Code) {
        self.refused(code).fetch_add(1, Relaxed);
    }

    fn warn(&self, code: WarningCode) {
        self.warned(code).fetch_add(1, Relaxed);
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

    fn warned(&self, code: WarningCode) -> &AtomicU64 {
        let [item, batch, time, surrogate] = &self.warned;
        match code {
            WarningCode::LargeItem => item,
            WarningCode::LargeBatch => batch,
            WarningCode::UnreadableTime => time,
            WarningCode::LoneSurrogate => surrogate,
        }
    }
}

fn number(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
