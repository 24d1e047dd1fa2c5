//! What became of events in pages: what the page reported, completed by what the event itself says.
//!
//! A page's word is a claim. None of this is a delivery of ours.

use heapline_action::datetime;
use heapline_action::destination::{Configured, Definition, Web};
use heapline_action::pipeline::{Action, Verdict, consider};
use heapline_action::plan::Filter;
use heapline_action::value::Value;
use heapline_store::{Error, PageReport, PageResult, Store, StoredEvent};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::workspace::{Integration, Workspace};

/// What became of one event at one action in the page.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageWay {
    /// Id of the integration.
    pub integration: String,
    /// Id of the action.
    pub action: String,
    /// `sent`, `skipped`, `failed`: reported by the page. `filtered`, `refused`: told by the event
    /// itself. `no_receipt`: nothing is known.
    pub outcome: String,
    /// Short fixed name of the reason, or the beginning of an exception.
    pub code: String,
    /// In one sentence.
    pub reason: String,
    /// When the page's report arrived, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The browser's family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
    /// The page's plugin and its version, such as `heap-web@1.0.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Revision of the workspace by which the page worked; 0 if it didn't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// What became of `event` in the page, one for each action that works now, and each other that
/// reported. Empty where no page had to do with it.
pub(super) fn ways(
    store: &dyn Store,
    now: &Workspace,
    event: &StoredEvent,
) -> Result<Vec<PageWay>, Error> {
    let source = &event.event.source;
    let mut integrations = now
        .integrations
        .iter()
        .filter(|i| i.enabled && i.takes(source))
        .filter_map(|i| Some((i, as_web(&i.configured)?)))
        .peekable();
    if integrations.peek().is_none() {
        return Ok(Vec::new());
    }
    let reports = store.page_reports(source, &event.event.message_id)?;
    let text = String::from_utf8_lossy(&event.event.json);
    let value = Value::parse(&text).ok().map(Value::into_page);
    let mut ways = Vec::new();
    for (integration, web) in integrations {
        for action in integration.actions.iter().filter(|action| action.enabled) {
            let told = telling(&reports, integration, &action.id);
            let (outcome, code, reason) = match (told, &value) {
                (Some(report), _) => reported(report),
                (None, Some(value)) => unreported(integration, web, action, value),
                (None, None) => NO_RECEIPT.into(),
            };
            ways.push(PageWay {
                integration: integration.id.to_string(),
                action: action.id.clone(),
                outcome,
                code,
                reason,
                at: told.map(|report| datetime::print(report.at)),
                browser: told.map(|report| report.browser.to_string()),
                plugin: told.map(|report| report.plugin.to_string()),
                revision: told.map(|report| report.revision),
            });
        }
    }
    Ok(ways)
}

/// Where an event reaches one and the same place twice: from the page, and by the server.
pub(super) fn double_counts(now: &Workspace, event: &Value<'_>, source: &str) -> Vec<String> {
    let in_page: Vec<(&Integration, String)> = now
        .integrations
        .iter()
        .filter(|i| i.enabled && i.takes(source) && is_bundled(event, i.destination.definition()))
        .filter_map(|i| Some((&**i, as_web(&i.configured)?.environment())))
        .collect();
    let mut warnings = Vec::new();
    for cloud in now.integrations.iter().filter(|i| i.enabled && i.takes(source)) {
        let Configured::Cloud(configured) = &cloud.configured else { continue };
        let environment = configured.environment();
        for (page, _) in in_page.iter().filter(|(_, place)| *place == environment) {
            warnings.push(format!(
                "{environment} gets this event twice: from the page by {:?}, and from the server \
                 by {:?}. Disconnect the source from one of them.",
                &*page.id, &*cloud.id
            ));
        }
    }
    warnings
}

fn as_web(configured: &Configured) -> Option<&dyn Web> {
    match configured {
        Configured::Web(web) => Some(&**web),
        Configured::Cloud(_) => None,
    }
}

/// The report that tells most: that it was sent, else the latest. An event that a page repeats is
/// reported again.
fn telling<'a>(
    reports: &'a [PageReport],
    integration: &Integration,
    action: &str,
) -> Option<&'a PageReport> {
    let mut own = reports
        .iter()
        .rev()
        .filter(|report| report.integration == integration.id && *report.action == *action);
    let sent = own.clone().find(|report| report.result == PageResult::Sent);
    sent.or_else(|| own.next())
}

/// Outcome, code, sentence.
type Told = (String, String, String);

const NO_RECEIPT: Words = Words(
    "no_receipt",
    "no_receipt",
    "The page reported nothing: it was left out of the sample, blocked, or left too early.",
);

