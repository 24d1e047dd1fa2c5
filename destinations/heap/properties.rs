//! Properties as Heap takes them: flat, typed, and inside its limits.

use std::borrow::Cow;

use heapline_action::plan::Json;
use heapline_action::value::{Object, ObjectBuilder, Value};

use super::config::{Api, Config};
use crate::flatten::{Key, leaves};
use crate::json_text;
use crate::notices::Notices;
use crate::text::{cut, longer_than};

/// Most UTF-16 code units of a key and of a value: Heap takes "fewer than 1,024 characters"
/// (developers.heap.io, *Track*).
const MAX_UNITS: usize = 1_023;

/// Bytes after which a text has more than [`MAX_UNITS`] for sure.
const ENOUGH_BYTES: usize = 3 * MAX_UNITS + 1;

/// Whose properties they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Event,
    User,
}

/// How scalars are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Typing {
    /// Numbers stay numbers, booleans become text, null is left out.
    Public,
    /// All becomes text.
    Text,
    /// All stays as it is.
    Typed,
}

/// Properties on the way.
pub(super) struct Properties<'p> {
    builder: ObjectBuilder<'p>,
    nulls: bool,
}

impl<'p> Properties<'p> {
    pub(super) fn new() -> Self {
        Properties { builder: ObjectBuilder::new(), nulls: false }
    }

    /// Sets one text.
    pub(super) fn set(&mut self, key: &'static str, text: &'p str, notices: &mut Notices) {
        self.builder.insert(key, Value::Text(fitting(key, Cow::Borrowed(text), notices)));
    }

    /// Adds the flattened members of `from`; a later value of a key takes the place of the earlier.
    pub(super) fn add(
        &mut self,
        from: Option<&'p Value<'p>>,
        owner: Owner,
        config: &Config,
        notices: &mut Notices,
    ) {
        let Some(object) = from.and_then(Value::as_object) else { return };
        let typing = match (config.api, owner) {
            (Api::Public, Owner::Event | Owner::User) => Typing::Public,
            (Api::Partner, Owner::Event) => Typing::Text,
            (Api::Partner, Owner::User) => Typing::Typed,
        };
        for (key, value) in leaves(object, config.nested, MAX_UNITS) {
            match key {
                Key::TooLong(start) => notices.list(
                    "key_too_long",
                    "Keys with more than 1,023 characters were left out",
                    &start,
                ),
                Key::Fits(key) if key.is_empty() => {
                    notices.tell("key_empty", "A property with an empty key was left out.");
                }
                Key::Fits(key) if owner == Owner::User && key.eq_ignore_ascii_case("id") => {
                    notices.list(
                        "key_reserved",
                        "Heap reserves this key, so it was left out",
                        &key,
                    );
                }
                Key::Fits(key) => self.insert(key, value, typing, notices),
            }
        }
    }

    fn insert(
        &mut self,
        key: Cow<'p, str>,
        value: &'p Value<'p>,
        typing: Typing,
        notices: &mut Notices,
    ) {
        let value = match (value, typing) {
            (Value::Null, Typing::Public) => {
                self.nulls = true;
                Value::Null
            }
            (Value::Null | Value::Bool(_) | Value::Number(_), Typing::Typed)
            | (Value::Number(_), Typing::Public) => value.clone(),
            (Value::Null, Typing::Text) => Value::from("null"),
            (Value::Bool(true), Typing::Public | Typing::Text) => Value::from("true"),
            (Value::Bool(false), Typing::Public | Typing::Text) => Value::from("false"),
            (Value::Number(n), Typing::Text) => Value::from(n.to_text()),
            (Value::Text(text), _) => {
                Value::Text(fitting(&key, Cow::Borrowed(text.as_ref()), notices))
            }
            (Value::Array(_) | Value::Object(_), _) => {
                let text = json_text::of(value, ENOUGH_BYTES);
                Value::Text(fitting(&key, Cow::Owned(text), notices))
            }
        };
        // Only a key with a dot has two spellings; any other replaces a mark of ours, as it may.
        let spelled = key.contains('.').then(|| key.clone());
        if self.builder.insert(key, value)
            && let Some(key) = spelled
        {
            notices.list("key_repeated", "Of two values for one key the later was sent", &key);
        }
    }

    /// The finished properties.
    pub(super) fn finish(self) -> Object<'p> {
        let mut object = self.builder.finish();
        if self.nulls {
            object.retain(|_, value| *value != Value::Null);
        }
        object
    }
}

/// `text`, cut to what Heap takes.
fn fitting<'p>(key: &str, text: Cow<'p, str>, notices: &mut Notices) -> Cow<'p, str> {
    if !longer_than(&text, MAX_UNITS) {
        return text;
    }
    notices.list("value_cut", "Values were cut to 1,023 characters", key);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(cut(text, MAX_UNITS)),
        Cow::Owned(text) => Cow::Owned(cut(&text, MAX_UNITS).to_owned()),
    }
}

/// The members of a property update. Tells of a key that looks like Heap's own `email`.
pub(super) fn of_user(object: &Object<'_>, notices: &mut Notices) -> Vec<(Box<str>, Json)> {
    let lookalike = object.iter().map(|(key, _)| key).find(|key| {
        key.len() == "email".len() && key.eq_ignore_ascii_case("email") && *key != "email"
    });
    if let Some(key) = lookalike.filter(|_| object.get("email").is_none()) {
        notices.list("email_case", "Only the key \"email\" fills Heap's Email, and this came", key);
    }
    object.iter().map(|(key, value)| (Box::from(key), Json::of(value))).collect()
}
