//! Looks for damage, and mends it at the price of the events that can't be read.

use std::path::Path;

use super::fs::{Fs, RealFs};
use super::journal::{HashKey, doctor};
use super::ledger::{self, Ledger};
use super::{identity, lock};
use crate::{Error, Seq, Settings};

pub use super::journal::doctor::{Damage, IndexState, SegmentReport};

/// What there is in a directory, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The journal's segments, oldest first.
    pub segments: Vec<SegmentReport>,
    /// What is wrong with other files: name, and what.
    pub files: Vec<(String, String)>,
}

impl Report {
    /// Place of the first event; equal to [`next`](Report::next) if there are none.
    pub fn first(&self) -> Seq {
        self.segments.first().map_or(1, |segment| segment.first)
    }

    /// Place of the next event.
    pub fn next(&self) -> Seq {
        self.segments.last().map_or(1, |segment| segment.next)
    }

    /// True if nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.files.is_empty() && self.segments.iter().all(SegmentReport::is_whole)
    }
}

/// Reads all of a directory and says what is wrong. Changes nothing; a store that is open meanwhile
/// may look torn at its end.
pub fn inspect(dir: &Path) -> Result<Report, Error> {
    let mut report = Report::default();
    let key = match identity::read(&RealFs, &dir.join("store")) {
        Ok(key) => key,
        Err(error) => {
            report.files.push((dir.join("store").display().to_string(), error.to_string()));
            None
        }
    };
    report.segments = doctor::inspect(&RealFs, &dir.join("journal"), key)?;
    for path in ledger::files(dir)? {
        report.files.extend(ledger::check(&path).map(|what| (path.display().to_string(), what)));
    }
    Ok(report)
}

/// Cuts what can't be read out of the journal, and removes indexes that are wrong: they are made
/// anew when the store is opened. The places of lost events stay empty. Says what it found. The
/// SQLite files it leaves alone, but for an empty `store` file.
pub fn mend(dir: &Path) -> Result<Report, Error> {
    let _lock = lock(dir)?;
    let report = inspect(dir)?;
    let fs: &dyn Fs = &RealFs;
    let path = dir.join("store");
    if !matches!(identity::read(fs, &path), Ok(Some(HashKey(_)))) {
        identity::make(fs, &path)?;
    }
    let known = Ledger::open(dir, &Settings::default())?.highest()?;
    doctor::mend(fs, &dir.join("journal"), &report.segments, known)?;
    Ok(report)
}
