//! Signing in and out, and who is let through.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Console;
use super::fields::{Fields, cookie, set_cookie};
use super::oops::Oops;
use super::session::Entry;
use super::shell::{self, Shell, Visit, go, local};
use crate::control::{Actor, Role, token_hash};

const COOKIE: &str = "heapline_session";

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignIn {
    shell: Shell,
    next: String,
    fault: Option<Fault>,
    /// Where to sign in, if a session begun here would be lost: its cookie wants encryption.
    elsewhere: Option<String>,
}

/// Why somebody wasn't let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The link was used, or is of an earlier start.
    Link,
    /// There is no such token.
    Token,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    code: Option<String>,
    next: Option<String>,
}

/// Finds out who comes, by the session.
pub(super) async fn recognize(
    State(console): State<Arc<Console>>,
    mut request: Request,
    next: Next,
) -> Response {
    let entry = cookie(request.headers(), COOKIE).and_then(|id| console.sessions.visit(id));
    let who = entry.and_then(|entry| match entry {
        Entry::Link => Some(Actor::new("console", Role::Admin)),
        Entry::Token(hash) => console.control.tokens.actor_by_hash(&hash),
    });
    if let Some(who) = who {
        request.extensions_mut().insert(who);
    }
    next.run(request).await
}

/// Lets in who was recognized; sends everybody else to the sign-in.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    if request.extensions().get::<Actor>().is_some() {
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
            return Ok(entered(&session, &visit, &next));
        }
        // Whoever comes back by the link while signed in just goes on.
        if visit.is_known() {
            return Ok(go(next));
        }
        fault = Some(Fault::Link);
    }
    Ok(shell::page(&sign_in_page(&visit, next, fault)))
}

pub(super) async fn sign_in(
    State(console): State<Arc<Console>>,
    visit: Visit,
    fields: Fields,
) -> Result<Response, Oops> {
    let next = local(fields.text("next")).to_owned();
    let token = fields.text("token");
    if console.control.tokens.actor(token).is_some() {
        let session = console.sessions.begin(Entry::Token(token_hash(token)))?;
        return Ok(entered(&session, &visit, &next));
    }
    let page = shell::page(&sign_in_page(&visit, next, Some(Fault::Token)));
    Ok((StatusCode::FORBIDDEN, page).into_response())
}

fn sign_in_page(visit: &Visit, next: String, fault: Option<Fault>) -> SignIn {
    SignIn { shell: visit.bare("Sign in"), next, fault, elsewhere: visit.elsewhere() }
}

pub(super) async fn sign_out(
    State(console): State<Arc<Console>>,
    visit: Visit,
    headers: HeaderMap,
) -> Response {
    if let Some(id) = cookie(&headers, COOKIE) {
        console.sessions.close(id);
    }
    set_cookie(go("/sign-in"), &visit.cookie(COOKIE, "", Some(0)))
}

fn entered(session: &str, visit: &Visit, next: &str) -> Response {
    set_cookie(go(next), &visit.cookie(COOKIE, session, None))
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
