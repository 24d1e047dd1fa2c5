//! Field checks: a payload is coerced to its action type's fields, or all its faults are told.

use crate::destination::{Fault, Field};
use crate::value::Object;

/// Drops what isn't a field, coerces the rest, and checks it. All faults at once.
pub fn check<'e>(fields: &[Field], payload: Object<'e>) -> Result<Object<'e>, Vec<Fault>> {
    let _ = (fields, payload);
    todo!()
}
