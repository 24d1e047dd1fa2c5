//! A workspace document, TOML or JSON, becomes a [`Workspace`] or the list of all its faults.

use std::collections::BTreeMap;
use std::sync::Arc;

use heapline_action::destination::{Configured, Definition, Fault};
use heapline_action::value::{Object, Value};
use heapline_destinations as destinations;
use serde::Deserialize;

use super::read::{Members, describe};
use super::{Answers, Integration, Secret, Source, SourceKind, Workspace, fallback};

/// Most actions of one integration.
pub const MAX_ACTIONS: usize = 256;

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
    let value =
        value(text, format).map_err(|message| vec![Fault { path: "document".into(), message }])?;
    let mut faults = Vec::new();
    let mut warnings = Vec::new();
    let workspace = workspace(&value, revision, &mut faults, &mut warnings);
    match workspace {
        Some(workspace) if faults.is_empty() => {
            let text = text.into();
            Ok(Workspace { warnings, text, document: value, ..workspace })
        }
        _ => Err(faults),
    }
}

/// What a document says, whatever it is; or where it can't be read.
pub fn value(text: &str, format: Format) -> Result<Value<'static>, String> {
    match format {
        Format::Json => Value::parse(text).map(Value::into_owned).map_err(|e| e.to_string()),
        Format::Toml => toml::Deserializer::parse(text)
            .and_then(OwnedValue::deserialize)
            .map(|v| v.0)
            .map_err(|e| e.to_string()),
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
    warn_of_double_counts(&integrations, warnings);
    Some(Workspace { revision, sources, integrations, ..Workspace::empty() })
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
    let action_values = members.value("actions");

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
    let list = action_list(definition, action_values);
    let actions = destinations::actions(definition, list.as_ref());
    let actions = match actions {
        Ok(actions) => actions,
        Err(problems) => {
            for problem in problems {
                let place = problem.place.map(|(line, column)| format!("{line}:{column} "));
                let message = place.unwrap_or_default() + &problem.message;
                members.fault(&problem.path, message);
            }
            Vec::new()
        }
    };
    if actions.len() > MAX_ACTIONS {
        let found = actions.len();
        members.fault("actions", format!("expected at most {MAX_ACTIONS}, found {found}"));
    }
    for (at, action) in actions.iter().enumerate() {
        let path = members.path(&format!("actions[{at}].trigger"));
        let found = action.trigger.warnings().iter().map(ToString::to_string);
        warnings.extend(found.map(|message| Fault { path: path.clone(), message }));
    }
    if let Some(Configured::Cloud(cloud)) = &configured {
        let path = members.path("settings");
        warnings
            .extend(cloud.warnings().into_iter().map(|m| Fault { path: path.clone(), message: m }));
    }
    members.finish();
    let id = id?;
    let integration = Integration {
        name: name.unwrap_or_else(|| id.to_owned()),
        id: id.into(),
        destination,
        configured: configured?,
        settings,
        enabled,
        sources,
        reads: heapline_action::pipeline::reads(&actions),
        actions,
        fallback: None,
        for_pages: false,
        fingerprint: value.to_json(),
    };
    let fallback = fallback::of(&integration, list.as_ref());
    Some(Integration { fallback, ..integration })
}

/// True if `definition` takes events of this kind of source.
pub(crate) fn fits(definition: &Definition, kind: SourceKind) -> bool {
    match kind {
        SourceKind::JavaScript => definition.web_sources,
        SourceKind::Other(_) => definition.api_sources,
    }
}

/// The list with each mapping filled up: a field that it doesn't name has its default mapping.
fn action_list(definition: &Definition, list: Option<&Value<'_>>) -> Option<Value<'static>> {
    let mut list = list?.clone().into_owned();
    let Value::Array(items) = &mut list else { return Some(list) };
    for item in items {
        let slug = item.get("action").and_then(Value::as_text);
        let form = definition.action_types.iter().find(|form| Some(form.slug) == slug);
        let Value::Object(item) = item else { continue };
        let (Some(form), Some(Value::Object(given))) = (form, item.get_mut("mapping")) else {
            continue;
        };
        if given.iter().any(|(key, _)| key.starts_with('@')) {
            continue;
        }
        let mut whole = destinations::default_mapping(form);
        for (key, value) in std::mem::take(given) {
            whole.insert(key, value);
        }
        *given = whole;
    }
    Some(list)
}

/// An id names things in addresses, metrics and files.
fn id<'a>(members: &mut Members<'a, '_, '_>) -> Option<&'a str> {
    let id = members.required_text("id")?;
    let good = id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !good {
        let what = "expected at most 64 of A-Z a-z 0-9 - _ .";
        members.fault("id", format!("{what}, found {id:?}"));
    }
    good.then_some(id)
}

fn unique<'a>(ids: impl Iterator<Item = &'a str>, path: &str, what: &str, faults: &mut Vec<Fault>) {
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

/// What reaches one and the same place from the page and from the server is counted twice there.
fn warn_of_double_counts(integrations: &[Arc<Integration>], warnings: &mut Vec<Fault>) {
    let enabled = || integrations.iter().enumerate().filter(|(_, i)| i.enabled);
    for (page_at, page) in enabled() {
        let Configured::Web(web) = &page.configured else { continue };
        for (cloud_at, cloud) in enabled() {
            let Configured::Cloud(configured) = &cloud.configured else { continue };
            let environment = web.environment();
            let shared = page.sources.iter().find(|source| cloud.takes(source));
            let Some(source) = shared.filter(|_| configured.environment() == environment) else {
                continue;
            };
            for (at, other) in [(page_at, cloud), (cloud_at, page)] {
                let message = format!(
                    "{environment} gets the events of the source {source:?} from {:?}, too: from \
                     the page and from the server, so that they count twice",
                    &*other.id
                );
                warnings.push(Fault { path: format!("integrations[{at}]"), message });
            }
        }
    }
}
