//! Templates: `Hello {{ traits.name }}`, parsed once.

use crate::reads::Reads;
use crate::value::Value;

use super::form::operation;
use super::path::Path;
use super::room::Room;

/// A text with places that are filled from the event.
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Place(Path),
}

impl Template {
    /// Reads a template; every text is one. `{{p}}` and `{{{p}}}` are the same, with any `p` of one
    /// or more characters other than `}`.
    pub(super) fn new(text: &str) -> Template {
        let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some((before, found)) = rest.split_once("{{") {
            literal.push_str(before);
            if let Some((path, after)) = place(found) {
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Place(Path::new(path.trim())));
                rest = after;
            } else {
                // The second brace may start a place of its own.
                literal.push('{');
                rest = rest.get(before.len() + 1..).unwrap_or_default();
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Template(pieces)
    }

    /// The text with the event's values in its places. One pass: what comes from the event is not
    /// read as a template again. Ends where there is no room.
    pub(super) fn render(&self, event: &Value<'_>, room: &Room) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            let before = out.len();
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Place(path) => {
                    if let Some(value) = path.find(event) {
                        write_text(&value, &mut out);
                    }
                }
            }
            if !room.take(out.len() - before) {
                break;
            }
        }
        out
    }

    /// Adds the parts of an event that it looks at.
    pub(super) fn reads(&self, reads: &mut Reads) {
        for piece in &self.0 {
            match piece {
                Piece::Text(_) => {}
                Piece::Place(path) => path.reads(reads),
            }
        }
    }

    /// The form: `["text", …pieces]`.
    pub(super) fn form(&self) -> Value<'static> {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => Value::from(text.clone()),
            Piece::Place(path) => path.form(),
        };
        operation("text", self.0.iter().map(piece))
    }
}

/// The path of a place and what follows it, from behind the first two braces.
fn place(found: &str) -> Option<(&str, &str)> {
    let closed_by = |inner: &'_ str, braces: &str| {
        let end = inner.find('}').filter(|&end| end > 0)?;
        inner.get(end..)?.starts_with(braces).then_some((end, end + braces.len()))
    };
    let triple = found.strip_prefix('{').and_then(|inner| Some((inner, closed_by(inner, "}}}")?)));
    let double = || Some((found, closed_by(found, "}}")?));
    let (inner, (end, after)) = triple.or_else(double)?;
    Some((inner.get(..end)?, inner.get(after..)?))
}

/// The text of a value in a template: nothing for null, JSON for objects, items joined by commas
/// for lists.
fn write_text(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Null => {}
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&n.to_text()),
        Value::Text(text) => out.push_str(text),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_text(item, out);
            }
        }
        Value::Object(_) => out.push_str(&value.to_json()),
    }
}
