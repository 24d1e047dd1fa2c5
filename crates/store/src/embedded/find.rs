//! Answers questions: picks the index that narrows most, and checks what it gives.
//!
//! - A message, user or anonymous id: the indexes of the journal's segments.
//! - An integration, outcome or code: the ledger, place by place downwards.
//! - Anything else: the journal, read backwards, segments of other times left out.
//!
//! A search has a budget; where that is spent it answers with what it has and where to go on.

use super::Embedded;
use super::journal::{IdKind, Segment, Sources};
use super::ledger::Fate;
use crate::{Error, Found, Page, Query, Seq, Store, StoredEvent};

/// Places that are looked up in the ledger at one time.
const WINDOW: u64 = 65_536;
/// What it costs to read one event at a place of its own, in events read in order.
const SEEK: usize = 20;

/// A search under way.
struct Search<'a> {
    store: &'a Embedded,
    query: &'a Query,
    found: Vec<Found>,
    budget: usize,
    sources: Sources,
}

/// See the [module](self).
pub(super) fn find(store: &Embedded, query: &Query) -> Result<Page, Error> {
    if query.limit == 0 {
        return Ok(Page::default());
    }
    let budget = store.settings.search_limit;
    let (found, sources) = (Vec::new(), Sources::default());
    let search = Search { store, query, found, budget, sources };
    let ids = [
        (IdKind::Message, &query.message_id),
        (IdKind::Anonymous, &query.anonymous_id),
        (IdKind::User, &query.user_id),
    ];
    let id = ids.into_iter().find_map(|(kind, id)| Some((kind, id.as_deref()?)));
    match id {
        Some((kind, id)) => search.by_id(kind, id),
        None if query.asks_ledger() => search.by_fate(),
        None => search.by_time(),
    }
}

impl Search<'_> {
    fn by_id(mut self, kind: IdKind, id: &str) -> Result<Page, Error> {
        for segment in self.store.journal.segments().iter().rev() {
            if !self.may_have(segment) {
                continue;
            }
            for ordinal in self.store.journal.ids(segment, kind, id)?.into_iter().rev() {
                let seq = segment.base + u64::from(ordinal);
                let (before, from) = (self.query.before, self.query.from);
                if before.is_some_and(|before| seq >= before) || from.is_some_and(|from| seq < from)
                {
                    continue;
                }
                if self.is_over(SEEK, seq + 1) {
                    return Ok(self.more(seq + 1));
                }
                let place = (ordinal, ordinal + 1);
                let read = self.store.journal.read(segment, place, &mut self.sources)?;
                for event in read {
                    self.take(event)?;
                }
            }
        }
        Ok(self.whole())
    }

    fn by_fate(mut self) -> Result<Page, Error> {
        let extent = self.store.extent();
        let query = self.query;
        let mut to = query.before.unwrap_or(Seq::MAX).min(extent.next);
        let first = extent.first.max(query.from.unwrap_or(0));
        while to > first {
            let from = to.saturating_sub(WINDOW).max(first);
            let limit = query.limit - self.found.len();
            let places = self.store.ledger.places(Fate::of(query), (from, to), limit)?;
            if self.is_over(1 + places.looked, to) {
                return Ok(self.more(to));
            }
            for seq in &places.found {
                if self.is_over(SEEK, seq + 1) {
                    return Ok(self.more(seq + 1));
                }
                if let Some(event) = self.store.journal.event(*seq)? {
                    self.take(event)?;
                }
            }
            to = match places.found.last() {
                Some(last) if places.found.len() == limit => *last,
                Some(_) | None => from,
            };
        }
        Ok(self.whole())
    }

    fn by_time(mut self) -> Result<Page, Error> {
        for segment in self.store.journal.segments().iter().rev() {
            if !self.may_have(segment) {
                continue;
            }
            let mut to = segment.bounds().count;
            if let Some(before) = self.query.before {
                let below = before.saturating_sub(segment.base);
                to = to.min(u32::try_from(below).unwrap_or(u32::MAX));
            }
            let marks = segment.marks();
            for mark in marks.iter().rev() {
                if mark.ordinal >= to {
                    continue;
                }
                if self.query.from.is_some_and(|from| segment.base + u64::from(to) <= from) {
                    break;
                }
                // As many as there may be, so that a search goes on at a mark.
                let before = segment.base + u64::from(to);
                if self.is_over((to - mark.ordinal) as usize, before) {
                    return Ok(self.more(before));
                }
                let place = (mark.ordinal, to.min(segment.bounds().count));
                let read = self.store.journal.read(segment, place, &mut self.sources)?;
                to = mark.ordinal;
                for event in read.into_iter().rev() {
                    let seq = event.seq;
                    if self.found.len() == self.query.limit {
                        return Ok(self.more(seq + 1));
                    }
                    self.take(event)?;
                }
            }
        }
        Ok(self.whole())
    }

    fn may_have(&self, segment: &Segment) -> bool {
        let (bounds, query) = (segment.bounds(), self.query);
        query.before.is_none_or(|before| segment.base < before)
            && query.from.is_none_or(|from| segment.base + u64::from(bounds.count) > from)
            && query.since.is_none_or(|since| bounds.newest >= since)
            && query.until.is_none_or(|until| bounds.oldest < until)
    }

    /// Keeps the event if all conditions hold.
    fn take(&mut self, event: StoredEvent) -> Result<(), Error> {
        if self.query.takes(&event) {
            let seq = event.seq;
            let mut settlements = self.store.ledger.fates(seq)?;
            settlements.sort_by(|one, two| one.integration.cmp(&two.integration));
            if self.query.takes_fate(&settlements) {
                self.found.push(Found { event, settlements });
            }
        }
        Ok(())
    }

    /// True if there is enough, or `cost` can't be paid any more: then the search is to go on below
    /// `before`, which must be some headway.
    fn is_over(&mut self, cost: usize, before: Seq) -> bool {
        let is_headway = self.query.before.is_none_or(|asked| before < asked);
        if self.found.len() == self.query.limit || (self.budget < cost && is_headway) {
            return true;
        }
        self.budget = self.budget.saturating_sub(cost.max(1));
        false
    }

    fn whole(self) -> Page {
        Page { found: self.found, more: None }
    }

    /// The page so far, to go on below `before`.
    fn more(self, before: Seq) -> Page {
        Page { found: self.found, more: Some(before) }
    }
}
