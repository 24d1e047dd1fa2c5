//! The event's `integrations` object: which destinations and actions it switches off.

use crate::value::Value;

/// The key of `event.integrations` that switches off an action called `action_names` (full names,
/// such as `Heap Web (Actions) trackEvent`) of a destination called `names`; `None` if it may run.
pub fn switched_off(event: &Value<'_>, names: &[&str], action_names: &[String]) -> Option<String> {
    let _ = (event, names, action_names);
    todo!()
}
