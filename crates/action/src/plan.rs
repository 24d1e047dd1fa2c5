//! What an event becomes: requests as data, or the reason why there are none.

use std::collections::HashMap;
use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::value::Value;

/// JSON text that is known to be well formed.
#[derive(Clone)]
pub struct Json(Box<RawValue>);

impl Json {
    /// The text of `value`.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Json {
        Json(serde_json::value::to_raw_value(value).expect("values of this crate always print"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Reads the text back.
    pub fn value(&self) -> Value<'_> {
        Value::parse_deep(self.as_str(), usize::MAX).expect("Json holds well-formed JSON")
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Equal if the texts are.
impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(out)
    }
}

/// Index of an endpoint in [`crate::destination::Cloud::endpoints`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u8);

/// One request that an event needs, before it is merged with others to the same endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where it goes.
    pub endpoint: EndpointId,
    /// The user at the destination: what its limits by user count, and what folds together.
    pub identity: Box<str>,
    /// What it says.
    pub item: Item,
}

/// One item of a bulk request.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// Stands alone, in order.
    Append(Json),
    /// Properties of one user: items with an equal `head` may be folded into one, later wins.
    Fold {
        /// The members that name the user, in order, e.g. `identity`.
        head: Vec<(&'static str, Json)>,
        /// Member that holds the properties, e.g. `properties`.
        member: &'static str,
        /// The properties, each key once.
        properties: Vec<(Box<str>, Json)>,
    },
}

impl Item {
    /// Folds `later` into this one. False, and nothing changed, if the two don't fold.
    pub fn fold(&mut self, later: &Item) -> bool {
        let Item::Fold { head, properties, .. } = self else { return false };
        let Item::Fold { head: their_head, properties: theirs, .. } = later else { return false };
        if head != their_head {
            return false;
        }
        let places = places(properties, theirs);
        for ((key, value), place) in theirs.iter().zip(places) {
            match place.and_then(|place| properties.get_mut(place)) {
                Some(property) => property.1 = value.clone(),
                None => properties.push((key.clone(), value.clone())),
            }
        }
        true
    }
}

/// Where each of `theirs` stands in `ours`, if it does.
fn places(ours: &[(Box<str>, Json)], theirs: &[(Box<str>, Json)]) -> Vec<Option<usize>> {
    // Up to here looking is faster than hashing.
    const FEW: usize = 1_000;
    if ours.len().saturating_mul(theirs.len()) <= FEW {
        let place = |key: &str| ours.iter().position(|(ours, _)| **ours == *key);
        return theirs.iter().map(|(key, _)| place(key)).collect();
    }
    let index: HashMap<&str, usize> = ours.iter().map(|(key, _)| &**key).zip(0..).collect();
    theirs.iter().map(|(key, _)| index.get(&**key).copied()).collect()
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Item::Append(json) => json.serialize(out),
            Item::Fold { head, member, properties } => {
                struct Members<'a>(&'a [(Box<str>, Json)]);
                impl Serialize for Members<'_> {
                    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                        out.collect_map(self.0.iter().map(|(k, v)| (k, v)))
                    }
                }
                let mut map = out.serialize_map(None)?;
                for (key, value) in head {
                    map.serialize_entry(key, value)?;
                }
                map.serialize_entry(member, &Members(properties))?;
                map.end()
            }
        }
    }
}

/// Where items of one kind go, in bulk, and how many may go.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Short name for metrics and the ledger, e.g. `track`.
    pub name: &'static str,
    /// HTTP method.
    pub method: &'static str,
    /// Absolute address.
    pub url: String,
    /// Members of the body beside the items, in order.
    pub envelope: Vec<(&'static str, Json)>,
    /// Member of the body that holds the items.
    pub items: &'static str,
    /// Most items in one request.
    pub max_items: usize,
    /// Most bytes in one body.
    pub max_bytes: usize,
    /// How much may be sent in a time.
    pub limits: Vec<Limit>,
}

/// At most `count` in any window of `window_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Whose budget it is.
    pub scope: LimitScope,
    /// What is counted.
    pub counts: LimitCounts,
    /// How many.
    pub count: u32,
    /// Length of the sliding window in milliseconds.
    pub window_ms: u64,
}

/// Whose budget a [`Limit`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitScope {
    /// The whole integration's.
    Integration,
    /// Each [`Step::identity`]'s own.
    Identity,
}

/// What a [`Limit`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitCounts {
    /// Items.
    Items,
    /// Requests in which the scope occurs.
    Requests,
}

