//! The action editor: trigger and mapping, each as a form and as text, in step; beside them what a
//! real event becomes.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query as Params, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use heapline_action::destination::ActionType;
use heapline_action::value::Value;
use heapline_destinations as destinations;
use serde::Deserialize;

use super::conditions::{self, Node};
use super::draft::Draft;
use super::fields::Fields;
use super::integration::{Tab, Top, find};
use super::mapping::How;
use super::oops::{Oops, moved, sentence};
use super::preview::{Preview, Sample, preview, samples};
use super::shell::{Locked, Section, Shell, Visit, go, page as shown, text};
use super::{Console, work};
use crate::control::{ActionChange, Json, NewAction, Problem};
use crate::workspace::Integration;

#[derive(Template)]
#[template(path = "editor.html")]
struct Page {
    shell: Shell,
    top: Top,
    revision: u64,
    /// True if it isn't saved yet.
    fresh: bool,
    /// Where the form goes.
    address: String,
    /// Where it is checked while it is edited.
    check: String,
    form: &'static ActionType,
    draft: Draft,
    conditions: String,
    samples: Vec<Sample>,
    preview: Preview,
    others: Vec<String>,
}

#[derive(Template)]
#[template(path = "editor-parts.html")]
struct Parts {
    draft: Draft,
    conditions: String,
    rows: Vec<(String, String)>,
    preview: Preview,
}

#[derive(Template)]
#[template(path = "action-types.html")]
struct Types {
    shell: Shell,
    top: Top,
}

#[derive(Template)]
#[template(path = "condition.html")]
struct ConditionPart<'n> {
    node: &'n Node,
    check: &'n str,
    at: String,
    inner: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    #[serde(rename = "type")]
    action_type: String,
    sample: Option<u64>,
}

/// An action that is being edited.
struct Subject {
    integration: Arc<Integration>,
    form: &'static ActionType,
    /// `None` for a new one.
    id: Option<String>,
}

impl Subject {
    fn of(console: &Console, id: &str, action: &str, wanted: &str) -> Result<Subject, Problem> {
        let integration = find(console, id)?;
        let types = integration.destination.definition().action_types;
        let known = integration.actions.iter().find(|known| known.id == action);
        let form = match known {
            Some(known) => types.get(known.action_type),
            None if action == "new" => types.iter().find(|form| form.slug == wanted),
            None => None,
        };
        let missing = || Problem::Missing(format!("{id:?} has no action {action:?}"));
        let form = form.ok_or_else(missing)?;
        Ok(Subject { id: known.map(|known| known.id.clone()), integration, form })
    }

    /// Where the form goes; with `end` after the path.
    fn address(&self, end: &str) -> String {
        let id = &self.integration.id;
        match &self.id {
            Some(action) => format!("/integrations/{id}/actions/{action}{end}"),
            None => format!("/integrations/{id}/actions/new{end}?type={}", self.form.slug),
        }
    }

    /// The action as it is saved, or as a new one starts.
    fn draft(&self) -> Draft {
        let saved = self
            .id
            .as_ref()
            .and_then(|id| self.integration.actions.iter().find(|action| action.id == *id));
        match saved {
            Some(action) => {
                let mapping = action.mapping.to_value().clone();
                Draft::new(self.form, &action.name, &action.trigger_text, &mapping)
            }
            None => {
                let presets = self.integration.destination.definition().presets;
                let preset = presets.iter().find(|preset| preset.action_type == self.form.slug);
                let trigger = preset.map_or("type = \"track\"", |preset| preset.trigger);
                let mapping = Value::Object(destinations::default_mapping(self.form));
                Draft::new(self.form, self.form.title, trigger, &mapping)
            }
        }
    }
}

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path((id, action)): Path<(String, String)>,
    Params(asked): Params<Asked>,
) -> Result<Response, Oops> {
    if action == "new" && asked.action_type.is_empty() {
        let integration = find(&console, &id)?;
        let shell = visit.shell(&console, Section::Integrations, "Add an action");
        return Ok(shown(&Types { shell, top: Top::of(&integration, Tab::Actions) }));
    }
    let page = work(move || {
        let subject = Subject::of(&console, &id, &action, &asked.action_type)?;
        let fields = Fields(match asked.sample {
            Some(seq) => vec![("sample".to_owned(), seq.to_string())],
            None => Vec::new(),
        });
        full(&console, &visit, &subject, subject.draft(), &fields, Vec::new())
    });
    Ok(shown(&page.await?))
}

