//! Counts on their way to the store: by minute, and of there by hour.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use heapline_store::{Count, Gather, Millis, Span};

use crate::server::now;

/// What counts are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'n> {
    /// The door.
    Door,
    /// A source, by id.
    Source(&'n str),
    /// An integration, by id.
    Integration(&'n str),
    /// An action, by the ids of its integration and its own.
    Action(&'n str, &'n str),
}

impl<'n> Subject<'n> {
    /// Its name in the store. Ids of sources and integrations have no slash.
    pub fn name(self) -> Arc<str> {
        match self {
            Subject::Door => "".into(),
            Subject::Source(source) => format!("source/{source}").into(),
            Subject::Integration(integration) => integration.into(),
            Subject::Action(integration, action) => format!("action/{integration}/{action}").into(),
        }
    }

    /// The one with this name; `None` if it is one of a later version.
    pub fn of(name: &'n str) -> Option<Subject<'n>> {
        match name.split_once('/') {
            None if name.is_empty() => Some(Subject::Door),
            None => Some(Subject::Integration(name)),
            Some(("source", source)) => Some(Subject::Source(source)),
            Some(("action", rest)) => {
                rest.split_once('/').map(|(of, action)| Subject::Action(of, action))
            }
            Some(_) => None,
        }
    }
}

/// Upper bounds of the times that are told apart, in milliseconds; beyond the last is the rest.
pub const BOUNDS: [Millis; 18] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000,
    3_600_000, 86_400_000,
];

/// How long deliveries took, by the bounds of [`BOUNDS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies([u64; BOUNDS.len() + 1]);

impl Latencies {
    /// One took so many milliseconds.
    pub fn observe(&mut self, took: Millis) {
        let at = BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len());
        self.add(at, 1);
    }

    /// Adds to the times up to the bound at `at`.
    pub fn add(&mut self, at: usize, count: u64) {
        if let Some(bucket) = self.0.get_mut(at) {
            *bucket += count;
        }
    }

    /// The bound that the share `part` of all took no longer than; `None` if there were none, or
    /// it is beyond the last bound.
    pub fn percentile(&self, part: f64) -> Option<Millis> {
        let all: u64 = self.0.iter().sum();
        let wanted = (all as f64 * part).ceil().max(1.0) as u64;
        let mut sum = 0;
        let at = self.0.iter().position(|count| {
            sum += count;
            all > 0 && sum >= wanted
        });
        at.and_then(|at| BOUNDS.get(at).copied())
    }

    fn iter(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }
}

/// Counts that are not in the store yet.
#[derive(Default)]
pub struct Statistics(Mutex<BTreeMap<Place, (u64, Gather)>>);

/// Minute, subject, name.
type Place = (Millis, Arc<str>, Arc<str>);

impl Statistics {
    pub(super) fn add(&self, subject: &Arc<str>, name: &str, value: u64) {
        self.gather(subject, name, value, Gather::Sum);
    }

    pub(super) fn peak(&self, subject: &Arc<str>, name: &str, value: u64) {
        self.gather(subject, name, value, Gather::Peak);
    }

    pub(super) fn took(&self, subject: &Arc<str>, latencies: &Latencies) {
        for (at, count) in latencies.iter() {
            self.add(subject, &format!("latency/{at}"), count);
        }
    }

    fn gather(&self, subject: &Arc<str>, name: &str, value: u64, how: Gather) {
        let place = (Span::Minute.start(now()), subject.clone(), name.into());
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (sum, _) = waiting.entry(place).or_insert((0, how));
        *sum = match how {
            Gather::Sum => sum.saturating_add(value),
            Gather::Peak => value.max(*sum),
        };
    }

    /// Takes what waits.
    pub fn take(&self) -> Vec<Count> {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let count = |((at, subject, name), (value, how))| Count { at, subject, name, value, how };
        waiting.into_iter().map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_known_by_its_name() {
        let all = [
            Subject::Door,
            Subject::Source("heap"),
            Subject::Integration("heap"),
            Subject::Action("heap", "a/b c"),
        ];
        for subject in all {
            assert_eq!(Subject::of(&subject.name()), Some(subject));
        }
        assert_eq!(Subject::of("later/x"), None);
    }

    #[test]
    fn a_percentile_is_the_bound_that_so_many_keep_to() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(0.5), None);
        (0..99).for_each(|_| latencies.observe(7));
        latencies.observe(900);
        assert_eq!(latencies.percentile(0.5), Some(10));
        assert_eq!(latencies.percentile(0.99), Some(10));
        assert_eq!(latencies.percentile(1.0), Some(1_000));
        latencies.observe(Millis::MAX);
        assert_eq!(latencies.percentile(1.0), None);
    }
}
