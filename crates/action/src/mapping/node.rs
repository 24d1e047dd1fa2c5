//! A mapping as a tree, and how it is resolved.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::reads::Reads;
use crate::value::{Object, ObjectBuilder, Value};

use super::room::{NODE, Room};

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
    fn resolve<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Value<'e>>;

    /// Adds the parts of an event that it looks at.
    fn reads(&self, reads: &mut Reads);

    /// A value that is in the event as it is, for directives that can find it there uncopied.
    fn find<'e>(&'e self, _event: &'e Value<'e>, _room: &Room) -> Option<&'e Value<'e>> {
        None
    }

    /// Its members for `event`, the undefined ones included; `None` if it is undefined. Only
    /// directives that pass on a part of the mapping have undefined members.
    fn members<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Members<'e>> {
        Some(own_members(self.resolve(event, room)?, room))
    }
}

impl Node {
    /// The value for `event`; `None` is JavaScript's undefined, which removes a key and becomes
    /// null in a list, and all that is given once there is no room.
    pub(super) fn resolve<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Value<'e>> {
        if !room.take(NODE) {
            return None;
        }
        match self {
            Node::Constant(value) => Some(share(value, room)),
            Node::Object(members) => {
                let mut object = ObjectBuilder::new();
                for (key, node) in members {
                    if let Some(value) = node.resolve(event, room) {
                        object.insert(key.as_str(), value);
                    }
                }
                Some(Value::Object(object.finish()))
            }
            Node::Array(items) => {
                let item = |node: &'e Node| node.resolve(event, room).unwrap_or(Value::Null);
                Some(Value::Array(items.iter().map(item).collect()))
            }
            Node::Directive(directive) => directive.resolve(event, room),
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
    pub(super) fn members<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Members<'e>> {
        match self {
            Node::Constant(value) => Some(own_members(share(value, room), room)),
            Node::Object(members) => {
                let member = |(key, node): &'e (String, Node)| {
                    (Cow::Borrowed(key.as_str()), node.resolve(event, room))
                };
                Some(members.iter().map(member).collect())
            }
            Node::Array(items) => {
                let item = |(at, node): (usize, &'e Node)| (index(at), node.resolve(event, room));
                Some(items.iter().enumerate().map(item).collect())
            }
            Node::Directive(directive) => directive.members(event, room),
        }
    }

    /// The value if it is in the event or the mapping as it is.
    pub(super) fn find<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<&'e Value<'e>> {
        match self {
            Node::Constant(value) => Some(value),
            Node::Directive(directive) => directive.find(event, room),
            Node::Object(_) | Node::Array(_) => None,
        }
    }
}

/// What JavaScript copies from a value into an object: the members of an object, the items of a
/// list and the UTF-16 units of a text by their indexes, nothing of another value. Half of a
/// surrogate pair is no text and becomes `U+FFFD`.
pub(super) fn own_members<'e>(value: Value<'e>, room: &Room) -> Members<'e> {
    match value {
        Value::Object(object) => {
            object.into_iter().map(|(key, value)| (key, Some(value))).collect()
        }
        Value::Array(items) => {
            items.into_iter().enumerate().map(|(at, item)| (index(at), Some(item))).collect()
        }
        Value::Text(text) if room.take(text.len().saturating_mul(3 * NODE)) => {
            let unit = |unit: u16| Some(Value::from(String::from_utf16_lossy(&[unit])));
            text.encode_utf16().enumerate().map(|(at, u)| (index(at), unit(u))).collect()
        }
        Value::Text(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Members::new(),
    }
}

fn index(at: usize) -> Cow<'static, str> {
    Cow::Owned(at.to_string())
}

/// The same value, its texts borrowed; null instead of what there is no room for.
pub(super) fn share<'e>(value: &'e Value<'_>, room: &Room) -> Value<'e> {
    let text = value.as_text().map_or(0, str::len);
    if !room.take(NODE + text) {
        return Value::Null;
    }
    match value {
        Value::Null => Value::Null,
        Value::Bool(b) => Value::Bool(*b),
        Value::Number(n) => Value::Number(*n),
        Value::Text(text) => Value::from(text.as_ref()),
        Value::Array(items) => Value::Array(items.iter().map(|item| share(item, room)).collect()),
        Value::Object(object) => Value::Object(share_object(object, room)),
    }
}

fn share_object<'e>(object: &'e Object<'_>, room: &Room) -> Object<'e> {
    object.map_values(|value| share(value, room))
}
