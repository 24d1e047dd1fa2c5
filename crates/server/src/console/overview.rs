//! How an integration does: backlog, rate against its limits, what it did over time; and a test.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query as Params, State};
use axum::response::Response;
use serde::Deserialize;

use super::backlog::{Backlog, backlog};
use super::chart::{Chart, Counts, Span, chart};
use super::gauges::{Gauge, gauges};
use super::integration::{Tab, Top, find};
use super::oops::{Oops, sentence};
use super::page_reports::{self, Pages};
use super::rates::rates;
use super::shell::{Locked, Section, Shell, Visit, page as shown, text};
use super::trace::pretty;
use super::{Console, live as lively, work};
use crate::control::{Problem, Tested, TestedRequest};
use crate::workspace::{Integration, Workspace};

#[derive(Template)]
#[template(path = "integration.html")]
struct Overview {
    shell: Shell,
    top: Top,
    state: Doing,
    tested: Option<Test>,
}

#[derive(Template)]
#[template(path = "integration-state.html")]
struct StatePart {
    top: Top,
    state: Doing,
}

/// How an integration does now.
struct Doing {
    backlog: Backlog,
    /// Deliveries a minute.
    rate: u64,
    chart: Chart,
    gauges: Vec<Gauge>,
    /// Its actions, and what each did in the time of the chart.
    actions: Vec<(String, String, Counts)>,
    warnings: Vec<String>,
    sources: Vec<(String, String)>,
    pages: Option<Pages>,
}

/// What came of a test event.
struct Test {
    good: bool,
    verdict: String,
    requests: Vec<(TestedRequest, String)>,
}

/// How far back the chart is to go.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    span: String,
}

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
    Params(asked): Params<Asked>,
) -> Result<Response, Oops> {
    let span = Span::of(&asked.span);
    let page = work(move || drawn(&console, &visit, &id, span, None));
    Ok(shown(&page.await?))
}

pub(super) async fn live(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    Params(asked): Params<Asked>,
) -> Response {
    let watching = console.control.web.watch(&id);
    let span = Span::of(&asked.span);
    lively::stream(console.stopping.clone(), move || {
        let _ = &watching;
        let drawn = find(&console, &id).and_then(|integration| {
            let state = state(&console, &integration, span)?;
            Ok(text(&StatePart { top: Top::of(&integration, Tab::Overview), state }))
        });
        drawn.unwrap_or_default()
    })
}

/// Sends a test event, and shows what came of it.
pub(super) async fn test(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    let tested = console.control.test_integration(&visit.who, &id, None).await?;
    let Tested { good, verdict, requests, .. } = tested;
    let requests = requests.into_iter().map(|request| {
        let body = pretty(&request.json.0);
        (request, body)
    });
    let test = Test { good, verdict, requests: requests.collect() };
    let page = work(move || drawn(&console, &visit, &id, Span::default(), Some(test)));
    Ok(shown(&page.await?))
}

fn drawn(
    console: &Console,
    visit: &Visit,
    id: &str,
    span: Span,
    tested: Option<Test>,
) -> Result<Overview, Problem> {
    let integration = find(console, id)?;
    let shell = visit.shell(console, Section::Integrations, integration.name.clone());
    let state = state(console, &integration, span)?;
    Ok(Overview { shell, top: Top::of(&integration, Tab::Overview), state, tested })
}

fn state(console: &Console, integration: &Integration, span: Span) -> Result<Doing, Problem> {
    let workspace = console.control.workspaces.current();
    let named = |id: &Arc<str>| {
        let name = workspace.source(id).map_or_else(|| id.to_string(), |s| s.name.clone());
        (id.to_string(), name)
    };
    let backlog = backlog(console, integration)?;
    let held = backlog.held.iter().map(|held| format!("{} {}", held.reason, held.next_step));
    let warnings = held.chain(warnings(&workspace, integration)).collect();
    let chart = chart(console, &integration.id, span)?;
    let actions = integration.actions.iter().map(|action| {
        let counts = chart.actions.iter().find(|(id, _)| *id == action.id);
        let counts = counts.map(|(_, counts)| *counts).unwrap_or_default();
        (action.id.clone(), action.name.clone(), counts)
    });
    Ok(Doing {
        backlog,
        rate: rates(console)?.delivered(&integration.id),
        gauges: gauges(console, &integration.id)?,
        actions: actions.collect(),
        chart,
        warnings,
        sources: integration.sources.iter().map(named).collect(),
        pages: page_reports::of(console, integration)?,
    })
}

/// What is allowed with the integration, but should be known.
fn warnings(workspace: &Workspace, integration: &Integration) -> Vec<String> {
    let place = workspace.integrations.iter().position(|other| other.id == integration.id);
    let own = place.map(|place| format!("integrations[{place}]")).unwrap_or_default();
    let about = |path: &str| {
        path.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let all = workspace.warnings.iter().filter(|warning| about(&warning.path));
    all.map(|warning| sentence(&warning.message)).collect()
}
