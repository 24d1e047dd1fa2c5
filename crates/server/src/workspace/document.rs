//! A workspace document, TOML or JSON, becomes a [`Workspace`] or the list of all its faults.

use std::collections::BTreeMap;
use std::sync::Arc;

use heapline_action::destination::{ActionType, Configured, Definition, Fault};
use heapline_action::mapping::Mapping;
use heapline_action::pipeline::Action;
use heapline_action::trigger::Trigger;
use heapline_action::value::{Object, Value};
use heapline_destinations as destinations;
use serde::Deserialize;

use super::read::{Members, describe};
use super::{Answers, Integration, Secret, Source, SourceKind, Workspace};

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.toml`
    Toml,
    /// `.json`
    Json,
}

impl Format {
    /// JSON if the text starts with a brace, else TOML.
    pub fn guess(text: &str) -> Format {
        if text.trim_start().starts_with('{') { Format::Json } else { Format::Toml }
    }
}

/// Reads a document. All faults at once.
pub fn parse(text: &str, format: Format, revision: u64) -> Result<Workspace, Vec<Fault>> {
    let value = match format {
        Format::Json => Value::parse(text).map(Value::into_owned).map_err(|e| e.to_string()),
        Format::Toml => toml::Deserializer::parse(text)
            .and_then(OwnedValue::deserialize)
            .map(|v| v.0)
            .map_err(|e| e.to_string()),
    };
    let value = value.map_err(|message| vec![Fault { path: "document".into(), message }])?;
    let mut faults = Vec::new();
    let mut warnings = Vec::new();
    let workspace = workspace(&value, revision, &mut faults, &mut warnings);
    match workspace {
        Some(workspace) if faults.is_empty() => Ok(Workspace { warnings, ..workspace }),
        _ => Err(faults),
    }
}

struct OwnedValue(Value<'static>);

impl<'de> Deserialize<'de> for OwnedValue {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Value::deserialize(from).map(|v| OwnedValue(v.into_owned()))
    }
}

fn workspace(
    value: &Value<'_>,
    revision: u64,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<Fault>,
) -> Option<Workspace> {
    let mut members = Members::of("", value, faults)?;
    let source_values = members.list("sources").unwrap_or_default();
    let integration_values = members.list("integrations").unwrap_or_default();
    members.finish();

    let mut sources: Vec<Arc<Source>> = Vec::new();
    for (at, value) in source_values.iter().enumerate() {
        sources.extend(source(&format!("sources[{at}]"), value, faults).map(Arc::new));
    }
    unique(sources.iter().map(|s| s.id.as_ref()), "sources", "id", faults);
    let keys = sources.iter().flat_map(|s| s.write_keys.iter().map(move |k| (k.reveal(), &s.id)));
    let mut owners: BTreeMap<&str, &Arc<str>> = BTreeMap::new();
    for (key, owner) in keys {
        if let Some(first) = owners.insert(key, owner) {
            let message = format!("a write key of {owner:?} is also one of {first:?}");
            faults.push(Fault { path: "sources".into(), message });
        }
    }

    let mut integrations: Vec<Arc<Integration>> = Vec::new();
    for (at, value) in integration_values.iter().enumerate() {
        let path = format!("integrations[{at}]");
        let read = integration(&path, value, &sources, faults, warnings);
        integrations.extend(read.map(Arc::new));
    }
    unique(integrations.iter().map(|i| i.id.as_ref()), "integrations", "id", faults);
    one_page_integration_per_source(&integrations, faults);
    Some(Workspace { revision, sources, integrations, warnings: Vec::new() })
}

fn source(path: &str, value: &Value<'_>, faults: &mut Vec<Fault>) -> Option<Source> {
    let mut members = Members::of(path, value, faults)?;
    let id = id(&mut members);
    let name = members.text("name").map(str::to_owned);
    let kind = match members.text("kind") {
        None => Some(SourceKind::Other("http")),
        Some(kind) => {
            let known = SourceKind::of(kind);
            if known.is_none() {
                let list = SourceKind::NAMES.join(", ");
                members.fault("kind", format!("expected one of {list}; found {kind:?}"));
            }
            known
        }
    };
    let write_keys = members.texts("writeKeys").unwrap_or_default();
    if write_keys.is_empty() {
        members.fault("writeKeys", "expected a list with at least one write key");
    }
    let enabled = members.boolean("enabled", true);
    let answers = match members.text("answers") {
        None | Some("strict") => Answers::Strict,
        Some("permissive") => Answers::Permissive,
        Some(other) => {
            members.fault("answers", format!("expected strict or permissive, found {other:?}"));
            Answers::Strict
        }
    };
    members.finish();
    let id = id?;
    Some(Source {
        name: name.unwrap_or_else(|| id.to_owned()),
        id: id.into(),
        kind: kind?,
        write_keys: write_keys.into_iter().map(Secret::new).collect(),
        enabled,
        answers,
    })
}

fn integration(
    path: &str,
    value: &Value<'_>,
    all_sources: &[Arc<Source>],
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<Fault>,
) -> Option<Integration> {
    let mut members = Members::of(path, value, faults)?;
    let id = id(&mut members);
    let name = members.text("name").map(str::to_owned);
    let destination = members.required_text("destination").and_then(|slug| {
        let found = destinations::find(slug);
        if found.is_none() {
            let known: Vec<&str> =
                destinations::catalog().iter().map(|d| d.definition().slug).collect();
            let list = known.join(", ");
            members.fault("destination", format!("expected one of {list}; found {slug:?}"));
        }
        found
    });
    let enabled = members.boolean("enabled", true);
    let source_ids = members.texts("sources");
    if source_ids.is_none() {
        members.fault("sources", "missing; expected a list of source ids");
    }
    let settings = match members.value("settings") {
        None => Object::new(),
        Some(Value::Object(settings)) => settings.clone().into_owned(),
        Some(other) => {
            members.fault("settings", format!("expected a table, found {}", describe(other)));
            return None;
        }
    };
    let action_values = members.list("actions");

    let destination = destination?;
    let definition = destination.definition();
    let mut sources = Vec::new();
    for (at, source_id) in source_ids.unwrap_or_default().into_iter().enumerate() {
        let key = format!("sources[{at}]");
        match all_sources.iter().find(|s| &*s.id == source_id) {
            None => members.fault(&key, format!("no source has the id {source_id:?}")),
            Some(source) if !fits(definition, source.kind) => {
                let (title, kind) = (definition.title, source.kind.name());
                members.fault(&key, format!("{title} takes no {kind} source"));
            }
            Some(source) => sources.push(source.id.clone()),
        }
    }
    let configured = match destination.configure(&settings) {
        Ok(configured) => Some(configured),
        Err(list) => {
            for fault in list {
                members.fault(&format!("settings.{}", fault.path), fault.message);
            }
            None
        }
    };
    let actions = match action_values {
        None => presets(definition),
        Some(values) => {
            let path = members.path("actions");
            actions(&path, values, definition, members.faults(), warnings)
        }
    };
    if let Some(Configured::Cloud(cloud)) = &configured {
        let path = members.path("settings");
        warnings.extend(cloud.warnings().into_iter().map(|m| Fault { path: path.clone(), message: m }));
    }
    members.finish();
    let id = id?;
    Some(Integration {
        name: name.unwrap_or_else(|| id.to_owned()),
        id: id.into(),
        destination,
        configured: configured?,
        settings,
        enabled,
        sources,
        actions,
    })
}

/// True if `definition` takes events of this kind of source.
pub(crate) fn fits(definition: &Definition, kind: SourceKind) -> bool {
    match kind {
        SourceKind::JavaScript => definition.web_sources,
        SourceKind::Other(_) => definition.api_sources,
    }
}

fn presets(definition: &Definition) -> Vec<Action> {
    let mut actions: Vec<Action> = Vec::new();
    for preset in definition.presets {
        let (action_type, form) = find_type(definition, preset.action_type)
            .expect("a preset names an action type of its destination");
        let mapping = default_mapping(form);
        actions.push(Action {
            id: slug(preset.name),
            name: preset.name.to_owned(),
            action_type,
            ordinal: actions.iter().filter(|a| a.action_type == action_type).count(),
            enabled: true,
            trigger: Trigger::parse(preset.trigger).expect("a preset's trigger parses"),
            trigger_text: preset.trigger.to_owned(),
            mapping: Mapping::parse(&Value::Object(mapping)).expect("default mappings parse"),
            names: names(definition, form),
        });
    }
    actions
}

fn actions(
    path: &str,
    values: &[Value<'_>],
    definition: &Definition,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<Fault>,
) -> Vec<Action> {
    let mut actions: Vec<Action> = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let path = format!("{path}[{at}]");
        if let Some(mut action) = action(&path, value, definition, faults, warnings) {
            action.ordinal = actions.iter().filter(|a| a.action_type == action.action_type).count();
            actions.push(action);
        }
    }
    unique(actions.iter().map(|a| a.id.as_str()), path, "id (or name, where no id is given)", faults);
    actions
}

fn action(
    path: &str,
    value: &Value<'_>,
    definition: &Definition,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<Fault>,
) -> Option<Action> {
    let mut members = Members::of(path, value, faults)?;
    let found = members.required_text("action").and_then(|slug| {
        let found = find_type(definition, slug);
        if found.is_none() {
            let known: Vec<&str> = definition.action_types.iter().map(|t| t.slug).collect();
            let list = known.join(", ");
            members.fault("action", format!("expected one of {list}; found {slug:?}"));
        }
        found
    });
    let id = members.text("id").map(str::to_owned);
    let name = members.text("name").map(str::to_owned);
    let enabled = members.boolean("enabled", true);
    let trigger_text = members.text("trigger").map(str::to_owned);
    let mapping_value = members.value("mapping");

    let (action_type, form) = found?;
    let preset = definition.presets.iter().find(|p| p.action_type == form.slug);
    let trigger_text = trigger_text.or_else(|| preset.map(|p| p.trigger.to_owned()));
    let trigger = match trigger_text.as_deref().map(Trigger::parse) {
        Some(Ok(trigger)) => {
            let path = members.path("trigger");
            let found = trigger.warnings().into_iter();
            warnings.extend(found.map(|message| Fault { path: path.clone(), message }));
            Some(trigger)
        }
        Some(Err(e)) => {
            let place = format!("line {}, column {}: {}", e.line, e.column, e.message);
            members.fault("trigger", place);
            None
        }
        None => {
            members.fault("trigger", "missing; expected a condition such as type = \"track\"");
            None
        }
    };
    let mapping = match mapping_value {
        None => Mapping::parse(&Value::Object(default_mapping(form))),
        Some(Value::Object(given)) => {
            let mut whole = default_mapping(form);
            let directive = given.iter().any(|(key, _)| key.starts_with('@'));
            if directive {
                whole = Object::new();
            }
            for (key, value) in given.iter() {
                whole.insert(key.to_owned(), value.clone().into_owned());
            }
            Mapping::parse(&Value::Object(whole))
        }
        Some(other) => Mapping::parse(other),
    };
    let mapping = match mapping {
        Ok(mapping) => Some(mapping),
        Err(list) => {
            for fault in list {
                members.fault(&join("mapping", &fault.path), fault.message);
            }
            None
        }
    };
    members.finish();
    let name = name.unwrap_or_else(|| form.title.to_owned());
    Some(Action {
        id: id.unwrap_or_else(|| slug(&name)),
        name,
        action_type,
        ordinal: 0,
        enabled,
        trigger: trigger?,
        trigger_text: trigger_text.unwrap_or_default(),
        mapping: mapping?,
        names: names(definition, form),
    })
}

fn join(base: &str, path: &str) -> String {
    let path = path.strip_prefix('$').unwrap_or(path);
    match path {
        "" => base.to_owned(),
        _ if path.starts_with(['.', '[']) => format!("{base}{path}"),
        _ => format!("{base}.{path}"),
    }
}

fn names(definition: &Definition, form: &ActionType) -> Vec<String> {
    definition.names.iter().map(|name| format!("{name} {}", form.slug)).collect()
}

fn find_type(
    definition: &'static Definition,
    slug: &str,
) -> Option<(usize, &'static ActionType)> {
    definition.action_types.iter().enumerate().find(|(_, t)| t.slug == slug)
}

fn default_mapping(form: &ActionType) -> Object<'static> {
    let with_default = form.fields.iter().filter_map(|f| Some((f.key, f.default?)));
    with_default
        .map(|(key, json)| (key.into(), Value::parse(json).expect("a default mapping is JSON")))
        .collect()
}

/// Letters and digits in lower case, all else as single dashes.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

/// An id names things in addresses, metrics and files.
fn id<'a>(members: &mut Members<'a, '_>) -> Option<&'a str> {
    let id = members.required_text("id")?;
    let good = id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !good {
        let what = "expected at most 64 of A-Z a-z 0-9 - _ .";
        members.fault("id", format!("{what}, found {id:?}"));
    }
    good.then_some(id)
}

fn unique<'a>(
    ids: impl Iterator<Item = &'a str>,
    path: &str,
    what: &str,
    faults: &mut Vec<Fault>,
) {
    let mut seen = std::collections::BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            let message = format!("two entries have the {what} {id:?}");
            faults.push(Fault { path: path.to_owned(), message });
        }
    }
}

/// The page has one `window.heap`: with two integrations each call would be made twice.
fn one_page_integration_per_source(integrations: &[Arc<Integration>], faults: &mut Vec<Fault>) {
    let mut owners: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for integration in integrations {
        if !matches!(integration.configured, Configured::Web(_)) {
            continue;
        }
        let definition = integration.destination.definition();
        for source in &integration.sources {
            let before = owners.insert((definition.slug, source), &integration.id);
            if let Some(first) = before {
                let title = definition.title;
                let message = format!(
                    "the source {source:?} has {title} twice ({first:?} and {:?}); a page can run one",
                    integration.id
                );
                faults.push(Fault { path: "integrations".into(), message });
            }
        }
    }
}
