//! Integrations: their list; what one sent, and its settings.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query as Params, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use heapline_action::destination::{Definition, Mode};
use heapline_action::value::Value;
use heapline_store::Outcome;

use super::backlog::{Backlog, backlog};
use super::directory::{Choice, choices};
use super::events::{Asked, Rows, WITHIN, rows};
use super::fields::{Fields, given};
use super::form::{self, Control, Input};
use super::oops::{Oops, moved, sentence};
use super::shell::{Locked, Section, Shell, Visit, go, page as shown};
use super::{Console, work};
use crate::control::{IntegrationChange, Json, Problem};
use crate::workspace::Integration;

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
#[template(path = "data-out.html")]
struct DataOut {
    shell: Shell,
    top: Top,
    asked: Asked,
    /// None to choose from: the list is of one integration.
    sources: Vec<(String, String)>,
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
            sources: Vec::new(),
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
        name: given(fields.text("name")),
        enabled: Some(fields.has("enabled")),
        sources: Some(chosen),
        settings: Some(Json(Value::Object(settings.clone()))),
    };
    let back = format!("/integrations/{id}/settings?done=saved");
    let mut revision = fields.revision();
    let saved =
        work(move || Ok(console.control.update_integration(&visit.who, revision, &id, change)));
    let mut inputs = form::inputs(definition, &settings);
    let others = match saved.await? {
        Ok(_) => return Ok(go(back)),
        Err(Problem::Faulty(faults)) => form::tell(&mut inputs, &faults),
        Err(Problem::Moved(number)) => {
            revision = Some(number);
            vec![format!("{} Save again to put these settings over it.", moved(number))]
        }
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
