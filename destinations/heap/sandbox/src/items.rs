//! The items of the six server calls: their fields, their checks, and what of them is stored.

use std::borrow::Cow;

use serde_json::{Number, Value};

use crate::clock::{Millis, Reading, read_epoch, read_time};
use crate::effects::{EffectKind, Effects};
use crate::ids::{key_hash, user_id_of, user_id_of_anonymous, user_id_of_email};
use crate::json::{Json, Members, write_text};
use crate::properties::{self, Kind, Sink, Stored};
use crate::schema::{AppId, Form, ItemCheck, Place, SchemaError, cut, is_longer};
use crate::switches::{
    BadTimestamp, EpochTimestamp, LongEvent, PartnerAnonymous, Switches, Take, ZonelessTimestamp,
};

pub(crate) const TRACK: Form =
    Form { list: "events", single: true, library: false, numeric_app_id: false };
pub(crate) const USER_PROPERTIES: Form =
    Form { list: "users", single: true, library: false, numeric_app_id: false };
/// The account endpoint's schema says integer while its sample sends text (heap-api §1).
pub(crate) const ACCOUNT_PROPERTIES: Form =
    Form { list: "accounts", single: true, library: false, numeric_app_id: true };
pub(crate) const PARTNER_TRACK: Form =
    Form { list: "events", single: false, library: true, numeric_app_id: false };
pub(crate) const PARTNER_USER_PROPERTIES: Form =
    Form { list: "users", single: false, library: true, numeric_app_id: false };

const MAX_EVENT: usize = 1024;
const MAX_IDENTITY: usize = 255;
const MIN_PARTNER_KEY: usize = 8;

/// Whom an item is about. At least one member is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Identifiers {
    pub(crate) identity: Option<Box<str>>,
    pub(crate) user_id: Option<u64>,
    pub(crate) email: Option<Box<str>>,
    pub(crate) anonymous_id: Option<Box<str>>,
}

impl Identifiers {
    /// The user id that the deciding identifier stands for, before any migration.
    pub(crate) fn user(&self) -> u64 {
        match (&self.identity, self.user_id, &self.email, &self.anonymous_id) {
            (Some(identity), _, _, _) => user_id_of(identity),
            (None, Some(user_id), _, _) => user_id,
            (None, None, Some(email), _) => user_id_of_email(email),
            (None, None, None, Some(anonymous_id)) => user_id_of_anonymous(anonymous_id),
            (None, None, None, None) => user_id_of(""),
        }
    }
}

/// An event of a request.
pub(crate) struct NewEvent {
    pub(crate) who: Identifiers,
    pub(crate) user: u64,
    pub(crate) event: Box<str>,
    pub(crate) properties: EventProperties,
    pub(crate) time: Option<Millis>,
    pub(crate) session_id: Option<Box<str>>,
    pub(crate) key: Option<Box<str>>,
    pub(crate) key_hash: Option<u64>,
}

/// A user's properties in a request.
pub(crate) struct NewUser {
    pub(crate) who: Identifiers,
    pub(crate) user: u64,
    pub(crate) properties: Vec<(Box<str>, Value)>,
}

/// An account's properties in a request.
pub(crate) struct NewAccount {
    pub(crate) account_id: Box<str>,
    pub(crate) properties: Vec<(Box<str>, Value)>,
}

pub(crate) enum Item {
    Event(NewEvent),
    User(NewUser),
    Account(NewAccount),
}

/// An event's stored properties as JSON text: events are many, and few are looked at.
#[derive(Debug, Default)]
pub(crate) struct EventProperties(String);

impl EventProperties {
    pub(crate) fn into_json(mut self) -> Box<str> {
        if self.0.is_empty() {
            return "{}".into();
        }
        self.0.push('}');
        self.0.into()
    }
}

impl Sink for EventProperties {
    fn put(&mut self, key: &str, value: Stored<'_>) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        write_text(key, &mut self.0);
        self.0.push(':');
        match value {
            Stored::Null => self.0.push_str("null"),
            Stored::Bool(truth) => self.0.push_str(if truth { "true" } else { "false" }),
            Stored::Number(number) => self.0.push_str(&number.to_string()),
            Stored::Text(text) => write_text(&text, &mut self.0),
        }
    }
}

