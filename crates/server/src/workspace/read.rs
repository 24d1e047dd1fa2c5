//! Reading a document member by member, so that unknown keys and wrong types name their path.

use std::borrow::Cow;
use std::collections::BTreeSet;

use heapline_action::destination::Fault;
use heapline_action::value::{Object, Value};

/// An object being read. What isn't asked for by the time of [`Members::finish`] is a fault.
pub(super) struct Members<'a, 'v, 'f> {
    path: String,
    object: &'a Object<'v>,
    asked: BTreeSet<&'static str>,
    faults: &'f mut Vec<Fault>,
}

impl<'a, 'v, 'f> Members<'a, 'v, 'f> {
    pub(super) fn of(
        path: impl Into<String>,
        value: &'a Value<'v>,
        faults: &'f mut Vec<Fault>,
    ) -> Option<Members<'a, 'v, 'f>> {
        let path = path.into();
        match value {
            Value::Object(object) => Some(Members { path, object, asked: BTreeSet::new(), faults }),
            other => {
                let message = format!("expected a table, found {}", describe(other));
                faults.push(Fault { path, message });
                None
            }
        }
    }

    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn fault(&mut self, key: &str, message: impl Into<String>) {
        let path = self.path(key);
        self.faults.push(Fault { path, message: message.into() });
    }

    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Value<'v>> {
        self.asked.insert(key);
        self.object.get(key)
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<&'a str> {
        match self.value(key)? {
            Value::Text(text) if !text.trim().is_empty() => Some(text),
            other => {
                let found = describe(other);
                self.fault(key, format!("expected a text that isn't blank, found {found}"));
                None
            }
        }
    }

    pub(super) fn required_text(&mut self, key: &'static str) -> Option<&'a str> {
        if self.value(key).is_none() {
            self.fault(key, "missing; expected a text");
            return None;
        }
        self.text(key)
    }

    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        match self.value(key) {
            None => default,
            Some(Value::Bool(b)) => *b,
            Some(other) => {
                let found = describe(other);
                self.fault(key, format!("expected true or false, found {found}"));
                default
            }
        }
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<&'a str>> {
        let items = self.list(key)?;
        let mut texts = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            match item {
                Value::Text(text) if !text.trim().is_empty() => texts.push(text.as_ref()),
                other => {
                    let found = describe(other);
                    let message = format!("expected a text that isn't blank, found {found}");
                    self.fault(&format!("{key}[{at}]"), message);
                }
            }
        }
        Some(texts)
    }

    pub(super) fn list(&mut self, key: &'static str) -> Option<&'a [Value<'v>]> {
        match self.value(key)? {
            Value::Array(items) => Some(items),
            other => {
                let found = describe(other);
                self.fault(key, format!("expected a list, found {found}"));
                None
            }
        }
    }

    pub(super) fn finish(mut self) {
        let unknown: Vec<String> = self
            .object
            .iter()
            .map(|(key, _)| key)
            .filter(|key| !self.asked.contains(key))
            .map(str::to_owned)
            .collect();
        for key in unknown {
            let known: Vec<&str> = self.asked.iter().copied().collect();
            self.fault(&key, format!("unknown key; known here: {}", known.join(", ")));
        }
    }
}

/// What a value is, for messages; texts are shown, up to a length.
pub(super) fn describe(value: &Value<'_>) -> Cow<'static, str> {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string().into(),
        Value::Number(n) => format!("the number {}", n.to_text()).into(),
        Value::Text(text) if text.trim().is_empty() => "a blank text".into(),
        Value::Text(text) => format!("the text {:?}", shorten(text)).into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a table".into(),
    }
}

fn shorten(text: &str) -> String {
    let mut out: String = text.chars().take(40).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}
