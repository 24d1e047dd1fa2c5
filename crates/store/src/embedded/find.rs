//! Answers questions: segment by segment, newest first. Indexes narrow down what is read, and what
//! they give is checked.
//!
//! - A message, user or anonymous id, a name, a source: lists in the indexes of the segments; what
//!   is in all of them.
//! - A time: the marks of the segments.
//! - An integration, outcome or code: the ledger.
//!
//! A search has a budget; where that is spent it answers with what it has and where to go on.

use super::Embedded;
use super::journal::{IdKind, Segment, Sources};
use super::ledger::Fate;
use crate::{Error, Found, Page, Query, Seq, StoredEvent};

/// What it costs to read one event at a place of its own, in events read in order.
const SEEK: usize = 20;
/// What it costs to look up something in a segment's index, and rows of the ledger's and of such
/// lists that cost as much as an event read in order.
const LOOK: usize = 10;
const ROWS: usize = 8;
/// So few candidates are read sooner than narrowed down further.
const FEW: usize = 8;
/// Candidates whose fate is asked for at first; more if there are none among them.
const ASKED: usize = 512;

/// A search under way.
struct Search<'a> {
    store: &'a Embedded,
    query: &'a Query,
    found: Vec<Found>,
    budget: usize,
    sources: Sources,
    /// Candidates whose fate is asked for next.
    asked: usize,
}

/// Why a search ends before its end: it is to go on below this place.
type Stop = Option<Seq>;

/// See the [module](self).
pub(super) fn find(store: &Embedded, query: &Query) -> Result<Page, Error> {
    if query.limit == 0 {
        return Ok(Page::default());
    }
    let budget = store.settings.search_limit;
    let (found, sources) = (Vec::new(), Sources::default());
    let mut search = Search { store, query, found, budget, sources, asked: ASKED };
    for segment in store.journal.segments().iter().rev() {
        let more = search.look_into(segment)?;
        if more.is_some() {
            return Ok(Page { found: search.found, more });
        }
    }
    Ok(Page { found: search.found, more: None })
}

