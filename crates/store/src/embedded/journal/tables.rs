//! What is looked up in a segment, while it grows: keyed hashes of ids, and where records begin.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use siphasher::sip::SipHasher13;

use super::record::FIRST_RECORD;
use crate::{Millis, NewEvent};

/// One entry of [`Tables::marks`] for about so many bytes of records.
const MARK_EVERY: u64 = 32 << 10;

/// The directory's own key for all hashes, so that no client can choose colliding ids.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct HashKey(pub(crate) [u64; 2]);

impl HashKey {
    fn hasher(self) -> SipHasher13 {
        let HashKey([one, two]) = self;
        SipHasher13::new_with_keys(one, two)
    }

    /// Hash of a user id, an anonymous id, a name, a source, or a message id of any source.
    pub(crate) fn id(self, id: &str) -> u64 {
        let mut hasher = self.hasher();
        hasher.write(id.as_bytes());
        hasher.finish()
    }

    /// Key of a message id of one source: 128 bits, taken as exact.
    pub(crate) fn message(self, source: &str, id: &str) -> MessageKey {
        let mut hasher = self.hasher();
        hasher.write(&(source.len() as u64).to_le_bytes());
        hasher.write(source.as_bytes());
        hasher.write(id.as_bytes());
        MessageKey { id: self.id(id), of_source: hasher.finish() }
    }
}

/// See [`HashKey::message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MessageKey {
    pub(crate) id: u64,
    pub(crate) of_source: u64,
}

impl std::hash::Hash for MessageKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.id ^ self.of_source);
    }
}

/// Takes a hash for its own.
#[derive(Default)]
pub(crate) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Where a message id was last seen, and when it was received.
pub(crate) type Seen = HashMap<MessageKey, (u32, Millis), BuildHasherDefault<Same>>;

/// A message id in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MessageEntry {
    pub(crate) key: MessageKey,
    /// Records before it in the segment.
    pub(crate) ordinal: u32,
    pub(crate) received_at: Millis,
}

/// A user id, an anonymous id, a name or a source in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IdEntry {
    pub(crate) hash: u64,
    pub(crate) ordinal: u32,
}

/// Where a record begins, and the times of receipt from there to the next mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) ordinal: u32,
    pub(crate) offset: u32,
    pub(crate) oldest: Millis,
    pub(crate) newest: Millis,
}

/// The size of a segment, and the times in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Records in it.
    pub(crate) count: u32,
    /// Offset after the last record.
    pub(crate) end: u64,
    /// Earliest time of receipt.
    pub(crate) oldest: Millis,
    /// Latest time of receipt.
    pub(crate) newest: Millis,
}

impl Bounds {
    pub(crate) const EMPTY: Bounds =
        Bounds { count: 0, end: FIRST_RECORD, oldest: Millis::MAX, newest: Millis::MIN };
}

/// See the [module](self).
#[derive(Clone)]
pub(crate) struct Tables {
    pub(crate) bounds: Bounds,
    pub(crate) messages: Vec<MessageEntry>,
    pub(crate) users: Vec<IdEntry>,
    pub(crate) anonymous: Vec<IdEntry>,
    pub(crate) names: Vec<IdEntry>,
    pub(crate) sources: Vec<IdEntry>,
    pub(crate) marks: Vec<Mark>,
}

impl Tables {
    pub(crate) fn new() -> Tables {
        Tables {
            bounds: Bounds::EMPTY,
            messages: Vec::new(),
            users: Vec::new(),
            anonymous: Vec::new(),
            names: Vec::new(),
            sources: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Adds the next record: it lies from the end so far to `end`. `event` is `None` for a lost
    /// one.
    pub(crate) fn push(&mut self, key: HashKey, event: Option<(&NewEvent, MessageKey)>, end: u64) {
        let Bounds { count: ordinal, end: offset, .. } = self.bounds;
        if self.marks.last().is_none_or(|mark| offset >= u64::from(mark.offset) + MARK_EVERY) {
            let (oldest, newest) = (Millis::MAX, Millis::MIN);
            self.marks.push(Mark { ordinal, offset: offset as u32, oldest, newest });
        }
        self.bounds.count += 1;
        self.bounds.end = end;
        let Some((event, message)) = event else { return };
        let received_at = event.received_at;
        self.bounds.oldest = self.bounds.oldest.min(received_at);
        self.bounds.newest = self.bounds.newest.max(received_at);
        if let Some(mark) = self.marks.last_mut() {
            mark.oldest = mark.oldest.min(received_at);
            mark.newest = mark.newest.max(received_at);
        }
        self.messages.push(MessageEntry { key: message, ordinal, received_at });
        if let Some(id) = &event.user_id {
            self.users.push(IdEntry { hash: key.id(id), ordinal });
        }
        if let Some(id) = &event.anonymous_id {
            self.anonymous.push(IdEntry { hash: key.id(id), ordinal });
        }
        self.names.push(IdEntry { hash: key.id(&event.name), ordinal });
        self.sources.push(IdEntry { hash: key.id(&event.source), ordinal });
    }
}

/// The last mark at or before `ordinal`.
pub(crate) fn mark_before(marks: &[Mark], ordinal: u32) -> Mark {
    let after = marks.partition_point(|mark| mark.ordinal <= ordinal);
    let (oldest, newest) = (Millis::MAX, Millis::MIN);
    let first = Mark { ordinal: 0, offset: FIRST_RECORD as u32, oldest, newest };
    after.checked_sub(1).and_then(|at| marks.get(at)).copied().unwrap_or(first)
}
