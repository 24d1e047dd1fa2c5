//! One event through one action: filtered, refused, held, or the steps to send.

use crate::destination::{Cloud, Definition, Fault};
use crate::plan::{Filter, Plan, PlanContext, Refusal};
use crate::value::{Object, Value};
use crate::{fields, integrations, mapping::Mapping, trigger::Trigger};

/// An action as the pipeline needs it: checked and parsed.
#[derive(Clone, Debug)]
pub struct Action {
    /// Its id, unique in its integration.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Index into [`Definition::action_types`].
    pub action_type: usize,
    /// Position among the integration's actions of the same type, from 0.
    pub ordinal: usize,
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
    let Some(payload) = action.mapping.resolve(event) else {
        let sentence = "The mapping gave no object.".to_owned();
        return Verdict::Refused(Refusal { code: "mapping_no_object", sentence });
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

/// [`consider`], then the plan of a cloud destination. For an action alone; [`plan_all`] is what an
/// integration sends.
pub fn plan(
    definition: &Definition,
    cloud: &dyn Cloud,
    action: &Action,
    event: &Value<'_>,
    source: &str,
    linked_identity: Option<&str>,
) -> Result<Plan, Filter> {
    match consider(definition, cloud.consent_categories(), action, event) {
        Verdict::Filtered(filter) => Err(filter),
        Verdict::Refused(refusal) => Ok(Plan::Refuse(refusal)),
        Verdict::Taken(payload) => {
            let context = PlanContext {
                source,
                action: &action.id,
                ordinal: action.ordinal,
                linked_identity,
            };
            Ok(cloud.plan(action.action_type, &payload, context))
        }
    }
}

/// The plan of each of an integration's actions for one event, in their order.
///
/// All together, since [`PlanContext::ordinal`] counts the actions that send the event.
pub fn plan_all(
    definition: &Definition,
    cloud: &dyn Cloud,
    actions: &[Action],
    event: &Value<'_>,
    source: &str,
    linked_identity: Option<&str>,
) -> Vec<Result<Plan, Filter>> {
    let mut senders = vec![0; definition.action_types.len()];
    let mut plan_one =
        |action: &Action| match consider(definition, cloud.consent_categories(), action, event) {
            Verdict::Filtered(filter) => Err(filter),
            Verdict::Refused(refusal) => Ok(Plan::Refuse(refusal)),
            Verdict::Taken(payload) => {
                let ordinal = senders.get(action.action_type).copied().unwrap_or_default();
                let context = PlanContext { source, action: &action.id, ordinal, linked_identity };
                let plan = cloud.plan(action.action_type, &payload, context);
                match (&plan, senders.get_mut(action.action_type)) {
                    (Plan::Send { .. } | Plan::Hold { .. }, Some(senders)) => *senders += 1,
                    (Plan::Send { .. } | Plan::Hold { .. } | Plan::Refuse(_), _) => {}
                }
                Ok(plan)
            }
        };
    actions.iter().map(&mut plan_one).collect()
}

fn refused_fields(faults: &[Fault]) -> Refusal {
    let list: Vec<String> = faults.iter().map(Fault::to_string).collect();
    Refusal { code: "invalid_payload", sentence: format!("{}.", list.join("; ")) }
}

/// The first of `categories` that the event's consent stamp doesn't grant. An event without a
/// stamp grants nothing.
pub fn missing_consent(categories: &[String], event: &Value<'_>) -> Option<String> {
    if categories.is_empty() {
        return None;
    }
    let stamp = event
        .get("context")
        .and_then(|context| context.get("consent"))
        .and_then(|consent| consent.get("categoryPreferences"));
    let granted = |category: &str| {
        stamp.and_then(|stamp| stamp.get(category)).is_some_and(|v| *v != Value::Bool(false))
    };
    categories.iter().find(|category| !granted(category)).cloned()
}
