//! What the sandbox holds, as a page for people.

use std::fmt::{Arguments, Write};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::Sandbox;
use crate::clock::print_time;
use crate::schema::cut;
use crate::state::State as Inner;

const STYLE: &str = include_str!("page.css");

const POLICY: &str = "default-src 'none'; style-src 'self'";

/// How many of the latest events and calls are shown.
const LATEST: usize = 15;

/// Most bytes shown of properties and of a call's arguments.
const EXCERPT: usize = 240;

/// The lists as JSON, by their addresses below `/_sandbox/`.
const LISTS: [&str; 9] = [
    "summary",
    "requests?limit=100",
    "events?limit=100",
    "users?limit=100",
    "accounts",
    "effects",
    "web-calls",
    "switches",
    "faults",
];

pub(crate) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

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
    let mut page = Page(String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>Heap sandbox</title>\
         <link rel=\"stylesheet\" href=\"/_sandbox/style.css\"></head><body><main>",
    ));
    head(&mut page, state);
    counts(&mut page, state);
    requests(&mut page, state);
    effects(&mut page, state);
    events(&mut page, state);
    calls(&mut page, state);
    page.add("</main></body></html>");
    page.0
}

fn head(page: &mut Page, state: &Inner) {
    page.push(format_args!(
        "<header><div><h1>Heap sandbox</h1><p>What arrived, as a local Heap took it. \
         Profile {}, clock {}{}.</p></div><a class=\"button\" href=\"/_sandbox/\">Look again</a></header>",
        escape(&format!("{:?}", state.profile).to_lowercase()),
        print_time(state.clock.now()),
        if state.clock.is_stopped() { " (stopped)" } else { "" },
    ));
    page.add("<nav aria-label=\"As JSON\">As JSON:");
    for list in LISTS {
        let name = list.split('?').next().unwrap_or(list);
        page.push(format_args!(" <a href=\"/_sandbox/{list}\">{name}</a>"));
    }
    page.add("</nav>");
}

fn counts(page: &mut Page, state: &Inner) {
    let summary = state.summary();
    page.add("<dl>");
    for (name, count) in [
        ("Requests", summary.requests),
        ("Events", summary.events),
        ("Repeats of a key", summary.duplicates),
        ("Users", summary.users),
        ("Accounts", summary.accounts),
        ("Calls in pages", summary.web_calls),
    ] {
        page.push(format_args!("<div><dt>{name}</dt><dd>{count}</dd></div>"));
    }
    page.add("</dl>");
}

fn requests(page: &mut Page, state: &Inner) {
    let summary = state.summary();
    let statuses =
        summary.requests_by_path.iter().flat_map(|(p, all)| all.iter().map(move |s| (p, s)));
    let rows = statuses.map(|(path, (status, count))| {
        let class = if status.starts_with('2') { "" } else { " class=\"bad\"" };
        format!(
            "<tr><td><code>{}</code></td><td{class}>{status}</td><td class=\"number\">{count}</td></tr>",
            escape(path)
        )
    });
    page.table("Requests by path and status", ["Path", "Status", "Requests"], rows, "None yet.");
}

fn effects(page: &mut Page, state: &Inner) {
    let summary = state.summary();
    let rows = summary.effects.iter().map(|(kind, count)| {
        format!("<tr><td>{}</td><td class=\"number\">{count}</td></tr>", kind.replace('_', " "))
    });
    let none = "None: nothing was accepted and then dropped, cut or merged without a word.";
    page.table("Silent effects", ["What Heap did without a word", "Times"], rows, none);
}

fn events(page: &mut Page, state: &Inner) {
    let older = state.events.len().saturating_sub(LATEST);
    let latest: Vec<_> = state.events.iter().skip(older).collect();
    let rows = latest.into_iter().rev().map(|event| {
        let who = event.who.identity.as_deref().map_or_else(|| event.user.to_string(), Into::into);
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>",
            time(event.time.unwrap_or(event.arrived)),
            escape(&event.event),
            escape(&who),
            excerpt(&event.properties),
        )
    });
    page.table("Latest events", ["Time", "Event", "User", "Properties"], rows, "None yet.");
}

fn calls(page: &mut Page, state: &Inner) {
    let older = state.web_calls.len().saturating_sub(LATEST);
    let latest: Vec<_> = state.web_calls.iter().skip(older).collect();
    let rows = latest.into_iter().rev().map(|call| {
        let arguments = serde_json::to_string(&call.call.args).unwrap_or_default();
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>",
            time(call.at),
            escape(&call.call.method),
            escape(&call.call.sdk),
            excerpt(&arguments),
        )
    });
    let heads = ["Time", "Method", "Script", "Arguments"];
    page.table(
        "Latest calls in pages",
        heads,
        rows,
        "None: no page has loaded Heap's script here.",
    );
}

/// Hours, minutes and seconds; the whole time where one points.
fn time(at: crate::clock::Millis) -> String {
    let whole = print_time(at);
    let short = whole.get(11..19).unwrap_or(&whole);
    format!("<time datetime=\"{whole}\" title=\"{whole}\">{short}</time>")
}

fn excerpt(text: &str) -> String {
    let shown = cut(text, EXCERPT);
    escape(shown) + if shown.len() < text.len() { "…" } else { "" }
}

struct Page(String);

impl Page {
    fn add(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn push(&mut self, text: Arguments<'_>) {
        // Writing to a String can't fail.
        let _written = self.0.write_fmt(text).is_ok();
    }

    /// A table of its own with a title, or `none` in its place.
    fn table<const N: usize>(
        &mut self,
        title: &str,
        heads: [&str; N],
        rows: impl Iterator<Item = String>,
        none: &str,
    ) {
        self.push(format_args!("<section><h2>{title}</h2>"));
        let rows: String = rows.collect();
        if rows.is_empty() {
            self.push(format_args!("<p>{none}</p></section>"));
            return;
        }
        self.add("<div class=\"scroll\"><table><thead><tr>");
        for head in heads {
            self.push(format_args!("<th scope=\"col\">{head}</th>"));
        }
        self.push(format_args!("</tr></thead><tbody>{rows}</tbody></table></div></section>"));
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
