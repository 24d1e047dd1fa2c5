//! The ledger: what became of events, and all else that is looked up; in SQLite files.
//!
//! `ledger/<base>.db` has the settlements of a range of places, and requests that were recorded
//! with them; `main.db` cursors, held events and revisions; `admin.db` what operators leave
//! behind; `rejected.db` input that was turned away; `reports.db` what pages reported.
//!
//! A batch is written in three steps, each in one transaction a file: held events and links; then
//! settlements with their requests, the newest file first; then releases and cursors. The first two
//! are synced, so that the last never gets ahead of them, even if power is lost. A crash in between
//! leaves a cursor that is behind: the courier looks at those events again and finds them settled,
//! or holds or delivers them once more. It never leaves a cursor ahead, nor an event that is
//! settled as held but isn't.

mod codec;
mod desk;
mod part;
mod places;
mod reasons;
mod rejects;
mod reports;
mod ring;
mod sql;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    Delivery, Error, HeldEvent, LedgerBatch, Millis, Outcome, Reason, Rejected, RequestRecord,
    Retained, Revision, Seq, Settings, Settlement,
};
pub(crate) use places::{Fate, Places};
pub(crate) use sql::check;

use desk::Desk;
use part::Part;
use rejects::Rejects;
use reports::Reports;
use state::State;

/// Files that are kept open, each for writing and for reading.
const OPEN: usize = 24;
/// Bits of a request's id that count within one run of the program. Ids stay below 2^53, so that
/// JavaScript can hold them.
const REQUEST_BITS: u32 = 36;

/// See the [module](self).
pub(crate) struct Ledger {
    dir: PathBuf,
    span: u64,
    link_age: Millis,
    /// Locked in this order where several are.
    writing: Mutex<Files>,
    reading: Mutex<Files>,
    /// Bases of the files that exist.
    bases: Mutex<BTreeSet<Seq>>,
    state: Mutex<State>,
    looking: Mutex<State>,
    desk: Mutex<Desk>,
    rejects: Rejects,
    reports: Reports,
    request: AtomicU64,
}

/// Files that are open, the latest used last.
#[derive(Default)]
struct Files(Vec<(Seq, Part)>);

impl Ledger {
    /// Opens the ledger in `dir`, which must exist.
    pub(crate) fn open(dir: &Path, settings: &Settings) -> Result<Ledger, Error> {
        let parts = dir.join("ledger");
        let bases = bases(&parts)?;
        let state = State::open(dir)?;
        let span = state.settle("ledger_span", settings.ledger_span.clamp(1, 1 << 32))?;
        let opened = state.count("opened")?;
        Ok(Ledger {
            span,
            link_age: settings.link_age,
            writing: Mutex::default(),
            reading: Mutex::default(),
            bases: Mutex::new(bases),
            state: Mutex::new(state),
            looking: Mutex::new(State::open(dir)?),
            desk: Mutex::new(Desk::open(dir)?),
            rejects: Rejects::open(dir, settings)?,
            reports: Reports::open(dir, settings)?,
            request: AtomicU64::new(opened << REQUEST_BITS),
            dir: parts,
        })
    }

    pub(crate) fn record(&self, batch: &LedgerBatch) -> Result<(), Error> {
        let mut writing = lock(&self.writing);
        lock(&self.state).hold(batch)?;
        let mut parts: BTreeMap<Seq, Vec<&Settlement>> = BTreeMap::new();
        for settlement in &batch.settlements {
            parts.entry(self.base(settlement.seq)).or_default().push(settlement);
        }
        let known = || lock(&self.bases).last().copied();
        let newest = parts.keys().last().copied().or_else(known).unwrap_or(1);
        if !batch.requests.is_empty() {
            parts.entry(newest).or_default();
        }
        // The newest file first: no settlement is seen before the requests that it names.
        for (base, settlements) in parts.into_iter().rev() {
            let requests = if base == newest { batch.requests.as_slice() } else { &[] };
            writing.part(&self.dir, base)?.write(&settlements, requests)?;
            lock(&self.bases).insert(base);
        }
        lock(&self.state).advance(batch)
    }

