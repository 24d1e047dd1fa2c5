//! JSON as events carry it: ordered objects, borrowed text, and numbers that keep their digits.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

/// Deepest nesting that [`Value::parse`] takes; the door of the server takes less.
pub const MAX_DEPTH: usize = 128;

/// One JSON value. Text borrows from the document where it has no escapes.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number
    Number(Number),
    /// Text
    Text(Cow<'a, str>),
    /// A list
    Array(Vec<Value<'a>>),
    /// An object, in the order of the document
    Object(Object<'a>),
}

/// A JSON number. Integers of up to 64 bits keep every digit.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// An integer
    Int(i64),
    /// An integer above `i64::MAX`
    UInt(u64),
    /// Any other finite number
    Float(f64),
}

impl Number {
    /// The nearest double, as JavaScript would hold it.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(n) => n as f64,
            Number::UInt(n) => n as f64,
            Number::Float(n) => n,
        }
    }

    /// JavaScript's text of the number (`10.0` is `10`, `1e21` is `1e+21`), except that integers
    /// beyond 2^53 keep their digits.
    pub fn to_text(self) -> String {
        match self {
            Number::Int(n) => n.to_string(),
            Number::UInt(n) => n.to_string(),
            Number::Float(n) => ryu_js::Buffer::new().format(n).to_owned(),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => a == b,
            (Number::UInt(a), Number::UInt(b)) => a == b,
            _ => self.as_f64() == other.as_f64(),
        }
    }
}

impl From<f64> for Number {
    fn from(n: f64) -> Self {
        if n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0 {
            Number::Int(n as i64)
        } else {
            Number::Float(n)
        }
    }
}

/// An object: members in order, each key once.
///
/// Writing a key again changes the value in its first place, as JavaScript does.
#[derive(Clone, Debug, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> Object<'a> {
    /// An object without members.
    pub fn new() -> Self {
        Object { members: Vec::new() }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True if there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The value of `key`, if it is there.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.members.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// Mutable access to the value of `key`.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value<'a>> {
        self.members.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// Sets `key`; an existing member keeps its place. Linear in the number of members: to build a
    /// large object use [`ObjectBuilder`].
    pub fn insert(&mut self, key: impl Into<Cow<'a, str>>, value: Value<'a>) {
        let key = key.into();
        match self.get_mut(&key) {
            Some(place) => *place = value,
            None => self.members.push((key, value)),
        }
    }

    /// Removes `key` and gives its value.
    pub fn remove(&mut self, key: &str) -> Option<Value<'a>> {
        let at = self.members.iter().position(|(k, _)| k == key)?;
        Some(self.members.remove(at).1)
    }

    /// Keeps the members for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &Value<'a>) -> bool) {
        self.members.retain(|(k, v)| keep(k, v));
    }

    /// An object with the same keys, borrowed, and with what `map` makes of each value.
    pub(crate) fn map_values<'b>(&'b self, map: impl Fn(&'b Value<'a>) -> Value<'b>) -> Object<'b> {
        let member =
            |(key, value): &'b (Cow<'a, str>, Value<'a>)| (Cow::Borrowed(key.as_ref()), map(value));
        Object { members: self.members.iter().map(member).collect() }
    }

    /// The members in order, as they are stored.
    pub fn members(&self) -> &[(Cow<'a, str>, Value<'a>)] {
        &self.members
    }

    /// The members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value<'a>)> {
        self.members.iter().map(|(k, v)| (k.as_ref(), v))
    }
}

impl<'a> IntoIterator for Object<'a> {
    type Item = (Cow<'a, str>, Value<'a>);
    type IntoIter = std::vec::IntoIter<Self::Item>;
    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl<'a> FromIterator<(Cow<'a, str>, Value<'a>)> for Object<'a> {
    fn from_iter<I: IntoIterator<Item = (Cow<'a, str>, Value<'a>)>>(members: I) -> Self {
        let mut builder = ObjectBuilder::new();
        for (key, value) in members {
            builder.insert(key, value);
        }
        builder.finish()
    }
}

/// Equal if both have the same members, in whatever order.
impl PartialEq for Object<'_> {
    fn eq(&self, other: &Self) -> bool {
        if self.len() != other.len() {
            return false;
        }
        if self.len() <= SMALL {
            return self.iter().all(|(k, v)| other.get(k) == Some(v));
        }
        let theirs: HashMap<&str, &Value> = other.iter().collect();
        self.iter().all(|(k, v)| theirs.get(k) == Some(&v))
    }
}

/// Objects up to this size are searched from end to end; larger ones get an index while built.
const SMALL: usize = 16;

/// Builds an object of any size in linear time. A key given again changes its first place.
#[derive(Default)]
pub struct ObjectBuilder<'a> {
    members: Vec<(Cow<'a, str>, Value<'a>)>,
    index: HashMap<Cow<'a, str>, usize>,
}

