//! Directives that reshape objects and lists: `@arrayPath`, `@flatten`, `@merge`, `@transform`,
//! `@excludeWhenNull`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::reads::Reads;
use crate::value::{Object, ObjectBuilder, Value};

use super::{At, Written};
use crate::mapping::node::{Directive, Members, Node, own_members, share};
use crate::mapping::parse::Parser;
use crate::mapping::path::Path;
use crate::mapping::room::{NODE, Room};

/// `@arrayPath`: a list, each item in another shape; an object counts as a list of one. Without a
/// shape the value as it is.
#[derive(Debug)]
pub(super) struct ArrayPath {
    list: Node,
    shape: Option<Node>,
}

impl ArrayPath {
    pub(super) fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        let parts = match value {
            Value::Array(parts) if (1..=2).contains(&parts.len()) => parts,
            Value::Array(parts) => {
                let message =
                    format!("expected a path and at most one shape, found {} items", parts.len());
                return parser.refuse(message);
            }
            other => {
                let message =
                    format!("expected a list of a path and a shape, found {}", other.kind());
                return parser.refuse(message);
            }
        };
        let parsed = parser.each(parts, |parser, part| {
            let is_path = parts.first().is_some_and(|first| std::ptr::eq(first, part));
            match part {
                Value::Text(path) if is_path => {
                    let at: Arc<dyn Directive> = Arc::new(At(Written::Fixed(Path::new(path))));
                    Some(Node::Directive(at))
                }
                _ if is_path => parser.node_if(part, "text", |_| false),
                _ => parser.node(part),
            }
        });
        let mut parsed = parsed?.into_iter();
        let list = parsed.next()?;
        let is_shape = |shape: &Value<'_>| shape.as_object().is_some_and(|shape| !shape.is_empty());
        let shape = parsed.next().filter(|_| parts.get(1).is_some_and(is_shape));
        Some(Arc::new(ArrayPath { list, shape }))
    }
}

impl Directive for ArrayPath {
    fn resolve<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Value<'e>> {
        let Some(shape) = &self.shape else { return self.list.resolve(event, room) };
        let shaped = |item: &'e Value<'e>| shape.resolve(item, room).unwrap_or(Value::Null);
        if let Some(value) = self.list.find(event, room) {
            return Some(match value {
                Value::Array(items) => Value::Array(items.iter().map(shaped).collect()),
                Value::Object(_) => Value::Array(vec![shaped(value)]),
                other => share(other, room),
            });
        }
        let owned =
            |item: &Value<'_>| shape.resolve(item, room).map_or(Value::Null, Value::into_owned);
        Some(match self.list.resolve(event, room)? {
            Value::Array(items) => Value::Array(items.iter().map(owned).collect()),
            value @ Value::Object(_) => Value::Array(vec![owned(&value)]),
            other => other,
        })
    }

    fn reads(&self, reads: &mut Reads) {
        // The shape looks at the items only.
        self.list.reads(reads);
    }
}

/// `@flatten`: an object of scalars, its keys the paths to them.
#[derive(Debug)]
pub(super) struct Flatten {
    value: Node,
    separator: String,
    omit_arrays: bool,
}

impl Flatten {
    pub(super) fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        let options = parser.options(value)?;
        let value = parser.required(options, "value", Parser::node);
        let separator = parser.required(options, "separator", |p, v| p.text(v, 1, usize::MAX));
        let omit_arrays = parser.optional(options, "omitArrays", Parser::boolean);
        Some(Arc::new(Flatten {
            value: value?,
            separator: separator?,
            omit_arrays: omit_arrays?.unwrap_or(false),
        }))
    }

    fn flatten<'e>(
        &self,
        prefix: &mut String,
        value: Value<'e>,
        out: &mut ObjectBuilder<'e>,
        room: &Room,
    ) {
        if !room.take(NODE + prefix.len()) {
            return;
        }
        let members: Vec<(Cow<'_, str>, Value<'e>)> = match value {
            Value::Object(object) => object.into_iter().collect(),
            Value::Array(items) if !self.omit_arrays => {
                let item = |(at, item): (usize, Value<'e>)| (Cow::from(at.to_string()), item);
                items.into_iter().enumerate().map(item).collect()
            }
            scalar => {
                out.insert(prefix.clone(), scalar);
                return;
            }
        };
        let length = prefix.len();
        for (key, value) in members {
            prefix.push_str(&self.separator);
            prefix.push_str(&key);
            self.flatten(prefix, value, out, room);
            prefix.truncate(length);
        }
    }
}

impl Directive for Flatten {
    fn resolve<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Value<'e>> {
        let value = self.value.resolve(event, room)?;
        let members: Vec<(Cow<'e, str>, Value<'e>)> = match value {
            Value::Object(object) => object.into_iter().collect(),
            Value::Array(items) if !self.omit_arrays => {
                let item = |(at, item): (usize, Value<'e>)| (Cow::from(at.to_string()), item);
                items.into_iter().enumerate().map(item).collect()
            }
            scalar => return Some(scalar),
        };
        let mut out = ObjectBuilder::new();
        for (key, value) in members {
            self.flatten(&mut key.into_owned(), value, &mut out, room);
        }
        Some(Value::Object(out.finish()))
    }

    fn reads(&self, reads: &mut Reads) {
        self.value.reads(reads);
    }
}

