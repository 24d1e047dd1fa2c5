//! Walking into a value by keys, as triggers and mappings do.

use std::borrow::Cow;

use crate::value::Value;

/// One key of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    name: Box<str>,
    /// The name as an index into a list or a text, if it is one.
    index: Option<usize>,
}

impl Key {
    pub(crate) fn new(name: impl Into<Box<str>>) -> Key {
        let name = name.into();
        Key { index: canonical_index(&name), name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// JavaScript's array indexes: decimal digits without leading zeros.
fn canonical_index(name: &str) -> Option<usize> {
    let leading_zero = name.starts_with('0') && name.len() > 1;
    if leading_zero || !name.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    name.parse().ok()
}

/// The value at `keys`, or `None` where JavaScript has undefined.
///
/// Only own members count: those of the JSON, `length` of texts (in UTF-16 units) and lists, and
/// indexes into them. A falsy value on the way is the result, whatever keys are left: both kept
/// from the reference implementation, whose users' triggers rely on them.
pub(crate) fn lookup<'v, 'e>(root: &'v Value<'e>, keys: &[Key]) -> Option<Cow<'v, Value<'e>>> {
    let mut value = root;
    for (at, key) in keys.iter().enumerate() {
        if value.is_falsy() {
            return Some(Cow::Borrowed(value));
        }
        value = match value {
            Value::Object(object) => object.get(&key.name)?,
            Value::Array(items) => match key.index {
                Some(index) => items.get(index)?,
                None if &*key.name == "length" => {
                    return computed(count(items.len()), keys.get(at + 1..)?);
                }
                None => return None,
            },
            Value::Text(text) => {
                let found = match key.index {
                    Some(index) => unit(text, index)?,
                    None if &*key.name == "length" => count(text.encode_utf16().count()),
                    None => return None,
                };
                return computed(found, keys.get(at + 1..)?);
            }
            Value::Bool(true) | Value::Number(_) => return None,
            Value::Null | Value::Bool(false) => unreachable!("falsy values are returned above"),
        };
    }
    Some(Cow::Borrowed(value))
}

/// Goes on from a value that is not in the event itself.
fn computed<'v, 'e>(value: Value<'static>, rest: &[Key]) -> Option<Cow<'v, Value<'e>>> {
    let found = lookup(&value, rest)?.into_owned();
    Some(Cow::Owned(found))
}

fn count(n: usize) -> Value<'static> {
    Value::from(i64::try_from(n).unwrap_or(i64::MAX))
}

/// The UTF-16 unit at `index` as text; half of a surrogate pair is no text and becomes `U+FFFD`.
fn unit(text: &str, index: usize) -> Option<Value<'static>> {
    let unit = text.encode_utf16().nth(index)?;
    Some(Value::from(String::from_utf16_lossy(&[unit])))
}
