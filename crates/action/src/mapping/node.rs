//! A mapping as a tree, and how it is resolved.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::reads::Reads;
use crate::value::{Object, ObjectBuilder, Value};

/// The members of an object while it is resolved: `None` is JavaScript's undefined.
pub(super) type Members<'e> = Vec<(Cow<'e, str>, Option<Value<'e>>)>;

/// A part of a mapping.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A value without directives in it.
    Constant(Value<'static>),
    /// An object with directives in it.
    Object(Vec<(String, Node)>),
    /// A list with directives in it.
    Array(Vec<Node>),
    /// A directive.
    Directive(Arc<dyn Directive>),
}

/// What a directive does. Each is parsed by its row in [`super::directives::DIRECTIVES`].
pub(super) trait Directive: fmt::Debug + Send + Sync {
    /// Its value for `event`; `None` is JavaScript's undefined.
    fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>>;

    /// Adds the parts of an event that it looks at.
    fn reads(&self, reads: &mut Reads);

    /// A value that is in the event as it is, for directives that can find it there uncopied.
    fn find<'e>(&'e self, _event: &'e Value<'e>) -> Option<&'e Value<'e>> {
        None
    }

    /// Its members for `event`, the undefined ones included; `None` if it is undefined. Only
    /// directives that pass on a part of the mapping have undefined members.
    fn members<'e>(&'e self, event: &'e Value<'e>) -> Option<Members<'e>> {
        Some(own_members(self.resolve(event)?))
    }
}

impl Node {
    /// The value for `event`; `None` is JavaScript's undefined, which removes a key and becomes
    /// null in a list.
    pub(super) fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>> {
        match self {
            Node::Constant(value) => Some(share(value)),
            Node::Object(members) => {
                let mut object = ObjectBuilder::new();
                for (key, node) in members {
                    if let Some(value) = node.resolve(event) {
                        object.insert(key.as_str(), value);
                    }
                }
                Some(Value::Object(object.finish()))
            }
            Node::Array(items) => {
                let item = |node: &'e Node| node.resolve(event).unwrap_or(Value::Null);
                Some(Value::Array(items.iter().map(item).collect()))
            }
            Node::Directive(directive) => directive.resolve(event),
        }
    }

    /// Adds the parts of an event that it looks at.
    pub(super) fn reads(&self, reads: &mut Reads) {
        match self {
            Node::Constant(_) => {}
            Node::Object(members) => members.iter().for_each(|(_, node)| node.reads(reads)),
            Node::Array(items) => items.iter().for_each(|node| node.reads(reads)),
            Node::Directive(directive) => directive.reads(reads),
        }
    }

    /// The members for `event`, the undefined ones included; `None` if this is undefined.
    pub(super) fn members<'e>(&'e self, event: &'e Value<'e>) -> Option<Members<'e>> {
        match self {
            Node::Constant(value) => Some(own_members(share(value))),
            Node::Object(members) => {
                let member = |(key, node): &'e (String, Node)| {
                    (Cow::Borrowed(key.as_str()), node.resolve(event))
                };
                Some(members.iter().map(member).collect())
            }
            Node::Array(items) => {
                let item = |(at, node): (usize, &'e Node)| (index(at), node.resolve(event));
                Some(items.iter().enumerate().map(item).collect())
            }
            Node::Directive(directive) => directive.members(event),
        }
    }

    /// The value if it is in the event or the mapping as it is.
    pub(super) fn find<'e>(&'e self, event: &'e Value<'e>) -> Option<&'e Value<'e>> {
        match self {
            Node::Constant(value) => Some(value),
            Node::Directive(directive) => directive.find(event),
            Node::Object(_) | Node::Array(_) => None,
        }
    }
}

/// What JavaScript copies from a value into an object: the members of an object, the items of a
/// list and the UTF-16 units of a text by their indexes, nothing of another value. Half of a
/// surrogate pair is no text and becomes `U+FFFD`.
pub(super) fn own_members(value: Value<'_>) -> Members<'_> {
    match value {
        Value::Object(object) => {
            object.into_iter().map(|(key, value)| (key, Some(value))).collect()
        }
        Value::Array(items) => {
            items.into_iter().enumerate().map(|(at, item)| (index(at), Some(item))).collect()
        }
        Value::Text(text) => {
            let unit = |unit: u16| Some(Value::from(String::from_utf16_lossy(&[unit])));
            text.encode_utf16().enumerate().map(|(at, u)| (index(at), unit(u))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Members::new(),
    }
}

fn index(at: usize) -> Cow<'static, str> {
    Cow::Owned(at.to_string())
}

/// The same value, its texts borrowed.
pub(super) fn share<'e>(value: &'e Value<'_>) -> Value<'e> {
    match value {
        Value::Null => Value::Null,
        Value::Bool(b) => Value::Bool(*b),
        Value::Number(n) => Value::Number(*n),
        Value::Text(text) => Value::from(text.as_ref()),
        Value::Array(items) => Value::Array(items.iter().map(share).collect()),
        Value::Object(object) => Value::Object(share_object(object)),
    }
}

fn share_object<'e>(object: &'e Object<'_>) -> Object<'e> {
    object.map_values(share)
}
