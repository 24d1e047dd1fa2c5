//! What one event becomes at one destination, in one call: for scripts and tests.

use heapline_action::destination::{Call, Cloud, Configured, Definition, Destination, Start, Web};
use heapline_action::pipeline::{self, Action, Planner, Verdict};
use heapline_action::plan::{Plan, Request};
use heapline_action::value::{Object, Value};

use crate::actions::{Problem, actions};
use crate::settings::found;

/// What an event becomes.
#[derive(Clone, Debug, PartialEq)]
pub enum Evaluation {
    /// These requests of the server, unmerged, in order. None if nothing fires.
    Requests(Vec<Request>),
    /// These calls of the page, in order. None if nothing fires.
    Calls(Vec<Call>),
    /// Nothing: an action took it and can't send it. One plain sentence for each.
    Refused(String),
    /// Nothing yet: an action holds it until this anonymous id is linked to a user id.
    Held {
        /// The id that is waited for.
        anonymous_id: String,
    },
}

/// What `event` of the source `source` becomes at `destination`. `actions` is read by
/// [`actions`](crate::actions::actions). A refusal or a hold counts only if nothing can be sent.
pub fn evaluate(
    destination: &dyn Destination,
    settings: &Value<'_>,
    actions: Option<&Value<'_>>,
    event: &Value<'_>,
    source: &str,
) -> Result<Evaluation, Vec<Problem>> {
    let definition = destination.definition();
    let configured = configure(destination, settings);
    let actions = self::actions(definition, actions);
    let (configured, actions) = match (configured, actions) {
        (Ok(configured), Ok(actions)) => (configured, actions),
        (configured, actions) => {
            let problems = [configured.err(), actions.err()];
            return Err(problems.into_iter().flatten().flatten().collect());
        }
    };
    if event.as_object().is_none() {
        let message = format!("expected an object, found {}", found(event));
        return Err(vec![Problem::new("event", message)]);
    }
    Ok(match configured {
        Configured::Cloud(cloud) => requests(definition, &*cloud, &actions, event, source),
        Configured::Web(web) => calls(definition, &*web, &actions, &event.clone().into_page()),
    })
}

/// How a page starts with these settings; an error if the page isn't what delivers.
pub fn start(destination: &dyn Destination, settings: &Value<'_>) -> Result<Start, Vec<Problem>> {
    match configure(destination, settings)? {
        Configured::Web(web) => Ok(web.start()),
        Configured::Cloud(_) => {
            let message = "the server delivers to this destination, so no page starts it";
            Err(vec![Problem::new("destination", message)])
        }
    }
}

fn configure(
    destination: &dyn Destination,
    settings: &Value<'_>,
) -> Result<Configured, Vec<Problem>> {
    let none = Object::new();
    let settings = match settings {
        Value::Object(settings) => settings,
        Value::Null => &none,
        other => {
            let message = format!("expected an object, found {}", found(other));
            return Err(vec![Problem::new("settings", message)]);
        }
    };
    let faults = |fault| Problem::inside("settings", fault);
    destination.configure(settings).map_err(|all| all.into_iter().map(faults).collect())
}

fn requests(
    definition: &Definition,
    cloud: &dyn Cloud,
    actions: &[Action],
    event: &Value<'_>,
    source: &str,
) -> Evaluation {
    let mut requests = Vec::new();
    let mut refused = Vec::new();
    let mut held = None;
    let mut planner = Planner::new(definition, cloud, source, None);
    for action in actions {
        match planner.plan(action, event) {
            Err(_filtered) => {}
            Ok(Plan::Refuse(refusal)) => refused.push(refusal.sentence),
            Ok(Plan::Hold { anonymous_id }) => held = Some(anonymous_id),
            Ok(Plan::Send { steps, .. }) => requests.extend(steps.iter().map(|step| {
                let endpoint = cloud.endpoints().get(usize::from(step.endpoint.0));
                Request::of_step(step, endpoint.expect("a step names an endpoint that exists"))
            })),
        }
    }
    match held {
        _ if !requests.is_empty() => Evaluation::Requests(requests),
        Some(anonymous_id) => Evaluation::Held { anonymous_id },
        None if !refused.is_empty() => Evaluation::Refused(refused.join(" ")),
        None => Evaluation::Requests(requests),
    }
}

/// The page has one plugin for each action type, in the order of the definition: so come its calls.
/// The event's `integrations` object isn't looked at: in the page it is the client that obeys it,
/// before any action sees the event.
fn calls(
    definition: &Definition,
    web: &dyn Web,
    actions: &[Action],
    event: &Value<'_>,
) -> Evaluation {
    let mut calls = Vec::new();
    let mut refused = Vec::new();
    if pipeline::missing_consent(web.consent_categories(), event).is_some() {
        return Evaluation::Calls(calls);
    }
    for action_type in 0..definition.action_types.len() {
        for action in actions.iter().filter(|a| a.enabled && a.action_type == action_type) {
            match pipeline::take(definition, action, event) {
                Verdict::Filtered(_) => {}
                Verdict::Refused(refusal) => refused.push(refusal.sentence),
                Verdict::Taken(payload) => match web.calls(action_type, &payload) {
                    Ok(more) => calls.extend(more),
                    Err(refusal) => refused.push(refusal.sentence),
                },
            }
        }
    }
    if calls.is_empty() && !refused.is_empty() {
        return Evaluation::Refused(refused.join(" "));
    }
    Evaluation::Calls(calls)
}
