//! Flattens nested objects to dotted keys, by iteration and in one pass.

use std::borrow::Cow;

use heapline_action::value::{Object, Value};

use crate::text;

/// What becomes of nested objects and lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nested {
    /// Objects to dotted keys, lists to JSON text: the rule of the integration's public page.
    Flatten,
    /// Objects and lists to dotted keys; lists by index.
    Index,
    /// Objects and lists of the first level to JSON text.
    Stringify,
    /// Left out.
    Drop,
}

/// The name of what was found on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    /// A whole key.
    Fits(Cow<'a, str>),
    /// The beginning of a key that is longer than allowed. Of an object or list it stands for all
    /// that is inside.
    TooLong(String),
}

/// One flattened member. A value that is still a list or object is to become JSON text.
pub(crate) type Leaf<'a> = (Key<'a>, &'a Value<'a>);

/// Flattens `object`: its leaves in order. Keys with more than `most_units` UTF-16 code units are
/// told as [`Key::TooLong`]; so the work is linear in the size of the object whatever its shape.
/// The same key may come up twice (`{"a.b":1,"a":{"b":2}}`).
pub(crate) fn leaves<'a>(object: &'a Object<'a>, nested: Nested, most_units: usize) -> Leaves<'a> {
    let root = Frame { members: Members::of_object(object), prefix: 0, units: 0 };
    Leaves { nested, most_units, prefix: String::new(), open: vec![root] }
}

/// The iterator of [`leaves`].
pub(crate) struct Leaves<'a> {
    nested: Nested,
    most_units: usize,
    prefix: String,
    open: Vec<Frame<'a>>,
}

struct Frame<'a> {
    members: Members<'a>,
    /// Bytes of the prefix that belong to the value's own key, with its dot.
    prefix: usize,
    /// The same in UTF-16 code units.
    units: usize,
}

enum Members<'a> {
    Object(std::slice::Iter<'a, (Cow<'a, str>, Value<'a>)>),
    Array(std::iter::Enumerate<std::slice::Iter<'a, Value<'a>>>),
}

impl<'a> Members<'a> {
    fn of_object(object: &'a Object<'a>) -> Self {
        Members::Object(object.members().iter())
    }

    fn next(&mut self) -> Option<(Cow<'a, str>, &'a Value<'a>)> {
        match self {
            Members::Object(members) => {
                members.next().map(|(key, value)| (Cow::Borrowed(key.as_ref()), value))
            }
            Members::Array(items) => {
                items.next().map(|(index, value)| (Cow::Owned(index.to_string()), value))
            }
        }
    }
}

impl<'a> Iterator for Leaves<'a> {
    type Item = Leaf<'a>;

    fn next(&mut self) -> Option<Leaf<'a>> {
        loop {
            let frame = self.open.last_mut()?;
            let Some((key, value)) = frame.members.next() else {
                self.open.pop();
                continue;
            };
            let (bytes, units) = (frame.prefix, frame.units);
            self.prefix.truncate(bytes);
            let Some(inside) = self.inside(value) else { continue };
            if text::longer_than(&key, self.most_units - units) {
                let mut start = self.prefix.clone();
                start.push_str(text::cut(&key, self.most_units - units));
                return Some((Key::TooLong(start), value));
            }
            match inside {
                Inside::Leaf if bytes == 0 => return Some((Key::Fits(key), value)),
                Inside::Leaf => {
                    let whole = [self.prefix.as_str(), &key].concat();
                    return Some((Key::Fits(Cow::Owned(whole)), value));
                }
                Inside::Open(members) => {
                    let units = units + text::units(&key) + 1;
                    self.prefix.push_str(&key);
                    if units > self.most_units && !members.is_empty() {
                        return Some((Key::TooLong(self.prefix.clone()), value));
                    }
                    self.prefix.push('.');
                    self.open.push(Frame { members, prefix: self.prefix.len(), units });
                }
            }
        }
    }
}

enum Inside<'a> {
    Leaf,
    Open(Members<'a>),
}

