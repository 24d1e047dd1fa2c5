//! The summary, as JSON and as a page for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde::Serialize;

use crate::Sandbox;
use crate::clock::print_time;
use crate::effects::EffectKind;
use crate::state::State as Inner;

/// Exact counts since the start or the last reset, whatever was dropped from the lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Requests to Heap's paths.
    pub requests: u64,
    /// The same by path and status; `closed` where the connection was closed without an answer.
    pub requests_by_path: BTreeMap<String, BTreeMap<String, u64>>,
    /// Events stored; repeated keys aren't.
    pub events: u64,
    /// Events that repeated an idempotency key.
    pub duplicates: u64,
    /// Users that exist now.
    pub users: u64,
    /// Accounts that exist now.
    pub accounts: u64,
    /// Calls reported by pages.
    pub web_calls: u64,
    /// Silent effects by kind.
    pub effects: BTreeMap<String, u64>,
}

impl Inner {
    pub(crate) fn summary(&self) -> Summary {
        Summary {
            requests: self.log.records.total(),
            requests_by_path: self
                .log
                .by_path
                .iter()
                .map(|(path, statuses)| {
                    let statuses = statuses.iter().map(|(s, count)| (s.to_string(), *count));
                    (path.to_string(), statuses.collect())
                })
                .collect(),
            events: self.events.total(),
            duplicates: self.duplicates,
            users: self.environments.values().map(|known| known.users.len() as u64).sum(),
            accounts: self.environments.values().map(|known| known.accounts.len() as u64).sum(),
            web_calls: self.web_calls.total(),
            effects: self
                .effect_counts
                .iter()
                .map(|(kind, count)| (effect_name(*kind), *count))
                .collect(),
        }
    }
}

fn effect_name(kind: EffectKind) -> String {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(_) | Err(_) => format!("{kind:?}"),
    }
}

pub(crate) async fn summary(State(sandbox): State<Sandbox>) -> Response {
    JsonAnswer(sandbox.summary()).into_response()
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;\
padding:0 1rem;color:#1c2330;background:#fff}table{border-collapse:collapse;margin:.5rem 0 1.5rem}\
td,th{padding:.25rem .9rem .25rem 0;text-align:left;vertical-align:top}\
th{font-weight:600;color:#566}td.n{text-align:right;font-variant-numeric:tabular-nums}\
h1{font-size:1.4rem}h2{font-size:1.05rem;margin-bottom:0}code{font-size:.9em}\
@media(prefers-color-scheme:dark){body{color:#dde3ee;background:#14181f}th{color:#9ab}a{color:#8bf}}";

pub(crate) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

const POLICY: &str = "default-src 'none'; style-src 'self'";

/// Without any script, so that it works under any policy.
pub(crate) async fn page(State(sandbox): State<Sandbox>) -> Response {
    let page = render(&sandbox.lock());
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, page).into_response()
}

fn render(state: &Inner) -> String {
    let summary = state.summary();
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"refresh\" content=\"2\"><title>Heap sandbox</title>\
         <link rel=\"stylesheet\" href=\"/_sandbox/style.css\"></head><body>\
         <h1>Heap sandbox</h1>",
    );
    push(
        &mut page,
        format_args!(
            "<p>{}, clock {}{}. JSON: ",
            escape(&format!("Profile {:?}", state.profile).to_lowercase()),
            print_time(state.clock.now()),
            if state.clock.is_stopped() { " (stopped)" } else { "" },
        ),
    );
    for list in [
        "summary",
        "requests",
        "events",
        "users",
        "accounts",
        "effects",
        "web-calls",
        "switches",
        "faults",
    ] {
        let limit = if matches!(list, "requests" | "events" | "users") { "?limit=100" } else { "" };
        push(&mut page, format_args!("<a href=\"/_sandbox/{list}{limit}\">{list}</a> "));
    }
    page.push_str("</p><h2>Counts</h2><table>");
    for (name, count) in [
        ("requests", summary.requests),
        ("events stored", summary.events),
        ("duplicates by key", summary.duplicates),
        ("users", summary.users),
        ("accounts", summary.accounts),
        ("calls from pages", summary.web_calls),
    ] {
        push(&mut page, format_args!("<tr><th>{name}</th><td class=\"n\">{count}</td></tr>"));
    }
    page.push_str("</table><h2>Requests by path and status</h2><table>");
    for (path, statuses) in &summary.requests_by_path {
        for (status, count) in statuses {
            push(
                &mut page,
                format_args!(
                    "<tr><td><code>{}</code></td><td>{status}</td><td class=\"n\">{count}</td></tr>",
                    escape(path),
                ),
            );
        }
    }
    page.push_str("</table><h2>Silent effects</h2><table>");
    for (kind, count) in &summary.effects {
        push(&mut page, format_args!("<tr><td>{kind}</td><td class=\"n\">{count}</td></tr>"));
    }
    page.push_str("</table><h2>Latest events</h2><table>");
    let older = state.events.len().saturating_sub(12);
    for event in state.events.iter().skip(older) {
        let who = event.who.identity.as_deref().map_or_else(|| event.user.to_string(), Into::into);
        push(
            &mut page,
            format_args!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>",
                print_time(event.time.unwrap_or(event.arrived)),
                escape(&event.event),
                escape(&who),
                escape(crate::schema::cut(&event.properties, 160)),
            ),
        );
    }
    page.push_str("</table></body></html>");
    page
}

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _written = page.write_fmt(text).is_ok();
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
