//! Walks over the records of one segment, checking each.

use std::io;
use std::sync::Arc;

use super::record::{FIRST_RECORD, RECORD_HEADER, RecordHeader, record_crc};
use crate::Seq;
use crate::embedded::fs::{Handle, read_up_to};

/// A place in a segment, with a buffer about it.
pub(crate) struct Walk {
    file: Arc<dyn Handle>,
    salt: u64,
    /// Where the next record begins.
    at: u64,
    /// Nothing is read from here on.
    end: u64,
    buffer: Vec<u8>,
    /// Offset in the file of the buffer's first byte.
    start: u64,
    chunk: usize,
}

impl Walk {
    /// Begins at offset `at` and sees nothing from `end` on. Reads about `chunk` bytes at a time.
    pub(crate) fn new(file: Arc<dyn Handle>, salt: u64, at: u64, end: u64, chunk: usize) -> Walk {
        Walk { file, salt, at, end, buffer: Vec::new(), start: at, chunk }
    }

    /// Where the next record begins.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Goes to offset `at`, where a record begins.
    pub(crate) fn jump(&mut self, at: u64) {
        self.at = at;
    }

    /// Lets it see up to `end`.
    pub(crate) fn extend(&mut self, end: u64) {
        self.end = end;
    }

    /// The next record with its payload, if its checksum is right; else `None`, and it stays.
    pub(crate) fn next(&mut self) -> io::Result<Option<(RecordHeader, &[u8])>> {
        let Some(header) = self.check(self.at)? else { return Ok(None) };
        let at = self.at;
        self.at += header.size();
        let payload = self.bytes(at, RECORD_HEADER + header.len as usize)?;
        Ok(Some((header, payload.get(RECORD_HEADER..).unwrap_or_default())))
    }

    /// True if a record lies anywhere behind the next place that belongs to a later commit than
    /// the record `expected` there: then that one had been durable, since a commit is written only
    /// after the fsync of the one before.
    pub(crate) fn later_commit(&mut self, expected: Seq) -> io::Result<bool> {
        let mut at = self.at + 8;
        let most = self.end / RECORD_HEADER as u64;
        while at + RECORD_HEADER as u64 <= self.end {
            let seq = RecordHeader::read(self.bytes(at, RECORD_HEADER)?).seq;
            if seq > expected
                && seq - expected <= most
                && let Some(header) = self.check(at)?
            {
                if header.commit() > expected {
                    return Ok(true);
                }
                at += header.size();
            } else {
                at += 8;
            }
        }
        Ok(false)
    }

    /// The next record whose checksum is right, at or behind this place; goes there.
    pub(crate) fn resync(&mut self, expected: Seq, below: Seq) -> io::Result<Option<RecordHeader>> {
        while self.at + RECORD_HEADER as u64 <= self.end {
            let seq = RecordHeader::read(self.bytes(self.at, RECORD_HEADER)?).seq;
            if seq >= expected
                && seq < below
                && let Some(header) = self.check(self.at)?
            {
                return Ok(Some(header));
            }
            self.at += 8;
        }
        Ok(None)
    }

    fn check(&mut self, at: u64) -> io::Result<Option<RecordHeader>> {
        let header = RecordHeader::read(self.bytes(at, RECORD_HEADER)?);
        if at + header.size() > self.end {
            return Ok(None);
        }
        let (salt, size) = (self.salt, RECORD_HEADER + header.len as usize);
        let bytes = self.bytes(at, size)?;
        let right = bytes.len() == size
            && bytes
                .split_at_checked(RECORD_HEADER)
                .is_some_and(|(head, payload)| record_crc(salt, head, payload) == header.crc);
        Ok(right.then_some(header))
    }

    /// `len` bytes at `at`; fewer at the end.
    fn bytes(&mut self, at: u64, len: usize) -> io::Result<&[u8]> {
        let have = self.start..self.start + self.buffer.len() as u64;
        if !(have.contains(&at) && at + len as u64 <= have.end) {
            let room = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
            self.buffer.resize(len.max(self.chunk).min(room), 0);
            let filled = read_up_to(&*self.file, &mut self.buffer, at)?;
            self.buffer.truncate(filled);
            self.start = at;
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        let to = from.saturating_add(len).min(self.buffer.len());
        Ok(self.buffer.get(from..to).unwrap_or_default())
    }
}

/// What a walk over a whole segment found.
pub(crate) struct Survey {
    /// Place after the last record of the last whole commit.
    pub(crate) next: Seq,
    /// Offset after that record.
    pub(crate) end: u64,
    /// Offset of the first record of the last whole commit.
    pub(crate) last_commit: u64,
    /// Offset of the first record that is wrong, if it isn't simply the end.
    pub(crate) damage: Option<u64>,
}

/// Walks over a segment from its first record, which has place `base`, and hands each record of a
/// whole commit to `take`. `sealed_at` is the place after its last record if that is known.
pub(crate) fn survey(
    walk: &mut Walk,
    base: Seq,
    sealed_at: Option<Seq>,
    mut take: impl FnMut(RecordHeader, u64, &[u8]),
) -> io::Result<Survey> {
    let mut survey =
        Survey { next: base, end: FIRST_RECORD, last_commit: FIRST_RECORD, damage: None };
    let mut expected = base;
    let mut before: Option<RecordHeader> = None;
    // Records of a commit that isn't whole yet: offset, header.
    let mut open: Vec<(u64, RecordHeader)> = Vec::new();
    let mut payloads: Vec<u8> = Vec::new();
    loop {
        let at = walk.at();
        if sealed_at == Some(expected) && open.is_empty() {
            return Ok(survey);
        }
        let follows = match walk.next()? {
            Some((header, payload)) => {
                let in_order = match before.filter(|b| b.left > 0) {
                    None => header.index == 0,
                    Some(b) => header.index == b.index + 1 && header.left == b.left - 1,
                };
                let follows = in_order && header.seq == expected;
                if follows {
                    before = Some(header);
                    if header.left == 0 && open.is_empty() {
                        take(header, at, payload);
                    } else {
                        payloads.extend_from_slice(payload);
                        open.push((at, header));
                    }
                }
                follows
            }
            None => false,
        };
        if !follows {
            walk.at = at;
            if sealed_at.is_some() || walk.later_commit(expected)? {
                survey.damage = Some(at);
            }
            return Ok(survey);
        }
        expected += 1;
        if before.is_some_and(|b| b.left == 0) {
            let mut rest = payloads.as_slice();
            for (at, header) in open.drain(..) {
                let (payload, after) = rest.split_at(header.len as usize);
                take(header, at, payload);
                rest = after;
            }
            payloads.clear();
            survey.next = expected;
            survey.last_commit = survey.end;
            survey.end = walk.at();
        }
    }
}
