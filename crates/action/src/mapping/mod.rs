//! Mappings: JSON with directives that gives an action's payload, parsed once.

mod directives;
mod form;
mod node;
mod parse;
mod path;
mod replace;
mod template;

use crate::destination::Fault;
use crate::reads::Reads;
use crate::value::{Object, Value};

use node::Node;

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

    /// The payload for `event`. Never fails and changes nothing. `None` if the root is a directive
    /// that gives no object.
    pub fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Object<'e>> {
        match self.resolve_value(event)? {
            Value::Object(payload) => Some(payload),
            _ => None,
        }
    }

    /// As [`Mapping::resolve`], but whatever the root gives. `None` is JavaScript's undefined.
    pub fn resolve_value<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>> {
        self.root.resolve(event)
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

/// Equal if the documents are.
impl PartialEq for Mapping {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}
