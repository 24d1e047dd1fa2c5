//! The way of one request: recorded, judged, answered, with the faults that were ordered.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, header};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::Sandbox;
use crate::answer::Answer;
use crate::calls::{ListCall, Outcome};
use crate::faults::{Fault, Plan};
use crate::log::{Judgement, Verdict};
use crate::web;

/// Heap's endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route<'p> {
    List(ListCall),
    Identify,
    AuthToken,
    UserDeletion,
    DeletionStatus(&'p str),
    Capture(&'p str),
    Script(web::Sdk, &'p str),
    Preflight,
    Unknown,
    /// The path is known; this is the method that it takes.
    WrongMethod(&'static str),
}

impl<'p> Route<'p> {
    /// The endpoint, and the path under which it's counted.
    fn of(method: &Method, path: &'p str) -> (Route<'p>, &'p str) {
        let (route, takes, label) = match path {
            "/api/track" => (Route::List(ListCall::Track), "POST", path),
            "/api/add_user_properties" => (Route::List(ListCall::UserProperties), "POST", path),
            "/api/add_account_properties" => {
                (Route::List(ListCall::AccountProperties), "POST", path)
            }
            "/api/v1/identify" => (Route::Identify, "POST", path),
            "/api/integrations/track" => (Route::List(ListCall::PartnerTrack), "POST", path),
            "/api/integrations/add_user_properties" => {
                (Route::List(ListCall::PartnerUserProperties), "POST", path)
            }
            "/api/public/v0/auth_token" => (Route::AuthToken, "POST", path),
            "/api/public/v0/user_deletion" => (Route::UserDeletion, "POST", path),
            _ => match Route::with_part(path) {
                Some(found) => found,
                None => return (Route::Unknown, path),
            },
        };
        let for_pages = matches!(route, Route::Capture(_) | Route::Script(..));
        if for_pages && method == Method::OPTIONS {
            return (Route::Preflight, label);
        }
        if method.as_str() == takes { (route, label) } else { (Route::WrongMethod(takes), label) }
    }

    fn with_part(path: &'p str) -> Option<(Route<'p>, &'static str, &'p str)> {
        let part = |before: &str, after: &str| {
            path.strip_prefix(before)?
                .strip_suffix(after)
                .filter(|part| !part.is_empty() && !part.contains('/'))
        };
        if let Some(id) = part("/api/public/v0/deletion_status/", "") {
            return Some((Route::DeletionStatus(id), "GET", "/api/public/v0/deletion_status/{id}"));
        }
        if let Some(kind @ ("track" | "identify" | "add_user_properties")) =
            part("/api/capture/v2/", "")
        {
            return Some((Route::Capture(kind), "POST", path));
        }
        if let Some(id) = part("/config/", "/heap_config.js") {
            return Some((Route::Script(web::Sdk::V5, id), "GET", path));
        }
        let id = part("/js/heap-", ".js")?;
        Some((Route::Script(web::Sdk::Classic, id), "GET", path))
    }
}

/// A body as far as it is kept.
struct Read {
    bytes: Bytes,
    too_large: bool,
    /// The sender went away before its end.
    torn: bool,
}

/// Reads a body to its end, keeping up to `most` bytes: a sender that is still writing when the
/// answer comes might not see it.
async fn read(body: Body, most: usize) -> Read {
    let expected = body.size_hint().lower().min(most as u64);
    let mut kept = BytesMut::with_capacity(usize::try_from(expected).unwrap_or(0));
    let mut body = body;
    let mut too_large = false;
    let mut torn = false;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            torn = true;
            break;
        };
        let Ok(data) = frame.into_data() else { continue };
        let room = most - kept.len();
        too_large |= data.len() > room;
        kept.extend_from_slice(data.get(..room).unwrap_or(&data));
    }
    Read { bytes: kept.freeze(), too_large, torn }
}

pub(crate) async fn answer(State(sandbox): State<Sandbox>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let (route, label) = Route::of(&parts.method, path);

    let (plan, most) = {
        let mut state = sandbox.lock();
        state.settle();
        (state.faults.on_arrival(path), state.switches.max_body_bytes)
    };
    let reads = plan.fault != Some(Fault::CloseBeforeReading);
    let read = match reads {
        true => read(body, most).await,
        false => Read { bytes: Bytes::new(), too_large: false, torn: false },
    };
    let number = {
        let mut state = sandbox.lock();
        let now = state.clock.now();
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        state.log.begin(now, method, uri, &parts.headers, &read.bytes)
    };

    let (outcome, fault) = match reads && !read.torn {
        true => sandbox.judge(route, path, &parts.headers, &read, &plan, number),
        false => (Outcome::plain(Answer::empty(400)), plan.fault.as_ref().map(Fault::name)),
    };
    let closes =
        read.torn || matches!(plan.fault, Some(Fault::CloseBeforeReading | Fault::StoreThenClose));
    let judgement = Judgement {
        app_id: outcome.app_id,
        status: (!closes).then_some(outcome.answer.status),
        answer: if closes { "".into() } else { outcome.answer.body.as_ref().into() },
        fault,
        items: outcome.items,
    };
    sandbox.lock().log.finish(number, label, judgement);

    if plan.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(plan.delay_ms)).await;
    }
    if closes {
        return Answer::none();
    }
    match plan.fault {
        Some(Fault::HalfAnswer) => outcome.answer.into_half(),
        Some(_) | None => outcome.answer.into_response(),
    }
}

