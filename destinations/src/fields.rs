//! What the destinations' field lists and payloads have in common.

use heapline_action::destination::{Field, FieldKind};
use heapline_action::value::{Object, Value};

/// An optional field without further rules.
pub(crate) const fn field(
    key: &'static str,
    label: &'static str,
    description: &'static str,
    kind: FieldKind,
    default: Option<&'static str>,
) -> Field {
    Field {
        key,
        label,
        description,
        kind,
        required: false,
        allow_null: false,
        multiple: false,
        choices: &[],
        format: None,
        default,
    }
}

/// The text of a payload's member, if it is one.
pub(crate) fn text<'p>(payload: &'p Object<'p>, key: &str) -> Option<&'p str> {
    payload.get(key).and_then(Value::as_text)
}
