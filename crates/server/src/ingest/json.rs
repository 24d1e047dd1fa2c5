//! JSON text cut into members and items without building values.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A key as text.
#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The members of an object in order, values as they were written.
pub(super) struct Members<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The error is what serde says: not JSON, or not an object.
    pub(super) fn parse(json: &'a str) -> Result<Members<'a>, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The value of a key; of several the last.
    pub(super) fn last(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, raw)| *raw)
    }

    /// Leaves of each key only its last member.
    pub(super) fn keep_last(&mut self) {
        const SMALL: usize = 32;
        let members = &mut self.0;
        if members.len() <= SMALL {
            let mut at = 0;
            while at < members.len() {
                let (head, tail) = members.split_at(at + 1);
                let repeated = head.last().is_some_and(|(k, _)| tail.iter().any(|(t, _)| t == k));
                if repeated {
                    members.remove(at);
                } else {
                    at += 1;
                }
            }
            return;
        }
        let last: HashMap<Cow<'a, str>, usize> =
            members.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect();
        let mut at = 0;
        members.retain(|(key, _)| {
            at += 1;
            last.get(key) == Some(&(at - 1))
        });
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((Key(key), value)) = from.next_entry::<Key<'de>, &RawValue>()? {
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Walk)
    }
}

/// The items of a batch, as they were written.
#[derive(Debug, Default)]
pub(super) struct Items<'a> {
    /// The first of them, at most as many as were asked for.
    pub(super) first: Vec<&'a RawValue>,
    /// How many there are.
    pub(super) count: usize,
    /// Bytes of the largest.
    pub(super) largest: usize,
}

/// What the member `batch` is.
pub(super) enum Batch<'a> {
    Missing,
    Items(Items<'a>),
    Other(&'static str),
}

/// The envelope of a batch.
pub(super) struct Envelope<'a> {
    pub(super) batch: Batch<'a>,
    pub(super) write_key: Option<&'a RawValue>,
    pub(super) sent_at: Option<&'a RawValue>,
    pub(super) context: Option<&'a RawValue>,
    pub(super) integrations: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Keeps at most `keep` items. The error is what serde says: not JSON, or not an object.
    pub(super) fn parse(json: &'a str, keep: usize) -> Result<Envelope<'a>, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let envelope = serde::de::DeserializeSeed::deserialize(EnvelopeSeed { keep }, &mut reader)?;
        reader.end().map(|()| envelope)
    }
}

struct EnvelopeSeed {
    keep: usize,
}

impl<'de> serde::de::DeserializeSeed<'de> for EnvelopeSeed {
    type Value = Envelope<'de>;
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope {
            batch: Batch::Missing,
            write_key: None,
            sent_at: None,
            context: None,
            integrations: None,
        };
        while let Some(Key(key)) = from.next_key()? {
            match key.as_ref() {
                "batch" => envelope.batch = from.next_value_seed(BatchSeed { keep: self.keep })?,
                "writeKey" => envelope.write_key = Some(from.next_value()?),
                "sentAt" => envelope.sent_at = Some(from.next_value()?),
                "context" => envelope.context = Some(from.next_value()?),
                "integrations" => envelope.integrations = Some(from.next_value()?),
                _ => {
                    from.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(envelope)
    }
}

struct BatchSeed {
    keep: usize,
}

impl<'de> serde::de::DeserializeSeed<'de> for BatchSeed {
    type Value = Batch<'de>;
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BatchSeed {
    type Value = Batch<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut items = Items::default();
        while let Some(item) = from.next_element::<&RawValue>()? {
            if items.count < self.keep {
                items.first.push(item);
            }
            items.count += 1;
            items.largest = items.largest.max(item.get().len());
        }
        Ok(Batch::Items(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        while from.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Batch::Other("an object"))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Batch::Other("null"))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Batch::Other("a boolean"))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Batch::Other("a number"))
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Batch::Other("a number"))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Batch::Other("a number"))
    }
    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Batch::Other("text"))
    }
}

/// The text of a JSON string; `None` for any other value.
pub(super) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(raw.get()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// The kind of a value, by how its text begins.
pub(super) fn kind(json: &str) -> &'static str {
    match json.trim_start().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The value in a few words, for a message: its kind, and the text itself if it is short.
pub(super) fn describe(raw: &RawValue) -> String {
    const SHOWN: usize = 40;
    match raw.get().as_bytes().first() {
        Some(b'{') => "an object".to_owned(),
        Some(b'[') => "an array".to_owned(),
        Some(b'"') if raw.get().chars().nth(SHOWN).is_some() => {
            let start: String = raw.get().chars().take(SHOWN).collect();
            format!("{start}…\"")
        }
        Some(b'"') => raw.get().to_owned(),
        Some(b't' | b'f' | b'n') => raw.get().to_owned(),
        _ if raw.get().len() <= SHOWN => format!("the number {}", raw.get()),
        _ => "a number".to_owned(),
    }
}

/// Appends `text` as a JSON string.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("text always makes JSON, and a Vec takes all");
}

/// Appends a further member.
pub(super) fn push_member(out: &mut Vec<u8>, name: &str, raw: &RawValue) {
    out.push(b',');
    push_text(out, name);
    out.push(b':');
    push_raw(out, raw);
}

/// Appends a value as it was written, on one line.
pub(super) fn push_raw(out: &mut Vec<u8>, raw: &RawValue) {
    let json = raw.get();
    // A line break inside a JSON string is always an escape: these are between tokens.
    // Two passes over bytes are several times faster than one that looks for either of two.
    if !json.as_bytes().contains(&b'\n') && !json.as_bytes().contains(&b'\r') {
        out.extend_from_slice(json.as_bytes());
        return;
    }
    out.extend(json.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
}
