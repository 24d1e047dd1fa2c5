//! What keeps an integration from delivering: told to operators, and kept for the next courier.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use heapline_action::destination::Cloud;
use heapline_action::plan::{Answer, EndpointId, LimitScope};
use heapline_delivery::{Held, Memory, Sent, Standing};
use heapline_store::{Error, Millis, Store};
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use super::run::Courier;

/// Why what is ready for an endpoint isn't sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Name of the endpoint.
    pub endpoint: Arc<str>,
    /// What it does.
    pub kind: TroubleKind,
    /// Since when.
    pub since: Millis,
    /// When it is tried again; not before, at least.
    pub next_try: Millis,
    /// What it answered at last; 0 if nothing.
    pub status: u16,
    /// The beginning of that answer, or why there was none.
    pub answer: String,
}

/// Kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// It fails, or can't be reached.
    Down,
    /// It refuses everything, for what seems to be no fault of the events: they wait.
    Held,
}

impl TroubleKind {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            TroubleKind::Down => "down",
            TroubleKind::Held => "held",
        }
    }
}

impl Trouble {
    /// What is the matter, in one sentence.
    pub fn sentence(&self, destination: &str) -> String {
        let endpoint = &self.endpoint;
        let said = super::carrying::said(self.status, &self.answer);
        match self.kind {
            TroubleKind::Down => format!(
                "{destination} doesn't take requests to {endpoint} ({said}); they are tried again."
            ),
            TroubleKind::Held => format!(
                "{destination} refuses every request to {endpoint} ({said}). It seems to be no \
                 fault of the events, so they wait; now and then one is tried."
            ),
        }
    }
}

/// The troubles of all integrations.
#[derive(Default)]
pub(super) struct Troubles(Mutex<BTreeMap<Arc<str>, Vec<Trouble>>>);

impl Troubles {
    pub(super) fn of(&self, integration: &str) -> Vec<Trouble> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(integration).cloned().unwrap_or_default()
    }

    fn set(&self, integration: &Arc<str>, troubles: Vec<Trouble>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match troubles.is_empty() {
            true => all.remove(integration),
            false => all.insert(integration.clone(), troubles),
        };
    }
}

/// Under which kind the store keeps [`Kept`], by integration.
const KEPT: &str = "lane";

/// A request for quiet that ends sooner isn't worth a write to disk.
const WORTH_KEEPING_MS: u64 = 5_000;

/// What of a lane is kept in the store.
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    quiet_until: u64,
    held: Vec<KeptHold>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct KeptHold {
    endpoint: String,
    since: u64,
    status: u16,
    answer: String,
}

/// What a courier has told of its lane's health.
#[derive(Default)]
pub(super) struct Told {
    troubles: Vec<Trouble>,
    kept: Kept,
}

impl Courier {
    /// Tells what has changed of how the endpoints do.
    pub(super) fn tell_health(&mut self) {
        let troubles = self.troubles();
        if troubles != self.told.troubles {
            self.tell_holds(&troubles);
            self.around.troubles.set(&self.integration.id, troubles.clone());
            self.told.troubles = troubles;
        }
        let quiet_until = self.lane.quiet_until_ms();
        let kept = &self.told.kept;
        let worth = quiet_until > self.now + WORTH_KEEPING_MS && quiet_until != kept.quiet_until;
        let held = self.told.troubles.iter().filter(|t| t.kind == TroubleKind::Held);
        let as_before =
            held.clone().map(|t| &*t.endpoint).eq(kept.held.iter().map(|h| &*h.endpoint));
        if as_before && !worth {
            return;
        }
        let hold = |trouble: &Trouble| KeptHold {
            endpoint: trouble.endpoint.to_string(),
            since: u64::try_from(trouble.since).unwrap_or_default(),
            status: trouble.status,
            answer: trouble.answer.clone(),
        };
        let kept = Kept { quiet_until, held: held.map(hold).collect() };
        let text = serde_json::to_string(&kept).expect("numbers and texts always make JSON");
        if let Err(e) = self.around.store.keep(KEPT, &self.integration.id, Some(&text)) {
            // The next courier only asks once more than it needs to.
            warn!(integration = &*self.integration.id, error = %e, "can't keep a lane's state");
        }
        self.told.kept = kept;
    }

    /// Nobody delivers any more: there is no health to tell.
    pub(super) fn leave_health(&self) {
        for (_, endpoint) in &*self.endpoints {
            self.around.metrics.held(&self.integration.id, endpoint, false);
        }
        self.around.troubles.set(&self.integration.id, Vec::new());
    }

