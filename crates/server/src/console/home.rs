//! Home: the flow from sources to integrations, and what needs attention.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use heapline_action::destination::Configured;

use super::backlog::{Backlog, backlog};
use super::events::latest;
use super::needs::{Need, Needs};
use super::oops::Oops;
use super::rates::{Rates, rates};
use super::shell::{Section, Shell, Visit, page as shown, text};
use super::{Console, live as lively, work};
use crate::admin::EventParams;
use crate::control::{Origin, Problem};
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
    enabled: bool,
    /// Events a minute.
    rate: u64,
    /// When the last one arrived, RFC 3339.
    last: Option<String>,
}

struct IntegrationNode {
    id: String,
    name: String,
    cloud: bool,
    /// Deliveries a minute.
    rate: u64,
    backlog: Backlog,
}

struct Line {
    class: &'static str,
    from: usize,
    to: usize,
}

/// Height of a node and of the gap below it, in pixels, as the style sheet has them.
const NODE: usize = 104;
const GAP: usize = 16;

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
    let rates = rates(console)?;
    let of_source = |source: &Arc<Source>| source_node(console, source, &rates);
    let sources = workspace.sources.iter().map(of_source);
    let sources = sources.collect::<Result<Vec<SourceNode>, Problem>>()?;
    let of_integration = |integration: &Arc<Integration>| {
        Ok(IntegrationNode {
            id: integration.id.to_string(),
            name: integration.name.clone(),
            cloud: matches!(integration.configured, Configured::Cloud(_)),
            rate: rates.delivered(&integration.id),
            backlog: backlog(console, integration)?,
        })
    };
    let integrations = workspace.integrations.iter().map(of_integration);
    let integrations = integrations.collect::<Result<Vec<IntegrationNode>, Problem>>()?;

    let open = matches!(console.control.workspaces.origin(), Origin::Store);
    let mut needs = Needs::default();
    for (source, node) in workspace.sources.iter().zip(&sources) {
        needs.of_source(console, source, node.last.is_some())?;
    }
    for (integration, node) in workspace.integrations.iter().zip(&integrations) {
        needs.of_integration(integration, &node.backlog);
    }
    needs.of_dead_letters(console, &workspace)?;
    needs.of_workspace(&workspace, open);

    let rows = sources.len().max(integrations.len());
    let lines = lines(&workspace, &rates, rows);
    let height = (rows * (NODE + GAP)).saturating_sub(GAP);
    Ok(Flow { sources, integrations, lines, height, needs: needs.in_order(), locked: !open })
}

fn source_node(console: &Console, source: &Source, rates: &Rates) -> Result<SourceNode, Problem> {
    let source_only = EventParams { source: Some(source.id.to_string()), ..EventParams::default() };
    let latest = latest(console, source_only)?;
    Ok(SourceNode {
        id: source.id.to_string(),
        name: source.name.clone(),
        enabled: source.enabled,
        rate: rates.accepted(&source.id),
        last: latest.map(|event| event.received_at),
    })
}

/// One line for each source that an integration takes; the shorter column is centred.
fn lines(workspace: &Workspace, rates: &Rates, rows: usize) -> Vec<Line> {
    let place =
        |at: usize, of: usize| (rows - of) * (NODE + GAP) / 2 + at * (NODE + GAP) + NODE / 2;
    let (many_sources, many) = (workspace.sources.len(), workspace.integrations.len());
    let mut lines = Vec::new();
    for (to, integration) in workspace.integrations.iter().enumerate() {
        for (from, source) in workspace.sources.iter().enumerate() {
            if integration.takes(&source.id) {
                let on = integration.enabled && source.enabled;
                let class = match (on, rates.accepted(&source.id)) {
                    (false, _) => "off",
                    (true, 0) => "still",
                    (true, _) => "flowing",
                };
                lines.push(Line { class, from: place(from, many_sources), to: place(to, many) });
            }
        }
    }
    lines
}
