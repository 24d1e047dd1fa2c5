//! Property values: what is refused, joined, cut, turned into text or left out.

use std::borrow::Cow;

use serde_json::Number;

use crate::effects::{EffectKind, Effects};
use crate::json::{Json, Members, write_number};
use crate::schema::{Place, SchemaError, cut, is_longer};
use crate::switches::{
    ArrayItem, BooleanValue, LongKey, LongValue, NestedObject, NullValue, PartnerValue, ReservedId,
    Switches,
};

/// The longest key or text value that is stored, in UTF-16 code units (heap-api §9).
const MAX_LENGTH: usize = 1024;

/// Whose properties these are, and by which contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Event,
    User,
    Account,
    /// Values are texts only.
    PartnerEvent,
    /// Values are texts, numbers, booleans or null.
    PartnerUser,
}

impl Kind {
    fn types(self) -> &'static str {
        match self {
            Kind::Event | Kind::User | Kind::Account => "should be number,string",
            Kind::PartnerEvent => "should be string",
            Kind::PartnerUser => "should be string,number,boolean,null",
        }
    }

    fn has_reserved_id(self) -> bool {
        match self {
            Kind::User | Kind::PartnerUser => true,
            Kind::Event | Kind::Account | Kind::PartnerEvent => false,
        }
    }
}

/// A value as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stored<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
}

/// Takes the values that are stored, in the document's order.
pub(crate) trait Sink {
    fn put(&mut self, key: &str, value: Stored<'_>);
}

/// Checks the member `name` of an item, an object of properties, and gives what is stored.
pub(crate) fn check(
    name: &str,
    value: &Json<'_>,
    place: Place,
    kind: Kind,
    switches: &Switches,
    effects: &mut Effects,
    sink: &mut impl Sink,
) -> Result<(), SchemaError> {
    let Json::Object(members) = value else {
        return Err(place.fault_at(name, "should be object"));
    };
    let mut checker = Checker { name, place, kind, switches, effects };
    for (key, value) in members.iter() {
        if !checker.takes_key(key, members)? {
            continue;
        }
        if let Some(stored) = checker.value(key, value)? {
            sink.put(key, stored);
        }
    }
    Ok(())
}

struct Checker<'c> {
    name: &'c str,
    place: Place,
    kind: Kind,
    switches: &'c Switches,
    effects: &'c mut Effects,
}

