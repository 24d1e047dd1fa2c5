//! Control under `/_sandbox/`: switches, profile, apps, faults, clock, reset, and what pages report.

use std::sync::Arc;

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::clock::{Millis, print_time};
use crate::faults::Rule;
use crate::filter::read_moment;
use crate::inspect::bad_request;
use crate::switches::Profile;
use crate::web::{ReportedCall, WebCall};
use crate::{App, Sandbox};

/// A control call's body, whatever its content type says.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("the body can't be read: {error}"))
}

macro_rules! read_or_return {
    ($body:expr) => {
        match read(&$body) {
            Ok(value) => value,
            Err(message) => return bad_request(&message),
        }
    };
}

pub(crate) async fn switches(State(sandbox): State<Sandbox>) -> Response {
    JsonAnswer(&*sandbox.lock().switches).into_response()
}

pub(crate) async fn put_switches(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    let changes: Map<String, Value> = read_or_return!(body);
    let mut state = sandbox.lock();
    match state.switches.with(&changes) {
        Ok(changed) => {
            state.switches = Arc::new(changed);
            JsonAnswer(&*state.switches).into_response()
        }
        Err(message) => bad_request(&message),
    }
}

pub(crate) async fn profile(State(sandbox): State<Sandbox>) -> Response {
    JsonAnswer(json!({ "profile": sandbox.lock().profile })).into_response()
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected {\"profile\": \"documented\" | \"lenient\" | \"silent\"}")]
enum ProfileOrder {
    Bare(Profile),
    Named { profile: Profile },
}

pub(crate) async fn put_profile(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    let order: ProfileOrder = read_or_return!(body);
    let (ProfileOrder::Bare(profile) | ProfileOrder::Named { profile }) = order;
    let mut state = sandbox.lock();
    state.set_profile(profile);
    JsonAnswer(json!({ "profile": profile, "switches": &*state.switches })).into_response()
}

pub(crate) async fn apps(State(sandbox): State<Sandbox>) -> Response {
    JsonAnswer(json!({ "apps": sandbox.lock().apps })).into_response()
}

/// Sets the list of known apps; the switch `unknown_app_id` follows while it is at its default.
pub(crate) async fn put_apps(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    let apps: Vec<App> = read_or_return!(body);
    let mut state = sandbox.lock();
    let had_default = {
        let profile = crate::switches::Switches::of(state.profile, !state.apps.is_empty());
        profile.unknown_app_id == state.switches.unknown_app_id
    };
    state.apps = apps;
    if had_default {
        let profile = crate::switches::Switches::of(state.profile, !state.apps.is_empty());
        Arc::make_mut(&mut state.switches).unknown_app_id = profile.unknown_app_id;
    }
    JsonAnswer(json!({ "apps": state.apps })).into_response()
}

pub(crate) async fn faults(State(sandbox): State<Sandbox>) -> Response {
    JsonAnswer(json!({ "faults": sandbox.lock().faults.rules() })).into_response()
}

#[derive(Deserialize)]
#[serde(transparent)]
struct FaultOrder(Value);

impl FaultOrder {
    fn rules(self) -> Result<Vec<Rule>, String> {
        let orders = match self.0 {
            Value::Array(orders) => orders,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err("expected a fault, or a list of faults".into());
            }
            Value::Object(order) => vec![Value::Object(order)],
        };
        let rules = orders.into_iter().map(|order| {
            let rule: Rule =
                serde_json::from_value(order).map_err(|error| format!("fault: {error}"))?;
            rule.check().map(|()| rule)
        });
        rules.collect()
    }
}

pub(crate) async fn post_faults(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    let order: FaultOrder = read_or_return!(body);
    match order.rules() {
        Ok(rules) => {
            let mut state = sandbox.lock();
            state.faults.order(rules);
            JsonAnswer(json!({ "faults": state.faults.rules() })).into_response()
        }
        Err(message) => bad_request(&message),
    }
}

pub(crate) async fn delete_faults(State(sandbox): State<Sandbox>) -> Response {
    sandbox.lock().faults = Default::default();
    JsonAnswer(json!({ "faults": [] })).into_response()
}

/// `{"now": time}` stops the clock there, `{"advance_ms": n}` moves it, `{"run": true}` lets it run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockOrder {
    now: Option<Moment>,
    #[serde(default)]
    advance_ms: Millis,
    #[serde(default)]
    run: bool,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected ISO 8601 or milliseconds since 1970")]
enum Moment {
    Millis(Millis),
    Text(String),
}

pub(crate) async fn clock(State(sandbox): State<Sandbox>) -> Response {
    show_clock(&sandbox)
}

pub(crate) async fn post_clock(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    let order: ClockOrder = read_or_return!(body);
    let now = match order.now {
        None => None,
        Some(Moment::Millis(millis)) => Some(millis),
        Some(Moment::Text(text)) => match read_moment(&text) {
            Ok(millis) => Some(millis),
            Err(message) => return bad_request(&message),
        },
    };
    {
        let mut state = sandbox.lock();
        if let Some(now) = now {
            state.clock.stop_at(now);
        }
        state.clock.advance(order.advance_ms);
        if order.run {
            state.clock.run();
        }
        state.settle();
    }
    show_clock(&sandbox)
}

fn show_clock(sandbox: &Sandbox) -> Response {
    let state = sandbox.lock();
    let now = state.clock.now();
    let stopped = state.clock.is_stopped();
    JsonAnswer(json!({ "now": print_time(now), "now_ms": now, "stopped": stopped })).into_response()
}

pub(crate) async fn reset(State(sandbox): State<Sandbox>) -> Response {
    sandbox.reset();
    JsonAnswer(json!({})).into_response()
}

pub(crate) async fn post_web_call(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    let call: ReportedCall = match read(&body) {
        Ok(call) => call,
        Err(message) => return bad_request(&message),
    };
    let mut state = sandbox.lock();
    let at = state.clock.now();
    // A page's posts overtake each other; its numbers say the order.
    let (page, n) = (call.page.clone(), call.n);
    let is_later = |kept: &WebCall| kept.call.page == page && kept.call.n > n;
    state.web_calls.insert_ordered(WebCall { at, call }, is_later);
    Answer::empty(204).for_pages().into_response()
}

pub(crate) async fn web_call_preflight() -> Response {
    Answer::preflight().into_response()
}

pub(crate) async fn unknown() -> Response {
    let error = json!({ "error": "there is no such path under /_sandbox/" });
    (http::StatusCode::NOT_FOUND, JsonAnswer(error)).into_response()
}
