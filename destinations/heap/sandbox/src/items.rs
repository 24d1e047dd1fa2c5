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

/// What an item of one call is judged by.
pub(crate) struct Judge<'r> {
    /// Where it stands in the body.
    pub(crate) place: Place,
    pub(crate) switches: &'r Switches,
    pub(crate) effects: &'r mut Effects,
}

impl Judge<'_> {
    /// `POST /api/track` (heap-api §2).
    pub(crate) fn track(mut self, item: &Members<'_>) -> ItemCheck<Item> {
        self.place.require(item, "event")?;
        let mut who = Identifiers::default();
        let mut event = Draft::default();
        for (name, value) in item.iter() {
            match name {
                "identity" => who.identity = Some(identity(value, self.place)?.into()),
                "user_id" => who.user_id = Some(self.place.user_id(name, value, self.switches)?),
                "idempotency_key" => {
                    event.key = Some(self.place.text(name, value, 0, usize::MAX)?.into());
                }
                "properties" => self.properties(name, value, Kind::Event, &mut event.properties)?,
                "timestamp" => event.time = self.timestamp(value, self.switches.epoch_timestamp)?,
                _ => event.other(name, value, &mut self)?,
            }
        }
        if who.identity.is_some() == who.user_id.is_some() {
            return Err(self.place.fault("should match exactly one schema in oneOf"));
        }
        Ok(event.finish(who))
    }

    /// `POST /api/add_user_properties` (heap-api §3).
    pub(crate) fn user_properties(mut self, item: &Members<'_>) -> ItemCheck<Item> {
        self.place.require(item, "identity")?;
        self.place.require(item, "properties")?;
        let mut who = Identifiers::default();
        let mut stored = Vec::new();
        for (name, value) in item.iter() {
            match name {
                "identity" => who.identity = Some(identity(value, self.place)?.into()),
                "properties" => self.properties(name, value, Kind::User, &mut stored)?,
                _ => {}
            }
        }
        Ok(Some(Item::User(NewUser { user: who.user(), who, properties: stored })))
    }

    /// `POST /api/add_account_properties` (heap-api §5).
    pub(crate) fn account_properties(mut self, item: &Members<'_>) -> ItemCheck<Item> {
        self.place.require(item, "account_id")?;
        self.place.require(item, "properties")?;
        let mut account_id = "";
        let mut stored = Vec::new();
        for (name, value) in item.iter() {
            match name {
                "account_id" => account_id = self.place.text(name, value, 1, usize::MAX)?,
                "properties" => self.properties(name, value, Kind::Account, &mut stored)?,
                _ => {}
            }
        }
        Ok(Some(Item::Account(NewAccount { account_id: account_id.into(), properties: stored })))
    }

    /// `POST /api/integrations/track` (heap-api §6).
    pub(crate) fn partner_track(mut self, item: &Members<'_>) -> ItemCheck<Item> {
        self.place.require(item, "event")?;
        self.place.require(item, "user_identifier")?;
        let mut who = Identifiers::default();
        let mut event = Draft::default();
        for (name, value) in item.iter() {
            match name {
                "user_identifier" => who = self.user_identifier(value)?,
                "idempotency_key" => {
                    let least = match self.switches.partner_short_key {
                        Take::Reject => MIN_PARTNER_KEY,
                        Take::Accept => 0,
                    };
                    event.key = Some(self.place.text(name, value, least, usize::MAX)?.into());
                }
                "custom_properties" => {
                    self.properties(name, value, Kind::PartnerEvent, &mut event.properties)?
                }
                "timestamp" => event.time = self.timestamp(value, EpochTimestamp::Accept)?,
                _ => event.other(name, value, &mut self)?,
            }
        }
        if !self.takes_anonymous(&who)? {
            return Ok(None);
        }
        Ok(event.finish(who))
    }

    /// `POST /api/integrations/add_user_properties` (heap-api §6).
    pub(crate) fn partner_user_properties(mut self, item: &Members<'_>) -> ItemCheck<Item> {
        self.place.require(item, "user_identifier")?;
        if !item.has("properties") {
            self.place.require(item, "custom_properties")?;
        }
        let mut who = Identifiers::default();
        let mut stored = Vec::new();
        for (name, value) in item.iter() {
            match name {
                "user_identifier" => who = self.user_identifier(value)?,
                "custom_properties" | "properties" => {
                    self.properties(name, value, Kind::PartnerUser, &mut stored)?
                }
                _ => {}
            }
        }
        if !self.takes_anonymous(&who)? {
            return Ok(None);
        }
        Ok(Some(Item::User(NewUser { user: who.user(), who, properties: stored })))
    }

    fn properties(
        &mut self,
        name: &str,
        value: &Json<'_>,
        kind: Kind,
        sink: &mut impl Sink,
    ) -> Result<(), SchemaError> {
        properties::check(name, value, self.place, kind, self.switches, self.effects, sink)
    }

    fn user_identifier(&self, value: &Json<'_>) -> Result<Identifiers, SchemaError> {
        let Json::Object(members) = value else {
            return Err(self.place.fault_at("user_identifier", "should be object"));
        };
        let mut who = Identifiers::default();
        for (name, value) in members.iter() {
            let text = |least, most| {
                self.place.text(&format!("user_identifier.{name}"), value, least, most)
            };
            match name {
                "identity" => who.identity = Some(text(1, MAX_IDENTITY)?.into()),
                "anonymous_id" => who.anonymous_id = Some(text(0, usize::MAX)?.into()),
                "email" => who.email = Some(text(0, usize::MAX)?.into()),
                "user_id" => {
                    let id = self.place.user_id("user_identifier.user_id", value, self.switches)?;
                    who.user_id = Some(id);
                }
                _ => {}
            }
        }
        if who == Identifiers::default() {
            return Err(self
                .place
                .fault_at("user_identifier", "should match some schema in anyOf"));
        }
        Ok(who)
    }

    /// Whether an item that has nothing but an anonymous id is stored.
    fn takes_anonymous(&mut self, who: &Identifiers) -> Result<bool, SchemaError> {
        if who.identity.is_some() || who.user_id.is_some() || who.email.is_some() {
            return Ok(true);
        }
        match self.switches.partner_anonymous {
            PartnerAnonymous::Accept => Ok(true),
            PartnerAnonymous::Reject => Err(self
                .place
                .fault_at("user_identifier", "should have required property 'user_id'")),
            PartnerAnonymous::Discard => {
                let anonymous_id = who.anonymous_id.as_deref().unwrap_or_default();
                self.effects.add(EffectKind::AnonymousDiscarded, anonymous_id);
                Ok(false)
            }
        }
    }

    /// The time that an item gives; `None` where it counts as given at arrival.
    fn timestamp(
        &mut self,
        value: &Json<'_>,
        epoch: EpochTimestamp,
    ) -> Result<Option<Millis>, SchemaError> {
        let (time, says) = match value {
            Json::Text(text) => {
                let time = match read_time(text) {
                    Reading::Zoned(time) => Some(time),
                    Reading::Zoneless(time) => match self.switches.zoneless_timestamp {
                        ZonelessTimestamp::Utc => Some(time),
                        ZonelessTimestamp::Reject => {
                            let says = "should match format \"date-time\"";
                            return Err(self.place.fault_at("timestamp", says));
                        }
                    },
                    Reading::Unreadable => None,
                };
                (time, "should match format \"date-time\"")
            }
            Json::Number(number) => match epoch {
                EpochTimestamp::Reject => {
                    return Err(self.place.fault_at("timestamp", "should be string"));
                }
                EpochTimestamp::Accept => (epoch_of(number), "should be Unix time"),
                EpochTimestamp::Now => {
                    self.effects.add(EffectKind::TimestampNow, &number.to_string());
                    return Ok(None);
                }
            },
            Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) => {
                (None, "should be string")
            }
        };
        match (time, self.switches.bad_timestamp) {
            (Some(time), _) => Ok(Some(time)),
            (None, BadTimestamp::Reject) => Err(self.place.fault_at("timestamp", says)),
            (None, BadTimestamp::Now) => {
                let mut given = String::new();
                value.write(&mut given);
                self.effects.add(EffectKind::TimestampNow, cut(&given, 64));
                Ok(None)
            }
        }
    }
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
                let mut judge = Judge { place: Place::Body, switches, effects };
                judge.timestamp(value, switches.epoch_timestamp)?;
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
        judge: &mut Judge<'_>,
    ) -> Result<(), SchemaError> {
        let Judge { place, switches, effects } = judge;
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

fn epoch_of(number: &Number) -> Option<Millis> {
    number.as_f64().and_then(read_epoch)
}