impl Sandbox {
    /// The outcome of a request that was read, and the name of the fault that it met.
    fn judge(
        &self,
        route: Route<'_>,
        path: &str,
        headers: &HeaderMap,
        read: &Read,
        plan: &Plan,
        number: u64,
    ) -> (Outcome, Option<&'static str>) {
        let body = &read.bytes;
        if self.lock().faults.is_too_large(path, body.len()) {
            return (Outcome::plain(Answer::empty(413)), Some("too_large"));
        }
        if let Some(fault @ Fault::Status { status, retry_after, body }) = &plan.fault {
            let mut answer = match body.as_str() {
                "" => Answer::empty(*status),
                body => Answer::text(*status, body.to_owned()),
            };
            match retry_after {
                Some(Value::String(text)) => answer = answer.with(header::RETRY_AFTER, text),
                Some(value) => answer = answer.with(header::RETRY_AFTER, &value.to_string()),
                None => {}
            }
            return (Outcome::plain(answer), Some(fault.name()));
        }
        let delayed = (plan.delay_ms > 0).then_some("delay");
        let fault = plan.fault.as_ref().map(Fault::name).or(delayed);
        (self.route(route, path, headers, read, number), fault)
    }

    fn route(
        &self,
        route: Route<'_>,
        path: &str,
        headers: &HeaderMap,
        read: &Read,
        number: u64,
    ) -> Outcome {
        match route {
            Route::Unknown => return Outcome::plain(Answer::text(404, "Not Found")),
            Route::WrongMethod(takes) => {
                let answer = Answer::text(405, "Method Not Allowed").with(header::ALLOW, takes);
                return Outcome::plain(answer);
            }
            Route::Preflight => return Outcome::plain(Answer::preflight()),
            Route::List(_)
            | Route::Identify
            | Route::AuthToken
            | Route::UserDeletion
            | Route::DeletionStatus(_)
            | Route::Capture(_)
            | Route::Script(..) => {}
        }
        if read.too_large {
            return Outcome::plain(Answer::empty(413));
        }
        if let Route::Script(sdk, id) = route {
            return Outcome::plain(web::script(sdk, id, headers));
        }
        if let Route::Capture(kind) = route {
            return self.capture(kind, &read.bytes, number);
        }
        if is_encoded(headers) {
            return Outcome::plain(Answer::empty(415));
        }
        let switches = self.lock().switches.clone();
        let body = &read.bytes;
        match route {
            Route::List(call) => self.list_call(call, path, body, number, &switches),
            Route::Identify => self.identify_call(body, number, &switches),
            Route::AuthToken => self.auth_token(headers),
            Route::UserDeletion => self.user_deletion(headers, body),
            Route::DeletionStatus(id) => self.deletion_status(headers, id),
            Route::Capture(_)
            | Route::Script(..)
            | Route::Preflight
            | Route::Unknown
            | Route::WrongMethod(_) => Outcome::plain(Answer::text(404, "Not Found")),
        }
    }

    /// `POST /api/capture/v2/*`: any bytes are taken; an identify in JSON is applied.
    fn capture(&self, kind: &str, body: &[u8], number: u64) -> Outcome {
        let mut outcome = Outcome::plain(Answer::json(200, "{}").for_pages());
        if kind != "identify" {
            return outcome;
        }
        if let Some((env_id, user_id, identity)) = web::read_identify(body) {
            let mut effects = crate::effects::Effects::default();
            let mut state = self.lock();
            let verdict = match state.admission(&env_id) {
                crate::state::Admission::Store => {
                    state.identify(&env_id, user_id, &identity, &mut effects)
                }
                crate::state::Admission::Discard | crate::state::Admission::Reject => {
                    effects.add(crate::effects::EffectKind::AppDiscarded, &env_id);
                    Verdict::Dropped
                }
            };
            state.note_effects(number, Some(&env_id), effects);
            outcome.items = vec![verdict];
            outcome.app_id = Some(env_id.into());
        }
        outcome
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity")
}
