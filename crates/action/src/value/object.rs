//! Objects: members in order, each key once.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Serialize, Serializer};

use super::Value;

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
    /// The marks of all keys so far: a key whose mark is missing is new, without a search.
    marks: u64,
    /// Places by key, once there are more than a few members.
    index: Option<HashMap<Cow<'a, str>, usize>>,
}

impl<'a> ObjectBuilder<'a> {
    /// An empty builder.
    pub fn new() -> Self {
        ObjectBuilder::default()
    }

    /// An empty builder with room for `members`.
    pub fn with_capacity(members: usize) -> Self {
        ObjectBuilder { members: Vec::with_capacity(members), ..ObjectBuilder::default() }
    }

    /// Sets `key`, and tells whether it was there before.
    pub fn insert(&mut self, key: impl Into<Cow<'a, str>>, value: Value<'a>) -> bool {
        let key = key.into();
        let mark = mark(&key);
        let at = match &self.index {
            _ if self.marks & mark == 0 => None,
            Some(index) => index.get(&key).copied(),
            None => self.members.iter().position(|(k, _)| *k == key),
        };
        self.marks |= mark;
        if let Some(place) = at.and_then(|at| self.members.get_mut(at)) {
            place.1 = value;
            return true;
        }
        if let Some(index) = &mut self.index {
            index.insert(key.clone(), self.members.len());
        }
        self.members.push((key, value));
        if self.index.is_none() && self.members.len() > SMALL {
            let members = self.members.iter().enumerate();
            self.index = Some(members.map(|(at, (key, _))| (key.clone(), at)).collect());
        }
        false
    }

    /// The finished object.
    pub fn finish(self) -> Object<'a> {
        Object { members: self.members }
    }
}

/// One of 64 bits for a key, by its length and both ends.
fn mark(key: &str) -> u64 {
    let byte = |byte: Option<&u8>| byte.copied().map_or(0, usize::from);
    let bytes = key.as_bytes();
    1 << ((bytes.len() * 5 + byte(bytes.first()) * 3 + byte(bytes.last())) % 64)
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

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_map(self.iter())
    }
}
