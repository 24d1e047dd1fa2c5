//! Mappings: JSON with directives that gives an action's payload, parsed once.

use crate::destination::Fault;
use crate::value::{Object, Value};

/// A parsed mapping.
#[derive(Clone, Debug)]
pub struct Mapping {}

impl Mapping {
    /// Parses `mapping`, which must be an object. All faults at once, with JSON paths.
    pub fn parse(mapping: &Value<'_>) -> Result<Mapping, Vec<Fault>> {
        let _ = mapping;
        todo!()
    }

    /// The payload for `event`. Never fails and changes nothing. `None` if the root is a directive
    /// that gives no object.
    pub fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Object<'e>> {
        let _ = event;
        todo!()
    }
}
