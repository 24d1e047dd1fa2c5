//! Mappings: JSON with directives that gives an action's payload, parsed once.

mod directives;
mod form;
mod node;
mod parse;
mod path;
mod replace;
mod room;
mod template;

use crate::destination::Fault;
use crate::reads::Reads;
use crate::value::{Object, Value};

use node::Node;
use room::Room;

/// A parsed mapping.
#[derive(Clone, Debug)]
pub struct Mapping {
    root: Node,
    document: Value<'static>,
}

impl Mapping {
    /// Parses `mapping`, which must be an object nested at most 64 levels. All faults at once, with
    /// JSON paths such as `$.properties.price`.
    pub fn parse(mapping: &Value<'_>) -> Result<Mapping, Vec<Fault>> {
        let root = parse::root(mapping)?;
        Ok(Mapping { root, document: mapping.clone().into_owned() })
    }

    /// The payload for `event`. Changes nothing.
    pub fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Result<Object<'e>, Unresolved> {
        match self.resolve_value(event)? {
            Some(Value::Object(payload)) => Ok(payload),
            Some(_) | None => Err(Unresolved::NoObject),
        }
    }

    /// As [`Mapping::resolve`], but whatever the root gives. `None` is JavaScript's undefined.
    pub fn resolve_value<'e>(
        &'e self,
        event: &'e Value<'e>,
    ) -> Result<Option<Value<'e>>, Unresolved> {
        let room = Room::new();
        let value = self.root.resolve(event, &room);
        if room.is_exceeded() { Err(Unresolved::TooLarge) } else { Ok(value) }
    }

    /// Adds the parts of events that it looks at.
    pub fn reads(&self, reads: &mut Reads) {
        self.root.reads(reads);
    }

    /// The same mapping in plain operations, for the page's plugin. They are described in
    /// `destinations/heap_web/plugin/README.md`.
    pub fn form(&self) -> Value<'static> {
        match parse::unfolded(&self.document) {
            Some(document) => form::of(&document),
            None => form::of(&self.document),
        }
    }

    /// The document that was parsed.
    pub fn to_value(&self) -> &Value<'static> {
        &self.document
    }
}

/// Why a mapping gives no payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// The root is a directive that gives no object for this event.
    NoObject,
    /// The payload, or something on the way to it, would be more than 16 MiB.
    TooLarge,
}

impl std::fmt::Display for Unresolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Unresolved::NoObject => "The mapping gave no object.",
            Unresolved::TooLarge => {
                "The mapping makes more than 16 MiB of this event; directives inside one another \
                 repeat its values too often."
            }
        })
    }
}

/// Equal if the documents are.
impl PartialEq for Mapping {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}
