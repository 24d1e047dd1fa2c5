//! A mapping as a form: one line for each field of the action's payload.
//!
//! What the form can't say stays as it is and is edited as JSON.

use heapline_action::destination::{ActionType, Field, FieldKind};
use heapline_action::value::{Object, Value};

use super::fields::Fields;
use super::trace::pretty;

/// One field of the payload in the form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) key: &'static str,
    pub(super) label: &'static str,
    pub(super) help: &'static str,
    pub(super) required: bool,
    pub(super) how: How,
    pub(super) value: String,
    pub(super) fallback: String,
    pub(super) fault: String,
}

/// Where a field has its value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It isn't sent.
    Nothing,
    /// A member of the event.
    Variable,
    /// A text with members of the event in it.
    Template,
    /// Always the same.
    Literal,
    /// Something that only JSON can say.
    Json,
}

impl How {
    pub(super) const ALL: [(How, &'static str, &'static str); 5] = [
        (How::Variable, "variable", "from the event"),
        (How::Template, "template", "a template"),
        (How::Literal, "literal", "always the same"),
        (How::Json, "json", "as JSON"),
        (How::Nothing, "nothing", "not sent"),
    ];

    fn of(word: &str) -> How {
        How::ALL.iter().find(|(_, known, _)| *known == word).map_or(How::Nothing, |(how, ..)| *how)
    }
}

/// The lines of a mapping; `None` if a directive gives it as a whole.
pub(super) fn lines(form: &'static ActionType, mapping: &Value<'_>) -> Option<Vec<Line>> {
    let object = mapping.as_object()?;
    if object.iter().any(|(key, _)| key.starts_with('@')) {
        return None;
    }
    Some(form.fields.iter().map(|field| line(field, object.get(field.key))).collect())
}

/// The lines of a posted form.
pub(super) fn read(form: &'static ActionType, fields: &Fields) -> Vec<Line> {
    let read = |field: &'static Field| {
        let text = |part: &str| fields.text(&format!("m.{}.{part}", field.key)).to_owned();
        let how = How::of(&text("how"));
        Line { how, value: text("value"), fallback: text("fallback"), ..blank(field) }
    };
    form.fields.iter().map(read).collect()
}

/// The mapping that `lines` say, with what `before` says beside the fields. `None` if something is
/// wrong, which is then told at its line.
pub(super) fn mapping(
    form: &'static ActionType,
    lines: &mut [Line],
    before: &Value<'_>,
) -> Option<Value<'static>> {
    let mut mapping = Object::new();
    let mut right = true;
    for (line, field) in lines.iter_mut().zip(form.fields) {
        match value(field, line) {
            Ok(Some(value)) => mapping.insert(field.key, value),
            Ok(None) => {}
            Err(fault) => {
                line.fault = fault;
                right = false;
            }
        }
    }
    let known = |key: &str| form.fields.iter().any(|field| field.key == key);
    for (key, value) in before.as_object().into_iter().flat_map(Object::iter) {
        if !known(key) && !key.starts_with('@') {
            mapping.insert(key.to_owned(), value.clone().into_owned());
        }
    }
    right.then_some(Value::Object(mapping))
}

fn blank(field: &'static Field) -> Line {
    Line {
        key: field.key,
        label: field.label,
        help: field.description,
        required: field.required,
        how: How::Nothing,
        value: String::new(),
        fallback: String::new(),
        fault: String::new(),
    }
}

fn line(field: &'static Field, value: Option<&Value<'_>>) -> Line {
    let (how, value, fallback) = match value {
        None | Some(Value::Null) => (How::Nothing, String::new(), String::new()),
        Some(Value::Text(text)) => (How::Literal, text.to_string(), String::new()),
        Some(value @ (Value::Bool(_) | Value::Number(_))) => {
            (How::Literal, value.to_json(), String::new())
        }
        Some(value @ Value::Array(_)) => (How::Json, value.to_json(), String::new()),
        Some(value @ Value::Object(object)) => variable(object)
            .map(|path| (How::Variable, path, String::new()))
            .or_else(|| fallback(object).map(|(path, other)| (How::Variable, path, other)))
            .or_else(|| template(object).map(|text| (How::Template, text, String::new())))
            .unwrap_or_else(|| (How::Json, pretty(value), String::new())),
    };
    Line { how, value, fallback, ..blank(field) }
}

/// The value of a directive's only member.
fn only<'o>(object: &'o Object<'_>, name: &str) -> Option<&'o Value<'o>> {
    let [(key, value)] = object.members() else { return None };
    (key == name).then_some(value)
}

fn variable(object: &Object<'_>) -> Option<String> {
    only(object, "@path").and_then(Value::as_text).map(|path| plain_path(path).to_owned())
}

fn template(object: &Object<'_>) -> Option<String> {
    only(object, "@template").and_then(Value::as_text).map(str::to_owned)
}

/// `@if` that says: this variable if it is there, else that.
fn fallback(object: &Object<'_>) -> Option<(String, String)> {
    let options = only(object, "@if")?.as_object()?;
    let [(first, exists), (second, then), (third, other)] = options.members() else { return None };
    if (first.as_ref(), second.as_ref(), third.as_ref()) != ("exists", "then", "else") {
        return None;
    }
    let path = variable(exists.as_object()?)?;
    if exists != then || !path.chars().all(plain_letter) {
        return None;
    }
    let other = match other {
        Value::Object(object) => format!("{VARIABLE}{}", variable(object)?),
        Value::Text(text) if !text.starts_with(VARIABLE) && !text.is_empty() => text.to_string(),
        Value::Text(_) | Value::Null | Value::Array(_) | Value::Bool(_) | Value::Number(_) => {
            return None;
        }
    };
    Some((path, other))
}

