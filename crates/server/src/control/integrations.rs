//! Integrations: made from the catalog, changed, connected, tested.

use std::time::Instant;

use heapline_action::datetime;
use heapline_action::destination::Configured;
use heapline_action::plan::Reading;
use heapline_action::value::{Object, Value};
use heapline_store::{NewEvent, StoredEvent};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::edit::{Edit, item, place};
use super::tokens::{hex, random};
use super::views::find_integration;
use super::{Actor, Changed, Control, Json, Problem, Role};
use crate::courier::{Names, plan_event};
use crate::server::now;
use crate::workspace::Workspace;

/// An integration to be made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIntegration {
    /// Its id: at most 64 of `A-Z a-z 0-9 - _ .`
    pub id: String,
    /// What it delivers to: a slug of the catalog.
    pub destination: String,
    /// For people; the id if left out.
    #[serde(default)]
    pub name: Option<String>,
    /// Ids of the sources whose events it takes.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Settings as the catalog describes them.
    #[serde(default)]
    #[schema(value_type = crate::control::Json, required = false)]
    pub settings: Option<Json>,
    /// Delivers; true if left out.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// What to change of an integration; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IntegrationChange {
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// Delivers.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Ids of the sources whose events it takes: all of them.
    #[serde(default)]
    pub sources: Option<Vec<String>>,
    /// All its settings.
    #[serde(default)]
    #[schema(value_type = crate::control::Json, required = false)]
    pub settings: Option<Json>,
}

/// What came of a test.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tested {
    /// True if something was sent and all of it was taken.
    pub good: bool,
    /// What came of it, in one sentence.
    pub verdict: String,
    /// The event that was tried.
    pub event: Json,
    /// What was sent, and each answer.
    pub requests: Vec<TestedRequest>,
}

/// A request of a test.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestedRequest {
    /// The action that planned it.
    pub action: String,
    /// HTTP method.
    pub method: String,
    /// Address.
    pub url: String,
    /// The body.
    pub json: Json,
    /// HTTP status; 0 if there was no answer.
    pub status: u16,
    /// How long the answer took.
    pub took_ms: u64,
    /// The beginning of the answer, or what went wrong on the way.
    pub answer: String,
    /// `delivered`, `retry` or `rejected`.
    pub reading: String,
}

impl Control {
    /// Makes an integration with the presets of its destination.
    pub fn create_integration(
        &self,
        who: &Actor,
        expected: Option<u64>,
        new: NewIntegration,
    ) -> Result<Changed, Problem> {
        let item = item([
            ("id", Some(Value::from(new.id.clone()))),
            ("name", new.name.map(Value::from)),
            ("destination", Some(Value::from(new.destination))),
            ("enabled", new.enabled.map(Value::from)),
            ("sources", Some(texts(new.sources))),
            ("settings", new.settings.map(|Json(settings)| settings)),
        ]);
        let edit = |now: &Workspace| {
            let list = place!["integrations"];
            let insert = Edit::Insert(list, now.integrations.len(), item);
            Ok((vec![insert], format!("made the integration {:?}", new.id)))
        };
        self.workspaces.apply(who, expected, edit)
    }

    /// Changes an integration.
    pub fn update_integration(
        &self,
        who: &Actor,
        expected: Option<u64>,
        id: &str,
        change: IntegrationChange,
    ) -> Result<Changed, Problem> {
        let edit = |now: &Workspace| {
            let (at, integration) = find_integration(now, id)?;
            let place = |key: &'static str| place!["integrations", at, key];
            let mut edits = Vec::new();
            let mut done = Vec::new();
            if let Some(name) = change.name {
                edits.push(Edit::Set(place("name"), Value::from(name)));
                done.push("renamed");
            }
            if let Some(enabled) = change.enabled {
                edits.push(Edit::Set(place("enabled"), Value::from(enabled)));
                done.push(if enabled { "enabled" } else { "disabled" });
            }
            if let Some(sources) = change.sources {
                edits.push(Edit::Set(place("sources"), texts(sources)));
                done.push("connected");
            }
            if let Some(Json(settings)) = change.settings {
                let old = Value::Object(integration.settings.clone());
                let old = (!integration.settings.is_empty()).then_some(&old);
                edits.extend(Edit::between(&place("settings"), old, &settings));
                done.push("set");
            }
            Ok((edits, format!("{} the integration {id:?}", done.join(", "))))
        };
        self.workspaces.apply(who, expected, edit)
    }

    /// Takes an integration away. What became of events at it stays in the ledger.
    pub fn delete_integration(
        &self,
        who: &Actor,
        expected: Option<u64>,
        id: &str,
    ) -> Result<Changed, Problem> {
        let edit = |now: &Workspace| {
            let (at, _) = find_integration(now, id)?;
            let remove = Edit::Remove(place!["integrations", at]);
            Ok((vec![remove], format!("deleted the integration {id:?}")))
        };
        self.workspaces.apply(who, expected, edit)
    }