impl Search<'_> {
    fn look_into(&mut self, segment: &Segment) -> Result<Stop, Error> {
        let range = self.range(segment);
        if range.0 >= range.1 {
            return Ok(None);
        }
        let end = segment.base + u64::from(range.1);
        if self.is_over(LOOK, end) {
            return Ok(Some(end));
        }
        match self.by_ids(segment, range)? {
            Some(candidates) if self.query.asks_ledger() && candidates.len() > FEW => {
                self.ask_fates(segment, &candidates)
            }
            Some(candidates) => self.check(segment, &candidates),
            None if self.query.asks_ledger() => self.by_fate(segment, range),
            None => self.by_time(segment, range),
        }
    }

    /// The records of a segment that time and place leave, from the first to below the second.
    fn range(&self, segment: &Segment) -> (u32, u32) {
        let (bounds, query) = (segment.bounds(), self.query);
        let ordinal =
            |seq: Seq| u32::try_from(seq.saturating_sub(segment.base)).unwrap_or(u32::MAX);
        if query.before.is_some_and(|before| before <= segment.base)
            || query.since.is_some_and(|since| bounds.newest < since)
            || query.until.is_some_and(|until| bounds.oldest >= until)
        {
            return (0, 0);
        }
        let (from, to) = segment.window(query.since, query.until);
        (from.max(query.from.map_or(0, ordinal)), to.min(query.before.map_or(u32::MAX, ordinal)))
    }

    /// Ordinals of records that may meet the conditions on the event itself, ascending. `None` if
    /// no index knows anything of those.
    fn by_ids(&mut self, segment: &Segment, range: (u32, u32)) -> Result<Option<Vec<u32>>, Error> {
        let query = self.query;
        let lists = [
            (IdKind::Message, &query.message_id),
            (IdKind::Anonymous, &query.anonymous_id),
            (IdKind::User, &query.user_id),
            (IdKind::Name, &query.event),
            (IdKind::Source, &query.source),
        ];
        let mut kept: Option<Vec<u32>> = None;
        for (kind, id) in lists {
            let Some(id) = id.as_deref() else { continue };
            if kept.as_ref().is_some_and(|kept| kept.len() <= FEW) {
                break;
            }
            let mut list = self.store.journal.ids(segment, kind, id)?;
            self.pay(list.len() / ROWS);
            list.retain(|ordinal| (range.0..range.1).contains(ordinal));
            kept = Some(match kept {
                None => list,
                Some(kept) => in_both(&kept, list),
            });
        }
        Ok(kept)
    }

    /// Takes those of the candidates, which ascend, whose fate is what is asked for.
    fn ask_fates(&mut self, segment: &Segment, candidates: &[u32]) -> Result<Stop, Error> {
        let mut rest = candidates;
        loop {
            let (lower, highest) = rest.split_at(rest.len().saturating_sub(self.asked));
            let (Some(first), Some(last)) = (highest.first(), highest.last()) else {
                return Ok(None);
            };
            let seq = |ordinal: u32| segment.base + u64::from(ordinal);
            let (from, to) = (seq(*first), seq(*last) + 1);
            if self.is_over(LOOK, to) {
                return Ok(Some(to));
            }
            let fate = Fate::of(self.query);
            let places = self.store.ledger.places(fate, (from, to), usize::MAX)?;
            self.pay(self.cost_of(places.looked));
            let known = places.found.iter().rev();
            let known = known.filter_map(|seq| u32::try_from(seq - segment.base).ok()).collect();
            let fitting = in_both(highest, known);
            if fitting.is_empty() {
                self.asked = self.asked.saturating_mul(2);
            }
            let stop = self.check(segment, &fitting)?;
            if stop.is_some() {
                return Ok(stop);
            }
            rest = lower;
        }
    }

    fn by_fate(&mut self, segment: &Segment, (low, high): (u32, u32)) -> Result<Stop, Error> {
        let (from, mut to) = (segment.base + u64::from(low), segment.base + u64::from(high));
        loop {
            let limit = self.query.limit - self.found.len();
            let places = self.store.ledger.places(Fate::of(self.query), (from, to), limit)?;
            self.pay(self.cost_of(places.looked));
            let known = places.found.iter().rev();
            let known: Vec<u32> =
                known.filter_map(|seq| u32::try_from(seq - segment.base).ok()).collect();
            let stop = self.check(segment, &known)?;
            if stop.is_some() {
                return Ok(stop);
            }
            match places.found.last() {
                Some(last) if places.found.len() == limit => to = *last,
                Some(_) | None => return Ok(None),
            }
        }
    }

    fn by_time(&mut self, segment: &Segment, (low, high): (u32, u32)) -> Result<Stop, Error> {
        let mut to = high;
        while to > low {
            // As many as there may be, so that a search goes on at a mark.
            let from = segment.mark_below(to);
            let before = segment.base + u64::from(to);
            if self.is_over((to - from) as usize, before) {
                return Ok(Some(before));
            }
            let place = (from.max(low), to);
            let read = self.store.journal.read(segment, place, &mut self.sources)?;
            to = from;
            for event in read.into_iter().rev() {
                let stop = self.take(event)?;
                if stop.is_some() {
                    return Ok(stop);
                }
            }
        }
        Ok(None)
    }

    /// Reads the candidates, which ascend, and keeps those that meet all conditions.
    fn check(&mut self, segment: &Segment, candidates: &[u32]) -> Result<Stop, Error> {
        let mut rest = candidates;
        while let Some(last) = rest.last() {
            let before = segment.base + u64::from(*last) + 1;
            let wanted = (self.query.limit - self.found.len()).max(FEW);
            let (lower, highest) = rest.split_at(rest.len().saturating_sub(wanted));
            if self.is_over(SEEK * highest.len(), before) {
                return Ok(Some(before));
            }
            let picked = self.store.journal.pick(segment, highest, &mut self.sources)?;
            for event in picked.into_iter().rev() {
                let stop = self.take(event)?;
                if stop.is_some() {
                    return Ok(stop);
                }
            }
            rest = lower;
        }
        Ok(None)
    }

    /// Keeps the event if all conditions hold. Stops if that are enough.
    fn take(&mut self, event: StoredEvent) -> Result<Stop, Error> {
        if !self.query.takes(&event) {
            return Ok(None);
        }
        let seq = event.seq;
        let mut settlements = self.store.ledger.fates(seq)?;
        settlements.sort_by(|one, two| one.integration.cmp(&two.integration));
        if !self.query.takes_fate(&settlements) {
            return Ok(None);
        }
        self.found.push(Found { event, settlements });
        Ok((self.found.len() == self.query.limit).then_some(seq))
    }

    /// True if `cost` can't be paid any more: then the search is to go on below `before`, which
    /// must be some headway.
    fn is_over(&mut self, cost: usize, before: Seq) -> bool {
        let is_headway = self.query.before.is_none_or(|asked| before < asked);
        if self.budget < cost && is_headway {
            return true;
        }
        self.pay(cost.max(1));
        false
    }

    fn pay(&mut self, cost: usize) {
        self.budget = self.budget.saturating_sub(cost);
    }

    /// Of rows of the ledger: those that a code is looked for in are read whole.
    fn cost_of(&self, rows: usize) -> usize {
        if self.query.code.is_some() { rows } else { rows / ROWS }
    }
}

/// What both lists have; both ascend.
fn in_both(one: &[u32], mut other: Vec<u32>) -> Vec<u32> {
    let mut one = one.iter().copied().peekable();
    other.retain(|ordinal| {
        while one.next_if(|of_one| of_one < ordinal).is_some() {}
        one.peek() == Some(ordinal)
    });
    other
}
