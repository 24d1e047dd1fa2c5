//! The thread beside the writer: writes indexes of sealed segments and keeps a spare file ready, so
//! that neither holds up a commit.

use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};

use super::index::{Index, encode};
use super::segment::{Lookup, Segment};
use super::{Shared, tables::Tables};
use crate::Error;
use crate::embedded::fs::{failed, replace, write_all};

/// Name of the file for the next segment.
pub(crate) const SPARE: &str = "spare";
const CHUNK: usize = 1 << 20;

/// What the thread is told to do.
pub(crate) enum Keep {
    /// Index this segment: it grows no more.
    Sealed(Arc<Segment>),
}

/// Works until all senders are gone.
pub(crate) fn run(shared: &Shared, told: &Receiver<Keep>) {
    let mut waiting: Vec<Arc<Segment>> = unindexed(shared);
    loop {
        // Both only save time later. If the disk is full they are tried again with the next
        // segment; until then its ids stay in memory.
        waiting.retain(|segment| index(shared, segment).is_err());
        make_spare(shared).ok();
        match told.recv() {
            Ok(Keep::Sealed(segment)) => waiting.push(segment),
            Err(_) => return,
        }
    }
}

fn unindexed(shared: &Shared) -> Vec<Arc<Segment>> {
    let segments = shared.segments.read().unwrap_or_else(PoisonError::into_inner);
    let sealed = segments.len().saturating_sub(1);
    let in_memory = |segment: &&Arc<Segment>| {
        matches!(*segment.lookup.read().unwrap_or_else(PoisonError::into_inner), Lookup::Tables(_))
    };
    segments.iter().take(sealed).filter(in_memory).cloned().collect()
}

fn index(shared: &Shared, segment: &Segment) -> Result<(), Error> {
    let bytes = match &*segment.lookup.read().unwrap_or_else(PoisonError::into_inner) {
        Lookup::Tables(tables) => encode(tables, segment.base, segment.salt, shared.key),
        Lookup::Index(_) => return Ok(()),
    };
    let path = segment.index_path();
    replace(&*shared.fs, &path, &bytes).map_err(failed("write", &path))?;
    let dropped = segment.base < shared.first.load(std::sync::atomic::Ordering::Acquire);
    if dropped {
        // Retention was quicker.
        shared.fs.remove(&path).ok();
        return Ok(());
    }
    let index = Index::open(&*shared.fs, &path, segment.base, shared.key)?.ok_or_else(|| {
        Error::Damaged {
            file: path.display().to_string(),
            offset: 0,
            what: "the index reads back other than it was written".into(),
        }
    })?;
    *segment.lookup.write().unwrap_or_else(PoisonError::into_inner) =
        Lookup::Index(Arc::new(index));
    segment.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    shared.changed();
    Ok(())
}

/// Fills a file with zeros: writing to space that is there already makes an fsync quicker.
fn make_spare(shared: &Shared) -> io::Result<()> {
    if *shared.spare.lock().unwrap_or_else(PoisonError::into_inner) {
        return Ok(());
    }
    let tmp = shared.dir.join("spare.tmp");
    let fill = || -> io::Result<()> {
        let file = shared.fs.create(&tmp)?;
        let zeros = vec![0; CHUNK];
        let len = shared.settings.segment_bytes as usize;
        let mut at = 0;
        while at < len {
            let chunk = zeros.get(..(len - at).min(CHUNK)).unwrap_or(&zeros);
            write_all(&*file, chunk, at as u64)?;
            at += chunk.len();
            // Often, so that no commit waits long behind it.
            file.sync()?;
        }
        Ok(())
    };
    let mut filled = fill();
    if filled.is_ok() {
        let mut has_spare = shared.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if !*has_spare {
            filled = shared.fs.rename(&tmp, &shared.dir.join(SPARE));
            *has_spare = filled.is_ok();
            return filled;
        }
    }
    shared.fs.remove(&tmp)?;
    filled
}

/// Nothing is known of the segment yet.
pub(crate) fn empty() -> Lookup {
    Lookup::Tables(Tables::new())
}
