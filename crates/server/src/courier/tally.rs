//! What has settled since it was last handed over: counts by action, outcome and reason, and times.

use std::collections::BTreeMap;
use std::sync::Arc;

use heapline_store::{Delivery, Millis, Outcome};

use crate::telemetry::{Latencies, Metrics};

#[derive(Default)]
pub(super) struct Tally {
    actions: BTreeMap<Arc<str>, OfAction>,
}

#[derive(Default)]
struct OfAction {
    outcomes: BTreeMap<(Outcome, Arc<str>), u64>,
    latencies: Latencies,
}

impl Tally {
    /// `received_at` counts for how long a delivery took.
    pub(super) fn count(&mut self, delivery: &Delivery, received_at: Option<Millis>) {
        let of_action = self.actions.entry(delivery.action.clone()).or_default();
        *of_action.outcomes.entry((delivery.outcome, delivery.code.clone())).or_default() += 1;
        if let (Outcome::Delivered, Some(received_at)) = (delivery.outcome, received_at) {
            of_action.latencies.observe(delivery.at.saturating_sub(received_at));
        }
    }

    pub(super) fn hand_over(&mut self, metrics: &Metrics, integration: &Arc<str>) {
        for (action, of_action) in &mut self.actions {
            for ((outcome, code), count) in std::mem::take(&mut of_action.outcomes) {
                metrics.settled(integration, action, outcome, &code, count);
            }
            metrics.took(integration, action, &std::mem::take(&mut of_action.latencies));
        }
    }
}
