//! Mappings as forms: the same meaning in a few plain operations, for an interpreter that has no
//! parser for paths and templates.
//!
//! An object is its members, a list is an operation (`["get", "a", "b"]`), anything else is itself.
//! The operations are described in `destinations/heap_web/plugin/README.md`.

use crate::value::{Object, Value};

use super::path::Path;
use super::template::Template;

/// The form of a part of a mapping that parsed without a fault.
pub(super) fn of(mapping: &Value<'_>) -> Value<'static> {
    match mapping {
        Value::Object(object) => match object.iter().find(|(key, _)| key.starts_with('@')) {
            Some((name, options)) => directive(name, options),
            None => Value::Object(
                object.iter().map(|(key, value)| (key.to_owned().into(), of(value))).collect(),
            ),
        },
        Value::Array(items) => operation("list", items.iter().map(of)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {
            mapping.clone().into_owned()
        }
    }
}

fn directive(name: &str, options: &Value<'_>) -> Value<'static> {
    let option = |key| options.get(key).map_or_else(undefined, of);
    let word = |key| options.get(key).and_then(Value::as_text).unwrap_or_default();
    let flag = |key, default| match options.get(key) {
        Some(Value::Bool(flag)) => *flag,
        _ => default,
    };
    match name {
        "@path" => match options.as_text() {
            Some(path) => Path::new(path).form(),
            None => operation("at", [of(options)]),
        },
        "@template" => match options.as_text() {
            Some(text) => Template::new(text).form(),
            None => operation("template", [of(options)]),
        },
        "@if" => {
            let test = if options.get("exists").is_some() { "exists" } else { "blank" };
            operation(test, [option(test), option("then"), option("else")])
        }
        "@case" => {
            let upper = word("operator") == "upper";
            operation(if upper { "toUpperCase" } else { "toLowerCase" }, [option("value")])
        }
        "@replace" => {
            let all = if flag("global", true) { "g" } else { "" };
            let flags = format!("{all}{}", if flag("ignorecase", false) { "i" } else { "" });
            let replace = |value, pattern: &str, replacement: &str| {
                let texts = [expression(pattern), flags.clone(), replacement.to_owned()];
                operation("replace", std::iter::once(value).chain(texts.map(Value::from)))
            };
            let first = replace(option("value"), word("pattern"), word("replacement"));
            match word("pattern2") {
                "" => first,
                second => replace(first, second, word("replacement2")),
            }
        }
        "@arrayPath" => {
            let parts = options.as_array().unwrap_or_default();
            let list = match parts.first() {
                Some(Value::Text(path)) => Path::new(path).form(),
                Some(other) => of(other),
                None => undefined(),
            };
            match parts.get(1) {
                Some(shape @ Value::Object(members)) if !members.is_empty() => {
                    operation("each", [operation("wrap", [list]), of(shape)])
                }
                _ => list,
            }
        }
        "@json" => {
            let encode = word("mode") == "encode";
            operation(if encode { "encode" } else { "decode" }, [option("value")])
        }
        "@flatten" => {
            let omit = Value::from(flag("omitArrays", false));
            operation("flatten", [option("value"), option("separator"), omit])
        }
        "@merge" => {
            let objects = options.get("objects").and_then(Value::as_array).unwrap_or_default();
            let mut forms: Vec<Value<'static>> = objects.iter().map(of).collect();
            if word("direction") == "left" {
                forms.reverse();
            }
            operation("merge", forms)
        }
        "@transform" => {
            let nothing = Value::Object(Object::new());
            operation("with", [operation("or", [option("apply"), nothing]), option("mapping")])
        }
        "@excludeWhenNull" => operation("dropNull", [of(options)]),
        // `@literal`: directives inside count, and there is nothing else to it.
        _ => of(options),
    }
}

/// `[operator, …arguments]`.
pub(super) fn operation(
    operator: &'static str,
    arguments: impl IntoIterator<Item = Value<'static>>,
) -> Value<'static> {
    Value::Array(std::iter::once(Value::from(operator)).chain(arguments).collect())
}

/// JavaScript's undefined: the missing last branch of an `exists` that fails.
fn undefined() -> Value<'static> {
    operation("exists", [Value::Null])
}

/// A JavaScript regular expression that matches `literal` and nothing else.
fn expression(literal: &str) -> String {
    let mut source = String::with_capacity(literal.len());
    for c in literal.chars() {
        if c.is_ascii_punctuation() && c != '_' {
            source.push('\\');
        }
        source.push(c);
    }
    source
}
