//! Sending straight to destinations: the same door, planning and lanes as in a server, with nothing
//! kept but how far the files have come.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use heapline_action::datetime;
use heapline_action::destination::Configured;
use heapline_action::plan::{Endpoint, LimitCounts, LimitScope};
use heapline_store::{Appended, Memory, Outcome, Seq, Settings, Settlement, Store};
use indicatif::ProgressBar;

use super::batches::{Batch, Batches};
use super::records::Shape;
use super::report::{Origin, Report};
use super::{Args, Input, at_rate, bar, inputs, interrupted, interrupts, waiting};
use crate::cli::explain::read_workspace;
use crate::cli::{End, style};
use crate::config::Config;
use crate::courier::{Fleet, Surroundings};
use crate::ingest::{self, Limits, Route, SourceTable};
use crate::server::now;
use crate::telemetry::Metrics;
use crate::workspace::{Integration, SourceKind, Workspace};

/// Events under way at one time: enough for full requests, little memory.
const UNDER_WAY: usize = 20_000;
/// How often it looks what has settled.
const LOOK: Duration = Duration::from_millis(20);
/// How often it is kept what has settled out of turn.
const KEEP: Duration = Duration::from_millis(500);
/// How long requests in flight may take to be answered once it is interrupted.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// The key by which the door knows the source.
const KEY: &str = "direct";

pub(super) fn run(args: &Args, shape: &Shape, workspace: &Path) -> Result<End> {
    let (workspace, door) = choose(args, workspace)?;
    let ids: Vec<&str> = workspace.integrations.iter().map(|i| &*i.id).collect();
    let inputs = inputs(args, shape, &format!("directly to {}", ids.join(", ")))?;
    let all = waiting(&inputs);
    say_beforehand(&workspace, &args.source, all);
    if args.dry_run {
        return Ok(End::Done);
    }
    let interrupts = interrupts()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let store = Memory::new(Settings::default());
    let settings = Config::load(None)?.delivery;
    let metrics = Arc::new(Metrics::new());
    let around =
        Surroundings::new(Arc::new(store.clone()), metrics, settings, runtime.handle().clone())?;
    let fleet = Fleet::new(around)?;
    fleet.apply(&workspace, STOP_WITHIN)?;
    let bar = bar(all)?;
    let report = Report::to(args.report.as_deref())?;
    let mut passing = Passing {
        store,
        workspace: &workspace,
        door,
        inputs,
        report,
        under_way: VecDeque::new(),
        batches: VecDeque::new(),
        held: BTreeMap::new(),
        behind: BTreeSet::new(),
        said: String::new(),
        kept_at: Instant::now(),
    };
    let whole = passing.pass(args, shape, &bar, &interrupts);
    fleet.stop(STOP_WITHIN);
    let left = match &whole {
        Ok(true) => passing.finish(),
        Ok(false) | Err(_) => passing.settle().and_then(|_| passing.keep(&BTreeMap::new())),
    };
    bar.finish_and_clear();
    let whole = whole?;
    left?;
    passing.report.print()?;
    if !whole {
        return Err(interrupted(all - waiting(&passing.inputs), all));
    }
    Ok(if passing.report.is_good() { End::Done } else { End::NotFound })
}

/// The workspace with only those integrations that take part, and its source as the door knows it.
fn choose(args: &Args, file: &Path) -> Result<(Workspace, SourceTable)> {
    let mut workspace = read_workspace(file)?;
    let id = &args.source;
    let source = workspace.sources.iter().find(|source| *source.id == **id);
    let source = source.with_context(|| {
        let ids: Vec<&str> = workspace.sources.iter().map(|source| &*source.id).collect();
        format!("{} has no source {id:?}; it has {}", file.display(), ids.join(", "))
    })?;
    let door = ingest::Source {
        id: source.id.clone(),
        web: source.kind == SourceKind::JavaScript,
        enabled: true,
        answers: ingest::Answers::Strict,
    };
    let door = SourceTable::new([(KEY.into(), Arc::new(door))]);
    for wanted in &args.integration {
        let Some(integration) = workspace.integration(wanted) else {
            bail!("{} has no integration {wanted:?}", file.display());
        };
        if !integration.takes(id) {
            bail!("the integration {wanted:?} doesn't take events of the source {id:?}");
        }
        if matches!(integration.configured, Configured::Web(_)) {
            bail!("the page delivers for {wanted:?}, and nobody else");
        }
    }
    let is_chosen = |i: &Arc<Integration>| match args.integration.as_slice() {
        [] => i.enabled && i.takes(id) && matches!(i.configured, Configured::Cloud(_)),
        wanted => wanted.iter().any(|wanted| *i.id == **wanted),
    };
    workspace.integrations.retain(is_chosen);
    if workspace.integrations.is_empty() {
        let file = file.display();
        bail!(
            "{file} has no enabled integration that takes events of {id:?} and that the server delivers for"
        );
    }
    Ok((workspace, door))
}

