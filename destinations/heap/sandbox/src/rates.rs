//! Heap's published limits as sliding windows (heap-api §10): R1, R2 and R3.

use std::collections::{HashMap, VecDeque};

use crate::clock::Millis;

/// Whose requests are counted together: an identity, or a user id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Identity(u64),
    UserId(u64),
}

/// What a request asks of the limits.
pub(crate) enum Ask {
    SingleTrack(Subject),
    SingleUserProperties(Subject),
    /// The events of a bulk request, by subject.
    BulkTrack(HashMap<Subject, u32>),
    Nothing,
}

const R1: Limit = Limit { most: 30, span: 30_000 };
const R2: Limit = Limit { most: 1_000, span: 60_000 };
const R3: Limit = Limit { most: 15_000, span: 60_000 };

struct Limit {
    most: u32,
    span: Millis,
}

/// What was counted in the last span, in order of time.
#[derive(Debug, Default)]
struct Window {
    counted: VecDeque<(Millis, u32)>,
    sum: u32,
}

impl Window {
    fn has_room(&mut self, limit: &Limit, now: Millis, count: u32) -> bool {
        while let Some(&(at, past)) = self.counted.front() {
            if now - at < limit.span {
                break;
            }
            self.sum -= past;
            self.counted.pop_front();
        }
        self.sum + count <= limit.most
    }

    fn count(&mut self, now: Millis, count: u32) {
        self.sum += count;
        match self.counted.back_mut() {
            Some((at, last)) if *at == now => *last += count,
            Some(_) | None => self.counted.push_back((now, count)),
        }
    }
}

/// The windows of one app id.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    single_track: HashMap<Subject, Window>,
    single_user_properties: HashMap<Subject, Window>,
    bulk_track: HashMap<Subject, Window>,
    bulk_track_all: Window,
    swept: Millis,
}

impl Rates {
    /// Whether the request is inside all limits; if so it is counted, else nothing is.
    pub(crate) fn admit(&mut self, ask: &Ask, now: Millis) -> bool {
        self.sweep(now);
        match ask {
            Ask::Nothing => true,
            Ask::SingleTrack(subject) => Self::one(&mut self.single_track, *subject, now),
            Ask::SingleUserProperties(subject) => {
                Self::one(&mut self.single_user_properties, *subject, now)
            }
            Ask::BulkTrack(counts) => {
                let all = counts.values().sum();
                let fits = self.bulk_track_all.has_room(&R3, now, all)
                    && counts.iter().all(|(subject, count)| {
                        self.bulk_track.entry(*subject).or_default().has_room(&R2, now, *count)
                    });
                if fits {
                    self.bulk_track_all.count(now, all);
                    for (subject, count) in counts {
                        self.bulk_track.entry(*subject).or_default().count(now, *count);
                    }
                }
                fits
            }
        }
    }

    fn one(windows: &mut HashMap<Subject, Window>, subject: Subject, now: Millis) -> bool {
        let window = windows.entry(subject).or_default();
        let fits = window.has_room(&R1, now, 1);
        if fits {
            window.count(now, 1);
        }
        fits
    }

    /// Forgets subjects that were quiet for a whole span.
    fn sweep(&mut self, now: Millis) {
        if (now - self.swept).abs() < R2.span {
            return;
        }
        self.swept = now;
        for (windows, limit) in [
            (&mut self.single_track, &R1),
            (&mut self.single_user_properties, &R1),
            (&mut self.bulk_track, &R2),
        ] {
            windows.retain(|_, window| {
                window.has_room(limit, now, 0);
                window.sum > 0
            });
        }
    }
}
