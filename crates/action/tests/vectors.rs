//! Walks the vectors: inputs with the answers that a reference implementation gave, or that the
//! design asks for.

#![allow(clippy::unwrap_used)]

use heapline_action::mapping::Mapping;
use heapline_action::trigger::Trigger;
use heapline_action::value::Value;

/// Runs `judge` on each line and reports all lines for which it gives a complaint.
fn walk(lines: &str, judge: impl Fn(&Value<'_>) -> Result<(), String>) {
    let mut count = 0;
    let mut complaints = Vec::new();
    for line in lines.lines() {
        let case = Value::parse(line).unwrap();
        count += 1;
        if let Err(complaint) = judge(&case) {
            let id = case.get("id").and_then(Value::as_text).unwrap();
            complaints.push(format!("{id}: {complaint}"));
        }
    }
    assert!(count > 0, "no cases");
    let failed = complaints.len();
    assert!(failed == 0, "{failed} of {count} cases fail:\n{}", complaints.join("\n"));
}

#[test]
fn triggers() {
    walk(include_str!("../vectors/trigger.jsonl"), |case| {
        let text = case.get("trigger").and_then(Value::as_text).unwrap();
        let parsed = Trigger::parse(text);
        if let Some(place) = case.get("error") {
            let Err(error) = parsed else { return Err(format!("{text} is accepted")) };
            let found =
                Value::parse(&format!(r#"{{"line":{},"column":{}}}"#, error.line, error.column))
                    .map(Value::into_owned)
                    .unwrap();
            return if found == *place { Ok(()) } else { Err(error.render()) };
        }
        let trigger = parsed.map_err(|error| error.render())?;
        let event = case.get("event").unwrap();
        let wanted = *case.get("match").unwrap() == Value::Bool(true);
        let explained = trigger.explain(event).holds;
        let again = Trigger::parse(&trigger.to_string()).map_err(|error| error.render())?;
        let found = [trigger.fires_on(event), explained, again.fires_on(event)];
        if found == [wanted; 3] { Ok(()) } else { Err(format!("{text} gives {found:?}")) }
    });
}

#[test]
fn mappings() {
    walk(include_str!("../vectors/mapping.jsonl"), |case| {
        let document = case.get("mapping").unwrap();
        let parsed = Mapping::parse(document);
        if case.get("error").is_some() {
            let accepted = || format!("{} is accepted", document.to_json());
            return parsed.map_or(Ok(()), |_| Err(accepted()));
        }
        let mapping = parsed.map_err(|faults| format!("{faults:?}"))?;
        let event = case.get("event").unwrap();
        let found = mapping.resolve_value(event);
        let wanted = case.get("payload");
        if found.as_ref() == wanted {
            return Ok(());
        }
        let json = |value: Option<&Value>| value.map_or("undefined".to_owned(), Value::to_json);
        let (found, wanted) = (json(found.as_ref()), json(wanted));
        Err(format!("{}\n  gives {found}\n  not   {wanted}", document.to_json()))
    });
}
