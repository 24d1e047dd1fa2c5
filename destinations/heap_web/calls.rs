//! The calls of the page on Heap's script for one payload, as the page's plugin makes them.

use std::borrow::Cow;

use heapline_action::destination::Call;
use heapline_action::plan::Refusal;
use heapline_action::value::{Object, ObjectBuilder, Value};

use super::config::Config;
use crate::fields::text;
use crate::flatten::{Key, Nested, leaves};
use crate::json_text;
use crate::notices::quoted;
use crate::text::{identifier, longer_than, units};

/// Most UTF-16 code units of an identity (developers.heap.io, *Track*).
const MAX_IDENTITY: usize = 255;

/// User properties, identity, an event for each of the first items of lists, then the event.
pub(super) fn track_event(config: &Config, payload: &Object<'_>) -> Result<Vec<Call>, Refusal> {
    let Some(name) = text(payload, "name") else {
        let sentence = "name: is required.".to_owned();
        return Err(Refusal { code: "invalid_payload", sentence });
    };
    let mut calls = user(config, payload, "identity", identifier(text(payload, "anonymousId")))?;
    let none = Object::new();
    let properties = payload.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let mut left = config.array_limit;
    for (key, value) in properties.iter() {
        for item in value.as_array().unwrap_or_default() {
            if left == 0 {
                break;
            }
            if *item == Value::Null {
                continue;
            }
            left -= 1;
            calls.push(track(config, format!("{name} {key} item"), item));
        }
    }
    calls.push(track_object(config, name.to_owned(), properties));
    Ok(calls)
}

/// User properties and identity.
pub(super) fn identify_user(config: &Config, payload: &Object<'_>) -> Result<Vec<Call>, Refusal> {
    user(config, payload, "userId", None)
}

fn user(
    config: &Config,
    payload: &Object<'_>,
    identity: &str,
    anonymous_id: Option<&str>,
) -> Result<Vec<Call>, Refusal> {
    let identity = checked(config, identifier(text(payload, identity)))?;
    let mut properties = ObjectBuilder::new();
    if let Some(anonymous_id) = anonymous_id {
        properties.insert("anonymous_id", Value::from(anonymous_id.to_owned()));
    }
    if let Some(traits) = payload.get("traits").and_then(Value::as_object) {
        flatten(config, traits, &mut properties);
    }
    let properties = properties.finish();
    let mut calls = Vec::new();
    if !properties.is_empty() {
        let args = vec![Value::Object(properties)];
        calls.push(Call { method: "addUserProperties", args });
    }
    if let Some(identity) = identity {
        calls.push(Call { method: "identify", args: vec![Value::from(identity.to_owned())] });
    }
    Ok(calls)
}

fn checked<'p>(config: &Config, identity: Option<&'p str>) -> Result<Option<&'p str>, Refusal> {
    let Some(text) = identity else { return Ok(None) };
    if longer_than(text, MAX_IDENTITY) {
        let sentence = format!(
            "The identity {} has {} characters; Heap takes at most {MAX_IDENTITY}.",
            quoted(text),
            units(text)
        );
        return Err(Refusal { code: "identity_too_long", sentence });
    }
    if config.refused_identities.iter().any(|refused| refused == text) {
        let sentence = format!(
            "The identity {} names nobody in particular (setting `refusedIdentities`).",
            quoted(text)
        );
        return Err(Refusal { code: "identity_refused", sentence });
    }
    Ok(identity)
}

/// The event of one item of a list. One that is no object becomes the property `value`.
fn track(config: &Config, name: String, item: &Value<'_>) -> Call {
    match item {
        Value::Object(object) => track_object(config, name, object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Array(_) => {
            let mut object = Object::new();
            object.insert("value", item.clone());
            track_object(config, name, &object)
        }
    }
}

fn track_object(config: &Config, name: String, properties: &Object<'_>) -> Call {
    let mut flat = ObjectBuilder::new();
    flat.insert("segment_library", Value::from("browser-destination"));
    flatten(config, properties, &mut flat);
    Call { method: "track", args: vec![Value::from(name), Value::Object(flat.finish())] }
}

fn flatten(config: &Config, from: &Object<'_>, to: &mut ObjectBuilder<'static>) {
    for (key, value) in leaves(from, Nested::Flatten, usize::MAX) {
        let Key::Fits(key) = key else { continue };
        if key.is_empty() {
            continue;
        }
        let value = match value {
            Value::Null => Value::Null,
            Value::Bool(flag) => Value::from(flag.to_string()),
            Value::Number(n) if config.numbers_stay => Value::Number(*n),
            Value::Number(n) => Value::from(n.to_text()),
            Value::Text(text) => Value::from(text.to_string()),
            Value::Array(_) | Value::Object(_) => Value::from(json_text::of(value, usize::MAX)),
        };
        to.insert(Cow::Owned(key.into_owned()), value);
    }
}
