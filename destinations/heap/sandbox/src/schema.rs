//! The checks of a body as a whole: its app id, its list, its items; errors in Ajv's style.

use std::fmt;

use crate::effects::{EffectKind, Effects};
use crate::ids::MAX_USER_ID;
use crate::json::{Json, Members};
use crate::switches::{BulkFailure, MalformedApp, Switches, Take};

/// The text of a 400: the first fault of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SchemaError(pub(crate) String);

/// A place in the body: the body itself, or an item of its list.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Body,
    Item(&'static str, usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Body => f.write_str("postBody"),
            Place::Item(list, index) => write!(f, "postBody.{list}[{index}]"),
        }
    }
}

impl Place {
    pub(crate) fn fault(self, says: impl fmt::Display) -> SchemaError {
        SchemaError(format!("{self} {says}"))
    }

    pub(crate) fn fault_at(
        self,
        member: impl fmt::Display,
        says: impl fmt::Display,
    ) -> SchemaError {
        SchemaError(format!("{self}.{member} {says}"))
    }

    pub(crate) fn require(self, members: &Members<'_>, name: &str) -> Result<(), SchemaError> {
        if members.has(name) {
            return Ok(());
        }
        Err(self.fault(format_args!("should have required property '{name}'")))
    }

    /// A text member, with the least and the greatest length, if any, in UTF-16 code units.
    pub(crate) fn text<'j>(
        self,
        name: &str,
        value: &'j Json<'_>,
        least: usize,
        most: usize,
    ) -> Result<&'j str, SchemaError> {
        let text = value.text().ok_or_else(|| self.fault_at(name, "should be string"))?;
        if is_longer(text, most) {
            let says = format!("should NOT be longer than {most} characters");
            return Err(self.fault_at(name, says));
        }
        if least > 0 && !is_longer(text, least - 1) {
            let says = format!("should NOT be shorter than {least} characters");
            return Err(self.fault_at(name, says));
        }
        Ok(text)
    }

    /// A user id: digits of a number in 0 … 2^53 − 1, or by switch that number itself.
    pub(crate) fn user_id(
        self,
        name: &str,
        value: &Json<'_>,
        switches: &Switches,
    ) -> Result<u64, SchemaError> {
        let out_of_range = || self.fault_at(name, format_args!("should be <= {MAX_USER_ID}"));
        match value {
            Json::Text(text) if is_digits(text) => {
                let id: Option<u64> = text.parse().ok();
                id.filter(|id| *id <= MAX_USER_ID).ok_or_else(out_of_range)
            }
            Json::Text(_) => Err(self.fault_at(name, "should match pattern \"^[0-9]+$\"")),
            Json::Number(number) if switches.numeric_user_id == Take::Accept => {
                match whole(number) {
                    Some(id) if id <= MAX_USER_ID => Ok(id),
                    Some(_) => Err(out_of_range()),
                    None => Err(self.fault_at(name, "should match pattern \"^[0-9]+$\"")),
                }
            }
            Json::Number(_) | Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) => {
                Err(self.fault_at(name, "should be string"))
            }
        }
    }
}

/// Whether a text has more UTF-16 code units than `most`.
pub(crate) fn is_longer(text: &str, most: usize) -> bool {
    text.len() > most && text.encode_utf16().count() > most
}

/// The beginning of a text that fits into `most` UTF-16 code units, cut on a character boundary.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    let mut units = 0;
    for (at, character) in text.char_indices() {
        units += character.len_utf16();
        if units > most {
            return text.get(..at).unwrap_or(text);
        }
    }
    text
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number if it is whole and not negative, however it was written.
pub(crate) fn whole(number: &serde_json::Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        number
            .as_f64()
            .filter(|float| float.fract() == 0.0 && *float >= 0.0 && *float < 18e18)
            .map(|float| float as u64)
    })
}

/// The environment that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AppId {
    Digits(String),
    /// Taken by switch; nothing is stored.
    Malformed(String),
}

impl AppId {
    pub(crate) fn check(
        value: &Json<'_>,
        take: Take,
        switches: &Switches,
    ) -> Result<AppId, SchemaError> {
        let text = match value {
            Json::Text(text) => text.to_string(),
            Json::Number(number) if take == Take::Accept => {
                whole(number).map_or_else(|| number.to_string(), |id| id.to_string())
            }
            Json::Number(_) | Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) => {
                return Err(Place::Body.fault_at("app_id", "should be string"));
            }
        };
        if is_digits(&text) {
            return Ok(AppId::Digits(text));
        }
        match switches.malformed_app_id {
            MalformedApp::Discard => Ok(AppId::Malformed(text)),
            MalformedApp::Reject => {
                Err(Place::Body.fault_at("app_id", "should match pattern \"^[0-9]+$\""))
            }
        }
    }
}

