//! What operators leave behind: small texts, the log of changes, counters by minute and hour.

use std::sync::Arc;

use crate::Millis;

/// One entry of the log of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: Millis,
    /// Who.
    pub who: Box<str>,
    /// What was done, in one clause.
    pub what: Box<str>,
    /// The revision of the workspace that it made, if any.
    pub revision: Option<u64>,
}

/// Something that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// When; in answers the beginning of the minute or hour.
    pub at: Millis,
    /// What it is about, e.g. the id of an integration.
    pub subject: Arc<str>,
    /// What was counted.
    pub name: Arc<str>,
    /// How many.
    pub value: u64,
    /// How values of one minute or hour become one.
    pub how: Gather,
}

/// How values of one minute or hour become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gather {
    /// They are added up.
    Sum,
    /// The highest counts.
    Peak,
}

/// How finely counts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// By minute, for two days.
    Minute,
    /// By hour, for four hundred days.
    Hour,
}

impl Span {
    /// Both.
    pub const ALL: [Span; 2] = [Span::Minute, Span::Hour];

    /// Its length in milliseconds.
    pub fn millis(self) -> Millis {
        match self {
            Span::Minute => 60_000,
            Span::Hour => 3_600_000,
        }
    }

    /// How long counts are kept, in milliseconds.
    pub fn kept(self) -> Millis {
        const DAY: Millis = 24 * 3_600_000;
        match self {
            Span::Minute => 2 * DAY,
            Span::Hour => 400 * DAY,
        }
    }

    /// The beginning of the one in which `at` lies.
    pub fn start(self, at: Millis) -> Millis {
        at - at.rem_euclid(self.millis())
    }
}

impl Gather {
    pub(crate) fn gather(self, one: u64, other: u64) -> u64 {
        match self {
            Gather::Sum => one.saturating_add(other),
            Gather::Peak => one.max(other),
        }
    }
}