/// How many there are, and how long the destination's limits make them take.
fn say_beforehand(workspace: &Workspace, source: &str, events: u64) {
    let many = style::for_stdout().bold(events);
    println!("{many} events to send straight from here as the source {source:?}");
    for integration in &workspace.integrations {
        let Configured::Cloud(cloud) = &integration.configured else { continue };
        let id = &integration.id;
        match per_minute(cloud.endpoints(), LimitScope::Integration) {
            Some(rate) => {
                let time = at_rate(events, rate);
                let own = per_minute(cloud.endpoints(), LimitScope::Identity);
                let own = own.map(|own| format!(" (and of one user {own})"));
                println!(
                    "  {id}: takes {rate} events a minute{}, so all is there in {time} at best",
                    own.unwrap_or_default()
                );
            }
            None => println!("  {id}: has no limit on events a minute"),
        }
    }
}

fn per_minute(endpoints: &[Endpoint], scope: LimitScope) -> Option<f64> {
    let limits = endpoints.iter().flat_map(|endpoint| &endpoint.limits);
    let limits = limits.filter(|l| l.scope == scope && l.counts == LimitCounts::Items);
    let rates = limits.map(|l| f64::from(l.count) * 60_000.0 / l.window_ms.max(1) as f64);
    rates.reduce(f64::min)
}

/// Events on their way from files to destinations.
struct Passing<'a> {
    store: Memory,
    workspace: &'a Workspace,
    door: SourceTable,
    inputs: Vec<Input>,
    report: Report,
    /// Where each event under way came from, by place.
    under_way: VecDeque<(Seq, Origin)>,
    /// The place after each batch, its file and its last record.
    batches: VecDeque<(Seq, usize, u64)>,
    /// Events that wait for a user id, by integration and place.
    held: BTreeMap<(Arc<str>, Seq), (Origin, Settlement)>,
    /// Files and records that are settled, in batches that aren't.
    behind: BTreeSet<(usize, u64)>,
    /// Why it waits, as it was last said.
    said: String,
    /// When it was last kept how far the files have come.
    kept_at: Instant,
}