    pub(crate) fn next_request_id(&self) -> u64 {
        self.request.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn cursor(&self, integration: &str) -> Result<Option<Seq>, Error> {
        lock(&self.looking).cursor(integration)
    }

    pub(crate) fn cursors(&self) -> Result<BTreeMap<Arc<str>, Seq>, Error> {
        lock(&self.looking).cursors()
    }

    /// Above every place of which it knows anything.
    pub(crate) fn highest(&self) -> Result<Seq, Error> {
        let mut highest = self.cursors()?.into_values().max().unwrap_or(0);
        if let Some(base) = lock(&self.bases).last().copied() {
            highest = highest.max(lock(&self.reading).part(&self.dir, base)?.highest()?);
        }
        Ok(highest)
    }

    /// What is known of the events from `from` to below `to` at `integration`.
    pub(crate) fn settlements(
        &self,
        integration: &str,
        from: Seq,
        to: Seq,
    ) -> Result<BTreeMap<Seq, Settlement>, Error> {
        let mut all = BTreeMap::new();
        for base in self.between(from, to) {
            let range = (from.max(base), to.min(base.saturating_add(self.span)));
            let found = lock(&self.reading).part(&self.dir, base)?.settlements(
                integration,
                range.0,
                range.1,
            )?;
            all.extend(found.into_iter().map(|settlement| (settlement.seq, settlement)));
        }
        Ok(all)
    }

    /// What is known of the event at `seq`, at any integration.
    pub(crate) fn fates(&self, seq: Seq) -> Result<Vec<Settlement>, Error> {
        let base = self.base(seq);
        if !lock(&self.bases).contains(&base) {
            return Ok(Vec::new());
        }
        lock(&self.reading).part(&self.dir, base)?.fates(seq)
    }

    /// The highest places between `from` and below `to` of events with this fate, newest first, at
    /// most `limit`. A few may not have it.
    pub(crate) fn places(
        &self,
        fate: Fate<'_>,
        (from, to): (Seq, Seq),
        limit: usize,
    ) -> Result<Places, Error> {
        let mut all = Places::default();
        for base in self.between(from, to).into_iter().rev() {
            let range = (from.max(base), to.min(base.saturating_add(self.span)));
            let left = limit - all.found.len();
            if left == 0 {
                break;
            }
            let places = lock(&self.reading).part(&self.dir, base)?.places(fate, range, left)?;
            all.found.extend(places.found);
            all.looked += places.looked;
        }
        Ok(all)
    }

    /// Deliveries with one of `outcomes`, counted by reason.
    pub(crate) fn reasons(
        &self,
        integration: Option<&str>,
        outcomes: &[Outcome],
    ) -> Result<Vec<Reason>, Error> {
        let bases: Vec<Seq> = lock(&self.bases).iter().copied().collect();
        let mut all: BTreeMap<_, Reason> = BTreeMap::new();
        for base in bases {
            let part = lock(&self.reading).part(&self.dir, base)?.reasons(integration, outcomes)?;
            for reason in part {
                let Reason { integration, action, outcome, code, .. } = reason.clone();
                all.entry((integration, action, outcome, code))
                    .and_modify(|known| {
                        known.count += reason.count;
                        known.first = known.first.min(reason.first);
                        known.last = known.last.max(reason.last);
                        known.latest = known.latest.max(reason.latest);
                    })
                    .or_insert(reason);
            }
        }
        let mut all: Vec<Reason> = all.into_values().collect();
        for reason in &mut all {
            self.find_latest(reason)?;
        }
        Ok(all)
    }

    /// Sets place and sentence of the latest delivery; the one that was may have another fate now.
    fn find_latest(&self, reason: &mut Reason) -> Result<(), Error> {
        let Reason { integration, action, outcome, code, latest, .. } = reason.clone();
        let fate =
            Fate { integration: Some(&integration), outcome: Some(outcome), code: Some(&code) };
        let is_one = |d: &Delivery| d.action == action && d.outcome == outcome && d.code == code;
        let mut places = vec![latest];
        while let Some(lowest) = places.last().copied() {
            for seq in places {
                let fates = self.settlements(&integration, seq, seq + 1)?;
                let mut deliveries = fates.into_values().flat_map(|fate| fate.deliveries);
                if let Some(delivery) = deliveries.find(|delivery| is_one(delivery)) {
                    (reason.latest, reason.sentence) = (seq, delivery.sentence);
                    return Ok(());
                }
            }
            places = self.places(fate, (1, lowest), 8)?.found;
        }
        Ok(())
    }

    pub(crate) fn requests(&self, ids: &[u64]) -> Result<Vec<RequestRecord>, Error> {
        let bases: Vec<Seq> = lock(&self.bases).iter().rev().copied().collect();
        let mut found = Vec::new();
        for id in ids {
            for base in &bases {
                if let Some(request) = lock(&self.reading).part(&self.dir, *base)?.request(*id)? {
                    found.push(request);
                    break;
                }
            }
        }
        Ok(found)
    }

    pub(crate) fn held(&self, integration: &str, anonymous: &str) -> Result<Vec<HeldEvent>, Error> {
        lock(&self.looking).held(integration, anonymous)
    }

    pub(crate) fn held_anonymous_ids(&self, integration: &str) -> Result<Vec<String>, Error> {
        lock(&self.looking).held_anonymous_ids(integration)
    }

    pub(crate) fn linked(
        &self,
        integration: &str,
        anonymous: &str,
    ) -> Result<Option<String>, Error> {
        lock(&self.looking).linked(integration, anonymous)
    }

    pub(crate) fn held_until(
        &self,
        integration: &str,
        now: Millis,
        limit: usize,
    ) -> Result<Vec<HeldEvent>, Error> {
        lock(&self.looking).held_until(integration, now, limit)
    }

    pub(crate) fn reject(&self, rejected: Vec<Rejected>) {
        self.rejects.push(rejected);
    }

    pub(crate) fn rejected(
        &self,
        source: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Rejected>, Error> {
        self.rejects.latest(source, limit)
    }

    /// What pages reported.
    pub(crate) fn reports(&self) -> &Reports {
        &self.reports
    }

    pub(crate) fn save_revision(
        &self,
        expected: u64,
        at: Millis,
        by: &str,
        document: &str,
    ) -> Result<u64, Error> {
        lock(&self.state).save_revision(expected, at, by, document)
    }

    pub(crate) fn revision(&self, number: Option<u64>) -> Result<Option<Revision>, Error> {
        lock(&self.looking).revision(number)
    }

    pub(crate) fn revisions(&self) -> Result<Vec<Revision>, Error> {
        lock(&self.looking).revisions()
    }

    /// What operators leave behind.
    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    /// Deletes the files whose events are all dropped from the journal and no longer held.
    pub(crate) fn retain(&self, retained: &Retained, now: Millis) -> Result<(), Error> {
        let (mut writing, mut reading) = (lock(&self.writing), lock(&self.reading));
        let kept = retained.dropped.1;
        let bases: Vec<Seq> = lock(&self.bases).iter().copied().collect();
        for base in bases {
            let end = base.saturating_add(self.span);
            let is_held = lock(&self.state).first_held(base)?.is_some_and(|held| held < end);
            if end > kept || is_held {
                continue;
            }
            writing.0.retain(|(open, _)| *open != base);
            reading.0.retain(|(open, _)| *open != base);
            lock(&self.bases).remove(&base);
            let path = part::path(&self.dir, base);
            for suffix in ["-shm", "-wal", ""] {
                let mut name = path.clone().into_os_string();
                name.push(suffix);
                match fs::remove_file(&name) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Error::Io(format!(
                            "cannot remove {}: {error}",
                            path.display()
                        )));
                    }
                    Ok(()) | Err(_) => {}
                }
            }
        }
        self.reports.retain(now)?;
        self.desk().retain(now)?;
        let state = lock(&self.state);
        state.note(retained, now)?;
        state.forget_links(now.saturating_sub(self.link_age))?;
        state.shrink()
    }

    pub(crate) fn close(&self) -> Result<(), Error> {
        self.rejects.close()?;
        self.reports.close()
    }

    /// Place of the first event in the file that has `seq`.
    fn base(&self, seq: Seq) -> Seq {
        seq.saturating_sub(1) / self.span * self.span + 1
    }

    /// Bases of the files that have something between `from` and below `to`.
    fn between(&self, from: Seq, to: Seq) -> Vec<Seq> {
        let first = self.base(from);
        lock(&self.bases).range(first..to.max(first)).copied().collect()
    }
}

