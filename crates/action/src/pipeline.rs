//! One event through one action: filtered, refused, held, or the steps to send.

use crate::destination::{Cloud, Definition, Fault};
use crate::mapping::{Mapping, Unresolved};
use crate::plan::{Filter, Plan, PlanContext, Refusal};
use crate::reads::Reads;
use crate::value::{Object, Value};
use crate::{fields, integrations, trigger::Trigger};

/// An action as the pipeline needs it: checked and parsed.
#[derive(Clone, Debug)]
pub struct Action {
    /// Its id, unique in its integration.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Index into [`Definition::action_types`].
    pub action_type: usize,
    /// Switched on.
    pub enabled: bool,
    /// When it runs.
    pub trigger: Trigger,
    /// The trigger as it was written.
    pub trigger_text: String,
    /// What it says.
    pub mapping: Mapping,
    /// Its names in the `integrations` object, e.g. `Heap Cloud (Actions) trackEvent`.
    pub names: Vec<String>,
}

/// What became of one event at one action, before anything is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<'e> {
    /// The action doesn't take the event.
    Filtered(Filter),
    /// The event can't become a request.
    Refused(Refusal),
    /// The action takes the event with this payload.
    Taken(Object<'e>),
}

/// The parts of events that [`consider`] and [`Planner::plan`] look at for `actions`.
pub fn reads(actions: &[Action]) -> Reads {
    let mut reads = Reads::nothing();
    reads.add_names(["integrations"].into_iter());
    reads.add_names(["context", "consent", "categoryPreferences"].into_iter());
    for action in actions.iter().filter(|action| action.enabled) {
        action.trigger.reads(&mut reads);
        action.mapping.reads(&mut reads);
    }
    reads
}

/// The first steps, the same for cloud and web: may it run, does it fire, is the payload right?
pub fn consider<'e>(
    definition: &Definition,
    consent: &[String],
    action: &'e Action,
    event: &'e Value<'e>,
) -> Verdict<'e> {
    if !action.enabled {
        return Verdict::Filtered(Filter::Disabled);
    }
    if let Some(key) = integrations::switched_off(event, definition.names, &action.names) {
        return Verdict::Filtered(Filter::Integrations(key));
    }
    if let Some(category) = missing_consent(consent, event) {
        return Verdict::Filtered(Filter::Consent(category));
    }
    take(definition, action, event)
}

/// The last of these steps: does the trigger fire, and is the payload right?
pub fn take<'e>(definition: &Definition, action: &'e Action, event: &'e Value<'e>) -> Verdict<'e> {
    if !action.trigger.fires_on(event) {
        return Verdict::Filtered(Filter::Trigger);
    }
    let payload = match action.mapping.resolve(event) {
        Ok(payload) => payload,
        Err(why) => {
            let code = match why {
                Unresolved::NoObject => "mapping_no_object",
                Unresolved::TooLarge => "mapping_too_large",
            };
            return Verdict::Refused(Refusal { code, sentence: why.to_string() });
        }
    };
    let Some(action_type) = definition.action_types.get(action.action_type) else {
        let sentence = "The destination has no such action type.".to_owned();
        return Verdict::Refused(Refusal { code: "unknown_action_type", sentence });
    };
    match fields::check(action_type.fields, payload) {
        Ok(payload) => Verdict::Taken(payload),
        Err(faults) => Verdict::Refused(refused_fields(&faults)),
    }
}

/// Plans one event for the actions of an integration, one after the other in their order.
///
/// It counts the actions that send the event, for [`PlanContext::ordinal`].
pub struct Planner<'a> {
    definition: &'a Definition,
    cloud: &'a dyn Cloud,
    source: &'a str,
    linked_identity: Option<&'a str>,
    /// By action type.
    senders: Vec<usize>,
}

impl<'a> Planner<'a> {
    /// For an event of the source `source`; `linked_identity` as in [`PlanContext`].
    pub fn new(
        definition: &'a Definition,
        cloud: &'a dyn Cloud,
        source: &'a str,
        linked_identity: Option<&'a str>,
    ) -> Planner<'a> {
        let senders = vec![0; definition.action_types.len()];
        Planner { definition, cloud, source, linked_identity, senders }
    }

    /// [`consider`], then the plan of the next action.
    pub fn plan(&mut self, action: &Action, event: &Value<'_>) -> Result<Plan, Filter> {
        let consent = self.cloud.consent_categories();
        let payload = match consider(self.definition, consent, action, event) {
            Verdict::Filtered(filter) => return Err(filter),
            Verdict::Refused(refusal) => return Ok(Plan::Refuse(refusal)),
            Verdict::Taken(payload) => payload,
        };
        let context = PlanContext {
            source: self.source,
            action: &action.id,
            ordinal: self.senders.get(action.action_type).copied().unwrap_or_default(),
            linked_identity: self.linked_identity,
        };
        let plan = self.cloud.plan(action.action_type, &payload, context);
        let sends = match plan {
            Plan::Send { .. } | Plan::Hold { .. } => 1,
            Plan::Refuse(_) => 0,
        };
        if let Some(senders) = self.senders.get_mut(action.action_type) {
            *senders += sends;
        }
        Ok(plan)
    }
}

fn refused_fields(faults: &[Fault]) -> Refusal {
    let list: Vec<String> = faults.iter().map(Fault::to_string).collect();
    Refusal { code: "invalid_payload", sentence: format!("{}.", list.join("; ")) }
}

/// The first of `categories` that the event's consent stamp doesn't grant. An event without a
/// stamp grants nothing, and false, null, 0 and empty text are no grants, as in the page.
pub fn missing_consent(categories: &[String], event: &Value<'_>) -> Option<String> {
    if categories.is_empty() {
        return None;
    }
    let stamp = event
        .get("context")
        .and_then(|context| context.get("consent"))
        .and_then(|consent| consent.get("categoryPreferences"));
    let granted = |category: &str| {
        stamp.and_then(|stamp| stamp.get(category)).is_some_and(|answer| !answer.is_falsy())
    };
    categories.iter().find(|category| !granted(category)).cloned()
}