fn full(
    console: &Console,
    visit: &Visit,
    subject: &Subject,
    draft: Draft,
    fields: &Fields,
    others: Vec<String>,
) -> Result<Page, Problem> {
    let samples = samples(console, &subject.integration, fields)?;
    let preview = see(console, subject, &draft, &samples, fields)?;
    let revision = console.control.workspaces.current().revision;
    let check = subject.address("/check");
    Ok(Page {
        shell: visit.shell(console, Section::Integrations, draft.name.clone()),
        top: Top::of(&subject.integration, Tab::Actions),
        revision: fields.revision().unwrap_or(revision),
        fresh: subject.id.is_none(),
        address: subject.address(""),
        form: subject.form,
        conditions: draw(&draft.conditions, &check, String::new()),
        check,
        draft,
        samples,
        preview,
        others,
    })
}

fn see(
    console: &Console,
    subject: &Subject,
    draft: &Draft,
    samples: &[Sample],
    fields: &Fields,
) -> Result<Preview, Problem> {
    let (integration, form) = (&subject.integration, subject.form);
    preview(console, integration, form, subject.id.as_deref(), draft, samples, fields)
}

/// What changes in the page while it is edited.
pub(super) async fn check(
    State(console): State<Arc<Console>>,
    Path((id, action)): Path<(String, String)>,
    Params(asked): Params<Asked>,
    fields: Fields,
) -> Result<Response, Oops> {
    let parts = work(move || {
        let subject = Subject::of(&console, &id, &action, &asked.action_type)?;
        let draft = Draft::read(subject.form, &fields);
        let samples = samples(&console, &subject.integration, &fields)?;
        let preview = see(&console, &subject, &draft, &samples, &fields)?;
        let conditions = draw(&draft.conditions, &subject.address("/check"), String::new());
        let mut rows = Vec::new();
        faults(&draft.conditions, String::new(), &mut rows);
        Ok(Parts { draft, conditions, rows, preview })
    });
    Ok(shown(&parts.await?))
}

/// Saves, or, where a button of the form was pressed, shows the form after it.
pub(super) async fn post(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path((id, action)): Path<(String, String)>,
    Params(asked): Params<Asked>,
    fields: Fields,
) -> Result<Response, Oops> {
    let answer = work(move || {
        let subject = Subject::of(&console, &id, &action, &asked.action_type)?;
        let draft = Draft::read(subject.form, &fields);
        if !fields.has("save") {
            return Ok(shown(&full(&console, &visit, &subject, draft, &fields, Vec::new())?));
        }
        let mut overtaken = None;
        let others = match draft.ready() {
            None => vec!["Mend what is marked, then save.".to_owned()],
            Some(mapping) => match save(&console, &visit, &subject, &draft, mapping, &fields) {
                Ok(saved) => {
                    return Ok(go(format!("/integrations/{id}/actions/{saved}?done=saved")));
                }
                Err(Problem::Faulty(faults)) => {
                    faults.iter().map(|fault| sentence(&fault.to_string())).collect()
                }
                Err(Problem::Moved(number)) => {
                    overtaken = Some(number);
                    vec![format!(
                        "{} Save again to put this action over it; all else stays as it is now.",
                        moved(number)
                    )]
                }
                Err(problem) => vec![sentence(&problem.to_string())],
            },
        };
        let mut page = full(&console, &visit, &subject, draft, &fields, others)?;
        page.revision = overtaken.unwrap_or(page.revision);
        Ok((StatusCode::UNPROCESSABLE_ENTITY, shown(&page)).into_response())
    });
    answer.await
}

fn save(
    console: &Console,
    visit: &Visit,
    subject: &Subject,
    draft: &Draft,
    mapping: Value<'static>,
    fields: &Fields,
) -> Result<String, Problem> {
    let (control, who) = (&console.control, &visit.who);
    let integration = &*subject.integration.id;
    let (name, trigger) = (Some(draft.name.clone()), Some(draft.trigger.clone()));
    let mapping = Some(Json(mapping));
    match &subject.id {
        Some(id) => {
            let change = ActionChange { name, trigger, mapping, enabled: None };
            control.update_action(who, fields.revision(), integration, id, change)?;
            Ok(id.clone())
        }
        None => {
            let action = subject.form.slug.to_owned();
            let new = NewAction { action, id: None, name, trigger, mapping, enabled: Some(true) };
            Ok(control.create_action(who, fields.revision(), integration, new)?.1)
        }
    }
}

/// The conditions as HTML. `at` is the place in the tree, such as `.1.0`.
fn draw(node: &Node, check: &str, at: String) -> String {
    let inner = match node {
        Node::Condition(_) => Vec::new(),
        Node::Group { parts, .. } => {
            let each = parts.iter().enumerate();
            each.map(|(number, part)| draw(part, check, format!("{at}.{number}"))).collect()
        }
    };
    text(&ConditionPart { node, check, at, inner })
}

/// Each condition's place and fault.
fn faults(node: &Node, at: String, into: &mut Vec<(String, String)>) {
    match node {
        Node::Condition(row) => into.push((at.replace('.', "-"), row.fault.clone())),
        Node::Group { parts, .. } => {
            for (number, part) in parts.iter().enumerate() {
                faults(part, format!("{at}.{number}"), into);
            }
        }
    }
}
