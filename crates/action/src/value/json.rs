//! Reading and writing JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::reads::Reads;

use super::{Number, ObjectBuilder, Value};

/// Deepest nesting that [`Value::parse`] takes; the door of the server takes less.
pub const MAX_DEPTH: usize = 128;

/// Why a text is not JSON that we take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong, as one clause.
    pub message: String,
    /// Line, from 1; 0 if the fault has no place.
    pub line: usize,
    /// Column in bytes, from 1; 0 if the fault has no place.
    pub column: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return f.write_str(&self.message);
        }
        write!(f, "{} at line {}, column {}", self.message, self.line, self.column)
    }
}

impl std::error::Error for JsonError {}

impl<'a> Value<'a> {
    /// Parses one JSON document nested at most [`MAX_DEPTH`] levels. A repeated key keeps its first
    /// place and its last value. An escape that is half of a surrogate pair is an error; see
    /// [`mend_surrogates`].
    pub fn parse(text: &'a str) -> Result<Value<'a>, JsonError> {
        Value::parse_deep(text, MAX_DEPTH)
    }

    /// As [`Value::parse`], without the members that `reads` leaves out, which are only skipped:
    /// their nesting and escapes aren't checked.
    pub fn parse_part(text: &'a str, reads: &Reads) -> Result<Value<'a>, JsonError> {
        Value::read(text, MAX_DEPTH, reads)
    }

    /// As [`Value::parse`] with another limit. Parsing, cloning and dropping use stack in
    /// proportion to the nesting (below 2 KiB a level): the caller provides it.
    pub fn parse_deep(text: &'a str, limit: usize) -> Result<Value<'a>, JsonError> {
        Value::read(text, limit, &Reads::Whole)
    }

    fn read(text: &'a str, limit: usize, reads: &Reads) -> Result<Value<'a>, JsonError> {
        let mut reader = serde_json::Deserializer::from_str(text);
        reader.disable_recursion_limit();
        let seed = Seed { limit, left: limit, reads };
        let value = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        value.map_err(|e| {
            let full = e.to_string();
            let message = full.rsplit_once(" at line ").map_or(full.as_str(), |(m, _)| m);
            JsonError { message: message.to_owned(), line: e.line(), column: e.column() }
        })
    }

    /// JSON text as JavaScript writes it: no blanks, non-ASCII unescaped, numbers in JavaScript's
    /// form (integers beyond 2^53 keep their digits).
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(64);
        self.write_json(&mut out);
        String::from_utf8(out).expect("the writer emits only UTF-8")
    }

    /// Appends [`Value::to_json`] to `out`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("writing to memory cannot fail");
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => out.serialize_unit(),
            Value::Bool(b) => out.serialize_bool(*b),
            Value::Number(n) => n.serialize(out),
            Value::Text(text) => out.serialize_str(text),
            Value::Array(items) => out.collect_seq(items),
            Value::Object(object) => object.serialize(out),
        }
    }
}

/// Nested at most [`MAX_DEPTH`] levels.
impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Value<'de>, D::Error> {
        Seed { limit: MAX_DEPTH, left: MAX_DEPTH, reads: &Reads::Whole }.deserialize(from)
    }
}

/// Reads one value that may nest `left` levels more.
#[derive(Clone, Copy)]
struct Seed<'r> {
    limit: usize,
    left: usize,
    reads: &'r Reads,
}

impl Seed<'_> {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        let too_deep = || E::custom(format!("nested deeper than {} levels", self.limit));
        let left = self.left.checked_sub(1).ok_or_else(too_deep)?;
        Ok(Seed { left, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value<'de>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value<'de>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, b: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(b))
    }
    fn visit_i64<E>(self, n: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(Number::Int(n)))
    }
    fn visit_u64<E>(self, n: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(i64::try_from(n).map_or(Number::UInt(n), Number::Int)))
    }
    fn visit_f64<E>(self, n: f64) -> Result<Value<'de>, E> {
        Ok(Value::Number(Number::from(n)))
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value<'de>, A::Error> {
        let seed = Seed { reads: &Reads::Whole, ..self.inside()? };
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(seed)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value<'de>, A::Error> {
        // Most events have more than eight members, most objects in them fewer.
        let room = if self.left == self.limit { 16 } else { 8 };
        let (seed, mut builder) = (self.inside()?, ObjectBuilder::with_capacity(room));
        while let Some(key) = from.next_key_seed(KeySeed)? {
            match self.reads.of_member(&key) {
                Some(reads) => {
                    builder.insert(key, from.next_value_seed(Seed { reads, ..seed })?);
                }
                None => {
                    from.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value::Object(builder.finish()))
    }
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Cow<'de, str>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Replaces each `\uD800`–`\uDFFF` escape that is not half of a pair by `\uFFFD`. Gives `None` if
/// there is nothing to replace.
pub fn mend_surrogates(json: &str) -> Option<String> {
    let bytes = json.as_bytes();
    let unit = |at: usize| -> Option<u32> {
        if bytes.get(at..at + 2)? != b"\\u" {
            return None;
        }
        u32::from_str_radix(json.get(at + 2..at + 6)?, 16).ok()
    };
    let (mut out, mut done, mut at) = (String::new(), 0, 0);
    while let Some(&byte) = bytes.get(at) {
        if byte != b'\\' {
            at += 1;
            continue;
        }
        match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(0xD800..=0xDFFF) => {
                out.push_str(json.get(done..at)?);
                out.push_str("\\uFFFD");
                at += 6;
                done = at;
            }
            Some(_) => at += 6,
            None => at += 2,
        }
    }
    if done == 0 {
        return None;
    }
    out.push_str(json.get(done..)?);
    Some(out)
}
