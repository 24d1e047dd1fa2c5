//! What has settled since it was last handed over: counts by outcome and reason, and times.

use std::collections::BTreeMap;
use std::sync::Arc;

use heapline_store::{Delivery, Millis, Outcome};

use crate::telemetry::{Latencies, Metrics};

#[derive(Default)]
pub(super) struct Tally {
    outcomes: BTreeMap<(Outcome, Arc<str>), u64>,
    latencies: Latencies,
}

impl Tally {
    /// `received_at` counts for how long a delivery took.
    pub(super) fn count(&mut self, delivery: &Delivery, received_at: Option<Millis>) {
        *self.outcomes.entry((delivery.outcome, delivery.code.clone())).or_default() += 1;
        if let (Outcome::Delivered, Some(received_at)) = (delivery.outcome, received_at) {
            self.latencies.observe(delivery.at.saturating_sub(received_at));
        }
    }

    pub(super) fn hand_over(&mut self, metrics: &Metrics, integration: &Arc<str>) {
        for ((outcome, code), count) in std::mem::take(&mut self.outcomes) {
            metrics.settled(integration, outcome, &code, count);
        }
        metrics.took(integration, &std::mem::take(&mut self.latencies));
    }
}
