//! Vectors: inputs with the answers that a reference implementation gave, or that the design asks
//! for.

use heapline_action::mapping::Mapping;
use heapline_action::trigger::Trigger;
use heapline_action::value::Value;

use crate::{json, same, walk};

#[test]
fn triggers() {
    walk(include_str!("../../vectors/trigger.jsonl"), "id", |case| {
        let text = case.get("trigger").and_then(Value::as_text).unwrap();
        let parsed = Trigger::parse(text);
        if let Some(place) = case.get("error") {
            let Err(error) = parsed else { return Err(format!("{text} is accepted")) };
            let found = format!(r#"{{"line":{},"column":{}}}"#, error.line, error.column);
            return same(&found, &place.to_json()).map_err(|_| error.render());
        }
        let trigger = parsed.map_err(|error| error.render())?;
        let event = case.get("event").unwrap();
        let wanted = *case.get("match").unwrap() == Value::Bool(true);
        let explained = trigger.explain(event).holds;
        let again = Trigger::parse(&trigger.to_string()).map_err(|error| error.render())?;
        let found = [trigger.fires_on(event), explained, again.fires_on(event)];
        same(&found, &[wanted; 3]).map_err(|complaint| format!("{text}{complaint}"))
    });
}

#[test]
fn mappings() {
    walk(include_str!("../../vectors/mapping.jsonl"), "id", |case| {
        let document = case.get("mapping").unwrap();
        let parsed = Mapping::parse(document);
        if case.get("error").is_some() {
            return match parsed {
                Ok(_) => Err(format!("{} is accepted", document.to_json())),
                Err(faults) => same(&faults.is_empty(), &false),
            };
        }
        let mapping = parsed.map_err(|faults| format!("{faults:?}"))?;
        let event = case.get("event").unwrap();
        let found = mapping.resolve_value(event).map_err(|why| why.to_string())?;
        let wanted = case.get("payload");
        if wanted.is_some_and(has_index) && found.as_ref() == wanted {
            return Ok(());
        }
        same(&json(found.as_ref()), &json(wanted))
    });
}

/// True if an object has keys that JavaScript sorts before all others, out of the written order.
fn has_index(value: &Value<'_>) -> bool {
    match value {
        Value::Object(object) => {
            object.iter().any(|(key, v)| key.parse::<u32>().is_ok() || has_index(v))
        }
        Value::Array(items) => items.iter().any(has_index),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => false,
    }
}
