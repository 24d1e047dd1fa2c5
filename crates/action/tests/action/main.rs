//! The crate's tests: vectors, cases by claim, and laws.

#![allow(clippy::unwrap_used)]

mod bounds;
mod cases;
mod laws;
mod reference;
mod values;
mod vectors;

use heapline_action::value::Value;

/// Runs `judge` on each line, a case named by its member `name`, and reports every complaint.
fn walk(lines: &str, name: &str, judge: impl Fn(&Value<'_>) -> Result<(), String>) {
    let mut count = 0;
    let mut complaints = Vec::new();
    for line in lines.lines() {
        let case = Value::parse(line).unwrap();
        count += 1;
        if let Err(complaint) = judge(&case) {
            let name = case.get(name).and_then(Value::as_text).unwrap();
            complaints.push(format!("{name}: {complaint}"));
        }
    }
    assert!(count > 0, "no cases");
    let failed = complaints.len();
    assert!(failed == 0, "{failed} of {count} cases fail:\n{}", complaints.join("\n"));
}

/// Complains if the two differ.
fn same<T: PartialEq + std::fmt::Debug>(found: &T, wanted: &T) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("\n  found  {found:?}\n  wanted {wanted:?}"))
}

/// JSON text, or `undefined`.
fn json(value: Option<&Value<'_>>) -> String {
    value.map_or("undefined".to_owned(), Value::to_json)
}
