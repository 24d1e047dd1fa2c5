//! One integration: how it does, its actions, what it sent, its settings.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query as Params, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use heapline_action::destination::{Definition, Mode};
use heapline_action::value::Value;
use heapline_store::Outcome;

use super::backlog::{Backlog, backlog};
use super::chart::{Hour, hour};
use super::directory::{Choice, choices};
use super::events::{Asked, Rows, WITHIN, rows};
use super::fields::Fields;
use super::form::{self, Control, Input};
use super::oops::{Oops, sentence};
use super::page_reports::{self, Pages};
use super::shell::{Locked, Section, Shell, Visit, go, page as shown, text};
use super::trace::pretty;
use super::words::grouped;
use super::{Console, live as lively, work};
use crate::control::{IntegrationChange, Json, Problem, Tested, TestedRequest};
use crate::workspace::{Integration, Workspace};

#[derive(Template)]
#[template(path = "integrations.html")]
struct List {
    shell: Shell,
    integrations: Vec<Item>,
}

struct Item {
    id: String,
    name: String,
    title: &'static str,
    sources: usize,
    backlog: Backlog,
}

/// What stands above every tab.
pub(super) struct Top {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) definition: &'static Definition,
    fallback: bool,
    tab: Tab,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Actions,
    DataOut,
    DeadLetters,
    Settings,
}

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
    hour: Hour,
    warnings: Vec<String>,
    sources: Vec<(String, String)>,
    limits: Vec<String>,
    pages: Option<Pages>,
}

/// What came of a test event.
struct Test {
    good: bool,
    verdict: String,
    requests: Vec<(TestedRequest, String)>,
}

#[derive(Template)]
#[template(path = "data-out.html")]
struct DataOut {
    shell: Shell,
    top: Top,
    asked: Asked,
    outcomes: Vec<&'static str>,
    live: Option<String>,
    rows: Rows,
}

#[derive(Template)]
#[template(path = "integration-settings.html")]
struct Settings {
    shell: Shell,
    top: Top,
    revision: u64,
    sources: Vec<Choice>,
    inputs: Vec<Input>,
    others: Vec<String>,
}

impl Top {
    pub(super) fn of(integration: &Integration, tab: Tab) -> Top {
        Top {
            id: integration.id.to_string(),
            name: integration.name.clone(),
            enabled: integration.enabled,
            definition: integration.destination.definition(),
            fallback: integration.fallback.is_some(),
            tab,
        }
    }

    pub(super) fn at(&self, tab: Tab) -> bool {
        self.tab == tab
    }

    pub(super) fn cloud(&self) -> bool {
        self.definition.mode == Mode::Cloud
    }

    /// True if the server delivers, be it only what pages couldn't.
    pub(super) fn serves(&self) -> bool {
        self.cloud() || self.fallback
    }
}

/// The integration `id` of now.
pub(super) fn find(console: &Console, id: &str) -> Result<Arc<Integration>, Problem> {
    let workspace = console.control.workspaces.current();
    let missing = || Problem::Missing(format!("no integration has the id {id:?}"));
    workspace.integration(id).cloned().ok_or_else(missing)
}

pub(super) async fn list(
    State(console): State<Arc<Console>>,
    visit: Visit,
) -> Result<Response, Oops> {
    let shell = visit.shell(&console, Section::Integrations, "Integrations");
    let integrations = work(move || {
        let workspace = console.control.workspaces.current();
        let item = |integration: &Arc<Integration>| {
            Ok(Item {
                id: integration.id.to_string(),
                name: integration.name.clone(),
                title: integration.destination.definition().title,
                sources: integration.sources.len(),
                backlog: backlog(&console, integration)?,
            })
        };
        workspace.integrations.iter().map(item).collect::<Result<_, Problem>>()
    });
    Ok(shown(&List { shell, integrations: integrations.await? }))
}

pub(super) async fn overview(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    let page = work(move || overview_page(&console, &visit, &id, None));
    Ok(shown(&page.await?))
}

fn overview_page(
    console: &Console,
    visit: &Visit,
    id: &str,
    tested: Option<Test>,
) -> Result<Overview, Problem> {
    let integration = find(console, id)?;
    let shell = visit.shell(console, Section::Integrations, integration.name.clone());
    let state = state(console, &integration)?;
    Ok(Overview { shell, top: Top::of(&integration, Tab::Overview), state, tested })
}

