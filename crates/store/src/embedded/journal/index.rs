//! The index file of a sealed segment.
//!
//! It can be made anew from its segment at any time: one that is missing, or whose head is wrong,
//! is. All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `heapindx` |
//! | 8..12 | format version, 2 |
//! | 12..16 | crc32 of the head without these four bytes |
//! | 16..24 | base: place of the segment's first record |
//! | 24..32 | salt of the segment |
//! | 32..40 | hash of the empty text under the directory's key |
//! | 40..48 | offset after the segment's last record |
//! | 48..56, 56..64 | earliest and latest time of receipt, milliseconds |
//! | 64..68 | records |
//! | 68..72 | entries of messages |
//! | 72..76 | entries of users |
//! | 76..80 | entries of anonymous ids |
//! | 80..84 | entries of names |
//! | 84..88 | entries of sources |
//! | 88..92 | marks |
//! | 92..96 | lines of the filter |
//! | then | marks: ordinal, offset (4 bytes each), earliest and latest time of receipt (8 bytes each) |
//! | then | filter: 64 bytes a line, see [`Filter`] |
//! | then | fences: the first hash (8 bytes) of each block of each kind of entries, in this order |
//! | | *end of the head, which is kept in memory* |
//! | then | blocks of messages, of users, of anonymous ids, of names, of sources |
//!
//! A block is up to 256 entries, sorted by hash, then crc32 (4 bytes) of them. An entry of messages
//! is hash of the id (8), hash of source and id (8), ordinal (4), time of receipt (8); of all others:
//! hash (8), ordinal (4).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{u32_at, u64_at};
use super::tables::{Bounds, HashKey, IdEntry, Mark, MessageEntry, MessageKey, Tables};
use crate::embedded::fs::{Fs, Handle, failed, read_up_to};
use crate::{Error, Millis, Seq};

const MAGIC: &[u8; 8] = b"heapindx";
const VERSION: u32 = 2;
const FIXED: usize = 96;
const MARK: usize = 24;
const BLOCK: usize = 256;
const MESSAGE: usize = 28;
const ID: usize = 12;

/// The head of an index file, and the way to the rest.
pub(crate) struct Index {
    path: PathBuf,
    pub(crate) salt: u64,
    pub(crate) bounds: Bounds,
    pub(crate) marks: Vec<Mark>,
    pub(crate) filter: Filter,
    messages: Array,
    users: Array,
    anonymous: Array,
    names: Array,
    sources: Array,
}

/// Sorted entries in blocks.
struct Array {
    /// Offset of the first block.
    offset: u64,
    entries: usize,
    width: usize,
    fences: Vec<u64>,
}

/// What is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdKind {
    Message,
    User,
    Anonymous,
    Name,
    Source,
}

/// Writes the index of `tables`.
pub(crate) fn encode(tables: &Tables, base: Seq, salt: u64, key: HashKey) -> Vec<u8> {
    let mut messages = tables.messages.clone();
    messages.sort_unstable();
    let ids = [&tables.users, &tables.anonymous, &tables.names, &tables.sources].map(|ids| {
        let mut ids = ids.clone();
        ids.sort_unstable();
        ids
    });
    let filter = Filter::of(&messages);

    let mut out = Vec::new();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    let Bounds { count, end, oldest, newest } = tables.bounds;
    for number in [base, salt, key.id(""), end, oldest as u64, newest as u64] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&count.to_le_bytes());
    let lens = std::iter::once(messages.len()).chain(ids.iter().map(Vec::len));
    for len in lens.chain([tables.marks.len(), filter.0.len()]) {
        out.extend_from_slice(&(len as u32).to_le_bytes());
    }
    for mark in &tables.marks {
        out.extend_from_slice(&mark.ordinal.to_le_bytes());
        out.extend_from_slice(&mark.offset.to_le_bytes());
        out.extend_from_slice(&mark.oldest.to_le_bytes());
        out.extend_from_slice(&mark.newest.to_le_bytes());
    }
    for word in filter.0.iter().flatten() {
        out.extend_from_slice(&word.to_le_bytes());
    }
    let of_messages = messages.chunks(BLOCK).flat_map(|b| b.first()).map(|e| e.key.id);
    let of_ids = ids.iter().flat_map(|ids| ids.chunks(BLOCK)).flat_map(|b| b.first());
    for fence in of_messages.chain(of_ids.map(|e| e.hash)) {
        out.extend_from_slice(&fence.to_le_bytes());
    }
    let crc = head_crc(&out);
    if let Some(place) = out.get_mut(12..16) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
    blocks(&mut out, &messages, |out, e| {
        out.extend_from_slice(&e.key.id.to_le_bytes());
        out.extend_from_slice(&e.key.of_source.to_le_bytes());
        out.extend_from_slice(&e.ordinal.to_le_bytes());
        out.extend_from_slice(&e.received_at.to_le_bytes());
    });
    for ids in ids {
        blocks(&mut out, &ids, |out, e| {
            out.extend_from_slice(&e.hash.to_le_bytes());
            out.extend_from_slice(&e.ordinal.to_le_bytes());
        });
    }
    out
}

