//! The fields of Heap (Web)'s action types.

use heapline_action::destination::{Field, FieldKind};

use crate::fields::field;

pub(super) const TRACK_EVENT: &[Field] = &[
    Field {
        required: true,
        ..field(
            "name",
            "Name",
            "Name of the event.",
            FieldKind::String,
            Some(r#"{"@path":"$.event"}"#),
        )
    },
    field(
        "properties",
        "Properties",
        "What is known of the event.",
        FieldKind::Object,
        Some(r#"{"@path":"$.properties"}"#),
    ),
    field(
        "identity",
        "Identity",
        "The user's id; identifies the visitor before the event is tracked. Usually left out: \
         identify calls do it.",
        FieldKind::String,
        None,
    ),
    field(
        "anonymousId",
        "Anonymous ID",
        "The visitor's anonymous id; becomes the user property `anonymous_id`.",
        FieldKind::String,
        Some(r#"{"@path":"$.anonymousId"}"#),
    ),
    field(
        "traits",
        "Traits",
        "What is known of the user; becomes user properties.",
        FieldKind::Object,
        Some(r#"{"@path":"$.context.traits"}"#),
    ),
];

pub(super) const IDENTIFY_USER: &[Field] = &[
    field(
        "userId",
        "User ID",
        "The user's id; identifies the visitor.",
        FieldKind::String,
        Some(r#"{"@path":"$.userId"}"#),
    ),
    field(
        "traits",
        "Traits",
        "What is known of the user; becomes user properties.",
        FieldKind::Object,
        Some(r#"{"@path":"$.traits"}"#),
    ),
];
