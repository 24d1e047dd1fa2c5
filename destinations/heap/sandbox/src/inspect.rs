//! Inspection under `/_sandbox/`: what came, what is stored, and what happened in silence.

use std::collections::BTreeMap;

use axum::Json as JsonAnswer;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::Sandbox;
use crate::clock::print_time;
use crate::filter::Filter;
use crate::ids::{user_id_of, user_id_of_anonymous};
use crate::json::{Json, Members};
use crate::log::Record;
use crate::people::{Environment, User};
use crate::state::{State as Inner, StoredEvent};

type Queries = Query<BTreeMap<String, String>>;

/// A refusal of a control call: one clear sentence.
pub(crate) fn bad_request(message: &str) -> Response {
    (StatusCode::BAD_REQUEST, JsonAnswer(json!({ "error": message }))).into_response()
}

fn listed(name: &str, list: Vec<Value>, total: u64) -> Response {
    JsonAnswer(json!({ "count": list.len(), "total": total, name: list })).into_response()
}

macro_rules! filter_or_return {
    ($query:expr, $known:expr) => {
        match Filter::read(&$query, $known) {
            Ok(filter) => filter,
            Err(message) => return bad_request(&message),
        }
    };
}

pub(crate) async fn requests(State(sandbox): State<Sandbox>, Query(query): Queries) -> Response {
    let known = ["app_id", "identity", "event", "since", "after", "limit", "path", "status"];
    let filter = filter_or_return!(query, &known);
    let state = sandbox.lock();
    let mut kept: Vec<&Record> = state
        .log
        .records
        .iter()
        .filter(|record| {
            filter.takes(record.app_id.as_deref(), record.number, record.at)
                && filter.path.as_deref().is_none_or(|path| path == record.uri.path())
                && filter.status.as_deref().is_none_or(|status| *status == status_text(record))
                && names(record, "identity", filter.identity.as_deref())
                && names(record, "event", filter.event.as_deref())
        })
        .take(filter.limit())
        .collect();
    let mut effects: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    let wanted: std::collections::HashSet<u64> = kept.iter().map(|record| record.number).collect();
    for effect in state.effects.iter().filter(|effect| wanted.contains(&effect.request)) {
        let shown = json!({ "item": effect.effect.item, "kind": effect.effect.kind,
            "detail": effect.effect.detail });
        effects.entry(effect.request).or_default().push(shown);
    }
    let list = kept.drain(..).map(|record| show_request(record, effects.remove(&record.number)));
    listed("requests", list.collect(), state.log.records.total())
}

/// The status as a filter says it: a number, `closed` for none.
fn status_text(record: &Record) -> String {
    record.status.map_or("closed".into(), |status| status.to_string())
}

/// Whether a kept body has this text as the member `name` of an item, or an item's identifier.
fn names(record: &Record, name: &str, text: Option<&str>) -> bool {
    let Some(text) = text else { return true };
    let Some(Json::Object(body)) = record.body.as_ref().and_then(|body| Json::parse(body)) else {
        return false;
    };
    let has = |members: &Members<'_>| {
        let named = |members: &Members<'_>| members.get(name).and_then(Json::text) == Some(text);
        named(members)
            || matches!(members.get("user_identifier"), Some(Json::Object(who)) if named(who))
    };
    has(&body)
        || ["events", "users"].iter().any(|list| match body.get(list) {
            Some(Json::List(items)) => {
                items.iter().any(|item| matches!(item, Json::Object(item) if has(item)))
            }
            Some(_) | None => false,
        })
}

fn show_request(record: &Record, effects: Option<Vec<Value>>) -> Value {
    let headers: Map<String, Value> = record
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let mut shown = json!({
        "number": record.number,
        "at": print_time(record.at),
        "method": record.method.as_str(),
        "path": record.uri.path(),
        "query": record.uri.query(),
        "headers": headers,
        "body_bytes": record.body_bytes,
        "app_id": record.app_id,
        "status": record.status,
        "answer": record.answer,
        "fault": record.fault,
        "items": record.items,
        "effects": effects.unwrap_or_default(),
    });
    if let (Some(body), Value::Object(members)) = (&record.body, &mut shown) {
        match std::str::from_utf8(body) {
            Ok(text) => members.insert("body".into(), text.into()),
            Err(_) => members.insert("body_base64".into(), BASE64_STANDARD.encode(body).into()),
        };
    }
    shown
}

