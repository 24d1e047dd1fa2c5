//! The store as plain collections: the model that the embedded one is held to, and a quick store
//! for tests. Nothing survives it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::page_report::HOUR;
use crate::{
    AppendDone, Appended, Count, Error, Extent, Found, Gather, HeldEvent, LedgerBatch, Link,
    Millis, NewEvent, Note, Outcome, Page, PageReport, PageResult, PageSummary, Query, Reader,
    Reason, Rejected, RequestRecord, Retained, Revision, Seq, Settings, Settlement, Span, Store,
    StoredEvent,
};

/// See the [module](self). Clones are the same store.
#[derive(Clone)]
pub struct Memory {
    settings: Settings,
    state: Arc<Mutex<State>>,
    wakes: Arc<Mutex<Vec<Wake>>>,
}

type Wake = Arc<dyn Fn(Seq) + Send + Sync>;
type Place = (Arc<str>, Seq);
/// Length of the span, its beginning, subject and name.
type Counted = (Millis, Millis, Arc<str>, Arc<str>);

#[derive(Default)]
struct State {
    events: VecDeque<StoredEvent>,
    /// Dropped from the front of `events`.
    dropped: u64,
    seen: BTreeMap<(Arc<str>, Box<str>), (Seq, Millis)>,
    settlements: BTreeMap<Place, Settlement>,
    requests: BTreeMap<u64, RequestRecord>,
    last_request: u64,
    cursors: BTreeMap<Arc<str>, Seq>,
    held: BTreeMap<Place, HeldEvent>,
    /// By integration and anonymous id.
    links: BTreeMap<(Arc<str>, Box<str>), Link>,
    rejected: VecDeque<Rejected>,
    reports: VecDeque<PageReport>,
    revisions: Vec<Revision>,
    kept: BTreeMap<(String, String), String>,
    notes: Vec<Note>,
    counts: BTreeMap<Counted, (u64, Gather)>,
    closed: bool,
}

struct MemoryReader {
    state: Arc<Mutex<State>>,
    next: Seq,
}

impl Memory {
    /// An empty store. Of `settings`, those about segments, queues and files mean nothing here.
    pub fn new(settings: Settings) -> Memory {
        Memory { settings, state: Arc::default(), wakes: Arc::default() }
    }

    /// Forgets the events below `to`, and all that became of them: gives that by event. For who
    /// passes events through and keeps none.
    pub fn forget(&self, to: Seq) -> Vec<Settlement> {
        let mut state = self.state();
        while state.events.front().is_some_and(|event| event.seq < to) {
            let Some(StoredEvent { seq, event }) = state.events.pop_front() else { break };
            state.dropped += 1;
            let key = (event.source, event.message_id);
            if state.seen.get(&key).is_some_and(|(last, _)| *last == seq) {
                state.seen.remove(&key);
            }
        }
        let (gone, kept) =
            std::mem::take(&mut state.settlements).into_iter().partition(|(place, _)| place.1 < to);
        state.settlements = kept;
        let mut gone: Vec<Settlement> = BTreeMap::into_values(gone).collect();
        gone.sort_by_key(|settlement| settlement.seq);
        let last = state.requests.pop_last();
        state.requests = last.into_iter().collect();
        gone
    }

    /// The latest request that was recorded.
    pub fn last_request(&self) -> Option<RequestRecord> {
        self.state().requests.values().next_back().cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append_now(&self, events: Vec<NewEvent>) -> Result<(Vec<Appended>, Seq), Error> {
        let mut state = self.state();
        if state.closed {
            return Err(Error::Closed);
        }
        let mut appended = Vec::with_capacity(events.len());
        for event in events {
            let key = (event.source.clone(), event.message_id.clone());
            if let Some((seq, at)) = state.seen.get(&key)
                && event.received_at.saturating_sub(*at) <= self.settings.dedup_window
            {
                appended.push(Appended::Duplicate(*seq));
                continue;
            }
            let seq = state.next();
            state.seen.insert(key, (seq, event.received_at));
            state.events.push_back(StoredEvent { seq, event });
            appended.push(Appended::Stored(seq));
        }
        Ok((appended, state.next()))
    }
}

impl State {
    fn first(&self) -> Seq {
        self.dropped + 1
    }

    fn next(&self) -> Seq {
        self.first() + self.events.len() as u64
    }

    fn event(&self, seq: Seq) -> Option<&StoredEvent> {
        self.events.get(usize::try_from(seq.checked_sub(self.first())?).ok()?)
    }

