//! A list that keeps the newest of what it is given and counts all of it.

use std::collections::VecDeque;

#[derive(Debug)]
pub(crate) struct Ring<T> {
    kept: VecDeque<T>,
    most: usize,
    total: u64,
}

impl<T> Ring<T> {
    pub(crate) fn new(most: usize) -> Ring<T> {
        Ring { kept: VecDeque::new(), most, total: 0 }
    }

    /// Gives back what is no longer kept: the oldest, if any.
    pub(crate) fn push(&mut self, item: T) -> Option<T> {
        self.total += 1;
        self.kept.push_back(item);
        if self.kept.len() > self.most { self.kept.pop_front() } else { None }
    }

    /// As `push`, but before the first of which `is_later` holds.
    pub(crate) fn insert_ordered(&mut self, item: T, is_later: impl Fn(&T) -> bool) {
        let place = self.kept.iter().position(is_later).unwrap_or(self.kept.len());
        self.total += 1;
        self.kept.insert(place, item);
        if self.kept.len() > self.most {
            self.kept.pop_front();
        }
    }

    /// How many were ever given.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.kept.iter()
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.kept.retain(keep);
    }

    /// The item that was given as number `index`, from 0, if it is still kept. Only for rings that
    /// nothing is taken out of.
    pub(crate) fn get_mut(&mut self, index: u64) -> Option<&mut T> {
        let first = self.total - self.kept.len() as u64;
        let place = usize::try_from(index.checked_sub(first)?).ok()?;
        self.kept.get_mut(place)
    }
}
