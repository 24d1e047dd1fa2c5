//! Reads a list of actions: what a workspace document or a script says, checked and parsed.

use std::collections::HashSet;

use heapline_action::destination::{ActionType, Definition, Fault};
use heapline_action::mapping::Mapping;
use heapline_action::pipeline::Action;
use heapline_action::trigger::Trigger;
use heapline_action::value::{Object, Value};

use crate::settings::found;

/// One thing wrong with settings, triggers or mappings, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Place, e.g. `actions[0].trigger`.
    pub path: String,
    /// What was found and what was expected, as one clause.
    pub message: String,
    /// Line and column in a trigger's text, from 1.
    pub place: Option<(usize, usize)>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

impl Problem {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { path: path.into(), message: message.into(), place: None }
    }

    /// A fault of the document at `path`; its own path may start at `$`, the document's root.
    pub(crate) fn inside(path: &str, fault: Fault) -> Problem {
        let inner = fault.path.strip_prefix('$').unwrap_or(&fault.path);
        let dot = if inner.is_empty() || inner.starts_with(['.', '[']) { "" } else { "." };
        Problem::new(format!("{path}{dot}{inner}"), fault.message)
    }
}

/// The actions of a list, or all that is wrong with it.
///
/// Each item is an object with `action` (an action type's slug) and, if it differs from the
/// defaults, `trigger` (that of the type's preset), `mapping` (that of the type's fields), `name`,
/// `enabled` and `id`. Without a list: the destination's presets.
pub fn actions(
    definition: &Definition,
    list: Option<&Value<'_>>,
) -> Result<Vec<Action>, Vec<Problem>> {
    let given: Vec<Value<'_>> = match list {
        None | Some(Value::Null) => {
            definition.presets.iter().map(|p| preset(p.name, p.action_type)).collect()
        }
        Some(Value::Array(items)) => items.clone(),
        Some(other) => {
            let message = format!("expected a list of actions, found {}", found(other));
            return Err(vec![Problem::new("actions", message)]);
        }
    };
    let mut read = Vec::with_capacity(given.len());
    let mut problems = Vec::new();
    let mut ids = HashSet::new();
    for (index, item) in given.iter().enumerate() {
        let path = format!("actions[{index}]");
        let Some(item) = item.as_object() else {
            let message = format!("expected an action, found {}", found(item));
            problems.push(Problem::new(path, message));
            continue;
        };
        match action(definition, item, &path, &read) {
            Ok(action) => {
                if !ids.insert(action.id.clone()) {
                    let message = format!("another action has the id \"{}\", too", action.id);
                    problems.push(Problem::new(format!("{path}.id"), message));
                }
                read.push(action);
            }
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(read) } else { Err(problems) }
}

/// The names of an action type in the `integrations` object of events.
pub fn action_names(definition: &Definition, action_type: &ActionType) -> Vec<String> {
    definition.names.iter().map(|name| format!("{name} {}", action_type.slug)).collect()
}

/// The mapping that an action of this type has if it names none.
pub fn default_mapping(action_type: &ActionType) -> Object<'static> {
    let mut mapping = Object::new();
    for field in action_type.fields {
        if let Some(json) = field.default {
            let value = Value::parse(json).expect("defaults of fields are JSON");
            mapping.insert(field.key, value);
        }
    }
    mapping
}

fn preset(name: &'static str, action_type: &'static str) -> Value<'static> {
    let mut item = Object::new();
    item.insert("action", Value::from(action_type));
    item.insert("name", Value::from(name));
    Value::Object(item)
}

fn action(
    definition: &Definition,
    item: &Object<'_>,
    path: &str,
    before: &[Action],
) -> Result<Action, Vec<Problem>> {
    let mut problems = Vec::new();
    for (key, _) in item.iter() {
        if !["action", "trigger", "mapping", "name", "enabled", "id"].contains(&key) {
            let message = "is no member of an action; expected action, trigger, mapping, name, \
                           enabled or id";
            problems.push(Problem::new(format!("{path}.{key}"), message));
        }
    }
    let wrong = |key: &str, expected: &str, value: Option<&Value<'_>>| {
        let found = value.map_or_else(|| "nothing".to_owned(), found);
        Problem::new(format!("{path}.{key}"), format!("expected {expected}, found {found}"))
    };
    let slugs: Vec<&str> = definition.action_types.iter().map(|a| a.slug).collect();
    let at = item
        .get("action")
        .and_then(Value::as_text)
        .and_then(|slug| slugs.iter().position(|known| *known == slug));
    let Some((at, action_type)) = at.and_then(|at| Some((at, definition.action_types.get(at)?)))
    else {
        let expected = format!("one of {}", slugs.join(", "));
        problems.push(wrong("action", &expected, item.get("action")));
        return Err(problems);
    };
    let ordinal = before.iter().filter(|other| other.action_type == at).count();
    let mut text = |key: &str, default: String| match item.get(key) {
        None => default,
        Some(Value::Text(text)) if !text.trim().is_empty() => text.to_string(),
        other => {
            problems.push(wrong(key, "text", other));
            default
        }
    };
    let id = text("id", format!("{}-{}", action_type.slug, ordinal + 1));
    let preset = definition.presets.iter().find(|preset| preset.action_type == action_type.slug);
    let name = text("name", preset.map_or(action_type.title, |preset| preset.name).to_owned());
    let enabled = match item.get("enabled") {
        None => true,
        Some(Value::Bool(enabled)) => *enabled,
        other => {
            problems.push(wrong("enabled", "true or false", other));
            true
        }
    };
    let trigger_text = match (item.get("trigger"), preset) {
        (Some(Value::Text(text)), _) => Some(text.to_string()),
        (None, Some(preset)) => Some(preset.trigger.to_owned()),
        (other, _) => {
            problems.push(wrong("trigger", "text", other));
            None
        }
    };
    let trigger = trigger_text.as_deref().and_then(|text| match Trigger::parse(text) {
        Ok(trigger) => Some(trigger),
        Err(error) => {
            problems.push(Problem {
                path: format!("{path}.trigger"),
                message: error.message,
                place: Some((error.line, error.column)),
            });
            None
        }
    });
    let default = Value::Object(default_mapping(action_type));
    let mapping = Mapping::parse(item.get("mapping").unwrap_or(&default));
    let mapping = match mapping {
        Ok(mapping) => Some(mapping),
        Err(faults) => {
            let path = format!("{path}.mapping");
            problems.extend(faults.into_iter().map(|fault| Problem::inside(&path, fault)));
            None
        }
    };
    match (trigger_text, trigger, mapping) {
        (Some(trigger_text), Some(trigger), Some(mapping)) if problems.is_empty() => Ok(Action {
            id,
            name,
            action_type: at,
            enabled,
            trigger,
            trigger_text,
            mapping,
            names: action_names(definition, action_type),
        }),
        _ => Err(problems),
    }
}
