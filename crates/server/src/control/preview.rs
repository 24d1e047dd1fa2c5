//! What an event would become: by the actions of now, or by one that isn't saved yet. Sends nothing.

use heapline_action::destination::{Cloud, Configured, Fault, Web};
use heapline_action::pipeline::{self, Action, Planner, Verdict};
use heapline_action::plan::{Filter, Plan, Request};
use heapline_action::trigger::Explanation;
use heapline_action::value::{Object, Value};
use heapline_destinations::{self as destinations, Problem as ActionProblem};
use heapline_store::Query;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::views::find_integration;
use super::{Control, Json, Problem};
use crate::workspace::Integration;

/// What to preview.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    /// Id of the integration.
    pub integration: String,
    /// An action that isn't saved yet; all saved ones if left out.
    #[serde(default)]
    pub draft: Option<Draft>,
    /// The event.
    pub event: EventChoice,
}

/// An action that isn't saved yet.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// Id of the action that it is to replace; it comes last if left out.
    #[serde(default)]
    pub id: Option<String>,
    /// Its type, e.g. `trackEvent`.
    pub action: String,
    /// When it runs.
    pub trigger: String,
    /// What it says; the type's defaults if left out.
    #[serde(default)]
    #[schema(value_type = crate::control::Json, required = false)]
    pub mapping: Option<Json>,
}

/// Which events to preview with.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum EventChoice {
    /// This one.
    Given(Json),
    /// The one at this place of the journal.
    Seq(u64),
    /// So many of the latest that the integration's sources sent; 20 at most.
    Recent(usize),
}

/// What an action makes of an event.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionPreview {
    /// Place of the event, if it is from the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Its message id.
    pub message_id: Option<String>,
    /// Id of the integration.
    pub integration: String,
    /// Name of the action.
    pub action: String,
    /// `sent`, `filtered`, `refused` or `held`.
    pub verdict: String,
    /// Why, unless it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The trigger, part by part.
    pub trigger: TriggerPart,
    /// What the mapping gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = crate::control::Json, required = false)]
    pub payload: Option<Json>,
    /// What the server would send.
    pub requests: Vec<RequestPreview>,
    /// What the page would call.
    pub calls: Vec<CallPreview>,
    /// What would be cut or left out.
    pub notices: Vec<String>,
}

/// A part of a trigger.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TriggerPart {
    /// As it is written.
    pub text: String,
    /// Whether it holds.
    pub holds: bool,
    /// What the event has there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Its own parts.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[schema(no_recursion)]
    pub parts: Vec<TriggerPart>,
}

/// A request that would be sent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RequestPreview {
    /// HTTP method.
    pub method: String,
    /// Address.
    pub url: String,
    /// The body.
    pub json: Json,
}

/// A call that the page would make.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CallPreview {
    /// Method of the destination's script.
    pub method: String,
    /// Its arguments.
    pub args: Json,
}

impl Control {
    /// What the actions of now, or the draft, would make of each chosen event.
    pub fn preview(&self, request: &PreviewRequest) -> Result<Vec<ActionPreview>, Problem> {
        let workspace = self.workspaces.current();
        let (_, integration) = find_integration(&workspace, &request.integration)?;
        let (actions, only) = match &request.draft {
            None => (integration.actions.clone(), None),
            Some(draft) => {
                let (actions, at) = with_draft(integration, draft)?;
                (actions, Some(at))
            }
        };
        let mut previews = Vec::new();
        for (seq, source, event) in self.chosen(integration, &request.event)? {
            for mut preview in explain(&event, &source, integration, &actions, only) {
                preview.seq = seq;
                previews.push(preview);
            }
        }
        Ok(previews)
    }

    fn chosen(
        &self,
        integration: &Integration,
        choice: &EventChoice,
    ) -> Result<Vec<(Option<u64>, String, Value<'static>)>, Problem> {
        let stored = match choice {
            EventChoice::Given(Json(event)) => {
                let source = integration.sources.first().map_or("preview", |source| source);
                return Ok(vec![(None, source.to_owned(), event.clone())]);
            }
            EventChoice::Seq(seq) => {
                let event = self.store.event(*seq)?;
                let missing = || Problem::Missing(format!("the journal has no event {seq}"));
                vec![event.ok_or_else(missing)?]
            }
            EventChoice::Recent(limit) => {
                let mut query = Query { limit: 100, ..Query::default() };
                let mut recent = Vec::new();
                // A quiet source among busy ones is looked for in a few pages, not in all.
                for _ in 0..5 {
                    let page = self.store.find(&query)?;
                    let events = page.found.into_iter().map(|found| found.event);
                    recent.extend(events.filter(|e| integration.takes(&e.event.source)));
                    query.before = page.more;
                    if query.before.is_none() || recent.len() >= *limit {
                        break;
                    }
                }
                recent.truncate((*limit).min(20));
                recent
            }
        };
        let read = stored.into_iter().map(|stored| {
            let text = std::str::from_utf8(&stored.event.json).unwrap_or_default();
            let value = Value::parse(text).map_err(|e| {
                Problem::Broken(format!("the event at {} can't be read: {e}", stored.seq))
            })?;
            Ok((Some(stored.seq), stored.event.source.to_string(), value.into_owned()))
        });
        read.collect()
    }
}

