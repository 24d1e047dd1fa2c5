//! Home: the flow from sources to integrations, and what needs attention.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use heapline_action::destination::Configured;

use super::oops::Oops;
use super::shell::{Section, Shell, Visit, page as shown, text};
use super::{Console, live as lively};
use crate::server::now;
use crate::workspace::Workspace;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    shell: Shell,
    flow: Flow,
}

#[derive(Template)]
#[template(path = "flow.html")]
struct Part {
    flow: Flow,
}

struct Flow {
    sources: Vec<SourceNode>,
    integrations: Vec<IntegrationNode>,
    lines: Vec<Line>,
    height: usize,
    needs: Vec<Need>,
    locked: bool,
}

struct SourceNode {
    id: String,
    name: String,
    rate: String,
    note: String,
}

struct IntegrationNode {
    id: String,
    name: String,
    health: Health,
    rate: String,
    note: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Good,
    Behind,
    Off,
}

struct Line {
    class: &'static str,
    from: usize,
    to: usize,
}

struct Need {
    weight: &'static str,
    what: String,
    why: String,
    step: Option<(String, &'static str)>,
}

/// Height of a node and of the gap below it, in pixels, as the style sheet has them.
const NODE: usize = 104;
const GAP: usize = 16;

/// An integration is behind once an event has waited for so long, in milliseconds.
const BEHIND: i64 = 60_000;

impl Health {
    fn class(self) -> &'static str {
        match self {
            Health::Good => "on",
            Health::Behind => "refused",
            Health::Off => "off",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Health::Good => "healthy",
            Health::Behind => "behind",
            Health::Off => "off",
        }
    }
}

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visit: Visit,
) -> Result<Response, Oops> {
    let shell = visit.shell(&console, Section::Home, "Home");
    let flow = tokio::task::spawn_blocking(move || draw(&console)).await??;
    Ok(shown(&Home { shell, flow }))
}

pub(super) async fn live(State(console): State<Arc<Console>>) -> Response {
    lively::stream(console.stopping.clone(), move || match draw(&console) {
        Ok(flow) => text(&Part { flow }),
        Err(_) => String::new(),
    })
}

fn draw(console: &Console) -> Result<Flow, heapline_store::Error> {
    let workspace = console.admin.workspaces.current();
    let mut needs = Vec::new();
    let mut sources = Vec::new();
    for source in &workspace.sources {
        let latest = heapline_store::Query {
            source: Some(source.id.to_string()),
            limit: 1,
            ..heapline_store::Query::default()
        };
        let latest = console.admin.store.find(&latest)?.found.into_iter().next();
        let rate = match &latest {
            _ if !source.enabled => "Off".to_owned(),
            None => "No event yet".to_owned(),
            Some(found) => format!("Last event {}", ago(found.event.event.received_at)),
        };
        if latest.is_none() && source.enabled {
            needs.push(Need {
                weight: "info",
                what: format!("{} has sent nothing yet", source.name),
                why: "Point its client at this server; the key and the snippet are ready.".into(),
                step: Some((format!("/sources/{}", source.id), "Set it up")),
            });
        }
        let note = source.kind.name().to_owned();
        sources.push(SourceNode {
            id: source.id.to_string(),
            name: source.name.clone(),
            rate,
            note,
        });
    }
    let mut integrations = Vec::new();
    for integration in &workspace.integrations {
        let (health, rate, note) = match &integration.configured {
            Configured::Web(_) if integration.enabled => {
                (Health::Good, "In the page".to_owned(), "delivers from the browser".to_owned())
            }
            Configured::Web(_) => (Health::Off, "Off".to_owned(), String::new()),
            Configured::Cloud(_) => {
                let next = console.admin.store.extent().next;
                let at = console.admin.store.cursor(&integration.id)?.unwrap_or(next);
                let waiting = next.saturating_sub(at);
                let oldest = console.admin.store.event(at)?.map(|e| e.event.received_at);
                let age = oldest.map_or(0, |at| now().saturating_sub(at));
                let note = match oldest {
                    Some(at) if waiting > 0 => format!("oldest arrived {}", ago(at)),
                    _ => "nothing waits".to_owned(),
                };
                let health = match integration.enabled {
                    false => Health::Off,
                    true if age > BEHIND => Health::Behind,
                    true => Health::Good,
                };
                (health, format!("{waiting} waiting"), note)
            }
        };
        integrations.push(IntegrationNode {
            id: integration.id.to_string(),
            name: integration.name.clone(),
            health,
            rate,
            note,
        });
    }
    if needs.is_empty() {
        needs.push(Need {
            weight: "good",
            what: "Nothing".into(),
            why: "Every source sends and every integration keeps up.".into(),
            step: None,
        });
    }
    let rows = sources.len().max(integrations.len());
    let lines = lines(&workspace, rows);
    let height = (rows * (NODE + GAP)).saturating_sub(GAP);
    Ok(Flow { sources, integrations, lines, height, needs, locked: console.file.is_some() })
}

/// One line for each source that an integration takes; the shorter column is centred.
fn lines(workspace: &Workspace, rows: usize) -> Vec<Line> {
    let place =
        |at: usize, of: usize| (rows - of) * (NODE + GAP) / 2 + at * (NODE + GAP) + NODE / 2;
    let (many_sources, many) = (workspace.sources.len(), workspace.integrations.len());
    let mut lines = Vec::new();
    for (to, integration) in workspace.integrations.iter().enumerate() {
        for (from, source) in workspace.sources.iter().enumerate() {
            if integration.takes(&source.id) {
                let on = integration.enabled && source.enabled;
                let class = if on { "flowing" } else { "off" };
                lines.push(Line { class, from: place(from, many_sources), to: place(to, many) });
            }
        }
    }
    lines
}

/// How long ago a moment was, in its largest unit.
pub(super) fn ago(at: i64) -> String {
    let seconds = now().saturating_sub(at) / 1000;
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)] {
        if seconds >= length {
            return format!("{} {unit} ago", seconds / length);
        }
    }
    "just now".to_owned()
}
