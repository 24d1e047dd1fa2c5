//! Bytes of segments and records: how they are written, read and checked.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{NewEvent, Seq};

/// Bytes of a segment's header, written twice.
const HEADER: usize = 32;
/// Where the records of a segment begin.
pub(crate) const FIRST_RECORD: u64 = 2 * HEADER as u64;
/// Bytes of a record before its payload.
pub(crate) const RECORD_HEADER: usize = 24;
const MAGIC: &[u8; 8] = b"heapjrnl";
const VERSION: u32 = 1;
const EVENT_HEADER: usize = 28;
const ABSENT: u32 = u32::MAX;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Place of its first record.
    pub(crate) base: Seq,
    /// Goes into the checksum of each record, so that no record left from an earlier use of the
    /// file is taken for one of this segment.
    pub(crate) salt: u64,
}

impl SegmentHeader {
    pub(crate) fn bytes(self) -> [u8; FIRST_RECORD as usize] {
        let mut one = [0; HEADER];
        put(&mut one, 0, MAGIC);
        put(&mut one, 8, &VERSION.to_le_bytes());
        put(&mut one, 16, &self.base.to_le_bytes());
        put(&mut one, 24, &self.salt.to_le_bytes());
        let crc = header_crc(&one);
        put(&mut one, 12, &crc.to_le_bytes());
        let mut two = [0; FIRST_RECORD as usize];
        put(&mut two, 0, &one);
        put(&mut two, HEADER, &one);
        two
    }

    /// Reads both copies: each is `Err` with what is wrong with it.
    pub(crate) fn read(bytes: &[u8]) -> [Result<SegmentHeader, &'static str>; 2] {
        [0, HEADER].map(|at| {
            let one = bytes.get(at..at + HEADER).ok_or("the file ends within its header")?;
            if one.get(..8) != Some(MAGIC) {
                return Err("it does not begin as a journal segment");
            }
            if u32_at(one, 12) != header_crc(one) {
                return Err("the checksum of its header is wrong");
            }
            if u32_at(one, 8) != VERSION {
                return Err("its format version is not 1, the only one this program knows");
            }
            Ok(SegmentHeader { base: u64_at(one, 16), salt: u64_at(one, 24) })
        })
    }
}

fn header_crc(one: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(one.get(..12).unwrap_or_default());
    crc.update(one.get(16..).unwrap_or_default());
    crc.finalize()
}

/// What a record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    /// Bytes of payload; 0 for an event that was lost to damage and mended away.
    pub(crate) len: u32,
    pub(crate) crc: u32,
    pub(crate) seq: Seq,
    /// Records before it in its commit.
    pub(crate) index: u32,
    /// Records after it in its commit.
    pub(crate) left: u32,
}

impl RecordHeader {
    /// Reads without any check.
    pub(crate) fn read(bytes: &[u8]) -> RecordHeader {
        RecordHeader {
            len: u32_at(bytes, 0),
            crc: u32_at(bytes, 4),
            seq: u64_at(bytes, 8),
            index: u32_at(bytes, 16),
            left: u32_at(bytes, 20),
        }
    }

    /// Bytes that the record takes, up to the next one.
    pub(crate) fn size(&self) -> u64 {
        record_size(self.len as usize) as u64
    }

    /// Place of the first record of its commit.
    pub(crate) fn commit(&self) -> Seq {
        self.seq.saturating_sub(u64::from(self.index))
    }
}

/// Checksum of a record, given its header and payload.
pub(crate) fn record_crc(salt: u64, header: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&salt.to_le_bytes());
    crc.update(header.get(..4).unwrap_or_default());
    crc.update(header.get(8..RECORD_HEADER).unwrap_or_default());
    crc.update(payload);
    crc.finalize()
}

fn record_size(payload: usize) -> usize {
    (RECORD_HEADER + payload).next_multiple_of(8)
}

/// Bytes that `event` takes in a segment.
pub(crate) fn size_of(event: &NewEvent) -> usize {
    record_size(event_len(event))
}

/// Appends a record to `out`. `event` is `None` for one that was lost.
pub(crate) fn write_record(
    out: &mut Vec<u8>,
    salt: u64,
    (seq, index, left): (Seq, u32, u32),
    event: Option<&NewEvent>,
) {
    let start = out.len();
    let len = event.map_or(0, event_len) as u32;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&index.to_le_bytes());
    out.extend_from_slice(&left.to_le_bytes());
    if let Some(event) = event {
        write_event(out, event);
    }
    let record = out.get(start..).unwrap_or_default();
    let crc = record_crc(salt, record, record.get(RECORD_HEADER..).unwrap_or_default());
    put(out, start + 4, &crc.to_le_bytes());
    out.resize(start + record_size(len as usize), 0);
}

fn event_len(event: &NewEvent) -> usize {
    EVENT_HEADER
        + event.source.len()
        + event.message_id.len()
        + event.user_id.as_ref().map_or(0, |s| s.len())
        + event.anonymous_id.as_ref().map_or(0, |s| s.len())
        + event.name.len()
        + event.json.len()
}

/// Appends the payload of `event` to `out`.
pub(crate) fn write_event(out: &mut Vec<u8>, event: &NewEvent) {
    out.extend_from_slice(&event.received_at.to_le_bytes());
    let strings = [
        Some(&*event.source),
        Some(&*event.message_id),
        event.user_id.as_deref(),
        event.anonymous_id.as_deref(),
        Some(&*event.name),
    ];
    for string in strings {
        let len = string.map_or(ABSENT, |s| s.len() as u32);
        out.extend_from_slice(&len.to_le_bytes());
    }
    for string in strings.into_iter().flatten() {
        out.extend_from_slice(string.as_bytes());
    }
    out.extend_from_slice(&event.json);
}

/// Shares the names of sources among the events that are read.
#[derive(Default)]
pub(crate) struct Sources(HashMap<Box<str>, Arc<str>>);

impl Sources {
    fn share(&mut self, name: &str) -> Arc<str> {
        if let Some(shared) = self.0.get(name) {
            return shared.clone();
        }
        let shared: Arc<str> = name.into();
        self.0.insert(name.into(), shared.clone());
        shared
    }
}

/// Reads a payload. `None` if it isn't one: its checksum was right, so a program wrote nonsense.
pub(crate) fn read_event(payload: &[u8], sources: &mut Sources) -> Option<NewEvent> {
    let lens = payload.get(8..EVENT_HEADER)?;
    let mut rest = payload.get(EVENT_HEADER..)?;
    let mut text = |nth: usize| -> Option<Option<&str>> {
        let len = u32_at(lens, 4 * nth);
        if len == ABSENT {
            return Some(None);
        }
        let (this, after) = rest.split_at_checked(len as usize)?;
        rest = after;
        Some(Some(std::str::from_utf8(this).ok()?))
    };
    let (source, message_id, user_id) = (text(0)??, text(1)??, text(2)?);
    let (anonymous_id, name) = (text(3)?, text(4)??);
    Some(NewEvent {
        source: sources.share(source),
        received_at: u64_at(payload, 0) as i64,
        message_id: message_id.into(),
        user_id: user_id.map(Into::into),
        anonymous_id: anonymous_id.map(Into::into),
        name: name.into(),
        json: rest.into(),
    })
}

/// The number at `at`; 0 beyond the end.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// The number at `at`; 0 beyond the end.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}