impl Files {
    fn part(&mut self, dir: &Path, base: Seq) -> Result<&mut Part, Error> {
        let at = match self.0.iter().position(|(open, _)| *open == base) {
            Some(at) => at,
            None => {
                if self.0.len() == OPEN {
                    self.0.remove(0);
                }
                self.0.push((base, Part::open(dir, base)?));
                self.0.len() - 1
            }
        };
        self.0[at..].rotate_left(1);
        let (_, part) = self.0.last_mut().expect("one was found or added");
        Ok(part)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All SQLite files below `dir` that exist.
pub(crate) fn files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let names = ["main.db", "admin.db", "rejected.db", "reports.db"];
    let mut files: Vec<PathBuf> = names.into_iter().map(|name| dir.join(name)).collect();
    let parts = dir.join("ledger");
    files.extend(bases(&parts)?.into_iter().map(|base| part::path(&parts, base)));
    files.retain(|file| file.exists());
    Ok(files)
}

/// Bases of the files in `dir`.
fn bases(dir: &Path) -> Result<BTreeSet<Seq>, Error> {
    let list = || -> std::io::Result<BTreeSet<Seq>> {
        let mut bases = BTreeSet::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            bases.extend(name.to_str().and_then(|n| n.strip_suffix(".db")?.parse::<Seq>().ok()));
        }
        Ok(bases)
    };
    list().map_err(|error| Error::Io(format!("cannot list {}: {error}", dir.display())))
}
