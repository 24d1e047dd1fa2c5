//! Every metric, and one function for each fact that moves one.
//!
//! Labels come from closed sets (integrations and sources of the workspace, outcomes, codes), so
//! that no caller can blow up the number of series.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use heapline_store::Outcome;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::statistics::{Latencies, Statistics, Subject};
use super::tail::Tail;
use crate::ingest::{IntakeSnapshot, Snapshot};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    integration: Arc<str>,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct IntegrationLabels {
    integration: Arc<str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    integration: Arc<str>,
    endpoint: Arc<str>,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EndpointLabels {
    integration: Arc<str>,
    endpoint: Arc<str>,
}

type MakeHistogram = fn() -> Histogram;

/// Sums over all integrations since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Deliveries that the destinations took.
    pub delivered: u64,
    /// Deliveries that the actions didn't take.
    pub filtered: u64,
    /// Deliveries that can't become a request.
    pub refused: u64,
    /// Deliveries that the destinations refused.
    pub failed: u64,
    /// Deliveries whose time ran out.
    pub expired: u64,
    /// Requests sent.
    pub requests: u64,
}

/// All metrics of a server. Cheap to share behind an `Arc`.
pub struct Metrics {
    registry: Registry,
    door_requests: Counter,
    door_bytes: Counter,
    accepted: Counter,
    duplicates: Counter,
    refused: Family<CodeLabels, Counter>,
    warnings: Family<CodeLabels, Counter>,
    client_metrics: Counter,
    outcomes: Family<OutcomeLabels, Counter>,
    pending: Family<IntegrationLabels, Gauge>,
    held: Family<EndpointLabels, Gauge>,
    oldest_pending: Family<IntegrationLabels, Gauge<f64, AtomicU64>>,
    totals: [AtomicU64; Outcome::ALL.len()],
    sent: AtomicU64,
    requests: Family<RequestLabels, Counter>,
    batch_items: Family<EndpointLabels, Histogram, MakeHistogram>,
    request_time: Family<EndpointLabels, Histogram, MakeHistogram>,
    append_time: Histogram,
    fsync_time: Histogram,
    append_events: Histogram,
    journal_bytes: Gauge,
    journal_events: Gauge,
    door_seen: Mutex<Option<Snapshot>>,
    /// Counts on their way to the store.
    pub statistics: Statistics,
    /// What settles, as it settles.
    pub tail: Tail,
}

fn seconds() -> Histogram {
    Histogram::new([
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
        5.0, 10.0,
    ])
}

