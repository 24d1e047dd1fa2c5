//! The directives.
//!
//! How to add one: write a struct that holds its options, with a `parse` that reads them through
//! [`Parser`] and an implementation of [`Directive`]; give it a row in [`DIRECTIVES`]; and add cases
//! to `tests/action/cases/mappings.jsonl` and `mapping-faults.jsonl`.

mod object;
mod text;

use std::borrow::Cow;
use std::sync::Arc;

use crate::reads::Reads;
use crate::value::Value;

use super::node::{Directive, Members, Node, share};
use super::parse::Parser;
use super::path::Path;
use super::room::Room;

use object::{ArrayPath, ExcludeWhenNull, Flatten, Merge, Transform};
use text::{Case, Fill, Json, Replace};

type Parse = fn(&mut Parser, &Value<'_>) -> Option<Arc<dyn Directive>>;

/// Every directive and how its options are parsed.
pub(super) const DIRECTIVES: &[(&str, Parse)] = &[
    ("@path", At::parse),
    ("@template", Fill::parse),
    ("@if", If::parse),
    ("@case", Case::parse),
    ("@replace", Replace::parse),
    ("@arrayPath", ArrayPath::parse),
    ("@literal", Literal::parse),
    ("@json", Json::parse),
    ("@flatten", Flatten::parse),
    ("@merge", Merge::parse),
    ("@transform", Transform::parse),
    ("@excludeWhenNull", ExcludeWhenNull::parse),
];

/// A text that is known when the mapping is saved and read then, or one that a directive gives.
#[derive(Debug)]
enum Written<T> {
    Fixed(T),
    Given(Node),
}

impl<T> Written<T> {
    fn parse(parser: &mut Parser, value: &Value<'_>, read: fn(&str) -> T) -> Option<Written<T>> {
        let node = parser.node_if(value, "text", |value| value.as_text().is_some())?;
        Some(match &node {
            Node::Constant(Value::Text(text)) => Written::Fixed(read(text)),
            _ => Written::Given(node),
        })
    }

    /// What is looked at: what a fixed text names, or all, since a given one can name anything.
    fn reads(&self, reads: &mut Reads, of_fixed: fn(&T, &mut Reads)) {
        match self {
            Written::Fixed(fixed) => of_fixed(fixed, reads),
            Written::Given(_) => *reads = Reads::Whole,
        }
    }
}

/// `@path`: the value at a path.
#[derive(Debug)]
struct At(Written<Path>);

impl At {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        Some(Arc::new(At(Written::parse(parser, value, Path::new)?)))
    }

    fn value<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Cow<'e, Value<'e>>> {
        match &self.0 {
            Written::Fixed(path) => path.find(event),
            Written::Given(node) => Path::new(node.resolve(event, room)?.as_text()?).find(event),
        }
    }
}

impl Directive for At {
    fn resolve<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Value<'e>> {
        Some(match self.value(event, room)? {
            Cow::Borrowed(value) => share(value, room),
            Cow::Owned(value) => value,
        })
    }

    fn reads(&self, reads: &mut Reads) {
        self.0.reads(reads, Path::reads);
    }

    fn find<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<&'e Value<'e>> {
        match self.value(event, room)? {
            Cow::Borrowed(value) => Some(value),
            Cow::Owned(_) => None,
        }
    }
}

/// `@if`: one of two values.
#[derive(Debug)]
struct If {
    /// True to ask whether the value exists; false to ask whether it isn't blank.
    exists: bool,
    value: Node,
    then: Option<Node>,
    otherwise: Option<Node>,
}

impl If {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        let options = parser.options(value)?;
        let exists = parser.optional(options, "exists", Parser::node);
        let blank = parser.optional(options, "blank", Parser::node);
        let then = parser.optional(options, "then", Parser::node);
        let otherwise = parser.optional(options, "else", Parser::node);
        let (exists, value) = match (exists?, blank?) {
            (Some(value), _) => (true, value),
            (None, Some(value)) => (false, value),
            (None, None) => return parser.refuse("missing \"exists\" or \"blank\"".to_owned()),
        };
        Some(Arc::new(If { exists, value, then: then?, otherwise: otherwise? }))
    }

    fn branch(&self, event: &Value<'_>, room: &Room) -> Option<&Node> {
        let resolved;
        let value = match self.value.find(event, room) {
            Some(value) => Some(value),
            None => {
                resolved = self.value.resolve(event, room);
                resolved.as_ref()
            }
        };
        let taken = match value {
            None | Some(Value::Null) => false,
            Some(value) => self.exists || !is_blank(value),
        };
        if taken { self.then.as_ref() } else { self.otherwise.as_ref() }
    }
}

impl Directive for If {
    fn resolve<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Value<'e>> {
        self.branch(event, room)?.resolve(event, room)
    }

    fn reads(&self, reads: &mut Reads) {
        for node in [&self.value].into_iter().chain(&self.then).chain(&self.otherwise) {
            node.reads(reads);
        }
    }

    fn members<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Members<'e>> {
        self.branch(event, room)?.members(event, room)
    }
}

/// JavaScript's `value == ''` for values that exist, except that an object never is. A list
/// compares as its text, which is empty if it has no items or one whose text is empty.
fn is_blank(value: &Value<'_>) -> bool {
    match value {
        Value::Array(items) => match items.as_slice() {
            [] | [Value::Null] => true,
            [Value::Text(text)] => text.is_empty(),
            [inner @ Value::Array(_)] => is_blank(inner),
            _ => false,
        },
        other => other.is_falsy(),
    }
}

/// `@literal`: a value as it is, but for directives in it.
#[derive(Debug)]
struct Literal(Node);

impl Literal {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        Some(Arc::new(Literal(parser.node(value)?)))
    }
}

impl Directive for Literal {
    fn resolve<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Value<'e>> {
        self.0.resolve(event, room)
    }

    fn reads(&self, reads: &mut Reads) {
        self.0.reads(reads);
    }

    fn find<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<&'e Value<'e>> {
        self.0.find(event, room)
    }

    fn members<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Members<'e>> {
        self.0.members(event, room)
    }
}
