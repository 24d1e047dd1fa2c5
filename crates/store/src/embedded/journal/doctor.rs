//! Finds every damaged stretch of a journal, and writes segments anew without them.

use std::path::Path;

use super::index::{self, Index};
use super::open::{bases, read_header, scan};
use super::record::{FIRST_RECORD, SegmentHeader, Sources, read_event, write_record};
use super::tables::HashKey;
use super::walk::{Walk, survey};
use super::writer::{random, segment_path};
use crate::embedded::fs::{Fs, failed, read_up_to, replace};
use crate::{Error, NewEvent, Seq};

const CHUNK: usize = 1 << 20;

/// One segment of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// Its file.
    pub file: String,
    /// Place of its first event.
    pub first: Seq,
    /// Place after its last event.
    pub next: Seq,
    /// Bytes of the file.
    pub bytes: u64,
    /// Events that were lost earlier, and mended away.
    pub lost: u64,
    /// Its index.
    pub index: IndexState,
    /// What can't be read, by offset.
    pub damage: Vec<Damage>,
}

/// The index of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// The last segment has none.
    NotYet,
    /// As it should be.
    Good,
    /// Not there, or of an earlier version: it is made when the store is opened.
    Missing,
    /// There, but wrong in this way.
    Wrong(String),
}

/// A stretch of a segment that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins in the file.
    pub offset: u64,
    /// The events in it, from the first to below the second.
    pub events: (Seq, Seq),
    /// What is wrong.
    pub what: String,
}

impl SegmentReport {
    /// True if nothing is wrong with it.
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty() && !matches!(self.index, IndexState::Wrong(_))
    }
}

/// Looks at every record in `dir`. Without `key` indexes can't be judged.
pub(crate) fn inspect(
    fs: &dyn Fs,
    dir: &Path,
    key: Option<HashKey>,
) -> Result<Vec<SegmentReport>, Error> {
    let bases = bases(fs, dir)?;
    let mut reports = Vec::new();
    for (at, base) in bases.iter().enumerate() {
        let path = segment_path(dir, *base);
        let next = bases.get(at + 1).copied();
        let mut report = SegmentReport {
            file: path.display().to_string(),
            first: *base,
            next: *base,
            bytes: fs.len(&path).map_err(failed("read", &path))?,
            lost: 0,
            index: index_state(fs, &path, *base, next, key)?,
            damage: Vec::new(),
        };
        report.next = each_record(fs, &path, (*base, next), &mut |piece| match piece {
            Piece::Event(_) => {}
            Piece::Lost => report.lost += 1,
            Piece::Damage(damage) => report.damage.push(damage),
        })?;
        reports.push(report);
    }
    Ok(reports)
}

/// Writes each damaged segment anew, with an empty place for each event that is lost, and removes
/// each wrong index. Places below `known` are never given to other events, since the ledger knows
/// of them.
pub(crate) fn mend(
    fs: &dyn Fs,
    dir: &Path,
    reports: &[SegmentReport],
    known: Seq,
) -> Result<(), Error> {
    for (at, report) in reports.iter().enumerate() {
        let path = segment_path(dir, report.first);
        let next = reports.get(at + 1).map(|next| next.first);
        if matches!(report.index, IndexState::Wrong(_)) || !report.damage.is_empty() {
            remove_index(fs, &path)?;
        }
        let is_short = next.is_none() && report.next < known;
        if report.damage.is_empty() && !is_short {
            continue;
        }
        let header = SegmentHeader { base: report.first, salt: random()? };
        let mut bytes = header.bytes().to_vec();
        let mut seq = report.first;
        let mut put = |event: Option<&NewEvent>| {
            write_record(&mut bytes, header.salt, (seq, 0, 0), event);
            seq += 1;
        };
        let end = each_record(fs, &path, (report.first, next), &mut |piece| match piece {
            Piece::Event(event) => put(Some(&event)),
            Piece::Lost => put(None),
            Piece::Damage(damage) => (damage.events.0..damage.events.1).for_each(|_| put(None)),
        })?;
        if is_short {
            (end..known).for_each(|_| put(None));
        }
        replace(fs, &path, &bytes).map_err(failed("write", &path))?;
    }
    if reports.is_empty() && known > 1 {
        let header = SegmentHeader { base: known, salt: random()? };
        let path = segment_path(dir, known);
        replace(fs, &path, &header.bytes()).map_err(failed("write", &path))?;
    }
    Ok(())
}