impl Sink for Vec<(Box<str>, Value)> {
    fn put(&mut self, key: &str, value: Stored<'_>) {
        let value = match value {
            Stored::Null => Value::Null,
            Stored::Bool(truth) => Value::Bool(truth),
            Stored::Number(number) => Value::Number(number),
            Stored::Text(text) => Value::String(text.into_owned()),
        };
        self.push((key.into(), value));
    }
}

/// `POST /api/track` (heap-api §2).
pub(crate) fn track(
    item: &Members<'_>,
    place: Place,
    switches: &Switches,
    effects: &mut Effects,
) -> ItemCheck<Item> {
    place.require(item, "event")?;
    let mut who = Identifiers::default();
    let mut event = Draft::default();
    for (name, value) in item.iter() {
        match name {
            "identity" => who.identity = Some(identity(value, place)?.into()),
            "user_id" => who.user_id = Some(place.user_id(name, value, switches)?),
            "idempotency_key" => {
                event.key = Some(place.text(name, value, 0, usize::MAX)?.into());
            }
            "properties" => {
                let sink = &mut event.properties;
                properties::check(name, value, place, Kind::Event, switches, effects, sink)?;
            }
            "timestamp" => {
                let epoch = switches.epoch_timestamp;
                event.time = timestamp(value, place, epoch, switches, effects)?;
            }
            _ => event.other(name, value, place, switches, effects)?,
        }
    }
    if who.identity.is_some() == who.user_id.is_some() {
        return Err(place.fault("should match exactly one schema in oneOf"));
    }
    Ok(event.finish(who))
}

/// `POST /api/add_user_properties` (heap-api §3).
pub(crate) fn user_properties(
    item: &Members<'_>,
    place: Place,
    switches: &Switches,
    effects: &mut Effects,
) -> ItemCheck<Item> {
    place.require(item, "identity")?;
    place.require(item, "properties")?;
    let mut who = Identifiers::default();
    let mut stored = Vec::new();
    for (name, value) in item.iter() {
        match name {
            "identity" => who.identity = Some(identity(value, place)?.into()),
            "properties" => {
                let sink = &mut stored;
                properties::check(name, value, place, Kind::User, switches, effects, sink)?;
            }
            _ => {}
        }
    }
    Ok(Some(Item::User(NewUser { user: who.user(), who, properties: stored })))
}

/// `POST /api/add_account_properties` (heap-api §5).
pub(crate) fn account_properties(
    item: &Members<'_>,
    place: Place,
    switches: &Switches,
    effects: &mut Effects,
) -> ItemCheck<Item> {
    place.require(item, "account_id")?;
    place.require(item, "properties")?;
    let mut account_id = "";
    let mut stored = Vec::new();
    for (name, value) in item.iter() {
        match name {
            "account_id" => account_id = place.text(name, value, 1, usize::MAX)?,
            "properties" => {
                let sink = &mut stored;
                properties::check(name, value, place, Kind::Account, switches, effects, sink)?;
            }
            _ => {}
        }
    }
    Ok(Some(Item::Account(NewAccount { account_id: account_id.into(), properties: stored })))
}

/// `POST /api/integrations/track` (heap-api §6).
pub(crate) fn partner_track(
    item: &Members<'_>,
    place: Place,
    switches: &Switches,
    effects: &mut Effects,
) -> ItemCheck<Item> {
    place.require(item, "event")?;
    place.require(item, "user_identifier")?;
    let mut who = Identifiers::default();
    let mut event = Draft::default();
    for (name, value) in item.iter() {
        match name {
            "user_identifier" => who = user_identifier(value, place, switches)?,
            "idempotency_key" => {
                let least = match switches.partner_short_key {
                    Take::Reject => MIN_PARTNER_KEY,
                    Take::Accept => 0,
                };
                event.key = Some(place.text(name, value, least, usize::MAX)?.into());
            }
            "custom_properties" => {
                let sink = &mut event.properties;
                properties::check(name, value, place, Kind::PartnerEvent, switches, effects, sink)?;
            }
            "timestamp" => {
                let epoch = EpochTimestamp::Accept;
                event.time = timestamp(value, place, epoch, switches, effects)?;
            }
            _ => event.other(name, value, place, switches, effects)?,
        }
    }
    if !takes_anonymous(&who, place, switches, effects)? {
        return Ok(None);
    }
    Ok(event.finish(who))
}