impl Endpoint {
    /// The body of one request with `items`.
    pub fn body<'i>(&self, items: impl IntoIterator<Item = &'i Item>) -> Vec<u8> {
        struct Items<I>(std::cell::RefCell<Option<I>>);
        impl<'i, I: Iterator<Item = &'i Item>> Serialize for Items<I> {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.collect_seq(self.0.borrow_mut().take().into_iter().flatten())
            }
        }
        struct Body<'e, I>(&'e Endpoint, Items<I>);
        impl<'i, I: Iterator<Item = &'i Item>> Serialize for Body<'_, I> {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                let mut map = out.serialize_map(None)?;
                for (key, value) in &self.0.envelope {
                    map.serialize_entry(key, value)?;
                }
                map.serialize_entry(self.0.items, &self.1)?;
                map.end()
            }
        }
        let items = Items(std::cell::RefCell::new(Some(items.into_iter())));
        serde_json::to_vec(&Body(self, items)).expect("writing to memory cannot fail")
    }
}

/// What a destination answered, as far as it matters to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After` in milliseconds from the answer, if there was one that could be read.
    pub retry_after_ms: Option<u64>,
    /// The first bytes of the body as text, at most 1,024 bytes.
    pub excerpt: String,
}

/// How an answer is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All items were taken.
    Delivered,
    /// Nothing was taken; the same request may work later.
    Retry,
    /// The same request will never work.
    Rejected(Blame),
}

/// What a rejection finds fault with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// One of the items, or their size: without it the others would be taken.
    Items,
    /// Who sends, or where to: any other request would be rejected as well.
    Account,
    /// It doesn't say.
    Unsaid,
}

/// Something that was changed on the way, worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Short fixed name for counting, e.g. `value_cut`.
    pub code: &'static str,
    /// One plain sentence.
    pub sentence: String,
}

/// Why an event can't become a request. Final: it would be refused again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Short fixed name for counting, e.g. `no_identity`.
    pub code: &'static str,
    /// One plain sentence: what was wrong, where, what was expected.
    pub sentence: String,
}

/// Why an action didn't take an event, though it could have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The action is switched off.
    Disabled,
    /// The event's `integrations` object says no, by this key.
    Integrations(String),
    /// The trigger doesn't fire.
    Trigger,
    /// The user has not given a consent that the integration asks for, of this category.
    Consent(String),
}

impl Filter {
    /// Short fixed name for counting.
    pub fn code(&self) -> &'static str {
        match self {
            Filter::Disabled => "action_disabled",
            Filter::Integrations(_) => "integrations",
            Filter::Trigger => "trigger",
            Filter::Consent(_) => "consent",
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::Disabled => f.write_str("The action is switched off."),
            Filter::Integrations(key) => {
                write!(f, "The event's integrations object says false for {key:?}.")
            }
            Filter::Trigger => f.write_str("The trigger doesn't fire on this event."),
            Filter::Consent(category) => write!(f, "No consent for {category:?} in the event."),
        }
    }
}

/// What a destination makes of one payload.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// These steps, in sending order.
    Send {
        /// At least one.
        steps: Vec<Step>,
        /// What was cut or left out.
        notices: Vec<Notice>,
    },
    /// Nothing can be sent, ever.
    Refuse(Refusal),
    /// Nothing can be sent until this anonymous id is linked to a user id.
    Hold {
        /// The id to wait for.
        anonymous_id: String,
    },
}

/// What a plan needs to know beside the payload.
#[derive(Clone, Copy, Debug)]
pub struct PlanContext<'a> {
    /// Id of the source that the event came from.
    pub source: &'a str,
    /// Id of the action.
    pub action: &'a str,
    /// How many of the integration's earlier actions of the same type send this event, too.
    pub ordinal: usize,
    /// The user id that the event's anonymous id was linked to while it was held.
    pub linked_identity: Option<&'a str>,
}

/// One request as a person or a test reads it: unmerged, with its whole address.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// HTTP method.
    pub method: &'static str,
    /// Absolute address.
    pub url: String,
    /// The body.
    pub json: Json,
}

impl Request {
    /// The request that `step` would be if it were sent alone.
    pub fn of_step(step: &Step, endpoint: &Endpoint) -> Request {
        let body = endpoint.body([&step.item]);
        let json = serde_json::from_slice(&body).expect("a body is JSON");
        Request { method: endpoint.method, url: endpoint.url.clone(), json: Json(json) }
    }
}