fn remove_index(fs: &dyn Fs, segment: &Path) -> Result<(), Error> {
    let path = segment.with_extension("idx");
    match fs.remove(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed("remove", &path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn index_state(
    fs: &dyn Fs,
    segment: &Path,
    base: Seq,
    next: Option<Seq>,
    key: Option<HashKey>,
) -> Result<IndexState, Error> {
    let path = segment.with_extension("idx");
    let (Some(next), Some(key)) = (next, key) else { return Ok(IndexState::NotYet) };
    if fs.len(&path).is_err() || index::is_earlier(fs, &path) {
        return Ok(IndexState::Missing);
    }
    let wrong = |what: &str| Ok(IndexState::Wrong(what.into()));
    let Some(index) = Index::open(fs, &path, base, key)? else {
        return wrong("its head is damaged, or of another segment");
    };
    if let Err(error) = index.verify(fs) {
        return wrong(&error.to_string());
    }
    match scan(fs, segment, base, Some(next), key) {
        Ok(scan) if scan.survey.damage.is_none() => {
            let agrees = scan.header.salt == index.salt
                && scan.tables.bounds == index.bounds
                && scan.tables.marks == index.marks;
            if agrees { Ok(IndexState::Good) } else { wrong("it isn't that of its segment") }
        }
        // The segment's own damage says more.
        Ok(_) | Err(_) => Ok(IndexState::Good),
    }
}

enum Piece {
    Event(NewEvent),
    Lost,
    Damage(Damage),
}

/// Hands every record, and every stretch without, to `take`, in order. `next` is the base of the
/// next segment. Returns the place after the last.
fn each_record(
    fs: &dyn Fs,
    path: &Path,
    (base, next): (Seq, Option<Seq>),
    take: &mut dyn FnMut(Piece),
) -> Result<Seq, Error> {
    let io = failed("read", path);
    let file = fs.open(path).map_err(failed("open", path))?;
    let damage =
        |offset, events, what: &str| Piece::Damage(Damage { offset, events, what: what.into() });
    let mut salt = None;
    if let Err(error) = read_header(&*file, path, base) {
        let mut bytes = [0; FIRST_RECORD as usize];
        read_up_to(&*file, &mut bytes, 0).map_err(&io)?;
        let copies = SegmentHeader::read(&bytes).into_iter().flatten();
        salt = copies.filter(|copy| copy.base == base).map(|copy| copy.salt).next();
        let events = if salt.is_some() { (base, base) } else { (base, next.unwrap_or(base)) };
        take(damage(0, events, &error.to_string()));
        if salt.is_none() {
            return Ok(events.1);
        }
    }
    let salt = match salt {
        Some(salt) => salt,
        None => read_header(&*file, path, base)?.salt,
    };
    let len = file.len().map_err(&io)?;
    let walk = || Walk::new(file.clone(), salt, FIRST_RECORD, len, CHUNK);

    let mut sources = Sources::default();
    let mut piece = |payload: &[u8], seq: Seq, offset: u64| match read_event(payload, &mut sources)
    {
        Some(event) => Piece::Event(event),
        None if payload.is_empty() => Piece::Lost,
        None => damage(offset, (seq, seq + 1), "the record isn't an event"),
    };
    let mut whole = Vec::new();
    let surveyed = survey(&mut walk(), base, next, |record, offset, payload| {
        whole.push(piece(payload, record.seq, offset));
    })
    .map_err(&io)?;
    if surveyed.damage.is_none() {
        whole.into_iter().for_each(take);
        return Ok(surveyed.next);
    }

    // Damaged: each record for itself, whatever its commit.
    let mut walk = walk();
    let mut pieces = Vec::new();
    let (mut expected, mut ended) = (base, 0);
    loop {
        if Some(expected) == next {
            break;
        }
        let at = walk.at();
        let Some(header) = walk.resync(expected, next.unwrap_or(Seq::MAX)).map_err(&io)? else {
            if let Some(next) = next {
                pieces.push(damage(at, (expected, next), "no record up to the end"));
                expected = next;
                ended = pieces.len();
            }
            break;
        };
        if walk.at() > at || header.seq > expected {
            pieces.push(damage(at, (expected, header.seq), "no record is whole"));
        }
        let offset = walk.at();
        if let Some((header, payload)) = walk.next().map_err(&io)? {
            pieces.push(piece(payload, header.seq, offset));
            expected = header.seq + 1;
            if header.left == 0 || next.is_some() {
                ended = pieces.len();
            }
        }
    }
    // A torn commit at the end of the last segment was never anybody's.
    let torn: u64 = pieces.iter().skip(ended).map(Piece::events).sum();
    pieces.truncate(ended);
    pieces.into_iter().for_each(take);
    Ok(expected - torn)
}

impl Piece {
    fn events(&self) -> u64 {
        match self {
            Piece::Event(_) | Piece::Lost => 1,
            Piece::Damage(damage) => damage.events.1 - damage.events.0,
        }
    }
}
