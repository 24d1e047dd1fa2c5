//! Opening a journal: which segments there are, and where the last one ends.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};

use super::Shared;
use super::index::Index;
use super::keeper::{SPARE, empty};
use super::record::{FIRST_RECORD, SegmentHeader, Sources, read_event};
use super::segment::{Active, Lookup, Segment};
use super::tables::{HashKey, Seen, Tables};
use super::walk::{Survey, Walk, survey};
use super::writer::{begin_segment, random, segment_path};
use crate::embedded::fs::{Fs, Handle, failed, read_up_to, write_all};
use crate::{Error, Seq, Settings};

/// A torn commit is searched for and wiped out over so many bytes at a time.
const CHUNK: usize = 1 << 20;

/// Opens the journal in `dir`: what is shared, the growing segment, and the message ids in it.
pub(crate) fn open(
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    key: HashKey,
    settings: Settings,
) -> Result<(Shared, Active, Seen), Error> {
    // Names may be there that a crash could still take back.
    fs.sync_dir(&dir).map_err(failed("sync", &dir))?;
    let mut has_spare = sweep(&*fs, &dir, settings.segment_bytes)?;
    let bases = bases(&*fs, &dir)?;
    let mut segments = Vec::new();
    for pair in bases.windows(2) {
        if let &[base, next] = pair {
            segments.push(Arc::new(open_sealed(&*fs, &dir, (base, next), key)?));
        }
    }
    let (active, seen) = match bases.last() {
        Some(base) => open_active(&*fs, &segment_path(&dir, *base), *base, key)?,
        None => {
            let (path, salt) = (segment_path(&dir, 1), random()?);
            let header = SegmentHeader { base: 1, salt };
            let file = begin_segment(&*fs, &dir, &path, header, &mut has_spare)?;
            let segment = Arc::new(Segment::new(path, 1, salt, empty()));
            (Active { segment, file }, Seen::default())
        }
    };
    segments.push(active.segment.clone());
    let shared = Shared {
        first: AtomicU64::new(segments.first().map_or(1, |segment| segment.base)),
        next: AtomicU64::new(active.segment.next()),
        generation: AtomicU64::new(0),
        segments: RwLock::new(segments),
        spare: Mutex::new(has_spare),
        wakes: RwLock::default(),
        dir,
        fs,
        settings,
        key,
    };
    Ok((shared, active, seen))
}

/// Removes what a crash has left. True if there is a spare file.
fn sweep(fs: &dyn Fs, dir: &Path, segment_bytes: u32) -> Result<bool, Error> {
    let names = fs.list(dir).map_err(failed("list", dir))?;
    let mut has_spare = false;
    for name in &names {
        let path = dir.join(name);
        let keep = if name == SPARE {
            has_spare = fs.len(&path).is_ok_and(|len| len == u64::from(segment_bytes));
            has_spare
        } else if let Some(base) = name.strip_suffix(".idx") {
            names.iter().any(|other| other.strip_suffix(".log") == Some(base))
        } else {
            !name.ends_with(".tmp")
        };
        if !keep {
            fs.remove(&path).map_err(failed("remove", &path))?;
        }
    }
    Ok(has_spare)
}

/// The bases of all segments, ascending.
pub(crate) fn bases(fs: &dyn Fs, dir: &Path) -> Result<Vec<Seq>, Error> {
    let mut bases: Vec<Seq> = fs
        .list(dir)
        .map_err(failed("list", dir))?
        .iter()
        .filter_map(|name| name.strip_suffix(".log")?.parse().ok())
        .collect();
    bases.sort_unstable();
    Ok(bases)
}

/// Opens a sealed segment by its index, or by walking over it.
fn open_sealed(
    fs: &dyn Fs,
    dir: &Path,
    (base, next): (Seq, Seq),
    key: HashKey,
) -> Result<Segment, Error> {
    let path = segment_path(dir, base);
    let damaged = |offset: u64, what: String| Error::Damaged {
        file: path.display().to_string(),
        offset,
        what,
    };
    let (salt, lookup) = match Index::open(fs, &path.with_extension("idx"), base, key)? {
        Some(index) => (index.salt, Lookup::Index(Arc::new(index))),
        None => {
            let scan = scan(fs, &path, base, Some(next), key)?;
            if let Some(offset) = scan.survey.damage {
                let expected = base + u64::from(scan.tables.bounds.count);
                return Err(damaged(offset, broken(expected)));
            }
            (scan.header.salt, Lookup::Tables(scan.tables))
        }
    };
    let segment = Segment::new(path.clone(), base, salt, lookup);
    let bounds = segment.bounds();
    let len = fs.len(&path).map_err(failed("read", &path))?;
    if len < bounds.end {
        return Err(damaged(len, format!("it ends here, but should go on to {}", bounds.end)));
    }
    if segment.next() != next {
        let what = format!(
            "after event {} the next segment should begin, but that begins with event {next}",
            segment.next() - 1
        );
        return Err(damaged(bounds.end, what));
    }
    let mut seen = Seen::default();
    if let Lookup::Tables(tables) =
        &*segment.lookup.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    {
        seen = seen_in(tables);
    }
    if !seen.is_empty() {
        *segment.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some(Arc::new(seen));
    }
    Ok(segment)
}

