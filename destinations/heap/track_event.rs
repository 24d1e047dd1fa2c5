//! trackEvent: one event, and the properties of its user if there is something to say of them.

use heapline_action::destination::{Field, FieldKind};
use heapline_action::plan::{Item, Json, Plan, PlanContext, Refusal, Step};
use heapline_action::value::{Object, Value};
use serde::Serialize;

use super::config::{Api, Config};
use super::identify_user;
use super::identity::{Found, Given, Who};
use super::properties::{Owner, Properties};
use super::{endpoints, event_key, timestamp};
use crate::fields::{field, text};
use crate::notices::Notices;
use crate::text::{cut, identifier, longer_than, trim};

/// Most UTF-16 code units of an event name (developers.heap.io, *Track*).
const MAX_NAME: usize = 1_024;

pub(super) const FIELDS: &[Field] = &[
    Field {
        required: true,
        ..field(
            "message_id",
            "Message ID",
            "The event's own id; Heap counts it once.",
            FieldKind::String,
            Some(r#"{"@path":"$.messageId"}"#),
        )
    },
    Field {
        allow_null: true,
        ..field(
            "identity",
            "Identity",
            "The user's id, at most 255 characters. Heap creates users that it doesn't know.",
            FieldKind::String,
            Some(r#"{"@path":"$.userId"}"#),
        )
    },
    Field {
        allow_null: true,
        ..field(
            "anonymous_id",
            "Anonymous ID",
            "The id of a user who isn't known yet.",
            FieldKind::String,
            Some(r#"{"@path":"$.anonymousId"}"#),
        )
    },
    field(
        "event",
        "Event name",
        "Name of the event, at most 1,024 characters.",
        FieldKind::String,
        Some(r#"{"@path":"$.event"}"#),
    ),
    field(
        "properties",
        "Properties",
        "What is known of the event.",
        FieldKind::Object,
        Some(r#"{"@path":"$.properties"}"#),
    ),
    field(
        "timestamp",
        "Timestamp",
        "When it happened; without it, Heap takes the time of arrival.",
        FieldKind::Datetime,
        Some(r#"{"@path":"$.timestamp"}"#),
    ),
    field(
        "type",
        "Type",
        "The type of the call: page calls become \"Page viewed\", screen calls \"Screen viewed\".",
        FieldKind::String,
        Some(r#"{"@path":"$.type"}"#),
    ),
    field(
        "name",
        "Page or screen name",
        "Name of the page or screen; becomes the property `name`.",
        FieldKind::String,
        Some(r#"{"@path":"$.name"}"#),
    ),
    field(
        "traits",
        "Traits",
        "What is known of the user; becomes user properties.",
        FieldKind::Object,
        Some(r#"{"@path":"$.context.traits"}"#),
    ),
    Field {
        allow_null: true,
        ..field(
            "user_id",
            "Heap user ID",
            "Heap's own number of the user. Partner API only.",
            FieldKind::String,
            None,
        )
    },
    Field {
        allow_null: true,
        ..field(
            "email",
            "Email",
            "An e-mail address that names the user. Partner API only.",
            FieldKind::String,
            None,
        )
    },
];

/// An event of the public API (developers.heap.io, *Bulk Track*).
#[derive(Serialize)]
struct PublicEvent<'p> {
    identity: &'p str,
    event: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    properties: &'p Object<'p>,
    idempotency_key: &'p str,
}

/// An event of the partner API, in the newer of the two contracts in use
/// (`segmentio/action-destinations`, `heap-cloud/sendEvent`).
#[derive(Serialize)]
struct PartnerEvent<'p> {
    event: &'p str,
    user_identifier: UserIdentifier<'p>,
    custom_properties: &'p Object<'p>,
    idempotency_key: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
}

#[derive(Serialize)]
struct UserIdentifier<'p> {
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anonymous_id: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'p str>,
}

/// The event, and before it the update of its user's properties where there is one.
pub(super) fn plan(config: &Config, payload: &Object<'_>, context: PlanContext<'_>) -> Plan {
    let mut notices = Notices::default();
    let mut given = Given::read(payload, "identity");
    if config.api == Api::Partner {
        let (user_id, email) = (text(payload, "user_id"), text(payload, "email"));
        given = given.with_partner_ids(user_id, email, &mut notices);
    }
    let who = match given.decide(config, context.linked_identity, &mut notices) {
        Found::Known(who) => who,
        Found::Waits(anonymous_id) => {
            return Plan::Hold { anonymous_id: anonymous_id.to_owned() };
        }
        Found::Refused(refusal) => return Plan::Refuse(refusal),
    };
    let Some(message_id) = text(payload, "message_id") else {
        let sentence = "message_id: is required.".to_owned();
        return Plan::Refuse(Refusal { code: "invalid_payload", sentence });
    };
    let timestamp = match timestamp::of(payload.get("timestamp")) {
        Ok(timestamp) => timestamp,
        Err(refusal) => return Plan::Refuse(refusal),
    };
    let event = name(payload, &mut notices);
    let properties = event_properties(config, payload, &mut notices);
    let key = event_key::of(message_id, context);
    let json = match config.api {
        Api::Public => Json::of(&PublicEvent {
            identity: who.identity.expect("the public form sends nothing without an identity"),
            event,
            timestamp,
            properties: &properties,
            idempotency_key: &key,
        }),
        Api::Partner => Json::of(&PartnerEvent {
            event,
            user_identifier: UserIdentifier {
                identity: who.identity,
                anonymous_id: who.anonymous_id,
                user_id: who.user_id,
                email: who.email,
            },
            custom_properties: &properties,
            idempotency_key: &key,
            timestamp,
        }),
    };
    let mut steps = Vec::with_capacity(2);
    steps.extend(user_update(config, &who, payload.get("traits"), &mut notices));
    steps.push(Step {
        endpoint: endpoints::TRACK,
        identity: Box::from(who.user()),
        item: Item::Append(json),
    });
    Plan::Send { steps, notices: notices.finish() }
}

/// The update of the user's properties, if the event says something of an identified user.
fn user_update<'p>(
    config: &Config,
    who: &Who<'p>,
    traits: Option<&'p Value<'p>>,
    notices: &mut Notices,
) -> Option<Step> {
    let properties = identify_user::properties(config, who, traits, notices);
    if properties.is_empty() {
        return None;
    }
    let Some(identity) = who.identity else {
        notices.tell(
            "traits_without_identity",
            "The traits were left out, since the event has no user id.",
        );
        return None;
    };
    Some(identify_user::step(config, identity, &properties, notices))
}

/// The event's name at Heap: fixed ones for pages and screens, else its own.
fn name<'p>(payload: &'p Object<'p>, notices: &mut Notices) -> &'p str {
    match text(payload, "type") {
        Some("page") => return "Page viewed",
        Some("screen") => return "Screen viewed",
        Some(_) | None => {}
    }
    match text(payload, "event") {
        Some(event) if !trim(event).is_empty() => {
            if longer_than(event, MAX_NAME) {
                notices.tell("event_cut", "The event's name was cut to 1,024 characters.");
            }
            cut(event, MAX_NAME)
        }
        Some(_) | None => {
            notices.tell("event_blank", "The event has no name and was sent as \"track\".");
            "track"
        }
    }
}

fn event_properties<'p>(
    config: &Config,
    payload: &'p Object<'p>,
    notices: &mut Notices,
) -> Object<'p> {
    let mut properties = Properties::new();
    match config.api {
        Api::Public => {}
        Api::Partner => properties.set("segment_library", "cloud-mode-destination", notices),
    }
    properties.add(payload.get("properties"), Owner::Event, config, notices);
    if let Some(name) = text(payload, "name")
        && identifier(Some(name)).is_some()
    {
        properties.set("name", name, notices);
    }
    properties.finish()
}
