//! What one event becomes at one integration: an outcome for each action, and steps to send.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use heapline_action::destination::Cloud;
use heapline_action::pipeline::Planner;
use heapline_action::plan::{Endpoint, Plan, Request, Step};
use heapline_action::value::Value;
use heapline_store::{Delivery, Millis, Outcome, StoredEvent};
use sha2::{Digest, Sha256};

use crate::workspace::Integration;

/// What one event becomes at one integration.
pub struct Planned {
    /// One for each action, in order. Those with steps are [`Outcome::Pending`].
    pub deliveries: Vec<Delivery>,
    /// Index of the action, and what it sends.
    pub steps: Vec<(usize, Vec<Step>)>,
    /// The anonymous id that at least one action waits for.
    pub waits_for: Option<String>,
}

/// Plans `event`. A function of its arguments: the same event, integration and link give the same
/// plan at any time, which is how a past request is shown again.
pub fn plan_event(
    integration: &Integration,
    cloud: &dyn Cloud,
    event: &StoredEvent,
    linked_identity: Option<&str>,
    at: Millis,
    names: &mut Names,
) -> Planned {
    let mut planned = Planned {
        deliveries: Vec::with_capacity(integration.actions.len()),
        steps: Vec::new(),
        waits_for: None,
    };
    let mut parsed = std::str::from_utf8(&event.event.json)
        .map_err(|e| e.to_string())
        .and_then(|text| Value::parse_part(text, &integration.reads).map_err(|e| e.to_string()));
    if let (true, Ok(Value::Object(members))) = (integration.for_pages, &mut parsed) {
        // The page has judged it by the names that it has there.
        members.remove("integrations");
    }
    let definition = integration.destination.definition();
    let mut planner = Planner::new(definition, cloud, &event.event.source, linked_identity);
    for (index, action) in integration.actions.iter().enumerate() {
        let mut delivery = blank(names.get(&action.id), at);
        let plan = match &parsed {
            Ok(value) => planner.plan(action, value),
            Err(e) => {
                delivery.outcome = Outcome::Refused;
                delivery.code = names.get("unreadable");
                delivery.sentence = format!("The stored event can't be read: {e}.").into();
                planned.deliveries.push(delivery);
                continue;
            }
        };
        match plan {
            Err(filter) => {
                delivery.outcome = Outcome::Filtered;
                delivery.code = names.get(filter.code());
                delivery.sentence = match filter {
                    heapline_action::plan::Filter::Trigger => "".into(),
                    other => other.to_string().into(),
                };
            }
            Ok(Plan::Refuse(refusal)) => {
                delivery.outcome = Outcome::Refused;
                delivery.code = names.get(refusal.code);
                delivery.sentence = refusal.sentence.into();
            }
            Ok(Plan::Hold { anonymous_id }) => {
                delivery.outcome = Outcome::Held;
                delivery.code = names.get("held");
                delivery.sentence =
                    format!("Held until the anonymous id {anonymous_id:?} is linked to a user id.")
                        .into();
                planned.waits_for = Some(anonymous_id);
            }
            Ok(Plan::Send { steps, notices }) => {
                delivery.digest = digest(&steps, cloud.endpoints());
                delivery.notices = notices.into_iter().map(|n| n.sentence.into()).collect();
                planned.steps.push((index, steps));
            }
        }
        planned.deliveries.push(delivery);
    }
    planned
}

fn blank(action: Arc<str>, at: Millis) -> Delivery {
    Delivery {
        action,
        outcome: Outcome::Pending,
        code: Arc::default(),
        sentence: "".into(),
        steps_done: 0,
        requests: Vec::new(),
        digest: [0; 16],
        notices: Vec::new(),
        at,
        revision: None,
    }
}

/// The requests of `steps` as they would be sent alone.
pub fn requests(steps: &[Step], endpoints: &[Endpoint]) -> Vec<Request> {
    let known = steps.iter().filter_map(|s| Some((s, endpoints.get(usize::from(s.endpoint.0))?)));
    known.map(|(step, endpoint)| Request::of_step(step, endpoint)).collect()
}

/// First 16 bytes of the SHA-256 over method, address, envelope and item of each of the delivery's
/// own, unmerged requests.
pub fn digest(steps: &[Step], endpoints: &[Endpoint]) -> [u8; 16] {
    let mut hash = Hashing(Sha256::new());
    for step in steps {
        if let Some(endpoint) = endpoints.get(usize::from(step.endpoint.0)) {
            for text in [endpoint.method, " ", &endpoint.url, "\n"] {
                hash.0.update(text);
            }
            for (key, value) in &endpoint.envelope {
                for text in [key, ":", value.as_str(), "\n"] {
                    hash.0.update(text);
                }
            }
            serde_json::to_writer(&mut hash, &step.item).expect("hashing cannot fail");
            hash.0.update("\n");
        }
    }
    let whole = hash.0.finalize();
    std::array::from_fn(|at| whole.get(at).copied().unwrap_or_default())
}

/// Hashes what is written to it.
struct Hashing(Sha256);

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Names that occur again and again, each kept once.
#[derive(Default)]
pub struct Names(BTreeMap<Box<str>, Arc<str>>);

impl Names {
    /// The shared copy of `name`.
    pub fn get(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let shared: Arc<str> = name.into();
        self.0.insert(name.into(), shared.clone());
        shared
    }
}