impl Checker<'_> {
    fn fault(&self, key: &str, says: &str) -> SchemaError {
        self.place.fault_at(format_args!("{}['{key}']", self.name), says)
    }

    fn takes_key(&mut self, key: &str, members: &Members<'_>) -> Result<bool, SchemaError> {
        let bad_name = |place: Place, name: &str| {
            place.fault_at(name, format_args!("property name '{key}' is invalid"))
        };
        if is_longer(key, MAX_LENGTH) {
            return match self.switches.long_key {
                LongKey::Reject => Err(bad_name(self.place, self.name)),
                LongKey::Drop => {
                    self.effects.add(EffectKind::KeyDropped, cut(key, 64));
                    Ok(false)
                }
            };
        }
        if !self.kind.has_reserved_id() {
            return Ok(true);
        }
        if key.eq_ignore_ascii_case("id") {
            return match self.switches.reserved_id {
                ReservedId::Reject => Err(bad_name(self.place, self.name)),
                ReservedId::Accept => Ok(true),
                ReservedId::Drop => {
                    self.effects.add(EffectKind::ReservedIdDropped, key);
                    Ok(false)
                }
            };
        }
        if key != "email" && key.eq_ignore_ascii_case("email") && !members.has("email") {
            self.effects.add(EffectKind::EmailCase, key);
        }
        Ok(true)
    }

    fn value<'j>(
        &mut self,
        key: &str,
        value: &'j Json<'_>,
    ) -> Result<Option<Stored<'j>>, SchemaError> {
        if let Json::Text(text) = value {
            return self.text(key, text).map(|text| Some(Stored::Text(text)));
        }
        match self.kind {
            Kind::PartnerEvent => return self.as_text_only(key, value),
            Kind::PartnerUser => match value {
                Json::Bool(truth) => return Ok(Some(Stored::Bool(*truth))),
                Json::Null => return Ok(Some(Stored::Null)),
                Json::Number(_) | Json::Text(_) | Json::List(_) | Json::Object(_) => {}
            },
            Kind::Event | Kind::User | Kind::Account => {}
        }
        match value {
            Json::Text(text) => self.text(key, text).map(|text| Some(Stored::Text(text))),
            Json::Number(number) => Ok(Some(Stored::Number(number.clone()))),
            Json::Bool(truth) => match self.switches.boolean_value {
                BooleanValue::Reject => Err(self.fault(key, self.kind.types())),
                BooleanValue::Text => {
                    self.effects.add(EffectKind::ValueAsText, key);
                    Ok(Some(Stored::Text(if *truth { "true" } else { "false" }.into())))
                }
                BooleanValue::Drop => Ok(self.dropped(key)),
            },
            Json::Null => match self.switches.null_value {
                NullValue::Reject => Err(self.fault(key, self.kind.types())),
                NullValue::Drop => Ok(self.dropped(key)),
            },
            Json::Object(_) => match self.switches.nested_object {
                NestedObject::Reject => Err(self.fault(key, self.kind.types())),
                NestedObject::Drop => Ok(self.dropped(key)),
                NestedObject::Json => Ok(Some(self.json_text(key, value))),
            },
            Json::List(items) => self.joined(key, items).map(Some),
        }
    }

    fn dropped<'j>(&mut self, key: &str) -> Option<Stored<'j>> {
        self.effects.add(EffectKind::ValueDropped, key);
        None
    }

    fn text<'j>(&mut self, key: &str, text: &'j str) -> Result<Cow<'j, str>, SchemaError> {
        if !is_longer(text, MAX_LENGTH) {
            return Ok(Cow::Borrowed(text));
        }
        match self.switches.long_value {
            LongValue::Reject => {
                Err(self.fault(key, &format!("should NOT be longer than {MAX_LENGTH} characters")))
            }
            LongValue::Cut => {
                self.effects.add(EffectKind::ValueCut, key);
                Ok(Cow::Borrowed(cut(text, MAX_LENGTH)))
            }
        }
    }

    fn as_text_only<'j>(
        &mut self,
        key: &str,
        value: &'j Json<'_>,
    ) -> Result<Option<Stored<'j>>, SchemaError> {
        match self.switches.partner_value_type {
            PartnerValue::Reject => Err(self.fault(key, self.kind.types())),
            PartnerValue::Text => Ok(Some(self.json_text(key, value))),
            PartnerValue::Drop => Ok(self.dropped(key)),
        }
    }

    fn json_text<'j>(&mut self, key: &str, value: &Json<'_>) -> Stored<'j> {
        let mut text = String::new();
        value.write(&mut text);
        self.effects.add(EffectKind::ValueAsText, key);
        self.cut_silently(key, text)
    }

    /// Heap joins an array's items with `||` and cuts the text (heap-api §2).
    fn joined<'j>(&mut self, key: &str, items: &[Json<'_>]) -> Result<Stored<'j>, SchemaError> {
        let mut text = String::new();
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                text.push_str("||");
            }
            match item {
                Json::Text(item) => text.push_str(item),
                Json::Number(number) => write_number(number, &mut text),
                Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) => {
                    match self.switches.array_item {
                        ArrayItem::Json => item.write(&mut text),
                        ArrayItem::Reject => {
                            let member = format!("{}['{key}'][{index}]", self.name);
                            return Err(self.place.fault_at(member, "should be number,string"));
                        }
                    }
                }
            }
        }
        self.effects.add(EffectKind::ArrayJoined, key);
        Ok(self.cut_silently(key, text))
    }

    fn cut_silently<'j>(&mut self, key: &str, text: String) -> Stored<'j> {
        if !is_longer(&text, MAX_LENGTH) {
            return Stored::Text(text.into());
        }
        self.effects.add(EffectKind::ValueCut, key);
        Stored::Text(cut(&text, MAX_LENGTH).to_owned().into())
    }
}
