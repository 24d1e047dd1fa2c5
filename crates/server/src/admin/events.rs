//! The ledger as people read it: which events there were, and the whole way of one of them.
//!
//! The exact request of a delivery is never stored. It is planned again from the stored event and
//! the revision of the workspace by which it was planned then, and compared with the digest.

use std::collections::BTreeMap;
use std::sync::Mutex;

use heapline_action::datetime;
use heapline_action::destination::Configured;
use heapline_action::value::Value;
use heapline_store::{
    Delivery, Error, Found, Outcome, Query, RequestRecord, Seq, Settlement, Store, StoredEvent,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use utoipa::ToSchema;

use super::pages::{self, PageWay};
use crate::courier::{self, plan_event};
use crate::workspace::{self, Integration, Workspace};

/// One event in a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Place in the journal.
    pub seq: u64,
    /// Message id.
    pub message_id: String,
    /// Id of the source.
    pub source: String,
    /// When it arrived, RFC 3339.
    pub received_at: String,
    /// Event name, or type.
    pub name: String,
    /// User id.
    pub user_id: Option<String>,
    /// Anonymous id.
    pub anonymous_id: Option<String>,
    /// What became of it, one for each integration and action.
    pub deliveries: Vec<DeliverySummary>,
}

/// One delivery in a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliverySummary {
    /// Id of the integration.
    pub integration: String,
    /// Id of the action; empty if the integration hasn't taken the event up yet.
    pub action: String,
    /// `delivered`, `filtered`, `refused`, `failed`, `expired`, `held`, `pending`.
    pub outcome: String,
    /// Short fixed name of the reason.
    pub code: String,
    /// The reason in one sentence.
    pub reason: String,
}

/// A page of a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct List {
    /// Newest first.
    pub events: Vec<Summary>,
    /// Give this as `before` for the next page; null at the end.
    pub next: Option<u64>,
}

/// The way of one event.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The event in the list.
    #[serde(flatten)]
    pub summary: Summary,
    /// The event as it was stored.
    #[schema(value_type = crate::control::Json)]
    pub event: Box<RawValue>,
    /// Its way through each action.
    pub ways: Vec<Way>,
    /// What became of it in the page, as far as the page told.
    #[serde(default)]
    pub page: Vec<PageWay>,
    /// What a careful operator should know.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// The way of one event through one action.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Way {
    /// What became of it.
    #[serde(flatten)]
    pub delivery: DeliverySummary,
    /// Revision of the workspace by which it was planned.
    pub revision: u64,
    /// When the outcome was reached or last changed, RFC 3339.
    pub at: String,
    /// What was cut or left out.
    pub notices: Vec<String>,
    /// Its own requests, unmerged, planned again.
    pub requests: Vec<OwnRequest>,
    /// Whether the requests planned again are those that were planned then: null if nothing was.
    pub requests_match: Option<bool>,
    /// The bulk requests that carried it.
    pub attempts: Vec<Attempt>,
}

/// One of an event's own requests.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnRequest {
    /// HTTP method.
    pub method: String,
    /// Address.
    pub url: String,
    /// The body.
    #[schema(value_type = crate::control::Json)]
    pub json: Box<RawValue>,
    /// Whether the destination has taken it.
    pub done: bool,
}

/// A bulk request that carried the event.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Id of the request.
    pub request: u64,
    /// When it was sent, RFC 3339.
    pub at: String,
    /// Name of the endpoint.
    pub endpoint: String,
    /// Items that it carried.
    pub items: u32,
    /// HTTP status; 0 if there was no answer.
    pub status: u16,
    /// How long the answer took.
    pub took_ms: u32,
    /// The beginning of the answer.
    pub answer: String,
}

/// Past revisions of the workspace, read when they are needed.
#[derive(Default)]
pub struct Revisions(Mutex<BTreeMap<u64, Option<Arc<Workspace>>>>);

impl Revisions {
    /// The workspace of a revision; `None` if it isn't kept or can't be read any more.
    pub fn get(&self, store: &dyn Store, number: u64) -> Result<Option<Arc<Workspace>>, Error> {
        let lock = || self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = lock().get(&number) {
            return Ok(known.clone());
        }
        let workspace = store.revision(Some(number))?.and_then(|revision| {
            let format = workspace::Format::guess(&revision.document);
            workspace::parse(&revision.document, format, number).ok().map(Arc::new)
        });
        lock().insert(number, workspace.clone());
        Ok(workspace)
    }
}

