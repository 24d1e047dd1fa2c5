//! Reads the journal in order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Shared;
use super::record::Sources;
use super::segment::{Segment, step};
use super::walk::Walk;
use crate::{Error, Reader, Seq, StoredEvent};

const CHUNK: usize = 256 << 10;

/// See the [module](self).
pub(crate) struct JournalReader {
    shared: Arc<Shared>,
    next: Seq,
    /// The segment of `next`, opened at its record. Held, it isn't used for another.
    place: Option<(Arc<Segment>, Walk)>,
    sources: Sources,
}

impl JournalReader {
    pub(crate) fn new(shared: Arc<Shared>, from: Seq) -> JournalReader {
        JournalReader { shared, next: from, place: None, sources: Sources::default() }
    }

    /// Goes to the record of `next`, which must exist. `None` if it was dropped meanwhile.
    fn place(&mut self) -> Result<Option<(Arc<Segment>, Walk)>, Error> {
        let is_here = |segment: &Segment| self.next >= segment.base && self.next < segment.next();
        if !self.place.as_ref().is_some_and(|(segment, _)| is_here(segment)) {
            self.place = None;
            let Some(segment) = self.shared.segment(self.next) else { return Ok(None) };
            let Some(ordinal) = self.next.checked_sub(segment.base) else { return Ok(None) };
            let walked = segment.walk(&*self.shared.fs, ordinal as u32, CHUNK);
            let (at, mut walk) = match walked {
                Err(_) if self.next < self.shared.first.load(Ordering::Acquire) => return Ok(None),
                walked => walked?,
            };
            for ordinal in at..ordinal as u32 {
                let seq = segment.base + u64::from(ordinal);
                step(&mut walk, seq, &segment.path, true, &mut self.sources)?;
            }
            self.place = Some((segment, walk));
        }
        let mut place = self.place.take();
        if let Some((segment, walk)) = &mut place {
            walk.extend(segment.bounds().end);
        }
        Ok(place)
    }
}

impl Reader for JournalReader {
    fn next(&mut self, max_events: usize, max_bytes: usize) -> Result<Vec<StoredEvent>, Error> {
        let mut events = Vec::new();
        let mut bytes = 0;
        let durable = self.shared.next.load(Ordering::Acquire);
        loop {
            let first = self.shared.first.load(Ordering::Acquire);
            if self.next < first && self.place.as_ref().is_none_or(|(s, _)| self.next >= s.next()) {
                self.next = first;
            }
            if self.next >= durable {
                return Ok(events);
            }
            let next = self.next;
            let Some((segment, mut walk)) = self.place()? else { continue };
            for seq in next..segment.next().min(durable) {
                if events.len() >= max_events || (bytes >= max_bytes && !events.is_empty()) {
                    self.place = Some((segment, walk));
                    return Ok(events);
                }
                match step(&mut walk, seq, &segment.path, false, &mut self.sources) {
                    Ok(event) => {
                        bytes += event.as_ref().map_or(0, |event| event.event.json.len());
                        events.extend(event);
                        self.next = seq + 1;
                    }
                    // What is read already is handed out first: the error comes again.
                    Err(_) if !events.is_empty() => return Ok(events),
                    Err(error) => return Err(error),
                }
            }
            self.place = Some((segment, walk));
        }
    }
}
