//! Actions of an integration: made from a type, changed, put in order, copied, deleted.
//!
//! The first of such changes writes out what the document had left to the presets, and gives each
//! action its id: ids are in the ledger and in idempotency keys, so none may follow from an
//! action's place any more once places change.

use heapline_action::value::Value;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::edit::{Edit, item, place};
use super::views::{action as view, find_action, find_integration};
use super::{ActionView, Actor, Changed, Control, Json, Problem};
use crate::workspace::{Integration, Workspace};

/// An action to be made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAction {
    /// Its type, e.g. `trackEvent`.
    pub action: String,
    /// Its id; one is made from the type if left out.
    #[serde(default)]
    pub id: Option<String>,
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// When it runs; that of the type's preset if left out.
    #[serde(default)]
    pub trigger: Option<String>,
    /// What it says; the type's defaults if left out.
    #[serde(default)]
    #[schema(value_type = crate::control::Json, required = false)]
    pub mapping: Option<Json>,
    /// Runs.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// What to change of an action; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionChange {
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// When it runs.
    #[serde(default)]
    pub trigger: Option<String>,
    /// What it says.
    #[serde(default)]
    #[schema(value_type = crate::control::Json, required = false)]
    pub mapping: Option<Json>,
    /// Runs.
    #[serde(default)]
    pub enabled: Option<bool>,
}

impl Control {
    /// Makes an action at the end of the list. Gives its id.
    pub fn create_action(
        &self,
        who: &Actor,
        expected: Option<u64>,
        integration: &str,
        new: NewAction,
    ) -> Result<(Changed, String), Problem> {
        self.workspaces.edit(who, expected, |now| {
            let (at, integration) = find_integration(now, integration)?;
            let mut edits = written_out(now, at, integration);
            let id = new.id.unwrap_or_else(|| free_id(integration, &new.action));
            let item = item([
                ("id", Some(Value::from(id.clone()))),
                ("name", new.name.map(Value::from)),
                ("action", Some(Value::from(new.action))),
                ("enabled", new.enabled.map(Value::from)),
                ("trigger", new.trigger.map(Value::from)),
                ("mapping", new.mapping.map(|Json(mapping)| mapping)),
            ]);
            let list = place!["integrations", at, "actions"];
            edits.push(Edit::Insert(list, integration.actions.len(), item));
            let what = format!("made the action {id:?} of {:?}", &*integration.id);
            Ok((edits, what, id))
        })
    }

    /// Changes an action.
    pub fn update_action(
        &self,
        who: &Actor,
        expected: Option<u64>,
        integration: &str,
        id: &str,
        change: ActionChange,
    ) -> Result<Changed, Problem> {
        let edit = |now: &Workspace| {
            let (at, integration) = find_integration(now, integration)?;
            let (index, action) = find_action(integration, id)?;
            let mut edits = written_out(now, at, integration);
            let place = |key: &'static str| place!["integrations", at, "actions", index, key];
            let mut set = |key: &'static str, value: Option<Value<'static>>| {
                edits.extend(value.map(|value| Edit::Set(place(key), value)));
            };
            set("name", change.name.map(Value::from));
            set("enabled", change.enabled.map(Value::from));
            set("trigger", change.trigger.map(Value::from));
            if let Some(Json(mapping)) = change.mapping {
                let old = match written_actions(now, at) {
                    Some(actions) => actions.get(index).and_then(|a| a.get("mapping")),
                    None => Some(action.mapping.to_value()),
                };
                edits.extend(match old {
                    Some(old) => Edit::between(&place("mapping"), Some(old), &mapping),
                    None => vec![Edit::Set(place("mapping"), mapping)],
                });
            }
            let what = format!("changed the action {id:?} of {:?}", &*integration.id);
            Ok((edits, what))
        };
        self.workspaces.apply(who, expected, edit)
    }