/// The actions with the draft among them, and its index.
fn with_draft(integration: &Integration, draft: &Draft) -> Result<(Vec<Action>, usize), Problem> {
    let definition = integration.destination.definition();
    let mut actions = integration.actions.clone();
    let at = match &draft.id {
        None => actions.len(),
        Some(id) => {
            let at = actions.iter().position(|action| action.id == *id);
            at.ok_or_else(|| Problem::Missing(format!("no action has the id {id:?}")))?
        }
    };
    let mut item = Object::new();
    item.insert("id", Value::from(draft.id.clone().unwrap_or_else(|| "draft".to_owned())));
    item.insert("action", Value::from(draft.action.clone()));
    item.insert("trigger", Value::from(draft.trigger.clone()));
    if let Some(Json(mapping)) = &draft.mapping {
        item.insert("mapping", mapping.clone());
    }
    let list = Value::Array(vec![Value::Object(item)]);
    let read = destinations::actions(definition, Some(&list)).map_err(|problems| {
        Problem::Faulty(problems.into_iter().map(|p| fault_of_draft(&p)).collect())
    })?;
    let drafted = read.into_iter().next().expect("one action was read");
    if at == actions.len() {
        actions.push(drafted);
    } else if let Some(place) = actions.get_mut(at) {
        *place = drafted;
    }
    Ok((actions, at))
}

fn fault_of_draft(problem: &ActionProblem) -> Fault {
    let path = problem.path.trim_start_matches("actions[0]").trim_start_matches('.').to_owned();
    let place = problem.place.map(|(line, column)| format!("{line}:{column} "));
    Fault { path, message: place.unwrap_or_default() + &problem.message }
}

/// What `actions` make of an event of the source `source`, or that at `only` alone.
pub(crate) fn explain(
    event: &Value<'_>,
    source: &str,
    integration: &Integration,
    actions: &[Action],
    only: Option<usize>,
) -> Vec<ActionPreview> {
    let definition = integration.destination.definition();
    let mut planner = match &integration.configured {
        Configured::Cloud(cloud) => Some(Planner::new(definition, &**cloud, source, None)),
        Configured::Web(_) => None,
    };
    let in_page = planner.is_none().then(|| event.clone().into_page());
    let event = in_page.as_ref().unwrap_or(event);
    let mut previews = Vec::new();
    for (at, action) in actions.iter().enumerate() {
        // The plan of an action depends on how many before it send the event.
        let preview = explain_one(event, integration, action, planner.as_mut());
        if only.is_none_or(|only| only == at) {
            previews.push(preview);
        }
    }
    previews
}

fn explain_one(
    event: &Value<'_>,
    integration: &Integration,
    action: &Action,
    planner: Option<&mut Planner<'_>>,
) -> ActionPreview {
    let definition = integration.destination.definition();
    let consent = match &integration.configured {
        Configured::Cloud(cloud) => cloud.consent_categories(),
        Configured::Web(web) => web.consent_categories(),
    };
    let mut preview = ActionPreview {
        seq: None,
        message_id: event.get("messageId").and_then(Value::as_text).map(str::to_owned),
        integration: integration.id.to_string(),
        action: action.name.clone(),
        verdict: "sent".to_owned(),
        reason: None,
        trigger: part(action.trigger.explain(event)),
        payload: None,
        requests: Vec::new(),
        calls: Vec::new(),
        notices: Vec::new(),
    };
    match pipeline::consider(definition, consent, action, event) {
        Verdict::Filtered(filter) => preview.decide("filtered", filter.to_string()),
        Verdict::Refused(refusal) => preview.decide("refused", refusal.sentence),
        Verdict::Taken(payload) => {
            preview.payload = Some(Json(Value::Object(payload.clone().into_owned())));
            match (&integration.configured, planner) {
                (Configured::Cloud(cloud), Some(planner)) => {
                    preview.planned(&**cloud, planner.plan(action, event));
                }
                (Configured::Cloud(_), None) => {}
                (Configured::Web(web), _) => preview.called(&**web, action, &payload),
            }
        }
    }
    preview
}

impl ActionPreview {
    fn decide(&mut self, verdict: &str, reason: String) {
        self.verdict = verdict.to_owned();
        self.reason = Some(reason);
    }

    fn planned(&mut self, cloud: &dyn Cloud, plan: Result<Plan, Filter>) {
        match plan {
            Err(filter) => self.decide("filtered", filter.to_string()),
            Ok(Plan::Refuse(refusal)) => self.decide("refused", refusal.sentence),
            Ok(Plan::Hold { anonymous_id }) => {
                let reason =
                    format!("until the anonymous id {anonymous_id:?} is linked to a user id");
                self.decide("held", reason);
            }
            Ok(Plan::Send { steps, notices }) => {
                self.notices = notices.into_iter().map(|n| n.sentence).collect();
                let known = steps
                    .iter()
                    .filter_map(|s| Some((s, cloud.endpoints().get(usize::from(s.endpoint.0))?)));
                let requests = known.map(|(step, endpoint)| Request::of_step(step, endpoint));
                self.requests = requests
                    .map(|request| RequestPreview {
                        method: request.method.to_owned(),
                        json: Json(request.json.value().into_owned()),
                        url: request.url,
                    })
                    .collect();
            }
        }
    }

    fn called(&mut self, web: &dyn Web, action: &Action, payload: &Object<'_>) {
        match web.calls(action.action_type, payload) {
            Ok(calls) => {
                let call = |call: heapline_action::destination::Call| CallPreview {
                    method: call.method.to_owned(),
                    args: Json(Value::Array(call.args)),
                };
                self.calls = calls.into_iter().map(call).collect();
            }
            Err(refusal) => self.decide("refused", refusal.sentence),
        }
    }
}

fn part(explanation: Explanation) -> TriggerPart {
    TriggerPart {
        text: explanation.text,
        holds: explanation.holds,
        found: explanation.found,
        parts: explanation.parts.into_iter().map(part).collect(),
    }
}