/// `@merge`: several objects as one. Texts and lists count as objects of their indexes, as in the
/// reference implementation.
#[derive(Debug)]
pub(super) struct Merge {
    objects: Vec<Node>,
    later_wins: bool,
}

impl Merge {
    pub(super) fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        let options = parser.options(value)?;
        let objects = parser.required(options, "objects", |parser, value| match value {
            Value::Array(items) => parser.each(items, |parser, item| {
                parser.node_if(item, "an object", |item| item.as_object().is_some())
            }),
            other => parser.refuse(format!("expected a list of objects, found {}", other.kind())),
        });
        let directions = [("left", false), ("right", true)];
        let later_wins = parser.required(options, "direction", |p, v| p.choice(v, &directions));
        Some(Arc::new(Merge { objects: objects?, later_wins: later_wins? }))
    }
}

impl Directive for Merge {
    fn resolve<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Value<'e>> {
        let members = self.members(event, room)?;
        let defined = members.into_iter().filter_map(|(key, value)| Some((key, value?)));
        Some(Value::Object(defined.collect()))
    }

    fn reads(&self, reads: &mut Reads) {
        self.objects.iter().for_each(|node| node.reads(reads));
    }

    fn members<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Members<'e>> {
        let mut objects: Vec<Members<'e>> =
            self.objects.iter().filter_map(|node| node.members(event, room)).collect();
        // To the left, the reference spreads each object before what it has: that gives the later
        // objects' keys the first places.
        if !self.later_wins {
            objects.reverse();
        }
        let mut merged: Members<'e> = Vec::new();
        let mut places = HashMap::new();
        for (key, value) in objects.into_iter().flatten() {
            let place = places.get(&key).and_then(|&at: &usize| merged.get_mut(at));
            if let Some(member) = place {
                member.1 = value;
            } else {
                places.insert(key.clone(), merged.len());
                merged.push((key, value));
            }
        }
        Some(merged)
    }
}

/// `@transform`: a mapping of what another mapping gives.
#[derive(Debug)]
pub(super) struct Transform {
    apply: Node,
    mapping: Node,
}

impl Transform {
    pub(super) fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        let options = parser.options(value)?;
        let object = |parser: &mut Parser, value: &Value<'_>| {
            parser.node_if(value, "an object", |value| value.as_object().is_some())
        };
        let apply = parser.required(options, "apply", object);
        let mapping = parser.required(options, "mapping", object);
        Some(Arc::new(Transform { apply: apply?, mapping: mapping? }))
    }

    /// What `shared` or `owned` makes of the mapping and its event: the first if the event is a
    /// part of the whole one, the second if it was made for this.
    fn with<'e, T>(
        &'e self,
        event: &'e Value<'e>,
        room: &Room,
        shared: impl FnOnce(&'e Node, &'e Value<'e>) -> Option<T>,
        owned: impl for<'o> FnOnce(&'o Node, &'o Value<'o>) -> Option<T>,
    ) -> Option<T> {
        match self.apply.find(event, room) {
            Some(event) => shared(&self.mapping, event),
            None => {
                let nothing = || Value::Object(Object::new());
                let event = self.apply.resolve(event, room).unwrap_or_else(nothing);
                owned(&self.mapping, &event)
            }
        }
    }
}

impl Directive for Transform {
    fn resolve<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Value<'e>> {
        self.with(
            event,
            room,
            |node, event| node.resolve(event, room),
            |node, event| node.resolve(event, room).map(Value::into_owned),
        )
    }

    fn reads(&self, reads: &mut Reads) {
        // The mapping looks at what is applied only.
        self.apply.reads(reads);
    }

    fn members<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Members<'e>> {
        let owned = |(key, value): (Cow<'_, str>, Option<Value<'_>>)| {
            (Cow::Owned(key.into_owned()), value.map(Value::into_owned))
        };
        self.with(
            event,
            room,
            |node, event| node.members(event, room),
            |node, event| Some(node.members(event, room)?.into_iter().map(owned).collect()),
        )
    }
}

/// `@excludeWhenNull`: a value without nulls.
#[derive(Debug)]
pub(super) struct ExcludeWhenNull(Node);

impl ExcludeWhenNull {
    pub(super) fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        Some(Arc::new(ExcludeWhenNull(parser.node(value)?)))
    }
}

impl Directive for ExcludeWhenNull {
    fn resolve<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Value<'e>> {
        without_nulls(self.0.resolve(event, room)?)
    }

    fn reads(&self, reads: &mut Reads) {
        self.0.reads(reads);
    }

    fn members<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Members<'e>> {
        let value = self.0.resolve(event, room)?;
        if value.as_object().is_none() {
            return Some(own_members(without_nulls(value)?, room));
        }
        let defined = |(key, value): (_, Option<Value<'e>>)| (key, value.and_then(without_nulls));
        Some(self.0.members(event, room)?.into_iter().map(defined).collect())
    }
}

/// Null is undefined; in objects at any depth, too, but not inside lists.
fn without_nulls(value: Value<'_>) -> Option<Value<'_>> {
    match value {
        Value::Null => None,
        Value::Object(object) => {
            let kept = object.into_iter().filter_map(|(key, v)| Some((key, without_nulls(v)?)));
            Some(Value::Object(kept.collect()))
        }
        other => Some(other),
    }
}