impl<'a> ObjectBuilder<'a> {
    /// An empty builder.
    pub fn new() -> Self {
        ObjectBuilder::default()
    }

    /// Sets `key`, and tells whether it was there before.
    pub fn insert(&mut self, key: impl Into<Cow<'a, str>>, value: Value<'a>) -> bool {
        let key = key.into();
        let at = if self.index.is_empty() {
            self.members.iter().position(|(k, _)| *k == key)
        } else {
            self.index.get(&key).copied()
        };
        if let Some(place) = at.and_then(|at| self.members.get_mut(at)) {
            place.1 = value;
            return true;
        }
        if !self.index.is_empty() {
            self.index.insert(key.clone(), self.members.len());
        }
        self.members.push((key, value));
        if self.index.is_empty() && self.members.len() > SMALL {
            self.index =
                self.members.iter().enumerate().map(|(at, (k, _))| (k.clone(), at)).collect();
        }
        false
    }

    /// The finished object.
    pub fn finish(self) -> Object<'a> {
        Object { members: self.members }
    }
}

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

    /// As [`Value::parse`] with another limit. Parsing, cloning and dropping use stack in
    /// proportion to the nesting (below 2 KiB a level): the caller provides it.
    pub fn parse_deep(text: &'a str, limit: usize) -> Result<Value<'a>, JsonError> {
        if depth_exceeds(text.as_bytes(), limit) {
            let message = format!("nested deeper than {limit} levels");
            return Err(JsonError { message, line: 0, column: 0 });
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        reader.disable_recursion_limit();
        let value = Seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        value.map_err(|e| {
            let full = e.to_string();
            let message = full.rsplit_once(" at line ").map_or(full.as_str(), |(m, _)| m);
            JsonError { message: message.to_owned(), line: e.line(), column: e.column() }
        })
    }

    /// The kind of value, as messages name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::Text(_) => "text",
            Value::Array(_) => "list",
            Value::Object(_) => "object",
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_array(&self) -> Option<&[Value<'a>]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The member `key`, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.as_object()?.get(key)
    }

    /// JavaScript's falsy values: `null`, `false`, `0`, `""`.
    pub fn is_falsy(&self) -> bool {
        match self {
            Value::Null | Value::Bool(false) => true,
            Value::Number(n) => n.as_f64() == 0.0 || n.as_f64().is_nan(),
            Value::Text(text) => text.is_empty(),
            Value::Bool(true) | Value::Array(_) | Value::Object(_) => false,
        }
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

    /// The same value, borrowing nothing.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(b) => Value::Bool(b),
            Value::Number(n) => Value::Number(n),
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Array(items) => Value::Array(items.into_iter().map(Value::into_owned).collect()),
            Value::Object(object) => Value::Object(object.into_owned()),
        }
    }
}

impl Object<'_> {
    /// The same object, borrowing nothing.
    pub fn into_owned(self) -> Object<'static> {
        let members = self.members.into_iter();
        Object {
            members: members.map(|(k, v)| (Cow::Owned(k.into_owned()), v.into_owned())).collect(),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

impl From<bool> for Value<'_> {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}

impl From<i64> for Value<'_> {
    fn from(n: i64) -> Self {
        Value::Number(Number::Int(n))
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => out.serialize_unit(),
            Value::Bool(b) => out.serialize_bool(*b),
            Value::Number(n) => n.serialize(out),
            Value::Text(text) => out.serialize_str(text),
            Value::Array(items) => {
                let mut seq = out.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Value::Object(object) => object.serialize(out),
        }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Number::Int(n) => out.serialize_i64(*n),
            Number::UInt(n) => out.serialize_u64(*n),
            Number::Float(n) if !n.is_finite() => out.serialize_unit(),
            Number::Float(_) => {
                let raw = serde_json::value::RawValue::from_string(self.to_text());
                raw.map_err(serde::ser::Error::custom)?.serialize(out)
            }
        }
    }
}

impl<'de> serde::Deserialize<'de> for Value<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Value<'de>, D::Error> {
        Seed.deserialize(from)
    }
}

struct Seed;

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value<'de>;
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value<'de>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
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
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(Seed)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value<'de>, A::Error> {
        let mut builder = ObjectBuilder::new();
        while let Some(key) = from.next_key_seed(KeySeed)? {
            builder.insert(key, from.next_value_seed(Seed)?);
        }
        Ok(Value::Object(builder.finish()))
    }
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Cow<'de, str>, D::Error> {
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

/// True if brackets nest deeper than `limit`. One pass over the bytes; texts are skipped, and
/// nothing else of JSON is checked.
pub fn depth_exceeds(json: &[u8], limit: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for &byte in json {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
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
