//! Home: the flow from sources to integrations, and what needs attention.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use heapline_action::destination::Configured;
use heapline_store::Outcome;

use super::backlog::{Backlog, Health, backlog};
use super::chart::hour;
use super::oops::Oops;
use super::shell::{Section, Shell, Visit, page as shown, text};
use super::{Console, live as lively, work};
use crate::admin::events::DeliverySummary;
use crate::admin::{EventParams, RefusedParams};
use crate::control::{Origin, Problem};
use crate::server::now;
use crate::workspace::{Integration, Source, Workspace};

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
    last: Option<String>,
}

struct IntegrationNode {
    id: String,
    name: String,
    rate: String,
    backlog: Backlog,
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

/// A refusal is worth attention for so long, in milliseconds.
const RECENT: i64 = 15 * 60_000;

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visit: Visit,
) -> Result<Response, Oops> {
    let shell = visit.shell(&console, Section::Home, "Home");
    let flow = work(move || draw(&console)).await?;
    Ok(shown(&Home { shell, flow }))
}

pub(super) async fn live(State(console): State<Arc<Console>>) -> Response {
    lively::stream(console.stopping.clone(), move || match draw(&console) {
        Ok(flow) => text(&Part { flow }),
        Err(_) => String::new(),
    })
}

fn draw(console: &Console) -> Result<Flow, Problem> {
    let workspace = console.control.workspaces.current();
    let mut needs = Vec::new();
    let mut sources = Vec::new();
    for source in &workspace.sources {
        sources.push(source_node(console, source, &mut needs)?);
    }
    let mut integrations = Vec::new();
    for integration in &workspace.integrations {
        integrations.push(integration_node(console, integration, &mut needs)?);
    }
    let open = matches!(console.control.workspaces.origin(), Origin::Store);
    if !sources.is_empty() && integrations.is_empty() {
        let step = open.then(|| ("/directory".to_owned(), "Open the directory"));
        let why = "Events are kept, and go nowhere. The directory has two ways to Heap.";
        needs.push(Need::warn("No integration takes the events", why, step));
    }
    if needs.is_empty() && !sources.is_empty() {
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
    Ok(Flow { sources, integrations, lines, height, needs, locked: !open })
}

fn source_node(
    console: &Console,
    source: &Source,
    needs: &mut Vec<Need>,
) -> Result<SourceNode, Problem> {
    let params = EventParams {
        source: Some(source.id.to_string()),
        limit: Some(1),
        ..EventParams::default()
    };
    let latest = console.control.events(&params)?.events.into_iter().next();
    let address = format!("/sources/{}", source.id);
    if latest.is_none() && source.enabled {
        let what = format!("{} has sent nothing yet", source.name);
        let why = "Point its client at this server; key and set-up are ready to paste.";
        needs.push(Need::info(what, why, Some((address.clone(), "Set it up"))));
    }
    let refused = console
        .control
        .refused(&RefusedParams { source: Some(source.id.to_string()), limit: Some(1) })?;
    let recent = refused.first().filter(|refused| {
        let at = heapline_action::datetime::read_text(&refused.at);
        at.is_some_and(|at| now().saturating_sub(at) < RECENT)
    });
    if let Some(refused) = recent {
        let what = format!("{} sends what is refused", source.name);
        needs.push(Need::warn(what, &refused.message, Some((address, "Look at Data In"))));
    }
    Ok(SourceNode {
        id: source.id.to_string(),
        name: source.name.clone(),
        rate: match &latest {
            _ if !source.enabled => "Off".to_owned(),
            None => "No event yet".to_owned(),
            Some(event) => event.name.clone(),
        },
        last: latest.map(|event| event.received_at),
    })
}

fn integration_node(
    console: &Console,
    integration: &Integration,
    needs: &mut Vec<Need>,
) -> Result<IntegrationNode, Problem> {
    let backlog = backlog(console, integration)?;
    let id = integration.id.to_string();
    let cloud = matches!(integration.configured, Configured::Cloud(_));
    match backlog.health {
        Health::Good => {}
        Health::Behind => {
            let what = format!("{} is behind", integration.name);
            let why = "Events have waited for more than a minute.";
            needs.push(Need::warn(what, why, Some((format!("/integrations/{id}"), "Look at it"))));
        }
        Health::Held => {
            for trouble in &backlog.held {
                let what = format!("{} delivers nothing to {}", integration.name, trouble.endpoint);
                let why = format!("{} {}", trouble.reason, trouble.next_step);
                let step = (format!("/integrations/{id}/settings"), "Check the settings");
                needs.push(Need::warn(what, &why, Some(step)));
            }
        }
        Health::Off if backlog.waiting > 0 => {
            let what = format!("{} is switched off", integration.name);
            let why = "Events wait for it in the journal until retention drops them.";
            let step = (format!("/integrations/{id}/settings"), "Switch it on");
            needs.push(Need::warn(what, why, Some(step)));
        }
        Health::Off => {}
    }
    if cloud {
        for (outcome, what) in [
            (Outcome::Failed, "has dead letters"),
            (Outcome::Refused, "could not send some events"),
        ] {
            let params = EventParams {
                integration: Some(id.clone()),
                outcome: Some(outcome.word().to_owned()),
                limit: Some(1),
                ..EventParams::default()
            };
            let latest = console.control.events(&params)?.events.into_iter().next();
            let delivery = latest.and_then(|event| {
                let ours = |d: &DeliverySummary| d.integration == id && d.outcome == outcome.word();
                event.deliveries.into_iter().find(ours)
            });
            if let Some(delivery) = delivery {
                let what = format!("{} {what}", integration.name);
                let step = (format!("/integrations/{id}/dead-letters"), "Look at them");
                needs.push(Need::warn(what, &delivery.reason, Some(step)));
            }
        }
    }
    Ok(IntegrationNode {
        rate: if cloud {
            format!("{} delivered in the last hour", hour(console, &id)?.delivered)
        } else {
            "In the page".into()
        },
        name: integration.name.clone(),
        id,
        backlog,
    })
}

impl Need {
    fn warn(what: impl Into<String>, why: &str, step: Option<(String, &'static str)>) -> Need {
        Need { weight: "warn", what: what.into(), why: why.to_owned(), step }
    }

    fn info(what: impl Into<String>, why: &str, step: Option<(String, &'static str)>) -> Need {
        Need { weight: "info", what: what.into(), why: why.to_owned(), step }
    }
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
