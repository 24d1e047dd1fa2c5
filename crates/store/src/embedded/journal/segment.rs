//! One segment of the journal: its file, and how its records are found.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::index::{IdKind, Index, growing_ids};
use super::record::{Sources, read_event};
use super::tables::{Bounds, HashKey, Mark, Seen, Tables, mark_before};
use super::walk::Walk;
use crate::embedded::fs::{Fs, Handle, failed};
use crate::{Error, Millis, Seq, StoredEvent};

/// Bytes read at one time where single records are looked for: about those between two marks.
const PICK: usize = 40 << 10;

/// See the [module](self).
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    /// Place of its first record.
    pub(crate) base: Seq,
    pub(crate) salt: u64,
    pub(crate) lookup: RwLock<Lookup>,
    /// Message ids of a sealed segment whose index isn't on disk yet.
    pub(crate) seen: Mutex<Option<Arc<Seen>>>,
}

/// How records of a segment are found.
pub(crate) enum Lookup {
    /// In memory: while it grows, and until its index is on disk.
    Tables(Tables),
    /// In its index file.
    Index(Arc<Index>),
}

impl Segment {
    pub(crate) fn new(path: PathBuf, base: Seq, salt: u64, lookup: Lookup) -> Segment {
        let (lookup, seen) = (RwLock::new(lookup), Mutex::default());
        Segment { path, base, salt, lookup, seen }
    }

    pub(crate) fn index_path(&self) -> PathBuf {
        self.path.with_extension("idx")
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.with(|tables| tables.bounds, |index| index.bounds)
    }

    /// Place after its last record.
    pub(crate) fn next(&self) -> Seq {
        self.base + u64::from(self.bounds().count)
    }

    /// The records, from the first to below the second, among which are all that were received from
    /// `since` to before `until`.
    pub(crate) fn window(&self, since: Option<Millis>, until: Option<Millis>) -> (u32, u32) {
        let count = self.bounds().count;
        if since.is_none() && until.is_none() {
            return (0, count);
        }
        let of = |marks: &[Mark]| {
            let is_in = |mark: &Mark| {
                since.is_none_or(|since| mark.newest >= since)
                    && until.is_none_or(|until| mark.oldest < until)
            };
            let Some(first) = marks.iter().find(|mark| is_in(mark)) else { return (0, 0) };
            let last = marks.iter().rposition(is_in);
            let next = last.and_then(|last| marks.get(last + 1));
            (first.ordinal, next.map_or(count, |next| next.ordinal))
        };
        self.with(|tables| of(&tables.marks), |index| of(&index.marks))
    }

    /// The ordinal of the mark at or before that of the record before `ordinal`.
    pub(crate) fn mark_below(&self, ordinal: u32) -> u32 {
        let below = ordinal.saturating_sub(1);
        let of = |marks: &[Mark]| mark_before(marks, below).ordinal;
        self.with(|tables| of(&tables.marks), |index| of(&index.marks))
    }

    /// Ordinals of records with this id, ascending; a few may only have its hash.
    pub(crate) fn ids(
        &self,
        fs: &dyn Fs,
        key: HashKey,
        kind: IdKind,
        id: &str,
    ) -> Result<Vec<u32>, Error> {
        let hash = key.id(id);
        let index = match &*self.lookup.read().unwrap_or_else(PoisonError::into_inner) {
            Lookup::Tables(tables) => return Ok(growing_ids(tables, kind, hash)),
            Lookup::Index(index) => index.clone(),
        };
        index.ids(fs, kind, hash)
    }

    /// Opens the file at the record with this ordinal, or at one a little before: says which.
    pub(crate) fn walk(
        &self,
        fs: &dyn Fs,
        ordinal: u32,
        chunk: usize,
    ) -> Result<(u32, Walk), Error> {
        let mark = self.with(
            |tables| mark_before(&tables.marks, ordinal),
            |index| mark_before(&index.marks, ordinal),
        );
        let file = fs.open(&self.path).map_err(failed("open", &self.path))?;
        let end = self.bounds().end;
        Ok((mark.ordinal, Walk::new(file, self.salt, u64::from(mark.offset), end, chunk)))
    }

    /// Reads the records with these ordinals, from the first to below the second; without the
    /// lost ones.
    pub(crate) fn events(
        &self,
        fs: &dyn Fs,
        (from, to): (u32, u32),
        sources: &mut Sources,
    ) -> Result<Vec<StoredEvent>, Error> {
        let (mut ordinal, mut walk) = self.walk(fs, from, PICK)?;
        let mut events = Vec::new();
        while ordinal < to.min(self.bounds().count) {
            let read = step(
                &mut walk,
                self.base + u64::from(ordinal),
                &self.path,
                ordinal < from,
                sources,
            )?;
            if let Some(event) = read.filter(|_| ordinal >= from) {
                events.push(event);
            }
            ordinal += 1;
        }
        Ok(events)
    }

    /// Reads the records with these ordinals, which ascend; without the lost ones. Those that lie
    /// near one another are read together.
    pub(crate) fn pick(
        &self,
        fs: &dyn Fs,
        ordinals: &[u32],
        sources: &mut Sources,
    ) -> Result<Vec<StoredEvent>, Error> {
        let mut events = Vec::with_capacity(ordinals.len());
        let Some(first) = ordinals.first() else { return Ok(events) };
        let (mut at, mut walk) = self.walk(fs, *first, PICK)?;
        for ordinal in ordinals {
            if let Some(mark) = self.mark_after(at, *ordinal) {
                at = mark.ordinal;
                walk.jump(u64::from(mark.offset));
            }
            while at <= *ordinal {
                let seq = self.base + u64::from(at);
                events.extend(step(&mut walk, seq, &self.path, at < *ordinal, sources)?);
                at += 1;
            }
        }
        Ok(events)
    }

    /// The mark of `ordinal`, if it lies behind `at`.
    fn mark_after(&self, at: u32, ordinal: u32) -> Option<Mark> {
        let of = |marks: &[Mark]| mark_before(marks, ordinal);
        let mark = self.with(|tables| of(&tables.marks), |index| of(&index.marks));
        (mark.ordinal > at).then_some(mark)
    }

    fn with<T>(&self, tables: impl FnOnce(&Tables) -> T, index: impl FnOnce(&Index) -> T) -> T {
        match &*self.lookup.read().unwrap_or_else(PoisonError::into_inner) {
            Lookup::Tables(found) => tables(found),
            Lookup::Index(found) => index(found),
        }
    }
}

/// Reads the next record, which must have place `seq`. `None` if it is a lost one, or `skip`.
pub(crate) fn step(
    walk: &mut Walk,
    seq: Seq,
    path: &Path,
    skip: bool,
    sources: &mut Sources,
) -> Result<Option<StoredEvent>, Error> {
    let offset = walk.at();
    let damaged = |what: &str| Error::Damaged {
        file: path.display().to_string(),
        offset,
        what: format!("event {seq} was expected here, but {what}"),
    };
    match walk.next().map_err(failed("read", path))? {
        None => Err(damaged("the record has a wrong checksum or is cut off")),
        Some((header, _)) if header.seq != seq => {
            Err(damaged(&format!("the record is that of event {}", header.seq)))
        }
        Some((header, payload)) if header.len > 0 && !skip => match read_event(payload, sources) {
            Some(event) => Ok(Some(StoredEvent { seq, event })),
            None => Err(damaged("the record isn't an event")),
        },
        Some(_) => Ok(None),
    }
}

/// The file that a writer appends to.
pub(crate) struct Active {
    pub(crate) segment: Arc<Segment>,
    pub(crate) file: Arc<dyn Handle>,
}