pub(crate) async fn events(State(sandbox): State<Sandbox>, Query(query): Queries) -> Response {
    let known = ["app_id", "identity", "event", "since", "after", "limit"];
    let filter = filter_or_return!(query, &known);
    let mut state = sandbox.lock();
    state.settle();
    let user = filter.identity.as_deref().map(user_id_of);
    let list = state
        .events
        .iter()
        .filter(|event| {
            filter.takes(Some(&event.app_id), event.number, event.arrived)
                && filter.event.as_deref().is_none_or(|name| *name == *event.event)
                && user.is_none_or(|user| owner(&state, event) == user)
        })
        .take(filter.limit())
        .map(|event| show_event(&state, event))
        .collect();
    listed("events", list, state.events.total())
}

/// The user that an event belongs to now.
fn owner(state: &Inner, event: &StoredEvent) -> u64 {
    state.environments.get(&event.app_id).map_or(event.user, |known| known.resolve(event.user))
}

fn show_event(state: &Inner, event: &StoredEvent) -> Value {
    let properties: Value = serde_json::from_str(&event.properties).unwrap_or_default();
    json!({
        "number": event.number,
        "app_id": &*event.app_id,
        "event_id": event.id,
        "user_id": owner(state, event),
        "identifiers": {
            "identity": event.who.identity,
            "user_id": event.who.user_id.map(|id| id.to_string()),
            "email": event.who.email,
            "anonymous_id": event.who.anonymous_id,
        },
        "event": event.event,
        "properties": properties,
        "timestamp": event.time.map(print_time),
        "time": print_time(event.time.unwrap_or(event.arrived)),
        "arrived": print_time(event.arrived),
        "session_id": event.session_id,
        "idempotency_key": event.key,
        "request": event.request,
        "item": event.item,
    })
}

pub(crate) async fn users(State(sandbox): State<Sandbox>, Query(query): Queries) -> Response {
    let filter = filter_or_return!(query, &["app_id", "identity", "event", "since", "limit"]);
    let mut state = sandbox.lock();
    state.settle();
    let total: usize = state.environments.values().map(|known| known.users.len()).sum();
    let with_event = filter.event.as_deref().map(|name| {
        let events = state.events.iter().filter(|event| *event.event == *name);
        events
            .map(|event| (event.app_id.clone(), owner(&state, event)))
            .collect::<std::collections::HashSet<_>>()
    });
    let wanted = filter.identity.as_deref().map(user_id_of);
    let mut found: Vec<(&std::sync::Arc<str>, &Environment, &User)> = state
        .environments
        .iter()
        .filter(|(app_id, _)| filter.takes_app(Some(app_id)))
        .flat_map(|(app_id, known)| known.users.values().map(move |user| (app_id, known, user)))
        .filter(|(app_id, _, user)| {
            filter.since.is_none_or(|since| user.last_seen >= since)
                && wanted.is_none_or(|id| user.id == id)
                && with_event
                    .as_ref()
                    .is_none_or(|with| with.contains(&((*app_id).clone(), user.id)))
        })
        .collect();
    found.sort_by_key(|(app_id, _, user)| ((*app_id).clone(), user.number));
    let list = found
        .into_iter()
        .take(filter.limit())
        .map(|(app_id, known, user)| show_user(app_id, known, user))
        .collect();
    listed("users", list, total as u64)
}

fn show_user(app_id: &str, known: &Environment, user: &User) -> Value {
    let migrations: Vec<Value> = known
        .moved_to(user.id)
        .iter()
        .map(|(from, at)| {
            json!({ "from_user_id": from, "to_user_id": user.id, "at": print_time(*at) })
        })
        .collect();
    json!({
        "app_id": app_id,
        "user_id": user.id,
        "identities": user.identities,
        "anonymous_ids": user.anonymous_ids,
        "emails": user.emails,
        "migrations": migrations,
        "properties": user.properties,
        "event_count": user.events,
        "first_seen": print_time(user.first_seen),
        "last_seen": print_time(user.last_seen),
    })
}