fn blocks<E>(out: &mut Vec<u8>, entries: &[E], write: impl Fn(&mut Vec<u8>, &E)) {
    for block in entries.chunks(BLOCK) {
        let start = out.len();
        block.iter().for_each(|entry| write(out, entry));
        let crc = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&crc.to_le_bytes());
    }
}

fn head_crc(head: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(head.get(..12).unwrap_or_default());
    crc.update(head.get(16..).unwrap_or_default());
    crc.finalize()
}

/// True if the file is an index of an earlier version.
pub(crate) fn is_earlier(fs: &dyn Fs, path: &Path) -> bool {
    let mut head = [0; 12];
    let read = fs.open(path).and_then(|file| read_up_to(&*file, &mut head, 0));
    read.is_ok_and(|filled| filled == head.len())
        && head.starts_with(MAGIC)
        && u32_at(&head, 8) < VERSION
}

impl Index {
    /// Opens an index file. `None` if there is none, or none that fits.
    pub(crate) fn open(
        fs: &dyn Fs,
        path: &Path,
        base: Seq,
        key: HashKey,
    ) -> Result<Option<Index>, Error> {
        let file = match fs.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", path)(error)),
        };
        let read = |len: usize| -> Result<Vec<u8>, Error> {
            let mut bytes = vec![0; len];
            let filled = read_up_to(&*file, &mut bytes, 0).map_err(failed("read", path))?;
            bytes.truncate(filled);
            Ok(bytes)
        };
        let fixed = read(FIXED)?;
        let [messages, users, anonymous, names, sources, marks, lines] =
            std::array::from_fn(|n| u32_at(&fixed, 68 + 4 * n) as usize);
        let kinds = [(messages, MESSAGE), (users, ID), (anonymous, ID), (names, ID), (sources, ID)];
        let fences = kinds.map(|(entries, _)| entries.div_ceil(BLOCK));
        let head_len = FIXED + MARK * marks + 64 * lines + 8 * fences.iter().sum::<usize>();
        let size = file.len().map_err(failed("read", path))?;
        let whole = kinds.map(|(entries, width)| entries * width + 4 * entries.div_ceil(BLOCK));
        if fixed.len() < FIXED
            || fixed.get(..8) != Some(MAGIC)
            || size != (head_len + whole.iter().sum::<usize>()) as u64
        {
            return Ok(None);
        }
        let head = read(head_len)?;
        if u32_at(&head, 12) != head_crc(&head)
            || u32_at(&head, 8) != VERSION
            || u64_at(&head, 16) != base
            || u64_at(&head, 32) != key.id("")
        {
            return Ok(None);
        }
        let (marks_at, filter_at) = (FIXED, FIXED + MARK * marks);
        let mut fences_at = filter_at + 64 * lines;
        let mut offset = head_len as u64;
        let mut array = |entries: usize, width: usize| {
            let blocks = entries.div_ceil(BLOCK);
            let fences = (0..blocks).map(|n| u64_at(&head, fences_at + 8 * n)).collect();
            let array = Array { offset, entries, width, fences };
            fences_at += 8 * blocks;
            offset += (entries * width + 4 * blocks) as u64;
            array
        };
        Ok(Some(Index {
            path: path.into(),
            salt: u64_at(&head, 24),
            bounds: Bounds {
                count: u32_at(&head, 64),
                end: u64_at(&head, 40),
                oldest: u64_at(&head, 48) as Millis,
                newest: u64_at(&head, 56) as Millis,
            },
            marks: (0..marks)
                .map(|n| Mark {
                    ordinal: u32_at(&head, marks_at + MARK * n),
                    offset: u32_at(&head, marks_at + MARK * n + 4),
                    oldest: u64_at(&head, marks_at + MARK * n + 8) as Millis,
                    newest: u64_at(&head, marks_at + MARK * n + 16) as Millis,
                })
                .collect(),
            filter: Filter(
                (0..lines)
                    .map(|n| std::array::from_fn(|w| u64_at(&head, filter_at + 64 * n + 8 * w)))
                    .collect(),
            ),
            messages: array(messages, MESSAGE),
            users: array(users, ID),
            anonymous: array(anonymous, ID),
            names: array(names, ID),
            sources: array(sources, ID),
        }))
    }

    /// Where the message was last stored in this segment, and when it was received. The filter has
    /// been asked before.
    pub(crate) fn message(
        &self,
        fs: &dyn Fs,
        key: MessageKey,
    ) -> Result<Option<(u32, Millis)>, Error> {
        let mut last = None;
        self.messages.each(fs, &self.path, key.id, |entry| {
            if u64_at(entry, 8) == key.of_source {
                last = Some((u32_at(entry, 16), u64_at(entry, 20) as Millis));
            }
        })?;
        Ok(last)
    }

    /// Ordinals of records that have this id, with a few that only have its hash; ascending.
    pub(crate) fn ids(&self, fs: &dyn Fs, kind: IdKind, hash: u64) -> Result<Vec<u32>, Error> {
        let (array, ordinal_at) = match kind {
            IdKind::Message => (&self.messages, 16),
            IdKind::User => (&self.users, 8),
            IdKind::Anonymous => (&self.anonymous, 8),
            IdKind::Name => (&self.names, 8),
            IdKind::Source => (&self.sources, 8),
        };
        let mut ordinals = Vec::new();
        array.each(fs, &self.path, hash, |entry| ordinals.push(u32_at(entry, ordinal_at)))?;
        ordinals.sort_unstable();
        Ok(ordinals)
    }

    /// Reads every block. `Err` if one is wrong.
    pub(crate) fn verify(&self, fs: &dyn Fs) -> Result<(), Error> {
        let file = fs.open(&self.path).map_err(failed("open", &self.path))?;
        let ids = [&self.users, &self.anonymous, &self.names, &self.sources];
        for array in std::iter::once(&self.messages).chain(ids) {
            for block in 0..array.fences.len() {
                array.block(&*file, &self.path, block)?;
            }
        }
        Ok(())
    }
}