/// What marks a fallback as a variable.
const VARIABLE: &str = "$.";

fn plain_path(path: &str) -> &str {
    match path.strip_prefix(VARIABLE) {
        Some(rest) if rest.chars().all(plain_letter) && !rest.is_empty() => rest,
        _ => path,
    }
}

fn plain_letter(letter: char) -> bool {
    letter.is_alphanumeric() || "._-[]".contains(letter)
}

fn full_path(path: &str) -> Value<'static> {
    let full = if path.starts_with('$') { path.to_owned() } else { format!("{VARIABLE}{path}") };
    directive("@path", Value::from(full))
}

fn directive(name: &'static str, value: Value<'static>) -> Value<'static> {
    let mut object = Object::new();
    object.insert(name, value);
    Value::Object(object)
}

fn value(field: &Field, line: &Line) -> Result<Option<Value<'static>>, String> {
    let text = line.value.trim();
    if text.is_empty() && !matches!(line.how, How::Nothing | How::Literal) {
        return Err("What should be sent?".to_owned());
    }
    let json = || {
        let value = Value::parse(text).map(Value::into_owned);
        value.map_err(|e| format!("This is no JSON: {e}"))
    };
    let value = match line.how {
        // A mapping that doesn't name a field gets the field's default, so that is said outright.
        How::Nothing => return Ok(field.default.map(|_| Value::Null)),
        How::Variable => match line.fallback.trim() {
            "" => full_path(text),
            fallback => {
                let other = match fallback.strip_prefix(VARIABLE) {
                    Some(path) => full_path(path),
                    None => Value::from(fallback.to_owned()),
                };
                let mut options = Object::new();
                options.insert("exists", full_path(text));
                options.insert("then", full_path(text));
                options.insert("else", other);
                directive("@if", Value::Object(options))
            }
        },
        How::Template => directive("@template", Value::from(line.value.clone())),
        How::Json => json()?,
        How::Literal => match field.kind {
            FieldKind::Number | FieldKind::Integer | FieldKind::Boolean => json()?,
            FieldKind::Object => {
                let value = json()?;
                value.as_object().ok_or("Expected an object such as {\"plan\":\"team\"}")?;
                value
            }
            FieldKind::String | FieldKind::Text | FieldKind::Datetime => {
                Value::from(line.value.clone())
            }
        },
    };
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapline_destinations as destinations;

    fn track() -> &'static ActionType {
        &destinations::find("heap").unwrap().definition().action_types[0]
    }

    /// What a browser would post of the lines.
    fn posted(lines: &[Line]) -> Fields {
        let word = |how| How::ALL.iter().find(|(known, ..)| *known == how).unwrap().1.to_owned();
        let all = lines.iter().flat_map(|line| {
            [
                ("how", word(line.how)),
                ("value", line.value.clone()),
                ("fallback", line.fallback.clone()),
            ]
            .map(|(part, value)| (format!("m.{}.{part}", line.key), value))
        });
        Fields(all.collect())
    }

    #[test]
    fn a_form_that_is_only_looked_at_changes_no_mapping() {
        let mut whole = destinations::default_mapping(track());
        for (key, json) in [
            ("event", r#"{"@template":"{{type}}: {{event}}"}"#),
            (
                "identity",
                r#"{"@if":{"exists":{"@path":"$.userId"},"then":{"@path":"$.userId"},"else":{"@path":"$.anonymousId"}}}"#,
            ),
            (
                "name",
                r#"{"@if":{"exists":{"@path":"$.name"},"then":{"@path":"$.name"},"else":"none"}}"#,
            ),
            ("properties", r#"{"a":1,"b":{"@path":"$.x"}}"#),
            ("type", r#"{"@case":{"operator":"upper","value":{"@path":"$.type"}}}"#),
            ("email", r#""a@b.c""#),
            ("timestamp", r#"{"@path":"$.properties[\"at me\"]"}"#),
            ("traits", "null"),
            ("else_where", r#"{"@path":"$.kept"}"#),
        ] {
            whole.insert(key, Value::parse(json).unwrap().into_owned());
        }
        let before = Value::Object(whole);
        let mut lines = read(track(), &posted(&lines(track(), &before).unwrap()));
        let mut after = mapping(track(), &mut lines, &before).unwrap();
        let (Value::Object(before), Value::Object(after)) = (&before, &mut after) else { panic!() };
        for (key, value) in before.iter() {
            assert_eq!(after.remove(key).as_ref(), Some(value), "{key}");
        }
        assert!(after.is_empty(), "{after:?}");
    }

    #[test]
    fn a_mapping_that_a_directive_gives_whole_has_no_form() {
        let whole = Value::parse(r#"{"@merge":{"objects":[],"direction":"left"}}"#).unwrap();
        assert_eq!(lines(track(), &whole), None);
    }

    #[test]
    fn a_fault_stands_at_its_line() {
        let mut all = lines(track(), &Value::Object(Object::new())).unwrap();
        for line in &mut all {
            match line.key {
                "event" => (line.how, line.value) = (How::Variable, " ".into()),
                "properties" => (line.how, line.value) = (How::Json, "{".into()),
                "traits" => (line.how, line.value) = (How::Literal, "3".into()),
                _ => {}
            }
        }
        assert_eq!(mapping(track(), &mut all, &Value::Null), None);
        let wrong: Vec<&str> = all.iter().filter(|l| !l.fault.is_empty()).map(|l| l.key).collect();
        assert_eq!(wrong, ["event", "properties", "traits"]);
    }
}
