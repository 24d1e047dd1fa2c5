//! identifyUser: the properties of one user.

use heapline_action::destination::{Field, FieldKind};
use heapline_action::plan::{Item, Json, Plan, PlanContext, Refusal, Step};
use heapline_action::value::{Object, Value};
use serde::Serialize;

use super::config::{Api, Config};
use super::endpoints;
use super::identity::{Found, Given, Who};
use super::properties::{Owner, Properties, of_user};
use crate::fields::field;
use crate::notices::Notices;

pub(super) const FIELDS: &[Field] = &[
    Field {
        allow_null: true,
        ..field(
            "user_id",
            "User ID",
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
            "The id that the user had before; becomes the user property `anonymous_id` on the \
             public API.",
            FieldKind::String,
            Some(r#"{"@path":"$.anonymousId"}"#),
        )
    },
    field(
        "traits",
        "Traits",
        "What is known of the user; becomes user properties.",
        FieldKind::Object,
        Some(r#"{"@path":"$.traits"}"#),
    ),
];

/// The update of one user's properties. On the public API it is sent without properties, too: it
/// creates the user.
pub(super) fn plan(config: &Config, payload: &Object<'_>, context: PlanContext<'_>) -> Plan {
    let mut notices = Notices::default();
    let given = Given::read(payload, "user_id");
    let who = match given.decide(config, context.linked_identity, &mut notices) {
        Found::Known(who) => who,
        Found::Waits(anonymous_id) => {
            return Plan::Hold { anonymous_id: anonymous_id.to_owned() };
        }
        Found::Refused(refusal) => return Plan::Refuse(refusal),
    };
    let Some(identity) = who.identity else {
        let sentence = "Heap keeps user properties by user id only, and this call has none.";
        return Plan::Refuse(Refusal { code: "no_identity", sentence: sentence.to_owned() });
    };
    let properties = properties(config, &who, payload.get("traits"), &mut notices);
    if config.api == Api::Partner && properties.is_empty() {
        let sentence = "The partner API takes no user without properties, and there are no traits.";
        return Plan::Refuse(Refusal { code: "no_traits", sentence: sentence.to_owned() });
    }
    let step = step(config, identity, &properties, &mut notices);
    Plan::Send { steps: vec![step], notices: notices.finish() }
}

/// The user's properties: flattened traits, on the public API after the anonymous id.
pub(super) fn properties<'p>(
    config: &Config,
    who: &Who<'p>,
    traits: Option<&'p Value<'p>>,
    notices: &mut Notices,
) -> Object<'p> {
    let mut properties = Properties::new();
    if let (Api::Public, Some(anonymous_id)) = (config.api, who.anonymous_id) {
        properties.set("anonymous_id", anonymous_id, notices);
    }
    properties.add(traits, Owner::User, config, notices);
    properties.finish()
}

#[derive(Serialize)]
struct UserIdentifier<'p> {
    identity: &'p str,
}

/// The step that updates the properties of `identity`.
pub(super) fn step(
    config: &Config,
    identity: &str,
    properties: &Object<'_>,
    notices: &mut Notices,
) -> Step {
    let (head, member) = match config.api {
        Api::Public => (("identity", Json::of(identity)), "properties"),
        Api::Partner => {
            (("user_identifier", Json::of(&UserIdentifier { identity })), "custom_properties")
        }
    };
    let properties = of_user(properties, notices);
    Step {
        endpoint: endpoints::USERS,
        identity: Box::from(identity),
        item: Item::Fold { head: vec![head], member, properties },
    }
}