impl Array {
    /// Hands each entry with this hash to `take`.
    fn each(
        &self,
        fs: &dyn Fs,
        path: &Path,
        hash: u64,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        let first = self.fences.partition_point(|fence| *fence < hash).saturating_sub(1);
        let blocks = self.fences.iter().enumerate().skip(first).take_while(|(_, f)| **f <= hash);
        let mut file = None;
        for (block, _) in blocks {
            let file = match &file {
                Some(file) => file,
                None => file.insert(fs.open(path).map_err(failed("open", path))?),
            };
            let bytes = self.block(&**file, path, block)?;
            bytes
                .chunks_exact(self.width)
                .skip_while(|entry| u64_at(entry, 0) < hash)
                .take_while(|entry| u64_at(entry, 0) == hash)
                .for_each(&mut take);
        }
        Ok(())
    }

    fn block(&self, file: &dyn Handle, path: &Path, block: usize) -> Result<Vec<u8>, Error> {
        let len = self.entries.saturating_sub(block * BLOCK).min(BLOCK) * self.width;
        let offset = self.offset + (block * (BLOCK * self.width + 4)) as u64;
        let mut bytes = vec![0; len + 4];
        let filled = read_up_to(file, &mut bytes, offset).map_err(failed("read", path))?;
        let crc = u32_at(&bytes, len);
        bytes.truncate(len);
        if filled != len + 4 || crc != crc32fast::hash(&bytes) {
            return Err(Error::Damaged {
                file: path.display().to_string(),
                offset,
                what: "the checksum of a block of the index is wrong; \
                       delete the file, it is made anew from its segment"
                    .into(),
            });
        }
        Ok(bytes)
    }
}

/// Tells quickly of most message ids that they are not in a segment. A line of eight words for
/// about 32 ids; the hash of the id chooses the line, the hash of source and id one bit in each
/// word. At 16 bits an id about one in 1,500 passes wrongly.
#[derive(Clone)]
pub(crate) struct Filter(Arc<[[u64; 8]]>);

impl Filter {
    fn of(messages: &[MessageEntry]) -> Filter {
        let mut lines = vec![[0; 8]; (messages.len() * 16).div_ceil(512)];
        let count = lines.len();
        for MessageEntry { key, .. } in messages {
            if let Some(line) = lines.get_mut(line(*key, count)) {
                line.iter_mut().zip(bits(*key)).for_each(|(word, bit)| *word |= bit);
            }
        }
        Filter(lines.into())
    }

    /// False if the segment surely doesn't have `key`, whose `bits` are given.
    pub(crate) fn may_have(&self, key: MessageKey, bits: &[u64; 8]) -> bool {
        self.0.get(line(key, self.0.len())).is_some_and(|line| {
            line.iter().zip(bits).fold(0, |missing, (word, bit)| missing | (bit & !word)) == 0
        })
    }
}

fn line(key: MessageKey, lines: usize) -> usize {
    ((u128::from(key.id) * lines as u128) >> 64) as usize
}

/// The bits of `key` in its line of every filter.
pub(crate) fn bits(key: MessageKey) -> [u64; 8] {
    std::array::from_fn(|word| 1 << (key.of_source >> (6 * word) & 63))
}

/// Hashes of `entries` that a growing segment has for this id.
pub(crate) fn growing_ids(tables: &Tables, kind: IdKind, hash: u64) -> Vec<u32> {
    let of = |ids: &[IdEntry]| ids.iter().filter(|e| e.hash == hash).map(|e| e.ordinal).collect();
    match kind {
        IdKind::Message => (tables.messages.iter())
            .filter(|entry| entry.key.id == hash)
            .map(|entry| entry.ordinal)
            .collect(),
        IdKind::User => of(&tables.users),
        IdKind::Anonymous => of(&tables.anonymous),
        IdKind::Name => of(&tables.names),
        IdKind::Source => of(&tables.sources),
    }
}