/// `POST /api/integrations/add_user_properties` (heap-api §6).
pub(crate) fn partner_user_properties(
    item: &Members<'_>,
    place: Place,
    switches: &Switches,
    effects: &mut Effects,
) -> ItemCheck<Item> {
    place.require(item, "user_identifier")?;
    if !item.has("properties") {
        place.require(item, "custom_properties")?;
    }
    let mut who = Identifiers::default();
    let mut stored = Vec::new();
    for (name, value) in item.iter() {
        match name {
            "user_identifier" => who = user_identifier(value, place, switches)?,
            "custom_properties" | "properties" => {
                let sink = &mut stored;
                properties::check(name, value, place, Kind::PartnerUser, switches, effects, sink)?;
            }
            _ => {}
        }
    }
    if !takes_anonymous(&who, place, switches, effects)? {
        return Ok(None);
    }
    Ok(Some(Item::User(NewUser { user: who.user(), who, properties: stored })))
}

/// A checked identify call.
pub(crate) struct Identify<'j> {
    pub(crate) app: AppId,
    pub(crate) user_id: u64,
    pub(crate) identity: &'j str,
}

/// `POST /api/v1/identify` (heap-api §4), which has no list.
pub(crate) fn identify<'j>(
    body: &'j Members<'_>,
    switches: &Switches,
    effects: &mut Effects,
) -> Result<Identify<'j>, SchemaError> {
    for name in ["app_id", "user_id", "identity"] {
        Place::Body.require(body, name)?;
    }
    let mut app = AppId::Malformed(String::new());
    let (mut user_id, mut text) = (0, "");
    for (name, value) in body.iter() {
        match name {
            "app_id" => app = AppId::check(value, switches.numeric_app_id, switches)?,
            "user_id" => user_id = Place::Body.user_id(name, value, switches)?,
            "identity" => text = identity(value, Place::Body)?,
            "timestamp" => {
                timestamp(value, Place::Body, switches.epoch_timestamp, switches, effects)?;
            }
            _ => {}
        }
    }
    Ok(Identify { app, user_id, identity: text })
}

/// The members of an event that are gathered before it is known whose it is.
#[derive(Default)]
struct Draft<'j> {
    event: Cow<'j, str>,
    dropped: bool,
    properties: EventProperties,
    time: Option<Millis>,
    session_id: Option<Box<str>>,
    key: Option<Box<str>>,
}