    /// Lets a disabled integration go on at the end of the journal, past all that it has not
    /// delivered. Gives its new place.
    pub fn skip_ahead(&self, who: &Actor, id: &str) -> Result<u64, Problem> {
        who.must_be(Role::Editor)?;
        let workspace = self.workspaces.current();
        let (_, integration) = find_integration(&workspace, id)?;
        if integration.enabled {
            let what = format!("disable {id:?} first: it can't skip while it delivers");
            return Err(Problem::Conflict("integration_enabled", what));
        }
        let place = self.fleet.skip_ahead(&integration.id)?;
        self.log(who, format!("let {id:?} skip to place {place} of the journal"))?;
        Ok(place)
    }

    /// Plans one marked event by an integration's actions, or an `event` of the caller's, sends
    /// what that gives past journal and courier, and shows each answer. The integration need not be
    /// enabled.
    pub async fn test_integration(
        &self,
        who: &Actor,
        id: &str,
        event: Option<Json>,
    ) -> Result<Tested, Problem> {
        who.must_be(Role::Editor)?;
        let workspace = self.workspaces.current();
        let (_, integration) = find_integration(&workspace, id)?;
        let Configured::Cloud(cloud) = &integration.configured else {
            let what = format!("the page delivers for {id:?}, so the server can't test it");
            return Err(Problem::Conflict("web_integration", what));
        };
        let event = match event {
            Some(Json(event)) => event,
            None => marked_event()?,
        };
        let stored = stored(&event, integration.sources.first().map_or("test", |s| s));
        let mut names = Names::default();
        let planned = plan_event(integration, &**cloud, &stored, None, now(), &mut names);
        let mut requests = Vec::new();
        for (index, steps) in planned.steps {
            let action = integration.actions.get(index).map_or("", |action| &action.id);
            for step in steps {
                let Some(endpoint) = cloud.endpoints().get(usize::from(step.endpoint.0)) else {
                    continue;
                };
                let body = endpoint.body([&step.item]);
                let json = std::str::from_utf8(&body).ok().and_then(|t| Value::parse(t).ok());
                let json = Json(json.map_or(Value::Null, Value::into_owned));
                let began = Instant::now();
                let answer = self.fleet.transport().send(endpoint, body).await;
                let reading = match answer.status {
                    0 => Reading::Retry,
                    _ => cloud.read(&answer),
                };
                requests.push(TestedRequest {
                    action: action.to_owned(),
                    method: endpoint.method.to_owned(),
                    url: endpoint.url.clone(),
                    json,
                    status: answer.status,
                    took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                    answer: answer.excerpt,
                    reading: reading_word(reading).to_owned(),
                });
            }
        }
        self.log(who, format!("tested the integration {id:?}"))?;
        let title = integration.destination.definition().title;
        let bad = requests.iter().find(|r| r.reading != "delivered");
        let verdict = match bad {
            None if requests.is_empty() => {
                let reasons = planned.deliveries.iter().filter(|d| !d.sentence.is_empty());
                let reasons: Vec<&str> = reasons.map(|d| &*d.sentence).collect();
                format!("No action sends this event. {}", reasons.join(" ")).trim().to_owned()
            }
            None => format!("{title} took it."),
            Some(bad) if bad.status == 0 => format!("No answer: {}.", bad.answer),
            Some(bad) => format!("{title} answered {} {}", bad.status, bad.answer.trim()),
        };
        let good = bad.is_none() && !requests.is_empty();
        Ok(Tested { good, verdict, event: Json(event), requests })
    }
}

fn reading_word(reading: Reading) -> &'static str {
    match reading {
        Reading::Delivered => "delivered",
        Reading::Retry => "retry",
        Reading::Rejected(_) => "rejected",
    }
}

/// An event that shows in the destination that it is a test.
fn marked_event() -> Result<Value<'static>, Problem> {
    let mut properties = Object::new();
    properties.insert("heaplineTest", Value::from(true));
    let mut event = Object::new();
    event.insert("type", Value::from("track"));
    event.insert("event", Value::from("Heapline Test"));
    event.insert("messageId", Value::from(format!("heapline-test-{}", hex(&random::<8>()?))));
    event.insert("userId", Value::from("heapline-test"));
    event.insert("timestamp", Value::from(datetime::print(now())));
    event.insert("properties", Value::Object(properties));
    Ok(Value::Object(event))
}

/// An event as the store would give it.
pub(super) fn stored(event: &Value<'_>, source: &str) -> StoredEvent {
    let text = |key: &str| event.get(key).and_then(Value::as_text);
    let event = NewEvent {
        source: source.into(),
        received_at: now(),
        message_id: text("messageId").unwrap_or_default().into(),
        user_id: text("userId").map(Into::into),
        anonymous_id: text("anonymousId").map(Into::into),
        name: text("event").or(text("name")).or(text("type")).unwrap_or_default().into(),
        json: event.to_json().into_bytes().into(),
    };
    StoredEvent { seq: 0, event }
}

fn texts(list: Vec<String>) -> Value<'static> {
    Value::Array(list.into_iter().map(Value::from).collect())
}