/// Events that match, newest first. `now` is the workspace of now: it tells which integrations
/// still have to take an event up.
pub fn list(store: &dyn Store, now: &Workspace, query: &Query) -> Result<List, Error> {
    let page = store.find(query)?;
    let cursors = Cursors::of(store, now)?;
    Ok(List {
        events: page.found.iter().map(|found| summary(&cursors, now, found)).collect(),
        next: page.more,
    })
}

/// The whole way of the event at `seq`; `None` if the journal doesn't have it.
pub fn trace(
    store: &dyn Store,
    now: &Workspace,
    revisions: &Revisions,
    seq: Seq,
) -> Result<Option<Trace>, Error> {
    let query = Query { before: Some(seq + 1), limit: 1, ..Query::default() };
    let found = store.find(&query)?.found.into_iter().next();
    let Some(found) = found.filter(|found| found.event.seq == seq) else { return Ok(None) };
    let json = String::from_utf8_lossy(&found.event.event.json).into_owned();
    let event = RawValue::from_string(json)
        .map_err(|e| Error::Io(format!("the event at {seq} is no JSON: {e}")))?;
    let mut ways = Vec::new();
    for settlement in &found.settlements {
        for delivery in &settlement.deliveries {
            let revision = delivery.revision.unwrap_or(settlement.revision);
            let workspace = revisions.get(store, revision)?;
            let integration =
                workspace.as_ref().and_then(|w| w.integration(&settlement.integration));
            let integration = integration.map(|i| &**i);
            ways.push(way(store, settlement, delivery, integration, &found.event)?);
        }
    }
    let source = &found.event.event.source;
    let page = pages::ways(store, now, &found.event)?;
    let warnings = match Value::parse(event.get()) {
        Ok(value) => pages::double_counts(now, &value, source),
        // The ways tell that it can't be read.
        Err(_) => Vec::new(),
    };
    let summary = summary(&Cursors::of(store, now)?, now, &found);
    Ok(Some(Trace { summary, event, ways, page, warnings }))
}

/// How far each integration of now has come, by id.
struct Cursors(BTreeMap<Arc<str>, Seq>);

impl Cursors {
    fn of(store: &dyn Store, now: &Workspace) -> Result<Cursors, Error> {
        let mut cursors = BTreeMap::new();
        for integration in &now.integrations {
            if let Some(cursor) = store.cursor(&integration.id)? {
                cursors.insert(integration.id.clone(), cursor);
            }
        }
        Ok(Cursors(cursors))
    }
}

fn summary(cursors: &Cursors, now: &Workspace, found: &Found) -> Summary {
    let mut deliveries: Vec<DeliverySummary> = found
        .settlements
        .iter()
        .flat_map(|s| s.deliveries.iter().map(|d| delivery_summary(&s.integration, d)))
        .collect();
    deliveries.extend(now.integrations.iter().filter_map(|i| not_taken_up(cursors, i, found)));
    Summary { deliveries, ..event_summary(&found.event) }
}

/// An event without what became of it.
pub(crate) fn event_summary(StoredEvent { seq, event }: &StoredEvent) -> Summary {
    Summary {
        seq: *seq,
        message_id: event.message_id.to_string(),
        source: event.source.to_string(),
        received_at: datetime::print(event.received_at),
        name: event.name.to_string(),
        user_id: event.user_id.as_deref().map(str::to_owned),
        anonymous_id: event.anonymous_id.as_deref().map(str::to_owned),
        deliveries: Vec::new(),
    }
}

/// Why an integration of now has no entry for an event, unless that is since it isn't concerned.
fn not_taken_up(
    Cursors(cursors): &Cursors,
    integration: &Integration,
    found: &Found,
) -> Option<DeliverySummary> {
    let seq = found.event.seq;
    let known = found.settlements.iter().any(|s| s.integration == integration.id);
    let cloud = matches!(integration.configured, Configured::Cloud(_));
    if known || !cloud || !integration.takes(&found.event.event.source) {
        return None;
    }
    let cursor = *cursors.get(&integration.id)?;
    let (outcome, code, reason) = if seq < cursor {
        (Outcome::Filtered, "passed_over", PASSED_OVER)
    } else if integration.enabled {
        (Outcome::Pending, "waiting", "It waits in the journal for its turn.")
    } else {
        let reason = "The integration is disabled; the event keeps its place.";
        (Outcome::Pending, "integration_disabled", reason)
    };
    Some(DeliverySummary {
        integration: integration.id.to_string(),
        action: String::new(),
        outcome: outcome.word().to_owned(),
        code: code.to_owned(),
        reason: reason.to_owned(),
    })
}