struct Words(&'static str, &'static str, &'static str);

impl From<Words> for Told {
    fn from(Words(outcome, code, reason): Words) -> Told {
        (outcome.to_owned(), code.to_owned(), reason.to_owned())
    }
}

fn reported(report: &PageReport) -> Told {
    (report.result.word().to_owned(), report.reason.to_string(), sentence(report))
}

/// What a report says, in one sentence.
pub(crate) fn sentence(report: &PageReport) -> String {
    let reason = &*report.reason;
    match report.result {
        PageResult::Sent => "The page handed it to the destination's script.".to_owned(),
        PageResult::Loaded => "The destination's script runs in the page.".to_owned(),
        PageResult::Skipped => format!("The page skipped it: {}", skipped(reason)),
        PageResult::Failed if report.is_of_page() => {
            format!("The destination is out of reach in the page: {}", failed(reason))
        }
        PageResult::Failed => format!("The page couldn't send it: {}", failed(reason)),
    }
}

/// Why a page skipped, in words.
pub(crate) fn skipped(reason: &str) -> String {
    match reason {
        "integrations" => "the event's integrations object says no.".to_owned(),
        "consent" => "the visitor has not consented.".to_owned(),
        "trigger" => "the trigger doesn't fire on it.".to_owned(),
        "nothing_to_send" => "there is nothing to send.".to_owned(),
        other => format!("{other}."),
    }
}

/// Why a page couldn't send, in words.
pub(crate) fn failed(reason: &str) -> String {
    match reason {
        "sdk_load_failed" => "the destination's script was blocked, or couldn't be loaded.".into(),
        "sdk_not_ready" => "the destination's script didn't run within 10 seconds.".into(),
        "other_environment" => {
            "the page runs the destination's script for another environment.".into()
        }
        "unsupported" => "its plugin is older than this action.".into(),
        "invalid_payload" => "the mapping gave a payload that the action doesn't take.".into(),
        "identity_too_long" => "the user id is too long.".into(),
        "identity_refused" => "the user id names nobody.".into(),
        other => format!("an exception: {other}"),
    }
}

/// What the event itself says where the page was silent.
fn unreported(
    integration: &Integration,
    web: &dyn Web,
    action: &Action,
    event: &Value<'_>,
) -> Told {
    let definition = integration.destination.definition();
    let name = definition.names.first().copied().unwrap_or_default();
    let listed = |key| names(event, key).is_some_and(|list| list.contains(&name));
    if listed("failedInitializations") {
        return Words("failed", "plugin_failed", "The plugin couldn't start in the page.").into();
    }
    if let Some(key) = stopped_by_client(event, name, &action.names) {
        let reason = format!("Filtered in the page: {key}.");
        return ("filtered".to_owned(), "integrations".to_owned(), reason);
    }
    if names(event, "bundled").is_some() && !listed("bundled") {
        return Words("filtered", "not_in_page", "The page had no plugin for it.").into();
    }
    let payload = match consider(definition, web.consent_categories(), action, event) {
        Verdict::Filtered(filter) => {
            let sentence = match &filter {
                Filter::Integrations(key) => format!("Filtered in the page: {key}."),
                Filter::Disabled | Filter::Trigger | Filter::Consent(_) => filter.to_string(),
            };
            return ("filtered".to_owned(), filter.code().to_owned(), sentence);
        }
        Verdict::Refused(refusal) => {
            return ("refused".to_owned(), refusal.code.to_owned(), refusal.sentence);
        }
        Verdict::Taken(payload) => payload,
    };
    match web.calls(action.action_type, &payload) {
        Err(refusal) => ("refused".to_owned(), refusal.code.to_owned(), refusal.sentence),
        Ok(calls) if calls.is_empty() => {
            Words("filtered", "nothing_to_send", "There is nothing to send.").into()
        }
        Ok(_) => NO_RECEIPT.into(),
    }
}

/// The key by which the page's client, which knows few of the names, keeps the event from the
/// plugin. What it lets through the plugin judges by all names.
fn stopped_by_client<'a>(event: &Value<'_>, name: &'a str, own: &'a [String]) -> Option<&'a str> {
    let integrations = event.get("integrations")?.as_object()?;
    let known = std::iter::once(name).chain(own.iter().map(String::as_str));
    let mut given = known.filter_map(|key| Some((key, integrations.get(key)?)));
    match given.find(|(_, value)| **value != Value::Null) {
        Some((key, Value::Bool(false))) => Some(key),
        Some(_) => None,
        None => (integrations.get("All") == Some(&Value::Bool(false))).then_some("All"),
    }
}

fn is_bundled(event: &Value<'_>, definition: &Definition) -> bool {
    let name = definition.names.first().copied().unwrap_or_default();
    names(event, "bundled").is_some_and(|list| list.contains(&name))
}

/// A list of names in what the client tells of itself.
fn names<'e>(event: &'e Value<'_>, key: &str) -> Option<Vec<&'e str>> {
    let list = event.get("_metadata")?.get(key)?.as_array()?;
    Some(list.iter().filter_map(Value::as_text).collect())
}