    /// Copies an action, switched off, to the place after it. Gives the copy's id.
    pub fn duplicate_action(
        &self,
        who: &Actor,
        expected: Option<u64>,
        integration: &str,
        id: &str,
    ) -> Result<(Changed, String), Problem> {
        self.workspaces.edit(who, expected, |now| {
            let (at, integration) = find_integration(now, integration)?;
            let (index, action) = find_action(integration, id)?;
            let mut copy = view(integration, action);
            copy.id = free_id(integration, &copy.action);
            copy.name = format!("{} (copy)", copy.name);
            copy.enabled = false;
            let copied = copy.id.clone();
            let mut edits = written_out(now, at, integration);
            let list = place!["integrations", at, "actions"];
            edits.push(Edit::Insert(list, index + 1, value(copy)));
            let what = format!("copied the action {id:?} of {:?}", &*integration.id);
            Ok((edits, what, copied))
        })
    }

    /// Puts the actions in the order of `ids`, which must name each of them once.
    pub fn order_actions(
        &self,
        who: &Actor,
        expected: Option<u64>,
        integration: &str,
        ids: &[String],
    ) -> Result<Changed, Problem> {
        let edit = |now: &Workspace| {
            let (at, integration) = find_integration(now, integration)?;
            let mut order: Vec<&str> = integration.actions.iter().map(|a| a.id.as_str()).collect();
            if sorted(order.clone()) != sorted(ids.iter().map(String::as_str).collect()) {
                let expected = order.join(", ");
                return Err(Problem::Bad(format!("expected each of {expected}, once")));
            }
            let mut edits = written_out(now, at, integration);
            for (to, id) in ids.iter().enumerate() {
                let from = order.iter().position(|known| known == id).unwrap_or(to);
                if from != to {
                    let list = place!["integrations", at, "actions"];
                    edits.push(Edit::Move(list, from, to));
                    let moved = order.remove(from);
                    order.insert(to, moved);
                }
            }
            let what = format!("put the actions of {:?} in order", &*integration.id);
            Ok((edits, what))
        };
        self.workspaces.apply(who, expected, edit)
    }

    /// Takes an action away. What became of events at it stays in the ledger.
    pub fn delete_action(
        &self,
        who: &Actor,
        expected: Option<u64>,
        integration: &str,
        id: &str,
    ) -> Result<Changed, Problem> {
        let edit = |now: &Workspace| {
            let (at, integration) = find_integration(now, integration)?;
            let (index, _) = find_action(integration, id)?;
            let mut edits = written_out(now, at, integration);
            edits.push(Edit::Remove(place!["integrations", at, "actions", index]));
            let what = format!("deleted the action {id:?} of {:?}", &*integration.id);
            Ok((edits, what))
        };
        self.workspaces.apply(who, expected, edit)
    }
}

fn sorted(mut ids: Vec<&str>) -> Vec<&str> {
    ids.sort_unstable();
    ids
}

fn written_actions(now: &Workspace, at: usize) -> Option<&[Value<'static>]> {
    now.document.get("integrations")?.as_array()?.get(at)?.get("actions")?.as_array()
}

/// What makes the document name every action of an integration with its id.
fn written_out(now: &Workspace, at: usize, integration: &Integration) -> Vec<Edit> {
    let list = place!["integrations", at, "actions"];
    let actions = integration.actions.iter().enumerate();
    match written_actions(now, at) {
        None => actions
            .map(|(index, a)| Edit::Insert(list.clone(), index, value(view(integration, a))))
            .collect(),
        Some(written) => actions
            .filter(|(index, _)| written.get(*index).is_some_and(|a| a.get("id").is_none()))
            .map(|(index, action)| {
                let place = place!["integrations", at, "actions", index, "id"];
                Edit::Set(place, Value::from(action.id.clone()))
            })
            .collect(),
    }
}

fn value(action: ActionView) -> Value<'static> {
    item([
        ("id", Some(Value::from(action.id))),
        ("name", Some(Value::from(action.name))),
        ("action", Some(Value::from(action.action))),
        ("enabled", Some(Value::from(action.enabled))),
        ("trigger", Some(Value::from(action.trigger))),
        ("mapping", Some(action.mapping.0)),
    ])
}

fn free_id(integration: &Integration, slug: &str) -> String {
    let is_free = |id: &String| integration.actions.iter().all(|action| action.id != *id);
    let mut ids = (1..).map(|n| format!("{slug}-{n}"));
    ids.find(is_free).expect("there are more numbers than actions")
}
