//! The paths of mappings: `$.a.b[0]`, `$.a['b']`.

use std::borrow::Cow;

use crate::path::{Key, lookup};
use crate::reads::Reads;
use crate::value::Value;

use super::form::operation;

/// A path as a mapping writes it.
#[derive(Clone, Debug)]
pub(super) struct Path {
    /// With a quoted key that contains a dot taken as one, if there is such a key. Tried first.
    exact: Option<Box<[Key]>>,
    /// With every dot taken as a separator, as the reference reads it.
    split: Box<[Key]>,
}

impl Path {
    /// Reads a path; every text is one. No keys, as in `$`, mean the whole event.
    pub(super) fn new(text: &str) -> Path {
        let text = if text == "$" { "" } else { text.strip_prefix("$.").unwrap_or(text) };
        Path { exact: exact_keys(text), split: split_keys(text) }
    }

    /// The value at the path, `None` if there is none.
    pub(super) fn find<'e>(&self, event: &'e Value<'e>) -> Option<Cow<'e, Value<'e>>> {
        let exact = self.exact.as_ref().and_then(|keys| lookup(event, keys));
        exact.or_else(|| lookup(event, &self.split))
    }

    /// Adds the parts of an event that it looks at.
    pub(super) fn reads(&self, reads: &mut Reads) {
        for keys in self.exact.iter().chain([&self.split]) {
            reads.add(keys);
        }
    }

    /// The form: `["get", …keys]`, or both readings.
    pub(super) fn form(&self) -> Value<'static> {
        let get = |keys: &[Key]| {
            operation("get", keys.iter().map(|key| Value::from(key.name().to_owned())))
        };
        match &self.exact {
            Some(exact) => operation("or", [get(exact), get(&self.split)]),
            None => get(&self.split),
        }
    }
}

/// Splits on `.`, on `[` before a quote or a digit, and on `]` after one; skips empty parts, then
/// removes quotes.
fn split_keys(text: &str) -> Box<[Key]> {
    let (mut parts, mut part, mut before) = (Vec::new(), String::new(), ' ');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let separates = match c {
            '.' => true,
            '[' => chars.peek().is_some_and(|&next| is_quote(next) || next.is_ascii_digit()),
            ']' => is_quote(before) || before.is_ascii_digit(),
            _ => false,
        };
        if separates {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(c);
        }
        // A run of closing brackets separates as one.
        if !(separates && c == ']') {
            before = c;
        }
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts.into_iter().map(|part| Key::new(part.replace(is_quote, ""))).collect()
}

/// The keys with each `['…']` that contains a dot as one key; `None` if there is none such.
fn exact_keys(text: &str) -> Option<Box<[Key]>> {
    let (mut keys, mut rest) = (Vec::new(), text);
    let mut found = false;
    while let Some((before, key, after)) = dotted_key(rest) {
        keys.extend(split_keys(before));
        keys.push(Key::new(key));
        (found, rest) = (true, after);
    }
    keys.extend(split_keys(rest));
    found.then_some(keys.into())
}

/// The first `['…']` or `["…"]` in `text` whose key contains a dot: what is before, the key, what
/// is after.
fn dotted_key(text: &str) -> Option<(&str, &str, &str)> {
    for (at, _) in text.match_indices('[') {
        let inner = text.get(at + 1..)?;
        let Some(quote) = inner.chars().next().filter(|&c| is_quote(c)) else { continue };
        let end = if quote == '\'' { "']" } else { "\"]" };
        let Some((key, after)) = inner.get(1..)?.split_once(end) else { continue };
        if key.contains('.') {
            return Some((text.get(..at)?, key, after));
        }
    }
    None
}

fn is_quote(c: char) -> bool {
    c == '\'' || c == '"'
}
