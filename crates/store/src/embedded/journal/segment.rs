//! One segment of the journal: its file, and how its records are found.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::index::{IdKind, Index, growing_ids};
use super::record::{Sources, read_event};
use super::tables::{Bounds, HashKey, Mark, Seen, Tables, mark_before};
use super::walk::Walk;
use crate::embedded::fs::{Fs, Handle, failed};
use crate::{Error, Seq, StoredEvent};

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

    pub(crate) fn marks(&self) -> Vec<Mark> {
        self.with(|tables| tables.marks.clone(), |index| index.marks.clone())
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
        let (mut ordinal, mut walk) = self.walk(fs, from, 40 << 10)?;
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