const PASSED_OVER: &str = "The integration has gone on past it: it was told to skip ahead, or it \
                           began or was connected to the source only later.";

pub(crate) fn delivery_summary(integration: &str, delivery: &Delivery) -> DeliverySummary {
    let reason = match (&*delivery.code, delivery.outcome) {
        (_, _) if !delivery.sentence.is_empty() => delivery.sentence.to_string(),
        ("trigger", _) => heapline_action::plan::Filter::Trigger.to_string(),
        (_, Outcome::Pending) => "It is on its way.".to_owned(),
        (_, Outcome::Delivered) => "The destination took it.".to_owned(),
        (code, _) => code.to_owned(),
    };
    DeliverySummary {
        integration: integration.to_owned(),
        action: delivery.action.to_string(),
        outcome: delivery.outcome.word().to_owned(),
        code: delivery.code.to_string(),
        reason,
    }
}

fn way(
    store: &dyn Store,
    settlement: &Settlement,
    delivery: &Delivery,
    integration: Option<&Integration>,
    event: &StoredEvent,
) -> Result<Way, Error> {
    let (requests, requests_match) = match integration {
        Some(integration) if delivery.digest != [0; 16] => {
            let linked = linked_identity(store, settlement, event)?;
            own_requests(integration, delivery, event, linked.as_deref())
        }
        Some(_) | None => (Vec::new(), None),
    };
    let attempts = store.requests(&delivery.requests)?.into_iter().map(attempt).collect();
    Ok(Way {
        delivery: delivery_summary(&settlement.integration, delivery),
        revision: delivery.revision.unwrap_or(settlement.revision),
        at: datetime::print(delivery.at),
        notices: delivery.notices.iter().map(|n| n.to_string()).collect(),
        requests,
        requests_match,
        attempts,
    })
}

/// The user id to which a held event's anonymous id was linked.
fn linked_identity(
    store: &dyn Store,
    settlement: &Settlement,
    event: &StoredEvent,
) -> Result<Option<String>, Error> {
    match (&event.event.user_id, &event.event.anonymous_id) {
        (None, Some(anonymous_id)) => store.linked(&settlement.integration, anonymous_id),
        (None, None) | (Some(_), _) => Ok(None),
    }
}

fn own_requests(
    integration: &Integration,
    delivery: &Delivery,
    event: &StoredEvent,
    linked: Option<&str>,
) -> (Vec<OwnRequest>, Option<bool>) {
    let integration = integration.fallback.as_deref().unwrap_or(integration);
    let Configured::Cloud(cloud) = &integration.configured else { return (Vec::new(), None) };
    let mut names = courier::Names::default();
    let planned = plan_event(integration, &**cloud, event, linked, delivery.at, &mut names);
    let index = integration.actions.iter().position(|action| *action.id == *delivery.action);
    let Some((_, steps)) = planned.steps.into_iter().find(|(at, _)| Some(*at) == index) else {
        return (Vec::new(), Some(false));
    };
    let matches = courier::digest(&steps, cloud.endpoints()) == delivery.digest;
    let requests = courier::requests(&steps, cloud.endpoints()).into_iter().enumerate();
    let own = requests.filter_map(|(step, request)| {
        let json = RawValue::from_string(request.json.as_str().to_owned()).ok()?;
        let done = delivery.steps_done & (1 << step) != 0;
        Some(OwnRequest { method: request.method.to_owned(), url: request.url, json, done })
    });
    (own.collect(), Some(matches))
}

fn attempt(record: RequestRecord) -> Attempt {
    Attempt {
        request: record.id,
        at: datetime::print(record.at),
        endpoint: record.endpoint.to_string(),
        items: record.items,
        status: record.status,
        took_ms: record.took_ms,
        answer: record.excerpt.to_string(),
    }
}
