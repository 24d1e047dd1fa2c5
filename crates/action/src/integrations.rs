//! The event's `integrations` object: which destinations and actions it switches off.

use crate::value::Value;

/// The key of `event.integrations` that switches off an action called `action_names` (full names,
/// such as `Heap Web (Actions) trackEvent`) of a destination called `names`; `None` if it may run.
///
/// The first key that is there and not null decides: the destination's names, then the action's,
/// then `All`, then `all` (the Go client writes lower case). Only the value `false` switches off.
/// Names are exact.
pub fn switched_off(event: &Value<'_>, names: &[&str], action_names: &[String]) -> Option<String> {
    let integrations = event.get("integrations")?.as_object()?;
    let own = names.iter().copied();
    let keys = own.chain(action_names.iter().map(String::as_str)).chain(["All", "all"]);
    let given = |key| match integrations.get(key) {
        None | Some(Value::Null) => None,
        Some(value) => Some((key, value)),
    };
    let (key, value) = keys.filter_map(given).next()?;
    (*value == Value::Bool(false)).then(|| key.to_owned())
}