    fn fates(&self, seq: Seq) -> Vec<Settlement> {
        self.settlements
            .iter()
            .filter(|(place, _)| place.1 == seq)
            .map(|(_, s)| s.clone())
            .collect()
    }
}

impl Reader for MemoryReader {
    fn next(&mut self, max_events: usize, max_bytes: usize) -> Result<Vec<StoredEvent>, Error> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.next = self.next.max(state.first());
        let mut read = Vec::new();
        let mut bytes = 0;
        while read.len() < max_events
            && (bytes < max_bytes || read.is_empty())
            && let Some(event) = state.event(self.next)
        {
            bytes += event.event.json.len();
            read.push(event.clone());
            self.next += 1;
        }
        Ok(read)
    }
}

impl Store for Memory {
    fn append(&self, events: Vec<NewEvent>, done: AppendDone) {
        match self.append_now(events) {
            Ok((appended, next)) => {
                done(Ok(appended));
                let wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner).clone();
                wakes.iter().for_each(|wake| wake(next));
            }
            Err(error) => done(Err(error)),
        }
    }

    fn reader(&self, from: Seq) -> Result<Box<dyn Reader>, Error> {
        Ok(Box::new(MemoryReader { state: self.state.clone(), next: from }))
    }

    fn event(&self, seq: Seq) -> Result<Option<StoredEvent>, Error> {
        Ok(self.state().event(seq).cloned())
    }

    fn extent(&self) -> Extent {
        let state = self.state();
        let bytes = state.events.iter().map(|e| e.event.json.len() as u64).sum();
        Extent { first: state.first(), next: state.next(), bytes }
    }

    fn on_commit(&self, wake: Box<dyn Fn(Seq) + Send + Sync>) {
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner).push(wake.into());
    }

    fn record(&self, batch: &LedgerBatch) -> Result<(), Error> {
        let mut state = self.state();
        if state.closed {
            return Err(Error::Closed);
        }
        for settlement in &batch.settlements {
            let place = (settlement.integration.clone(), settlement.seq);
            state.settlements.insert(place, settlement.clone());
        }
        state.requests.extend(batch.requests.iter().map(|request| (request.id, request.clone())));
        for event in &batch.hold {
            state.held.insert((event.integration.clone(), event.event.seq), event.clone());
        }
        for place in &batch.release {
            state.held.remove(place);
        }
        for link in &batch.links {
            let key = (link.integration.clone(), link.anonymous_id.clone());
            state.links.insert(key, link.clone());
        }
        let cursors = batch.cursors.iter().map(|(integration, at)| (integration.clone(), *at));
        state.cursors.extend(cursors);
        Ok(())
    }

    fn next_request_id(&self) -> u64 {
        let mut state = self.state();
        state.last_request += 1;
        state.last_request
    }

    fn cursor(&self, integration: &str) -> Result<Option<Seq>, Error> {
        Ok(self.state().cursors.get(integration).copied())
    }

    fn settlements(
        &self,
        integration: &str,
        from: Seq,
        to: Seq,
    ) -> Result<BTreeMap<Seq, Settlement>, Error> {
        Ok(self
            .state()
            .settlements
            .iter()
            .filter(|((of, seq), _)| **of == *integration && *seq >= from && *seq < to)
            .map(|((_, seq), settlement)| (*seq, settlement.clone()))
            .collect())
    }

    fn requests(&self, ids: &[u64]) -> Result<Vec<RequestRecord>, Error> {
        let state = self.state();
        Ok(ids.iter().filter_map(|id| state.requests.get(id).cloned()).collect())
    }

    fn held(&self, integration: &str, anonymous_id: &str) -> Result<Vec<HeldEvent>, Error> {
        let is_his = |held: &&HeldEvent| {
            *held.integration == *integration
                && held.event.event.anonymous_id.as_deref() == Some(anonymous_id)
        };
        Ok(self.state().held.values().filter(is_his).cloned().collect())
    }

    fn held_anonymous_ids(&self, integration: &str) -> Result<Vec<String>, Error> {
        let state = self.state();
        let held = state.held.values().filter(|held| *held.integration == *integration);
        let ids: BTreeSet<&str> =
            held.filter_map(|held| held.event.event.anonymous_id.as_deref()).collect();
        Ok(ids.into_iter().map(str::to_owned).collect())
    }

    fn linked(&self, integration: &str, anonymous_id: &str) -> Result<Option<String>, Error> {
        let key = (integration.into(), anonymous_id.into());
        Ok(self.state().links.get(&key).map(|link| link.user_id.to_string()))
    }

    fn held_until(
        &self,
        integration: &str,
        now: Millis,
        limit: usize,
    ) -> Result<Vec<HeldEvent>, Error> {
        let is_up = |held: &&HeldEvent| *held.integration == *integration && held.until <= now;
        let mut held: Vec<_> = self.state().held.values().filter(is_up).cloned().collect();
        held.sort_by_key(|held| (held.until, held.event.seq));
        held.truncate(limit);
        Ok(held)
    }

    fn find(&self, query: &Query) -> Result<Page, Error> {
        let state = self.state();
        let mut page = Page::default();
        for event in state.events.iter().rev().filter(|event| query.takes(event)) {
            let settlements = state.fates(event.seq);
            if !query.takes_fate(&settlements) {
                continue;
            }
            if page.found.len() == query.limit {
                page.more = page.found.last().map(|found| found.event.seq);
                break;
            }
            page.found.push(Found { event: event.clone(), settlements });
        }
        Ok(page)
    }

    fn reasons(
        &self,
        integration: Option<&str>,
        outcomes: &[Outcome],
    ) -> Result<Vec<Reason>, Error> {
        let state = self.state();
        let mut all: BTreeMap<_, Reason> = BTreeMap::new();
        let settlements = state.settlements.values();
        for s in settlements.filter(|s| integration.is_none_or(|only| *s.integration == *only)) {
            let coded = s.deliveries.iter().filter(|d| !d.code.is_empty());
            for d in coded.filter(|d| outcomes.contains(&d.outcome)) {
                let key = (s.integration.clone(), d.action.clone(), d.outcome, d.code.clone());
                let reason = all.entry(key).or_insert_with(|| Reason {
                    integration: s.integration.clone(),
                    action: d.action.clone(),
                    outcome: d.outcome,
                    code: d.code.clone(),
                    count: 0,
                    first: d.at,
                    last: d.at,
                    latest: s.seq,
                    sentence: "".into(),
                });
                reason.count += 1;
                reason.first = reason.first.min(d.at);
                reason.last = reason.last.max(d.at);
                reason.latest = s.seq;
                reason.sentence.clone_from(&d.sentence);
            }
        }
        Ok(all.into_values().collect())
    }

    fn reject(&self, rejected: Vec<Rejected>) {
        let mut state = self.state();
        state.rejected.extend(rejected);
        let mut bytes: usize = state.rejected.iter().map(Rejected::bytes).sum();
        while state.rejected.len() > self.settings.rejected_items
            || bytes > self.settings.rejected_bytes
        {
            match state.rejected.pop_front() {
                Some(oldest) => bytes -= oldest.bytes(),
                None => break,
            }
        }
    }

    fn rejected(&self, source: Option<&str>, limit: usize) -> Result<Vec<Rejected>, Error> {
        let state = self.state();
        let of_source =
            |rejected: &&Rejected| source.is_none_or(|source| *rejected.source == *source);
        Ok(state.rejected.iter().rev().filter(of_source).take(limit).cloned().collect())
    }

    fn report(&self, reports: Vec<PageReport>) {
        let mut state = self.state();
        state.reports.extend(reports);
        let mut bytes: usize = state.reports.iter().map(PageReport::bytes).sum();
        while state.reports.len() > self.settings.report_items || bytes > self.settings.report_bytes
        {
            match state.reports.pop_front() {
                Some(oldest) => bytes -= oldest.bytes(),
                None => break,
            }
        }
    }

    fn page_reports(&self, source: &str, message_id: &str) -> Result<Vec<PageReport>, Error> {
        let is_of_event = |report: &&PageReport| {
            *report.source == *source && *report.message_id == *message_id && !report.is_of_page()
        };
        Ok(self.state().reports.iter().filter(is_of_event).cloned().collect())
    }

    fn page_summary(
        &self,
        integration: &str,
        since: Millis,
        failures: usize,
    ) -> Result<PageSummary, Error> {
        let mut summary = PageSummary::default();
        let state = self.state();
        let reports = state.reports.iter().rev();
        for report in reports.filter(|r| *r.integration == *integration && r.at >= since) {
            let PageReport { at, browser, result, reason, .. } = report.clone();
            let told = if report.is_of_page() {
                let hour = at / HOUR * HOUR;
                summary.pages.entry((hour, browser, result, reason)).or_default()
            } else {
                summary.events.entry((result, reason)).or_default()
            };
            told.add(report);
            if result == PageResult::Failed && summary.failures.len() < failures {
                summary.failures.push(report.clone());
            }
        }
        Ok(summary)
    }

    fn save_revision(
        &self,
        expected: u64,
        at: Millis,
        by: &str,
        document: &str,
    ) -> Result<u64, Error> {
        let mut state = self.state();
        let current = state.revisions.len() as u64;
        if current != expected {
            return Err(Error::Conflict(current));
        }
        let number = current + 1;
        state.revisions.push(Revision { number, at, by: by.into(), document: document.into() });
        Ok(number)
    }

    fn revision(&self, number: Option<u64>) -> Result<Option<Revision>, Error> {
        let state = self.state();
        Ok(match number {
            None => state.revisions.last().cloned(),
            Some(number) => state.revisions.iter().find(|r| r.number == number).cloned(),
        })
    }

    fn revisions(&self) -> Result<Vec<Revision>, Error> {
        let without_text = |r: &Revision| Revision { document: "".into(), ..r.clone() };
        Ok(self.state().revisions.iter().rev().map(without_text).collect())
    }

    fn keep(&self, kind: &str, key: &str, text: Option<&str>) -> Result<(), Error> {
        let mut state = self.state();
        let place = (kind.to_owned(), key.to_owned());
        match text {
            Some(text) => state.kept.insert(place, text.to_owned()),
            None => state.kept.remove(&place),
        };
        Ok(())
    }

    fn kept(&self, kind: &str) -> Result<BTreeMap<String, String>, Error> {
        let state = self.state();
        let of_kind = state.kept.iter().filter(|((of, _), _)| of == kind);
        Ok(of_kind.map(|((_, key), text)| (key.clone(), text.clone())).collect())
    }

    fn note(&self, note: &Note) -> Result<(), Error> {
        self.state().notes.push(note.clone());
        Ok(())
    }

    fn notes(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, Note)>, Error> {
        let state = self.state();
        let numbered = (1..).zip(&state.notes).map(|(number, note)| (number, note.clone()));
        let mut notes: Vec<(u64, Note)> =
            numbered.filter(|(number, _)| before.is_none_or(|before| *number < before)).collect();
        notes.reverse();
        notes.truncate(limit);
        Ok(notes)
    }

    fn count(&self, counts: &[Count]) -> Result<(), Error> {
        let mut state = self.state();
        for count in counts {
            for span in Span::ALL {
                let (subject, name) = (count.subject.clone(), count.name.clone());
                let place = (span.millis(), span.start(count.at), subject, name);
                let (value, how) = state.counts.entry(place).or_insert((0, count.how));
                *value = how.gather(*value, count.value);
            }
        }
        Ok(())
    }

    fn counts(&self, span: Span, from: Millis, to: Millis) -> Result<Vec<Count>, Error> {
        let state = self.state();
        let wanted = state
            .counts
            .iter()
            .filter(|((length, at, ..), _)| *length == span.millis() && *at >= from && *at < to);
        Ok(wanted
            .map(|((_, at, subject, name), (value, how))| Count {
                at: *at,
                subject: subject.clone(),
                name: name.clone(),
                value: *value,
                how: *how,
            })
            .collect())
    }

    fn retain(&self, now: Millis) -> Result<Retained, Error> {
        let mut state = self.state();
        let first = state.first();
        let mut bytes: u64 = state.events.iter().map(|e| e.event.json.len() as u64).sum();
        while let Some(oldest) = state.events.front()
            && (bytes > self.settings.retention_bytes
                || oldest.event.received_at < now.saturating_sub(self.settings.retention))
        {
            bytes -= oldest.event.json.len() as u64;
            state.events.pop_front();
            state.dropped += 1;
        }
        state.counts.retain(|(length, at, ..), _| {
            let span = Span::ALL.into_iter().find(|span| span.millis() == *length);
            span.is_some_and(|span| *at >= now.saturating_sub(span.kept()))
        });
        let (kept, State { settlements, held, seen, reports, links, .. }) =
            (state.first(), &mut *state);
        settlements.retain(|place, _| place.1 >= kept || held.contains_key(place));
        reports.retain(|report| report.at >= now.saturating_sub(self.settings.retention));
        seen.retain(|_, (seq, _)| *seq >= kept);
        links.retain(|_, link| link.at >= now.saturating_sub(self.settings.link_age));
        Ok(Retained::new(first, kept, &state.cursors))
    }

    fn close(&self) -> Result<(), Error> {
        self.state().closed = true;
        Ok(())
    }
}