pub(super) async fn live(State(console): State<Arc<Console>>, Path(id): Path<String>) -> Response {
    let watching = console.control.web.watch(&id);
    lively::stream(console.stopping.clone(), move || {
        let _ = &watching;
        let drawn = find(&console, &id).and_then(|integration| {
            let state = state(&console, &integration)?;
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
    let page = work(move || overview_page(&console, &visit, &id, Some(test)));
    Ok(shown(&page.await?))
}

fn state(console: &Console, integration: &Integration) -> Result<Doing, Problem> {
    use heapline_action::destination::Configured;
    use heapline_action::plan::{LimitCounts, LimitScope};
    let workspace = console.control.workspaces.current();
    let named = |id: &Arc<str>| {
        let name = workspace.source(id).map_or_else(|| id.to_string(), |s| s.name.clone());
        (id.to_string(), name)
    };
    let limits = match &integration.configured {
        Configured::Web(_) => Vec::new(),
        Configured::Cloud(cloud) => {
            let all = cloud.endpoints().iter().flat_map(|endpoint| {
                endpoint.limits.iter().map(|limit| {
                    let what = match limit.counts {
                        LimitCounts::Items => "items",
                        LimitCounts::Requests => "requests",
                    };
                    let whose = match limit.scope {
                        LimitScope::Integration => "",
                        LimitScope::Identity => " of one user",
                    };
                    let seconds = limit.window_ms / 1000;
                    format!(
                        "{}: {} {what}{whose} in {seconds} s",
                        endpoint.name,
                        grouped(limit.count)
                    )
                })
            });
            all.collect()
        }
    };
    let backlog = backlog(console, integration)?;
    let held = backlog.held.iter().map(|held| format!("{} {}", held.reason, held.next_step));
    let warnings = held.chain(warnings(&workspace, integration)).collect();
    Ok(Doing {
        backlog,
        hour: hour(console, &integration.id)?,
        warnings,
        sources: integration.sources.iter().map(named).collect(),
        limits,
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

pub(super) async fn data_out(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
    Params(asked): Params<Asked>,
) -> Result<Response, Oops> {
    let page = work(move || {
        let integration = find(&console, &id)?;
        let asked = Asked { integration: id, ..asked };
        let live = asked.before.is_none().then(|| format!("/live/events?{}", asked.query()));
        Ok(DataOut {
            shell: visit.shell(&console, Section::Integrations, integration.name.clone()),
            top: Top::of(&integration, Tab::DataOut),
            outcomes: Outcome::ALL.iter().map(|outcome| outcome.word()).collect(),
            rows: rows(&console, &asked)?,
            live,
            asked,
        })
    });
    Ok(shown(&page.await?))
}

pub(super) async fn settings(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    let integration = find(&console, &id)?;
    let definition = integration.destination.definition();
    let connected: Vec<String> = integration.sources.iter().map(ToString::to_string).collect();
    Ok(shown(&Settings {
        shell: visit.shell(&console, Section::Integrations, integration.name.clone()),
        top: Top::of(&integration, Tab::Settings),
        revision: console.control.workspaces.current().revision,
        sources: choices(console.control.sources(&visit.who), definition, Some(&connected)),
        inputs: form::inputs(definition, &integration.settings),
        others: Vec::new(),
    }))
}

pub(super) async fn save_settings(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Oops> {
    let integration = find(&console, &id)?;
    let definition = integration.destination.definition();
    let shell = visit.shell(&console, Section::Integrations, integration.name.clone());
    let chosen: Vec<String> = fields.all("source").map(str::to_owned).collect();
    let sources = choices(console.control.sources(&visit.who), definition, Some(&chosen));
    let settings = form::read(definition, &fields);
    let change = IntegrationChange {
        name: Some(fields.text("name").to_owned()).filter(|name| !name.is_empty()),
        enabled: Some(fields.has("enabled")),
        sources: Some(chosen),
        settings: Some(Json(Value::Object(settings.clone()))),
    };
    let back = format!("/integrations/{id}/settings?done=saved");
    let revision = fields.revision();
    let saved =
        work(move || Ok(console.control.update_integration(&visit.who, revision, &id, change)));
    let mut inputs = form::inputs(definition, &settings);
    let others = match saved.await? {
        Ok(_) => return Ok(go(back)),
        Err(Problem::Faulty(faults)) => form::tell(&mut inputs, &faults),
        Err(problem) => vec![sentence(&problem.to_string())],
    };
    let top = Top::of(&integration, Tab::Settings);
    let revision = revision.unwrap_or_default();
    let page = Settings { shell, top, revision, sources, inputs, others };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, shown(&page)).into_response())
}

pub(super) async fn delete(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    work(move || console.control.delete_integration(&visit.who, None, &id)).await?;
    Ok(go("/integrations?done=removed"))
}

/// Lets a disabled integration skip what waits for it.
pub(super) async fn skip(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    let back = format!("/integrations/{id}?done=saved");
    work(move || console.control.skip_ahead(&visit.who, &id)).await?;
    Ok(go(back))
}