/// How a call's body is built.
pub(crate) struct Form {
    pub(crate) list: &'static str,
    /// Whether the body may be one item without the list around it.
    pub(crate) single: bool,
    pub(crate) library: bool,
    pub(crate) numeric_app_id: bool,
}

/// An item after its check.
pub(crate) enum Slot<T> {
    Good(T),
    /// Not stored, and the sender isn't told; the effects say why.
    Dropped,
    Bad(SchemaError),
}

pub(crate) struct Checked<T> {
    pub(crate) app: AppId,
    pub(crate) single: bool,
    pub(crate) slots: Vec<Slot<T>>,
    pub(crate) effects: Effects,
}

/// The most items of a request (heap-api §2, §3, §5).
const MAX_ITEMS: usize = 1000;

/// What the check of one item says: `None` if it is dropped in silence.
pub(crate) type ItemCheck<T> = Result<Option<T>, SchemaError>;

/// Checks a body: at each object first what is missing, then its members in their order.
/// An item's fault ends the check, unless bad items of a bulk request stand for themselves.
pub(crate) fn check_body<T>(
    body: &Members<'_>,
    form: &Form,
    switches: &Switches,
    check_item: impl Fn(&Members<'_>, Place, &mut Effects) -> ItemCheck<T>,
) -> Result<Checked<T>, SchemaError> {
    let single = form.single && !body.has(form.list);
    Place::Body.require(body, "app_id")?;
    if form.library && switches.partner_library == Take::Reject {
        Place::Body.require(body, "library")?;
    }
    if !single {
        Place::Body.require(body, form.list)?;
    }

    let take = if form.numeric_app_id { Take::Accept } else { switches.numeric_app_id };
    let mut app = None;
    let mut slots = Vec::new();
    let mut effects = Effects::default();
    for (name, value) in body.iter() {
        if name == "app_id" {
            app = Some(AppId::check(value, take, switches)?);
        } else if name == "library" && form.library {
            Place::Body.text(name, value, 0, usize::MAX)?;
        } else if name == form.list && !single {
            slots = check_list(value, form, switches, &mut effects, &check_item)?;
        }
    }
    if single {
        let item = check_item(body, Place::Item(form.list, 0), &mut effects)?;
        slots.push(item.map_or(Slot::Dropped, Slot::Good));
    }
    let app = app.ok_or_else(|| Place::Body.fault_at("app_id", "should be string"))?;
    Ok(Checked { app, single, slots, effects })
}

fn check_list<T>(
    list: &Json<'_>,
    form: &Form,
    switches: &Switches,
    effects: &mut Effects,
    check_item: impl Fn(&Members<'_>, Place, &mut Effects) -> ItemCheck<T>,
) -> Result<Vec<Slot<T>>, SchemaError> {
    let Json::List(items) = list else {
        return Err(Place::Body.fault_at(form.list, "should be array"));
    };
    if items.len() > MAX_ITEMS {
        let says = format!("should NOT have more than {MAX_ITEMS} items");
        return Err(Place::Body.fault_at(form.list, says));
    }
    if items.is_empty() {
        return Err(Place::Body.fault_at(form.list, "should NOT have fewer than 1 items"));
    }
    let mut slots = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        effects.at_item(index);
        let place = Place::Item(form.list, index);
        let checked = match item {
            Json::Object(members) => check_item(members, place, effects),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => {
                Err(place.fault("should be object"))
            }
        };
        slots.push(match checked {
            Ok(Some(item)) => Slot::Good(item),
            Ok(None) => Slot::Dropped,
            Err(error) => match switches.bulk_failure {
                BulkFailure::Whole => return Err(error),
                BulkFailure::PerItem => {
                    effects.forget_item();
                    Slot::Bad(error)
                }
                BulkFailure::Skip => {
                    effects.forget_item();
                    effects.add(EffectKind::ItemSkipped, &error.0);
                    Slot::Bad(error)
                }
            },
        });
    }
    Ok(slots)
}