impl<'j> Draft<'j> {
    /// The members that both forms of an event have alike; unknown members pass.
    fn other(
        &mut self,
        name: &str,
        value: &'j Json<'_>,
        place: Place,
        switches: &Switches,
        effects: &mut Effects,
    ) -> Result<(), SchemaError> {
        match name {
            "event" => {
                let most = match switches.long_event {
                    LongEvent::Reject => MAX_EVENT,
                    LongEvent::Cut | LongEvent::Drop => usize::MAX,
                };
                let text = place.text(name, value, 1, most)?;
                self.event = Cow::Borrowed(text);
                if is_longer(text, MAX_EVENT) {
                    self.event = Cow::Borrowed(cut(text, MAX_EVENT));
                    self.dropped = switches.long_event == LongEvent::Drop;
                    let kind = match self.dropped {
                        true => EffectKind::EventDropped,
                        false => EffectKind::EventCut,
                    };
                    effects.add(kind, &self.event);
                }
            }
            "session_id" => {
                self.session_id = Some(place.text(name, value, 0, usize::MAX)?.into());
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self, who: Identifiers) -> Option<Item> {
        if self.dropped {
            return None;
        }
        Some(Item::Event(NewEvent {
            user: who.user(),
            who,
            event: self.event.into(),
            properties: self.properties,
            time: self.time,
            session_id: self.session_id,
            key_hash: self.key.as_deref().map(key_hash),
            key: self.key,
        }))
    }
}

fn identity<'j>(value: &'j Json<'_>, place: Place) -> Result<&'j str, SchemaError> {
    place.text("identity", value, 1, MAX_IDENTITY)
}

fn user_identifier(
    value: &Json<'_>,
    place: Place,
    switches: &Switches,
) -> Result<Identifiers, SchemaError> {
    let Json::Object(members) = value else {
        return Err(place.fault_at("user_identifier", "should be object"));
    };
    let mut who = Identifiers::default();
    for (name, value) in members.iter() {
        let text = |least, most| place.text(&format!("user_identifier.{name}"), value, least, most);
        match name {
            "identity" => who.identity = Some(text(1, MAX_IDENTITY)?.into()),
            "anonymous_id" => who.anonymous_id = Some(text(0, usize::MAX)?.into()),
            "email" => who.email = Some(text(0, usize::MAX)?.into()),
            "user_id" => {
                let id = place.user_id("user_identifier.user_id", value, switches)?;
                who.user_id = Some(id);
            }
            _ => {}
        }
    }
    if who == Identifiers::default() {
        return Err(place.fault_at("user_identifier", "should match some schema in anyOf"));
    }
    Ok(who)
}

/// Whether an item that has nothing but an anonymous id is stored.
fn takes_anonymous(
    who: &Identifiers,
    place: Place,
    switches: &Switches,
    effects: &mut Effects,
) -> Result<bool, SchemaError> {
    if who.identity.is_some() || who.user_id.is_some() || who.email.is_some() {
        return Ok(true);
    }
    match switches.partner_anonymous {
        PartnerAnonymous::Accept => Ok(true),
        PartnerAnonymous::Reject => {
            Err(place.fault_at("user_identifier", "should have required property 'user_id'"))
        }
        PartnerAnonymous::Discard => {
            let anonymous_id = who.anonymous_id.as_deref().unwrap_or_default();
            effects.add(EffectKind::AnonymousDiscarded, anonymous_id);
            Ok(false)
        }
    }
}

/// The time that an item gives; `None` where it counts as given at arrival.
fn timestamp(
    value: &Json<'_>,
    place: Place,
    epoch: EpochTimestamp,
    switches: &Switches,
    effects: &mut Effects,
) -> Result<Option<Millis>, SchemaError> {
    let (time, says) = match value {
        Json::Text(text) => {
            let time = match read_time(text) {
                Reading::Zoned(time) => Some(time),
                Reading::Zoneless(time) => match switches.zoneless_timestamp {
                    ZonelessTimestamp::Utc => Some(time),
                    ZonelessTimestamp::Reject => {
                        let says = "should match format \"date-time\"";
                        return Err(place.fault_at("timestamp", says));
                    }
                },
                Reading::Unreadable => None,
            };
            (time, "should match format \"date-time\"")
        }
        Json::Number(number) => match epoch {
            EpochTimestamp::Reject => return Err(place.fault_at("timestamp", "should be string")),
            EpochTimestamp::Accept => (epoch_of(number), "should be Unix time"),
            EpochTimestamp::Now => {
                effects.add(EffectKind::TimestampNow, &number.to_string());
                return Ok(None);
            }
        },
        Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) => (None, "should be string"),
    };
    match (time, switches.bad_timestamp) {
        (Some(time), _) => Ok(Some(time)),
        (None, BadTimestamp::Reject) => Err(place.fault_at("timestamp", says)),
        (None, BadTimestamp::Now) => {
            let mut given = String::new();
            value.write(&mut given);
            effects.add(EffectKind::TimestampNow, cut(&given, 64));
            Ok(None)
        }
    }
}

fn epoch_of(number: &Number) -> Option<Millis> {
    number.as_f64().and_then(read_epoch)
}