fn items() -> Histogram {
    Histogram::new([1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 750.0, 1000.0])
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    /// Metrics at zero.
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("heapline");
        let door_requests = Counter::default();
        registry.register("door_requests", "Requests of clients", door_requests.clone());
        let door_bytes = Counter::default();
        registry.register_with_unit(
            "door_received",
            "Bodies of clients as they came",
            Unit::Bytes,
            door_bytes.clone(),
        );
        let accepted = Counter::default();
        registry.register("accepted", "Events accepted and stored", accepted.clone());
        let duplicates = Counter::default();
        registry.register(
            "duplicates",
            "Events acknowledged but stored before, by message id",
            duplicates.clone(),
        );
        let refused = Family::default();
        registry.register("refused", "Items or requests refused at the door", refused.clone());
        let warnings = Family::default();
        registry.register("warnings", "Oddities in what was taken at the door", warnings.clone());
        let client_metrics = Counter::default();
        registry.register(
            "client_metrics",
            "Metric series that browser clients sent to /v1/m",
            client_metrics.clone(),
        );
        let outcomes = Family::default();
        registry.register(
            "deliveries",
            "Deliveries (one event at one action) that reached an outcome, once the ledger has it; \
             a replay counts anew, and so does a held one that goes on",
            outcomes.clone(),
        );
        let pending = Family::default();
        registry.register(
            "pending_events",
            "Events not yet settled; a fallback for pages lets each wait for the page's word first",
            pending.clone(),
        );
        let held = Family::default();
        registry.register(
            "endpoint_held",
            "1 while an endpoint refuses every request, so that its events wait",
            held.clone(),
        );
        let oldest_pending = Family::default();
        registry.register_with_unit(
            "oldest_pending_age",
            "Age of the oldest event that is not yet settled",
            Unit::Seconds,
            oldest_pending.clone(),
        );
        let requests = Family::default();
        registry.register(
            "requests",
            "Requests sent to destinations, by status; 0 is no answer",
            requests.clone(),
        );
        let batch_items = Family::new_with_constructor(items as MakeHistogram);
        registry.register("request_items", "Items in one request", batch_items.clone());
        let request_time = Family::new_with_constructor(seconds as MakeHistogram);
        registry.register_with_unit(
            "request_duration",
            "Time until a destination answered",
            Unit::Seconds,
            request_time.clone(),
        );
        let append_time = seconds();
        registry.register_with_unit(
            "append_duration",
            "Time of one group commit to the journal, fsync included",
            Unit::Seconds,
            append_time.clone(),
        );
        let fsync_time = seconds();
        registry.register_with_unit(
            "fsync_duration",
            "Time of one fsync of the journal",
            Unit::Seconds,
            fsync_time.clone(),
        );
        let append_events = items();
        registry.register("append_events", "Events in one group commit", append_events.clone());
        let journal_bytes = Gauge::default();
        registry.register_with_unit(
            "journal_size",
            "Journal on disk",
            Unit::Bytes,
            journal_bytes.clone(),
        );
        let journal_events = Gauge::default();
        registry.register("journal_events", "Events in the journal", journal_events.clone());
        Metrics {
            registry,
            door_requests,
            door_bytes,
            totals: Default::default(),
            sent: AtomicU64::new(0),
            accepted,
            duplicates,
            refused,
            warnings,
            client_metrics,
            outcomes,
            pending,
            held,
            oldest_pending,
            requests,
            batch_items,
            request_time,
            append_time,
            fsync_time,
            append_events,
            journal_bytes,
            journal_events,
            door_seen: Mutex::default(),
            statistics: Statistics::default(),
            tail: Tail::default(),
        }
    }

    /// Prometheus' text (OpenMetrics 1.0).
    pub fn text(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("writing to memory cannot fail");
        out
    }

    /// What the door has seen since the start.
    pub fn door(&self, seen: &Snapshot) {
        self.count_door(seen);
        let set = |counter: &Counter, value| counter.inner().store(value, Ordering::Relaxed);
        set(&self.door_requests, seen.requests);
        set(&self.door_bytes, seen.bytes);
        set(&self.accepted, seen.accepted);
        set(&self.duplicates, seen.duplicate);
        set(&self.client_metrics, seen.series);
        for (code, count) in seen.refused {
            set(&self.refused.get_or_create(&CodeLabels { code: code.name() }), count);
        }
        for (code, count) in seen.warned {
            set(&self.warnings.get_or_create(&CodeLabels { code: code.name() }), count);
        }
    }

    /// What the door has seen since the last look, for the statistics.
    fn count_door(&self, seen: &Snapshot) {
        let mut before = self.door_seen.lock().unwrap_or_else(PoisonError::into_inner);
        let add = |subject: &Arc<str>, now: &IntakeSnapshot, old: Option<&IntakeSnapshot>| {
            let old: Vec<u64> = old.iter().flat_map(|old| old.named()).map(|(_, n)| n).collect();
            for (at, (name, count)) in now.named().enumerate() {
                let more = count.saturating_sub(old.get(at).copied().unwrap_or(0));
                if more > 0 {
                    self.statistics.add(subject, &name, more);
                }
            }
        };
        let old = before.as_ref().map(Snapshot::intake);
        add(&Subject::Door.name(), &seen.intake(), old.as_ref());
        for (source, now) in &seen.sources {
            let old = before.as_ref().and_then(|before| before.sources.get(source));
            add(&Subject::Source(source).name(), now, old);
        }
        // Two may look at one time, with their snapshots taken in another order.
        if before.as_ref().is_none_or(|before| before.requests <= seen.requests) {
            *before = Some(seen.clone());
        }
    }

    /// Deliveries of an action reached an outcome, for the reason `code`.
    pub fn settled(
        &self,
        integration: &Arc<str>,
        action: &str,
        outcome: Outcome,
        code: &str,
        count: u64,
    ) {
        let name = match code {
            "" => outcome.word().to_owned(),
            code => format!("{}/{code}", outcome.word()),
        };
        for subject in [Subject::Integration(integration), Subject::Action(integration, action)] {
            self.statistics.add(&subject.name(), &name, count);
        }
        let labels = OutcomeLabels { integration: integration.clone(), outcome: outcome.word() };
        self.outcomes.get_or_create(&labels).inc_by(count);
        let at = Outcome::ALL.iter().position(|o| *o == outcome);
        if let Some(total) = at.and_then(|at| self.totals.get(at)) {
            total.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Deliveries of an action took so long from door to answer.
    pub fn took(&self, integration: &Arc<str>, action: &str, latencies: &Latencies) {
        for subject in [Subject::Integration(integration), Subject::Action(integration, action)] {
            self.statistics.took(&subject.name(), latencies);
        }
    }

    /// So much of a destination's limit is used, the one at `at` in the order of its endpoints.
    pub fn used(&self, integration: &Arc<str>, at: usize, used: u32) {
        let subject = Subject::Integration(integration).name();
        self.statistics.peak(&subject, &format!("used/{at}"), u64::from(used));
    }

    /// Sums over all integrations.
    pub fn totals(&self) -> Totals {
        let of = |outcome: Outcome| {
            let at = Outcome::ALL.iter().position(|o| *o == outcome);
            at.and_then(|at| self.totals.get(at)).map_or(0, |t| t.load(Ordering::Relaxed))
        };
        Totals {
            delivered: of(Outcome::Delivered),
            filtered: of(Outcome::Filtered),
            refused: of(Outcome::Refused),
            failed: of(Outcome::Failed),
            expired: of(Outcome::Expired),
            requests: self.sent.load(Ordering::Relaxed),
        }
    }

    /// How far behind an integration is.
    pub fn pending(&self, integration: &Arc<str>, events: u64, oldest_seconds: f64) {
        let labels = IntegrationLabels { integration: integration.clone() };
        self.statistics.peak(&Subject::Integration(integration).name(), "pending", events);
        self.pending.get_or_create(&labels).set(i64::try_from(events).unwrap_or(i64::MAX));
        self.oldest_pending.get_or_create(&labels).set(oldest_seconds);
    }

    /// An endpoint refuses everything, or no longer.
    pub fn held(&self, integration: &Arc<str>, endpoint: &str, held: bool) {
        let labels = EndpointLabels { integration: integration.clone(), endpoint: endpoint.into() };
        self.held.get_or_create(&labels).set(i64::from(held));
    }

    /// A destination answered, or didn't (status 0).
    pub fn request(
        &self,
        integration: &Arc<str>,
        endpoint: &Arc<str>,
        status: u16,
        items: usize,
        seconds: f64,
    ) {
        let (integration, endpoint) = (integration.clone(), endpoint.clone());
        let labels =
            EndpointLabels { integration: integration.clone(), endpoint: endpoint.clone() };
        self.batch_items.get_or_create(&labels).observe(items as f64);
        self.request_time.get_or_create(&labels).observe(seconds);
        self.requests.get_or_create(&RequestLabels { integration, endpoint, status }).inc();
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// The journal committed a group.
    pub fn appended(&self, events: usize, append_seconds: f64, fsync_seconds: f64) {
        self.append_events.observe(events as f64);
        self.append_time.observe(append_seconds);
        self.fsync_time.observe(fsync_seconds);
    }

    /// Size of the journal.
    pub fn journal(&self, bytes: u64, events: u64) {
        self.journal_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.journal_events.set(i64::try_from(events).unwrap_or(i64::MAX));
    }
}
