//! The actions of an integration: the table, and what its buttons do.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::fields::Fields;
use super::integration::{Tab, Top, find};
use super::oops::Oops;
use super::shell::{Locked, Section, Shell, Visit, go, page as shown};
use super::{Console, work};
use crate::control::{ActionChange, ActionView, Problem};

#[derive(Template)]
#[template(path = "actions.html")]
struct Page {
    shell: Shell,
    top: Top,
    revision: u64,
    /// Each with the title and description of its type.
    actions: Vec<(ActionView, &'static str, &'static str)>,
}

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    let integration = find(&console, &id)?;
    let shell = visit.shell(&console, Section::Integrations, integration.name.clone());
    let top = Top::of(&integration, Tab::Actions);
    let types = top.definition.action_types;
    let actions = console.control.integration(&id)?.actions.into_iter().map(|action| {
        let form = types.iter().find(|form| form.slug == action.action);
        let (title, description) = form.map_or(("", ""), |form| (form.title, form.description));
        (action, title, description)
    });
    let actions = actions.collect();
    let revision = console.control.workspaces.current().revision;
    Ok(shown(&Page { shell, top, revision, actions }))
}

/// Switches an action on or off, moves it by one place, copies or removes it.
pub(super) async fn change(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path((id, action)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Oops> {
    let back = work(move || {
        let (control, who, revision) = (&console.control, &visit.who, fields.revision());
        let wanted = fields.text("do");
        let done = match wanted {
            "on" | "off" => {
                let change =
                    ActionChange { enabled: Some(wanted == "on"), ..ActionChange::default() };
                control.update_action(who, revision, &id, &action, change)?;
                format!("saved#switch-{action}")
            }
            "up" | "down" => {
                let all = control.integration(&id)?.actions.into_iter();
                let mut ids: Vec<String> = all.map(|action| action.id).collect();
                let at = ids.iter().position(|known| *known == action);
                let at = at.ok_or_else(|| Problem::Missing(format!("{id:?} has no {action:?}")))?;
                let to = if wanted == "up" { at.checked_sub(1) } else { Some(at + 1) };
                if let Some(to) = to.filter(|to| *to < ids.len()) {
                    ids.swap(at, to);
                }
                control.order_actions(who, revision, &id, &ids)?;
                format!("moved#{wanted}-{action}")
            }
            "copy" => {
                control.duplicate_action(who, revision, &id, &action)?;
                "copied".to_owned()
            }
            "delete" => {
                control.delete_action(who, revision, &id, &action)?;
                "deleted".to_owned()
            }
            other => return Err(Problem::Bad(format!("nothing is called {other:?} here"))),
        };
        Ok(format!("/integrations/{id}/actions?done={done}"))
    });
    Ok(go(back.await?))
}

/// Puts the actions in the order of the posted ids.
pub(super) async fn order(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Oops> {
    let back = format!("/integrations/{id}/actions?done=moved");
    work(move || {
        let ids: Vec<String> = fields.all("id").map(str::to_owned).collect();
        console.control.order_actions(&visit.who, fields.revision(), &id, &ids)
    })
    .await?;
    Ok(go(back))
}