impl Members<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Members::Object(members) => members.len() == 0,
            Members::Array(items) => items.len() == 0,
        }
    }
}

impl<'a> Leaves<'a> {
    /// What is to be done with `value`; `None` if it is left out.
    fn inside(&self, value: &'a Value<'a>) -> Option<Inside<'a>> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => Some(Inside::Leaf),
            Value::Object(object) => match self.nested {
                Nested::Flatten | Nested::Index => Some(Inside::Open(Members::of_object(object))),
                Nested::Stringify => Some(Inside::Leaf),
                Nested::Drop => None,
            },
            Value::Array(items) => match self.nested {
                Nested::Flatten | Nested::Stringify => Some(Inside::Leaf),
                Nested::Index => Some(Inside::Open(Members::Array(items.iter().enumerate()))),
                Nested::Drop => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapline_action::value::ObjectBuilder;

    fn flat(json: &str, nested: Nested) -> Vec<(String, String)> {
        let value = Value::parse(json).unwrap();
        let found = leaves(value.as_object().unwrap(), nested, 10);
        found
            .map(|(key, value)| match key {
                Key::Fits(key) => (key.into_owned(), value.to_json()),
                Key::TooLong(start) => (format!("{start}…"), value.to_json()),
            })
            .collect()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn each_mode_keeps_order_and_empty_key_parts() {
        let json = r#"{"a":{"":1,"b":{}},"l":[{"x":[]},[2]],"":3,".":{"c":null}}"#;
        let cases = [
            (
                Nested::Flatten,
                pairs(&[("a.", "1"), ("l", r#"[{"x":[]},[2]]"#), ("", "3"), ("..c", "null")]),
            ),
            (Nested::Index, pairs(&[("a.", "1"), ("l.1.0", "2"), ("", "3"), ("..c", "null")])),
            (
                Nested::Stringify,
                pairs(&[
                    ("a", r#"{"":1,"b":{}}"#),
                    ("l", r#"[{"x":[]},[2]]"#),
                    ("", "3"),
                    (".", r#"{"c":null}"#),
                ]),
            ),
            (Nested::Drop, pairs(&[("", "3")])),
        ];
        for (nested, expected) in cases {
            assert_eq!(flat(json, nested), expected, "{nested:?}");
        }
    }

    #[test]
    fn a_key_over_the_limit_is_told_once_with_all_that_is_inside() {
        let json = r#"{"0123456789":1,"01234567890":2,"012345678":{"":3,"x":4},"x":{"01234567":5,
            "012345678":6,"y":{"012345678":{"z":7}}},"0123456789a":{}}"#;
        let found = flat(json, Nested::Flatten);
        assert_eq!(
            found,
            pairs(&[
                ("0123456789", "1"),
                ("0123456789…", "2"),
                ("012345678.", "3"),
                ("012345678.…", "4"),
                ("x.01234567", "5"),
                ("x.01234567…", "6"),
                ("x.y.012345…", r#"{"z":7}"#),
                ("0123456789…", "{}"),
            ])
        );
    }

    #[test]
    fn a_hundred_thousand_levels_and_keys_are_flattened() {
        let deep = || {
            let levels = 100_000;
            let mut value = Value::from(1);
            for _ in 0..levels {
                let mut object = Object::new();
                object.insert("x", Value::from(2));
                object.insert("a", value);
                value = Value::Object(object);
            }
            let object = value.as_object().unwrap();
            let found: Vec<Key<'_>> = leaves(object, Nested::Flatten, 1_023).map(|l| l.0).collect();
            assert_eq!(found.len(), 513);
            assert_eq!(found.iter().filter(|key| matches!(key, Key::TooLong(_))).count(), 1);
        };
        let stack = std::thread::Builder::new().stack_size(1 << 28).spawn(deep).unwrap();
        stack.join().unwrap();

        let mut wide = ObjectBuilder::new();
        for n in 0..100_000 {
            wide.insert(format!("key{n}"), Value::from(n));
        }
        let wide = wide.finish();
        assert_eq!(leaves(&wide, Nested::Flatten, 1_023).count(), 100_000);
    }
}
