//! Compiles triggers to the trees that the page's plugin interprets.
//!
//! The nodes are described in `plugin/README.md`.

use heapline_action::trigger::{Condition, Expression, Order, Part, Path, Test, Trigger};
use heapline_action::value::{Number, Value};

/// The tree of `trigger`.
pub fn of(trigger: &Trigger) -> Value<'static> {
    node(trigger.root())
}

fn node(expression: &Expression) -> Value<'static> {
    match expression {
        Expression::And(parts) => group("and", parts),
        Expression::Or(parts) => group("or", parts),
        Expression::Not(part) => Value::Array(vec![Value::from("not"), node(part)]),
        Expression::Condition(condition) => test(condition),
    }
}

fn group(word: &'static str, parts: &[Expression]) -> Value<'static> {
    Value::Array(std::iter::once(Value::from(word)).chain(parts.iter().map(node)).collect())
}

fn test(Condition { path, test }: &Condition) -> Value<'static> {
    let text = |text: &String| Value::from(text.clone());
    let (word, literal) = match test {
        Test::TextIs(wanted) => ("=", text(wanted)),
        Test::TextIsNot(unwanted) => ("!=", text(unwanted)),
        // No value that JSON can hold is equal to these.
        Test::NumberIs(wanted) if !wanted.is_finite() => {
            return Value::Array(vec![Value::from("or")]);
        }
        Test::NumberIs(wanted) => ("=", number(*wanted)),
        Test::NumberIsNot(unwanted) => ("<>", number(*unwanted)),
        Test::BooleanIs(wanted) => ("=", Value::from(*wanted)),
        Test::Absent => ("=", Value::Null),
        Test::Present => ("!=", Value::Null),
        Test::Order(order, limit) => (order_word(*order), number(*limit)),
        Test::Matches(part, wanted) => (part_word(*part, false), text(wanted)),
        Test::MatchesNot(part, unwanted) => (part_word(*part, true), text(unwanted)),
    };
    Value::Array(vec![Value::from(word), keys(path), literal])
}

fn keys(path: &Path) -> Value<'static> {
    let mut keys: Vec<Value<'static>> = path.keys().map(|k| Value::from(k.to_owned())).collect();
    match keys.len() {
        1 => keys.remove(0),
        _ => Value::Array(keys),
    }
}

/// JSON lacks `NaN` and the infinities: they are written as texts.
fn number(n: f64) -> Value<'static> {
    let number = Number::from(n);
    if n.is_finite() { Value::Number(number) } else { Value::from(number.to_text()) }
}

fn order_word(order: Order) -> &'static str {
    match order {
        Order::Less => "<",
        Order::AtMost => "<=",
        Order::More => ">",
        Order::AtLeast => ">=",
    }
}

fn part_word(part: Part, negated: bool) -> &'static str {
    match (part, negated) {
        (Part::Inside, false) => "contains",
        (Part::Inside, true) => "!contains",
        (Part::Start, false) => "starts",
        (Part::Start, true) => "!starts",
        (Part::End, false) => "ends",
        (Part::End, true) => "!ends",
    }
}