    fn troubles(&self) -> Vec<Trouble> {
        let named = self.endpoints.iter().zip(self.lane.standings());
        let troubles = named.filter_map(|((_, endpoint), standing)| {
            let (kind, trouble) = match standing {
                Standing::Open => return None,
                Standing::Down(trouble) => (TroubleKind::Down, trouble),
                Standing::Held(trouble) => (TroubleKind::Held, trouble),
            };
            Some(Trouble {
                endpoint: endpoint.clone(),
                kind,
                since: Millis::try_from(trouble.since_ms).unwrap_or(Millis::MAX),
                next_try: Millis::try_from(trouble.until_ms).unwrap_or(Millis::MAX),
                status: trouble.answer.status,
                answer: trouble.answer.excerpt.clone(),
            })
        });
        troubles.collect()
    }

    /// Says loudly, and once, that an endpoint is held, and that it is no longer.
    fn tell_holds(&self, now: &[Trouble]) {
        let integration = &self.integration.id;
        for (_, endpoint) in &*self.endpoints {
            let held = |troubles: &[Trouble]| {
                let mut of_it = troubles.iter().filter(|t| t.endpoint == *endpoint);
                of_it.find(|t| t.kind == TroubleKind::Held).cloned()
            };
            let endpoint = &**endpoint;
            match (held(&self.told.troubles), held(now)) {
                (None, Some(Trouble { status, answer, .. })) => {
                    self.around.metrics.held(integration, endpoint, true);
                    let remedy = self.cloud.remedy();
                    error!(
                        integration = &**integration,
                        endpoint,
                        status,
                        answer,
                        remedy,
                        "every request is refused, and it seems to be no fault of the events: they \
                         wait, and now and then one is tried"
                    );
                }
                (Some(_), None) => {
                    self.around.metrics.held(integration, endpoint, false);
                    info!(integration = &**integration, endpoint, "requests are no longer held");
                }
                (None, None) | (Some(_), Some(_)) => {}
            }
        }
    }
}

/// What is known of the lane before: what the store kept of it, and what it sent of late.
pub(super) fn memory(
    store: &dyn Store,
    integration: &str,
    cloud: &dyn Cloud,
    now: u64,
) -> Result<Memory, Error> {
    let kept = store.kept(KEPT)?.remove(integration);
    let kept: Kept = kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let hold = |hold: KeptHold| {
        let KeptHold { endpoint, since, status, answer } = hold;
        let endpoint = named(cloud, &endpoint)?;
        let answer = Answer { status, retry_after_ms: None, excerpt: answer };
        Some(Held { endpoint, since_ms: since, answer })
    };
    Ok(Memory {
        quiet_until_ms: kept.quiet_until,
        held: kept.held.into_iter().filter_map(hold).collect(),
        sent: sent_lately(store, integration, cloud, now)?,
    })
}

/// Request records that are read at a time.
const RECORDS: u64 = 64;

/// What counts under the limits of the whole integration. Limits of single identities are not
/// recalled: no record says whom a request carried.
fn sent_lately(
    store: &dyn Store,
    integration: &str,
    cloud: &dyn Cloud,
    now: u64,
) -> Result<Vec<Sent>, Error> {
    let limits = cloud.endpoints().iter().flat_map(|endpoint| &endpoint.limits);
    let shared = limits.filter(|limit| limit.scope == LimitScope::Integration);
    let Some(window) = shared.map(|limit| limit.window_ms).max() else { return Ok(Vec::new()) };
    let mut sent = Vec::new();
    let mut end = store.next_request_id();
    loop {
        let start = end.saturating_sub(RECORDS);
        let ids: Vec<u64> = (start..end).collect();
        let mut any = false;
        for record in store.requests(&ids)? {
            let answered_at = record.at + Millis::from(record.took_ms);
            let answered_ms = u64::try_from(answered_at).unwrap_or_default();
            if answered_ms.saturating_add(window) <= now {
                continue;
            }
            any = true;
            if *record.integration == *integration
                && let Some(endpoint) = named(cloud, &record.endpoint)
            {
                sent.push(Sent { endpoint, answered_ms, items: record.items });
            }
        }
        if !any {
            sent.sort_by_key(|sent| sent.answered_ms);
            return Ok(sent);
        }
        end = start;
    }
}

fn named(cloud: &dyn Cloud, name: &str) -> Option<EndpointId> {
    let at = cloud.endpoints().iter().position(|endpoint| endpoint.name == name)?;
    u8::try_from(at).ok().map(EndpointId)
}
