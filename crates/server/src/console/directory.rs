//! The directory: the catalog, and how a destination becomes an integration.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use heapline_action::destination::{Definition, Mode};
use heapline_action::value::{Object, Value};
use heapline_destinations as destinations;

use super::fields::Fields;
use super::form::{self, Control, Input};
use super::oops::{Oops, sentence};
use super::shell::{Locked, Section, Shell, Visit, go, page as shown};
use super::sources::free_id;
use super::{Console, work};
use crate::control::{Json, NewIntegration, Problem, SourceView};
use crate::workspace::{SourceKind, fits};

#[derive(Template)]
#[template(path = "directory.html")]
struct Catalog {
    shell: Shell,
    entries: Vec<Entry>,
}

struct Entry {
    definition: &'static Definition,
    advice: Advice,
}

/// Which of several entries to take.
struct Advice {
    recommended: bool,
    choose: &'static str,
    mind: &'static str,
}

#[derive(Template)]
#[template(path = "enable.html")]
struct Enable {
    shell: Shell,
    definition: &'static Definition,
    advice: Advice,
    name: String,
    sources: Vec<Choice>,
    inputs: Vec<Input>,
    others: Vec<String>,
}

/// A source that can be chosen.
pub(super) struct Choice {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) chosen: bool,
}

#[derive(Template)]
#[template(path = "faults.html")]
struct Faults {
    inputs: Vec<Input>,
}

fn advice(mode: Mode) -> Advice {
    match mode {
        Mode::Cloud => Advice {
            recommended: true,
            choose: "Choose this one. Every event passes through this server: it is kept, checked \
                     and delivered in bulk, and its way can be looked at and replayed.",
            mind: "Events without a user id can't be sent; what becomes of them is a setting.",
        },
        Mode::Web => Advice {
            recommended: false,
            choose: "Only where Heap's own script has to run in the page, for its autocapture or \
                     session replay.",
            mind: "Works with the JavaScript client alone. The page delivers: this server knows only \
                   what the page reports, and nothing can be replayed.",
        },
    }
}

pub(super) async fn catalog(State(console): State<Arc<Console>>, visit: Visit) -> Response {
    let entry =
        |definition: &'static Definition| Entry { definition, advice: advice(definition.mode) };
    let entries = destinations::catalog().iter().map(|d| entry(d.definition())).collect();
    shown(&Catalog { shell: visit.shell(&console, Section::Integrations, "Directory"), entries })
}

fn definition(slug: &str) -> Result<&'static Definition, Problem> {
    let found = destinations::find(slug).map(|destination| destination.definition());
    found.ok_or_else(|| Problem::Missing(format!("the directory has no {slug:?}")))
}

pub(super) async fn enable_page(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(slug): Path<String>,
) -> Result<Response, Oops> {
    let definition = definition(&slug)?;
    let sources = choices(console.control.sources(&visit.who), definition, None);
    Ok(shown(&Enable {
        shell: visit.shell(&console, Section::Integrations, definition.title),
        definition,
        advice: advice(definition.mode),
        name: definition.title.to_owned(),
        sources,
        inputs: form::inputs(definition, &Object::new()),
        others: Vec::new(),
    }))
}

pub(super) async fn enable(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(slug): Path<String>,
    fields: Fields,
) -> Result<Response, Oops> {
    let definition = definition(&slug)?;
    let shell = visit.shell(&console, Section::Integrations, definition.title);
    let name = fields.text("name").to_owned();
    let name = if name.is_empty() { definition.title.to_owned() } else { name };
    let chosen: Vec<String> = fields.all("source").map(str::to_owned).collect();
    let settings = form::read(definition, &fields);
    let sources = choices(console.control.sources(&visit.who), definition, Some(&chosen));
    let taken: Vec<String> = console.control.integrations().into_iter().map(|i| i.id).collect();
    let new = NewIntegration {
        id: free_id(&name, &taken),
        destination: slug,
        name: Some(name.clone()),
        sources: chosen,
        settings: Some(Json(Value::Object(settings.clone()))),
        enabled: Some(true),
    };
    let id = new.id.clone();
    let made = work(move || Ok(console.control.create_integration(&visit.who, None, new)));
    let mut inputs = form::inputs(definition, &settings);
    let others = match made.await? {
        Ok(_) => return Ok(go(format!("/integrations/{id}?done=enabled"))),
        Err(Problem::Faulty(faults)) => form::tell(&mut inputs, &faults),
        Err(problem) => vec![sentence(&problem.to_string())],
    };
    let advice = advice(definition.mode);
    let page = Enable { shell, definition, advice, name, sources, inputs, others };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, shown(&page)).into_response())
}

/// What is wrong with the settings as they are typed. What must be given and isn't yet is told
/// when the form is sent, not before.
pub(super) async fn check(Path(slug): Path<String>, fields: Fields) -> Result<Response, Oops> {
    let definition = definition(&slug)?;
    let settings = form::read(definition, &fields);
    let mut inputs = form::inputs(definition, &settings);
    let destination = destinations::find(&slug);
    if let Some(Err(faults)) = destination.map(|destination| destination.configure(&settings)) {
        form::tell(&mut inputs, &faults);
    }
    for input in inputs.iter_mut().filter(|input| input.value.is_empty()) {
        input.fault.clear();
    }
    Ok(shown(&Faults { inputs }))
}

/// The sources that fit; all chosen unless `chosen` says which.
pub(super) fn choices(
    all: Vec<SourceView>,
    definition: &Definition,
    chosen: Option<&[String]>,
) -> Vec<Choice> {
    let fit = |source: &SourceView| {
        SourceKind::of(&source.kind).is_some_and(|kind| fits(definition, kind))
    };
    let choice = |source: SourceView| Choice {
        chosen: chosen.is_none_or(|chosen| chosen.contains(&source.id)),
        id: source.id,
        name: source.name,
    };
    all.into_iter().filter(fit).map(choice).collect()
}
