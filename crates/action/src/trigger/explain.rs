//! Why a trigger fires on an event or doesn't, part by part.

use crate::value::Value;

use super::tree::Expression;

/// A part of a trigger with its verdict on one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The part in canonical form.
    pub text: String,
    /// True if the part holds for the event.
    pub holds: bool,
    /// For a condition: the value at its path as JSON, cut after 100 characters; `None` if there
    /// is no value. Always `None` for other parts.
    pub found: Option<String>,
    /// What it is made of, in order; empty for a condition. All parts are judged, also those that
    /// evaluation would not reach.
    pub parts: Vec<Explanation>,
}

const LONGEST_VALUE: usize = 100;

pub(super) fn explain(expression: &Expression, event: &Value<'_>) -> Explanation {
    let each = |parts: &[Expression]| parts.iter().map(|part| explain(part, event)).collect();
    let (parts, found): (Vec<Explanation>, _) = match expression {
        Expression::And(parts) | Expression::Or(parts) => (each(parts), None),
        Expression::Not(part) => (each(std::slice::from_ref(part)), None),
        Expression::Condition(condition) => {
            (Vec::new(), condition.path.find(event).map(|value| excerpt(&value)))
        }
    };
    let holds = match expression {
        Expression::And(_) => parts.iter().all(|part| part.holds),
        Expression::Or(_) => parts.iter().any(|part| part.holds),
        Expression::Not(_) => !parts.iter().any(|part| part.holds),
        Expression::Condition(condition) => condition.holds(event),
    };
    Explanation { text: expression.to_string(), holds, found, parts }
}

fn excerpt(value: &Value<'_>) -> String {
    let json = value.to_json();
    if json.chars().count() <= LONGEST_VALUE {
        return json;
    }
    json.chars().take(LONGEST_VALUE).chain(['…']).collect()
}