impl Passing<'_> {
    /// Passes all on. False if it was interrupted.
    fn pass(
        &mut self,
        args: &Args,
        shape: &Shape,
        bar: &ProgressBar,
        interrupts: &AtomicBool,
    ) -> Result<bool> {
        let inputs = std::mem::take(&mut self.inputs);
        let mut batches = Batches::of(args, shape, &inputs);
        self.inputs = inputs;
        let mut is_end = false;
        let total = waiting(&self.inputs);
        loop {
            while !is_end && self.under_way.len() < UNDER_WAY {
                match batches.next()? {
                    Some(batch) => self.take(&batch)?,
                    None => is_end = true,
                }
            }
            let settled = self.settle()?;
            bar.set_position(total - waiting(&self.inputs));
            if is_end && self.under_way.is_empty() {
                return Ok(true);
            }
            if interrupts.load(Ordering::Relaxed) {
                return Ok(false);
            }
            self.say(bar);
            if !settled {
                std::thread::sleep(LOOK);
            }
        }
    }

    fn take(&mut self, batch: &Batch) -> Result<()> {
        let body = batch.body(&datetime::print(now()));
        let request = ingest::Request {
            route: Route::Batch,
            authorization: None,
            address_key: Some(KEY),
            encoding: None,
            strict: true,
            body: body.as_bytes(),
            now: now(),
            client_ip: None,
        };
        let fresh_id = || unreachable!("each event has a message id");
        let decoded = ingest::decode(&request, &self.door, &Limits::default(), &fresh_id);
        let file = self.inputs.get(batch.file).map(|input| input.file.display().to_string());
        let origin = |number: u64| Origin {
            place: (batch.file, number),
            file: file.clone().unwrap_or_default(),
        };
        let mut refused = Vec::new();
        for fault in &decoded.faults {
            let numbers: Vec<u64> = match fault.item {
                Some(item) => {
                    batch.calls.get(item).map(|(number, _)| *number).into_iter().collect()
                }
                None => batch.calls.iter().map(|(number, _)| *number).collect(),
            };
            for number in numbers {
                let path = if fault.path.is_empty() { "the event" } else { fault.path };
                let sentence =
                    format!("{path}: expected {}, found {}.", fault.expected, fault.found);
                self.report.turned_away(&origin(number), fault.code.name(), sentence)?;
                refused.push(number);
            }
        }
        let numbers = batch.calls.iter().map(|(number, _)| *number);
        let numbers = numbers.filter(|number| !refused.contains(number));
        let (told, hears) = std::sync::mpsc::channel();
        let done = Box::new(move |appended| {
            // Heard just below.
            told.send(appended).ok();
        });
        self.store.append(decoded.events, done);
        let appended = hears.recv().context("the events weren't taken")??;
        let mut repeated = 0;
        for (number, appended) in numbers.zip(appended) {
            match appended {
                Appended::Stored(seq) => self.under_way.push_back((seq, origin(number))),
                Appended::Duplicate(_) => repeated += 1,
            }
        }
        self.report.repeated(repeated);
        self.batches.push_back((self.store.extent().next, batch.file, batch.last()));
        Ok(())
    }

    /// Takes up what has settled. False if that was nothing.
    fn settle(&mut self) -> Result<bool> {
        let mut reached = Seq::MAX;
        for integration in &self.workspace.integrations {
            reached = reached.min(self.store.cursor(&integration.id)?.unwrap_or(1));
        }
        let settlements = self.store.forget(reached);
        for settlement in &settlements {
            let whose = (settlement.integration.clone(), settlement.seq);
            let at = self.under_way.binary_search_by_key(&settlement.seq, |(seq, _)| *seq).ok();
            let origin = at.and_then(|at| self.under_way.get(at)).map(|(_, origin)| origin.clone());
            let held = || self.held.get(&whose).map(|(origin, _)| origin.clone());
            let Some(origin) = origin.or_else(held) else { continue };
            if settlement.deliveries.iter().any(|d| d.outcome == Outcome::Held) {
                self.held.insert(whose, (origin, settlement.clone()));
            } else {
                self.held.remove(&whose);
                self.behind.insert(origin.place);
                self.report.settled(settlement, &origin)?;
            }
        }
        while self.under_way.front().is_some_and(|(seq, _)| *seq < reached) {
            self.under_way.pop_front();
        }
        for (origin, _) in self.held.values() {
            self.behind.remove(&origin.place);
        }
        // What is held would be lost with this process: its file has not come past it.
        let lowest_held = self.held.values().map(|(origin, _)| origin.place).min();
        let mut come: BTreeMap<usize, u64> = BTreeMap::new();
        while let Some((end, file, record)) = self.batches.front().copied()
            && end <= reached
            && lowest_held.is_none_or(|held| (file, record) < held)
        {
            come.insert(file, record);
            self.batches.pop_front();
        }
        if !come.is_empty() || self.kept_at.elapsed() > KEEP {
            self.keep(&come)?;
        }
        Ok(!settlements.is_empty())
    }

    /// Keeps how far the files have come, with all that has settled out of turn.
    fn keep(&mut self, come: &BTreeMap<usize, u64>) -> Result<()> {
        let next = self.store.extent().next;
        let mut settled: BTreeMap<Seq, usize> = BTreeMap::new();
        for integration in &self.workspace.integrations {
            for (seq, settlement) in self.store.settlements(&integration.id, 1, next)? {
                if settlement.is_final() {
                    *settled.entry(seq).or_default() += 1;
                }
            }
        }
        let mut beyond: BTreeMap<usize, BTreeSet<u64>> = BTreeMap::new();
        for (seq, Origin { place: (file, record), .. }) in &self.under_way {
            if settled.get(seq) == Some(&self.workspace.integrations.len()) {
                beyond.entry(*file).or_default().insert(*record);
            }
        }
        for (at, input) in self.inputs.iter_mut().enumerate() {
            let records = come.get(&at).copied().unwrap_or(input.progress.records);
            let mut beyond = beyond.remove(&at).unwrap_or_default();
            // What was so before this run.
            beyond.extend(&input.progress.beyond);
            beyond.extend(self.behind.iter().filter(|(file, _)| *file == at).map(|(_, n)| n));
            input.progress.reach(records, beyond)?;
        }
        let inputs = &self.inputs;
        self.behind.retain(|(file, record)| {
            inputs.get(*file).is_some_and(|input| *record > input.progress.records)
        });
        self.kept_at = Instant::now();
        Ok(())
    }

    /// All files have come to their end: what is held still stays so.
    fn finish(&mut self) -> Result<()> {
        self.settle()?;
        for (origin, settlement) in std::mem::take(&mut self.held).into_values() {
            self.report.settled(&settlement, &origin)?;
        }
        let ends = std::mem::take(&mut self.batches);
        self.keep(&ends.into_iter().map(|(_, file, record)| (file, record)).collect())
    }

    /// Says what it waits for, if the destination doesn't take what it is sent.
    fn say(&mut self, bar: &ProgressBar) {
        let Some(last) = self.store.last_request() else { return };
        let why = match last.status {
            200..=299 => String::new(),
            0 => format!("waiting: no answer, {}", last.excerpt),
            status => format!("waiting: {} answered {status} {}", last.integration, last.excerpt),
        };
        if why == self.said {
            return;
        }
        if bar.is_hidden() && !why.is_empty() {
            eprintln!("{why}");
        }
        bar.set_message(why.clone());
        self.said = why;
    }
}