/// What is wrong where a good record should be.
pub(crate) fn broken(expected: Seq) -> String {
    format!(
        "event {expected} was expected here, but the record is broken, \
         and what follows shows that it was stored once"
    )
}

fn seen_in(tables: &Tables) -> Seen {
    tables.messages.iter().map(|m| (m.key, (m.ordinal, m.received_at))).collect()
}

fn open_active(fs: &dyn Fs, path: &Path, base: Seq, key: HashKey) -> Result<(Active, Seen), Error> {
    let Scan { header, file, tables, survey } = scan(fs, path, base, None, key)?;
    if let Some(offset) = survey.damage {
        let what = broken(base + u64::from(tables.bounds.count));
        return Err(Error::Damaged { file: path.display().to_string(), offset, what });
    }
    sync_again(&*file, &survey).map_err(failed("sync", path))?;
    wipe(&*file, survey.end).map_err(failed("cut the end of", path))?;
    let seen = seen_in(&tables);
    let segment = Segment::new(path.into(), base, header.salt, Lookup::Tables(tables));
    Ok((Active { segment: Arc::new(segment), file }, seen))
}

/// Makes the last commit durable for certain. The program may have ended before its fsync, or the
/// fsync may have failed: then the system takes its pages for clean, and only writing them again
/// makes them go to the disk. From here on its events count as stored.
fn sync_again(file: &dyn Handle, survey: &Survey) -> std::io::Result<()> {
    let mut bytes = vec![0; usize::try_from(survey.end - survey.last_commit).unwrap_or(0)];
    read_up_to(file, &mut bytes, survey.last_commit)?;
    write_all(file, &bytes, survey.last_commit)?;
    file.sync()
}

/// Overwrites with zeros what a torn commit may have left.
fn wipe(file: &dyn Handle, from: u64) -> std::io::Result<()> {
    let len = file.len()?;
    let mut at = from;
    let mut wiped = false;
    while at < len {
        let size = usize::try_from(len - at).unwrap_or(CHUNK).min(CHUNK);
        let mut bytes = vec![0; size];
        read_up_to(file, &mut bytes, at)?;
        if bytes.iter().any(|byte| *byte != 0) {
            bytes.fill(0);
            write_all(file, &bytes, at)?;
            wiped = true;
        }
        at += size as u64;
    }
    if wiped { file.sync() } else { Ok(()) }
}

/// A whole segment, walked over.
pub(crate) struct Scan {
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<dyn Handle>,
    pub(crate) tables: Tables,
    pub(crate) survey: Survey,
}

/// Walks over a whole segment. `next` is the base of the next one; none: this one grows.
pub(crate) fn scan(
    fs: &dyn Fs,
    path: &Path,
    base: Seq,
    next: Option<Seq>,
    key: HashKey,
) -> Result<Scan, Error> {
    let file = fs.open(path).map_err(failed("open", path))?;
    let header = read_header(&*file, path, base)?;
    let len = file.len().map_err(failed("read", path))?;
    let mut walk = Walk::new(file.clone(), header.salt, FIRST_RECORD, len, CHUNK);
    let mut tables = Tables::new();
    let mut sources = Sources::default();
    let survey = survey(&mut walk, base, next, |record, offset, payload| {
        let event = read_event(payload, &mut sources);
        let keyed = event.as_ref().map(|e| (e, key.message(&e.source, &e.message_id)));
        tables.push(key, keyed, offset + record.size());
    })
    .map_err(failed("read", path))?;
    Ok(Scan { header, file, tables, survey })
}

/// Reads the header of a segment; both copies must be right.
pub(crate) fn read_header(
    file: &dyn Handle,
    path: &Path,
    base: Seq,
) -> Result<SegmentHeader, Error> {
    let mut bytes = [0; FIRST_RECORD as usize];
    read_up_to(file, &mut bytes, 0).map_err(failed("read", path))?;
    let damaged = |what: &str| Error::Damaged {
        file: path.display().to_string(),
        offset: 0,
        what: what.into(),
    };
    match SegmentHeader::read(&bytes) {
        [Ok(one), Ok(two)] if one == two && one.base == base => Ok(one),
        [Ok(_), Ok(_)] => Err(damaged("its header doesn't agree with itself and its name")),
        [Err(what), _] | [_, Err(what)] => Err(damaged(what)),
    }
}
