//! `/api/public/v0/*`: the calls of user deletion (heap-api §7).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, header};
use serde_json::json;

use crate::Sandbox;
use crate::answer::Answer;
use crate::calls::{Outcome, not_an_object};
use crate::clock::Millis;
use crate::ids::{MAX_USER_ID, user_id_of};
use crate::json::{Json, Members};
use crate::log::Verdict;
use crate::schema::{Place, SchemaError, whole};
use crate::state::State;

const MAX_USERS: usize = 10_000;

fn error(status: u16, error: &str, message: &str) -> Answer {
    Answer::json(status, json!({ "error": error, "message": message }).to_string())
}

fn unauthorized(message: &str) -> Outcome {
    Outcome::plain(error(401, "Unauthorized", message))
}

impl Sandbox {
    pub(crate) fn auth_token(&self, headers: &HeaderMap) -> Outcome {
        let Some((app_id, api_key)) = basic(headers) else {
            return unauthorized("expected Basic credentials app_id:api_key");
        };
        let mut state = self.lock();
        if !is_key_of(&state, &app_id, &api_key) {
            return unauthorized("wrong app id or API key, or not the Main Production environment");
        }
        let token = format!("{:016x}{:016x}", state.numbers.next(), state.numbers.next());
        let now = state.clock.now();
        state.deletions.issue(token.clone(), &app_id, now);
        Outcome {
            answer: Answer::json(200, json!({ "access_token": token }).to_string()),
            app_id: Some(app_id.into()),
            items: Vec::new(),
        }
    }

    pub(crate) fn user_deletion(&self, headers: &HeaderMap, body: &[u8]) -> Outcome {
        let mut state = self.lock();
        let Some(app_id) = bearer(&state, headers) else {
            return unauthorized("the access token is unknown or has expired");
        };
        let users = match read_users(body) {
            Ok(users) => users,
            Err(fault) => {
                return Outcome {
                    answer: error(400, "Bad Request", &fault.0),
                    app_id: Some(app_id.into()),
                    items: Vec::new(),
                };
            }
        };
        let id = format!("{:016x}", state.numbers.next());
        let count = users.len();
        let delay = (state.switches.deletion_delay as Millis).saturating_mul(1000);
        let due = state.clock.now().saturating_add(delay);
        let account = state.account_of(&app_id);
        state.deletions.request(id.clone(), &app_id, account, users, due);
        state.settle();
        let host =
            headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let answer = json!({
            "deletion_request_id": id,
            "deletion_request_location":
                format!("http://{host}/api/public/v0/deletion_status/{id}"),
            "status": "pending",
        });
        Outcome {
            answer: Answer::json(201, answer.to_string()),
            app_id: Some(app_id.into()),
            items: vec![Verdict::Stored; count],
        }
    }

    pub(crate) fn deletion_status(&self, headers: &HeaderMap, id: &str) -> Outcome {
        let state = self.lock();
        let Some(app_id) = bearer(&state, headers) else {
            return unauthorized("the access token is unknown or has expired");
        };
        let answer = match state.deletions.is_complete(id, &app_id) {
            None => error(404, "Not Found", "there is no such deletion request"),
            Some(complete) => {
                let status = if complete { "complete" } else { "pending" };
                let answer = json!({ "deletion_request_id": id, "status": status });
                Answer::json(200, answer.to_string())
            }
        };
        Outcome { answer, app_id: Some(app_id.into()), items: Vec::new() }
    }
}

/// Without a list of apps any key of an app id of digits is right.
fn is_key_of(state: &State, app_id: &str, api_key: &str) -> bool {
    if api_key.is_empty() {
        return false;
    }
    if state.apps.is_empty() {
        return !app_id.is_empty() && app_id.bytes().all(|byte| byte.is_ascii_digit());
    }
    state.apps.iter().any(|app| {
        app.id == app_id
            && app.account.as_deref().is_none_or(|account| account == app_id)
            && app.api_key.as_deref().is_none_or(|key| key == api_key)
    })
}

fn credentials<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let (own, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    own.eq_ignore_ascii_case(scheme).then_some(rest.trim())
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let decoded = BASE64_STANDARD.decode(credentials(headers, "Basic")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (app_id, api_key) = text.split_once(':')?;
    Some((app_id.to_owned(), api_key.to_owned()))
}

fn bearer(state: &State, headers: &HeaderMap) -> Option<String> {
    let token = credentials(headers, "Bearer")?;
    let life = (state.switches.token_life as Millis).saturating_mul(1000);
    state.deletions.app_of(token, state.clock.now(), life).map(str::to_owned)
}

fn read_users(body: &[u8]) -> Result<Vec<u64>, SchemaError> {
    let Some(Json::Object(body)) = Json::parse(body) else { return Err(not_an_object()) };
    Place::Body.require(&body, "users")?;
    let Some(Json::List(users)) = body.get("users") else {
        return Err(Place::Body.fault_at("users", "should be array"));
    };
    if users.len() > MAX_USERS {
        let says = format!("should NOT have more than {MAX_USERS} items");
        return Err(Place::Body.fault_at("users", says));
    }
    if users.is_empty() {
        return Err(Place::Body.fault_at("users", "should NOT have fewer than 1 items"));
    }
    users
        .iter()
        .enumerate()
        .map(|(index, user)| {
            let place = Place::Item("users", index);
            match user {
                Json::Object(user) => read_user(user, place),
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => {
                    Err(place.fault("should be object"))
                }
            }
        })
        .collect()
}

fn read_user(user: &Members<'_>, place: Place) -> Result<u64, SchemaError> {
    match (user.get("user_id"), user.get("identity")) {
        (Some(Json::Number(number)), None) => match whole(number) {
            Some(id) if id <= MAX_USER_ID => Ok(id),
            Some(_) => Err(place.fault_at("user_id", format_args!("should be <= {MAX_USER_ID}"))),
            None => Err(place.fault_at("user_id", "should be integer")),
        },
        (Some(_), None) => Err(place.fault_at("user_id", "should be integer")),
        (None, Some(identity)) => place.text("identity", identity, 1, 255).map(user_id_of),
        (Some(_), Some(_)) | (None, None) => {
            Err(place.fault("should match exactly one schema in oneOf"))
        }
    }
}
