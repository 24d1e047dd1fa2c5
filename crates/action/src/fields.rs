//! Field checks: a payload is coerced to its action type's fields, or all its faults are told.

use std::borrow::Cow;

use crate::datetime;
use crate::destination::{Fault, Field, FieldKind, Format};
use crate::value::{Number, Object, ObjectBuilder, Value};

/// Drops what isn't a field, coerces the rest, and checks it. All faults at once, in the order of
/// the fields, as is the result.
///
/// Dropped before anything else: empty text, and null where the field may not be null. Coerced, as
/// the reference does: numbers and booleans to text, numeric text and booleans to numbers,
/// `"true"`, `"false"`, 1 and 0 to booleans, a list of one item to the item unless the field is an
/// object, and for fields that are lists a single value to a list of one.
pub fn check<'e>(fields: &[Field], payload: Object<'e>) -> Result<Object<'e>, Vec<Fault>> {
    let mut given: Vec<(Cow<'e, str>, Option<Value<'e>>)> =
        payload.into_iter().map(|(key, value)| (key, Some(value))).collect();
    let (mut checked, mut faults) = (ObjectBuilder::new(), Vec::new());
    for field in fields {
        let member = given.iter_mut().find(|(key, _)| key == field.key);
        let value = member.and_then(|(_, value)| value.take()).and_then(|v| present(field, v));
        let result = match value {
            Some(value) => coerce(field, value).map(Some),
            None if field.required => Err("required, found nothing".to_owned()),
            None => Ok(None),
        };
        match result {
            Ok(Some(value)) => {
                checked.insert(field.key, value);
            }
            Ok(None) => {}
            Err(message) => faults.push(Fault { path: field.key.to_owned(), message }),
        }
    }
    if faults.is_empty() { Ok(checked.finish()) } else { Err(faults) }
}

/// The value of a field that isn't dropped. For scalars a list of one counts as its item.
fn present<'e>(field: &Field, value: Value<'e>) -> Option<Value<'e>> {
    let single = !field.multiple && field.kind != FieldKind::Object;
    let value = match value {
        Value::Array(mut items) if single && items.len() == 1 => items.remove(0),
        value => value,
    };
    match &value {
        Value::Null => field.allow_null.then_some(value),
        Value::Text(text) if text.is_empty() => None,
        _ => Some(value),
    }
}

fn coerce<'e>(field: &Field, value: Value<'e>) -> Result<Value<'e>, String> {
    match value {
        Value::Null => Ok(Value::Null),
        Value::Array(items) if field.multiple => {
            let items: Result<_, String> =
                items.into_iter().map(|v| coerce_one(field, v)).collect();
            items.map(Value::Array)
        }
        value if field.multiple => Ok(Value::Array(vec![coerce_one(field, value)?])),
        value => coerce_one(field, value),
    }
}

fn coerce_one<'e>(field: &Field, value: Value<'e>) -> Result<Value<'e>, String> {
    let (wanted, coerced) = match field.kind {
        FieldKind::String | FieldKind::Text => ("text", to_text(value)),
        FieldKind::Number => ("a number", to_number(value)),
        FieldKind::Integer => ("a whole number", to_number(value).and_then(whole)),
        FieldKind::Boolean => ("true or false", to_boolean(value)),
        FieldKind::Datetime => ("a date", to_datetime(value)),
        FieldKind::Object => ("an object", to_object(value)),
    };
    let value = coerced.map_err(|found| format!("expected {wanted}, found {}", excerpt(&found)))?;
    if let Some(text) = value.as_text() {
        check_text(field, text)?;
    }
    Ok(value)
}

/// Gives the value in its new type, or as it was if that can't be.
type Coerced<'e> = Result<Value<'e>, Value<'e>>;

fn to_text(value: Value<'_>) -> Coerced<'_> {
    match value {
        Value::Text(_) => Ok(value),
        Value::Number(n) => Ok(Value::from(n.to_text())),
        Value::Bool(b) => Ok(Value::from(if b { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(value),
    }
}

fn to_number(value: Value<'_>) -> Coerced<'_> {
    match value {
        Value::Number(_) => Ok(value),
        Value::Bool(b) => Ok(Value::from(i64::from(b))),
        Value::Text(text) => match read_number(text.trim()) {
            Some(number) => Ok(Value::Number(number)),
            None => Err(Value::Text(text)),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => Err(value),
    }
}

/// A decimal number in the forms that JavaScript takes.
fn read_number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if let Ok(n) = text.parse() {
        return Some(Number::Int(n));
    }
    text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Number::from)
}

fn whole(value: Value<'_>) -> Coerced<'_> {
    match value {
        Value::Number(n) if n.as_f64().fract() != 0.0 => Err(value),
        value => Ok(value),
    }
}

fn to_boolean(value: Value<'_>) -> Coerced<'_> {
    match &value {
        Value::Bool(b) => Ok(Value::Bool(*b)),
        Value::Text(text) if text == "true" => Ok(Value::Bool(true)),
        Value::Text(text) if text == "false" => Ok(Value::Bool(false)),
        Value::Number(n) if n.as_f64() == 1.0 => Ok(Value::Bool(true)),
        Value::Number(n) if n.as_f64() == 0.0 => Ok(Value::Bool(false)),
        Value::Text(_) | Value::Number(_) => Err(value),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(value),
    }
}

fn to_datetime(value: Value<'_>) -> Coerced<'_> {
    if datetime::read(&value).is_some() { Ok(value) } else { Err(value) }
}

fn to_object(value: Value<'_>) -> Coerced<'_> {
    if value.as_object().is_some() { Ok(value) } else { Err(value) }
}

fn check_text(field: &Field, text: &str) -> Result<(), String> {
    if !field.choices.is_empty() && !field.choices.contains(&text) {
        let choices: Vec<String> =
            field.choices.iter().map(|choice| format!("{choice:?}")).collect();
        let found = excerpt(&Value::from(text));
        return Err(format!("expected {}, found {found}", choices.join(" or ")));
    }
    match field.format {
        Some(Format::Email) if !is_email(text) => {
            Err(format!("expected an e-mail address, found {}", excerpt(&Value::from(text))))
        }
        Some(Format::Email) | None => Ok(()),
    }
}

/// An address of dotted words, `@`, and a host name of at least two labels.
/// Source: the pattern of the format `email` in ajv-formats 2.1.1, in words.
fn is_email(text: &str) -> bool {
    let Some((user, host)) = text.split_once('@') else { return false };
    let word = |word: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(c);
        !word.is_empty() && word.chars().all(allowed)
    };
    let label = |label: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let hyphen = label.starts_with('-') || label.ends_with('-');
        !label.is_empty() && !hyphen && label.chars().all(allowed)
    };
    user.split('.').all(word) && host.contains('.') && host.split('.').all(label)
}

/// A value as messages show it: JSON, cut after 60 characters; a list or an object by its kind.
fn excerpt(value: &Value<'_>) -> String {
    const LONGEST: usize = 60;
    match value {
        Value::Array(_) | Value::Object(_) => value.kind().to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {
            let json = value.to_json();
            if json.chars().count() <= LONGEST {
                return json;
            }
            json.chars().take(LONGEST).chain(['…']).collect()
        }
    }
}