/// One user by identity, else by user id, else by anonymous id; in the app given, else the first
/// that knows it.
pub(crate) async fn user(
    State(sandbox): State<Sandbox>,
    Path(key): Path<String>,
    Query(query): Queries,
) -> Response {
    let filter = filter_or_return!(query, &["app_id"]);
    let mut state = sandbox.lock();
    state.settle();
    let mut ids = vec![user_id_of(&key)];
    ids.extend(key.parse::<u64>().ok());
    ids.push(user_id_of_anonymous(&key));
    let mut apps: Vec<_> =
        state.environments.keys().filter(|app_id| filter.takes_app(Some(app_id))).collect();
    apps.sort();
    let found = ids.iter().find_map(|id| {
        apps.iter().find_map(|app_id| {
            let known = state.environments.get(*app_id)?;
            Some((*app_id, known, known.users.get(&known.resolve(*id))?))
        })
    });
    let Some((app_id, known, user)) = found else {
        let error = json!({ "error": format!("there is no user `{key}`") });
        return (StatusCode::NOT_FOUND, JsonAnswer(error)).into_response();
    };
    let mut shown = show_user(app_id, known, user);
    let events: Vec<Value> = state
        .events
        .iter()
        .filter(|event| event.app_id == *app_id && owner(&state, event) == user.id)
        .map(|event| show_event(&state, event))
        .collect();
    if let Value::Object(members) = &mut shown {
        members.insert("events".into(), events.into());
    }
    JsonAnswer(shown).into_response()
}

pub(crate) async fn accounts(State(sandbox): State<Sandbox>, Query(query): Queries) -> Response {
    let filter = filter_or_return!(query, &["app_id", "limit"]);
    let state = sandbox.lock();
    let total: usize = state.environments.values().map(|known| known.accounts.len()).sum();
    let mut apps: Vec<_> =
        state.environments.iter().filter(|(app_id, _)| filter.takes_app(Some(app_id))).collect();
    apps.sort_by_key(|(app_id, _)| (*app_id).clone());
    let list = apps
        .into_iter()
        .flat_map(|(app_id, known)| known.accounts.iter().map(move |account| (app_id, account)))
        .take(filter.limit())
        .map(|(app_id, (account_id, properties))| {
            json!({ "app_id": &**app_id, "account_id": account_id, "properties": properties })
        })
        .collect();
    listed("accounts", list, total as u64)
}

pub(crate) async fn effects(State(sandbox): State<Sandbox>, Query(query): Queries) -> Response {
    let filter = filter_or_return!(query, &["app_id", "since", "after", "limit", "kind"]);
    let state = sandbox.lock();
    let list = state
        .effects
        .iter()
        .filter(|effect| {
            filter.takes(effect.app_id.as_deref(), effect.request, effect.at)
                && filter.kind.as_deref().is_none_or(|kind| json!(effect.effect.kind) == *kind)
        })
        .take(filter.limit())
        .map(|effect| {
            json!({
                "request": effect.request,
                "item": effect.effect.item,
                "at": print_time(effect.at),
                "app_id": effect.app_id,
                "kind": effect.effect.kind,
                "detail": effect.effect.detail,
            })
        })
        .collect();
    listed("effects", list, state.effects.total())
}

pub(crate) async fn web_calls(State(sandbox): State<Sandbox>, Query(query): Queries) -> Response {
    let filter = filter_or_return!(query, &["app_id", "identity", "event", "since", "limit"]);
    let state = sandbox.lock();
    let first_argument = |call: &crate::web::ReportedCall, method: &str, text: &str| {
        call.method == method && call.args.first().and_then(Value::as_str) == Some(text)
    };
    let list = state
        .web_calls
        .iter()
        .filter(|web| {
            filter.takes(Some(&web.call.app_id), 0, web.at)
                && filter.event.as_deref().is_none_or(|e| first_argument(&web.call, "track", e))
                && filter
                    .identity
                    .as_deref()
                    .is_none_or(|i| first_argument(&web.call, "identify", i))
        })
        .take(filter.limit())
        .map(|web| {
            let mut shown = json!(web.call);
            if let Value::Object(members) = &mut shown {
                members.insert("at".into(), print_time(web.at).into());
            }
            shown
        })
        .collect();
    listed("web_calls", list, state.web_calls.total())
}
