//! Which parts of an event somebody looks at, so that the rest needn't be built.

use crate::path::Key;

/// The parts of an event that are looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Reads {
    /// The value as it is.
    Whole,
    /// These members, if the value is an object; any other value as it is.
    Members(Vec<(Box<str>, Reads)>),
}

impl Reads {
    /// Nothing of an object.
    pub fn nothing() -> Reads {
        Reads::Members(Vec::new())
    }

    /// What is read of the member `key`; `None` if it isn't looked at.
    pub fn of_member(&self, key: &str) -> Option<&Reads> {
        match self {
            Reads::Whole => Some(&Reads::Whole),
            Reads::Members(members) => {
                members.iter().find(|(name, _)| **name == *key).map(|(_, reads)| reads)
            }
        }
    }

    /// Adds the value at `keys`; without keys the whole event.
    pub(crate) fn add(&mut self, keys: &[Key]) {
        self.add_names(keys.iter().map(Key::name));
    }

    /// As [`Reads::add`], by names.
    pub(crate) fn add_names<'k>(&mut self, mut names: impl Iterator<Item = &'k str>) {
        let Reads::Members(members) = self else { return };
        let Some(name) = names.next() else {
            *self = Reads::Whole;
            return;
        };
        let at = members.iter().position(|(known, _)| **known == *name).unwrap_or_else(|| {
            members.push((name.into(), Reads::nothing()));
            members.len() - 1
        });
        if let Some((_, reads)) = members.get_mut(at) {
            reads.add_names(names);
        }
    }
}
