//! Signing in and out, and who is let through.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Console;
use super::fields::{Fields, cookie};
use super::oops::Oops;
use super::session::Entry;
use super::shell::{self, Shell, Visit, go, local};
use crate::control::{Actor, Role};
use crate::workspace::Secret;

const COOKIE: &str = "heapline_session";

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignIn {
    shell: Shell,
    next: String,
    fault: Option<&'static str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    code: Option<String>,
    next: Option<String>,
}

/// Lets in who comes with a session; sends everybody else to the sign-in.
pub(super) async fn guard(
    State(console): State<Arc<Console>>,
    mut request: Request,
    next: Next,
) -> Response {
    let entry = cookie(request.headers(), COOKIE).and_then(|id| console.sessions.visit(id));
    let who = entry.and_then(|entry| match entry {
        Entry::Link => Some(Actor::new("console", Role::Admin)),
        Entry::Token(token) => console.control.tokens.actor(token.reveal()),
    });
    if let Some(who) = who {
        request.extensions_mut().insert(who);
        return next.run(request).await;
    }
    let wanted = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let wanted = if request.method() == Method::GET { wanted } else { "/" };
    let query = serde_urlencoded::to_string([("next", wanted)]).unwrap_or_default();
    let address = if wanted == "/" { "/sign-in".to_owned() } else { format!("/sign-in?{query}") };
    if request.headers().contains_key("hx-request") {
        let mut response = StatusCode::UNAUTHORIZED.into_response();
        let target =
            HeaderValue::from_str(&address).unwrap_or(HeaderValue::from_static("/sign-in"));
        response.headers_mut().insert("hx-redirect", target);
        return response;
    }
    go(address)
}

/// Refuses changes that another site's page asks for. The cookie's `SameSite` alone would let
/// pages of other ports of the same host through.
pub(super) async fn same_origin(request: Request, next: Next) -> Response {
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if safe || is_own(request.headers()) {
        return next.run(request).await;
    }
    let detail = "This form came from another site; open the console and try again there.\n";
    (StatusCode::FORBIDDEN, detail).into_response()
}

fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(host) = text(header::HOST) else { return false };
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, from)| from == host)
}

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Query(asked): Query<Asked>,
) -> Result<Response, Oops> {
    let next = local(asked.next.as_deref().unwrap_or("/")).to_owned();
    let mut fault = None;
    if let Some(code) = &asked.code {
        if let Some(session) = console.sessions.redeem(code)? {
            return Ok(entered(&session, &next));
        }
        fault = Some("This link was used before, or the server was started anew since.");
    }
    Ok(shell::page(&SignIn { shell: visit.bare("Sign in"), next, fault }))
}

pub(super) async fn sign_in(
    State(console): State<Arc<Console>>,
    visit: Visit,
    fields: Fields,
) -> Result<Response, Oops> {
    let next = local(fields.text("next")).to_owned();
    let token = fields.text("token");
    if console.control.tokens.actor(token).is_some() {
        let session = console.sessions.open(Entry::Token(Secret::new(token)))?;
        return Ok(entered(&session, &next));
    }
    let fault = Some("No such token. Copy it whole, without blanks.");
    let page = shell::page(&SignIn { shell: visit.bare("Sign in"), next, fault });
    Ok((StatusCode::FORBIDDEN, page).into_response())
}

pub(super) async fn sign_out(State(console): State<Arc<Console>>, headers: HeaderMap) -> Response {
    if let Some(id) = cookie(&headers, COOKIE) {
        console.sessions.close(id);
    }
    let mut response = go("/sign-in");
    let gone = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    if let Ok(value) = HeaderValue::from_str(&gone) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

fn entered(session: &str, next: &str) -> Response {
    let mut response = go(next);
    let cookie = format!("{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax");
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forms_of_the_console_itself_change_anything() {
        let own = |pairs: &[(&'static str, &'static str)]| {
            is_own(&pairs.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect())
        };
        assert!(own(&[("sec-fetch-site", "same-origin"), ("host", "h:1")]));
        assert!(own(&[("origin", "http://h:1"), ("host", "h:1")]));
        assert!(!own(&[
            ("sec-fetch-site", "same-site"),
            ("origin", "http://h:1"),
            ("host", "h:1")
        ]));
        assert!(!own(&[("sec-fetch-site", "cross-site"), ("host", "h:1")]));
        assert!(!own(&[("origin", "http://h:2"), ("host", "h:1")]));
        assert!(!own(&[("origin", "null"), ("host", "h:1")]));
        assert!(!own(&[("host", "h:1")]));
    }
}
