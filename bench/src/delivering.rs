//! Delivering: accept, plan and send to a sandbox, all on the same processors.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use heapline_action::datetime;
use serde_json::Value;

use crate::events::{Template, message_id, templates};
use crate::load::{Load, Sent, fetch, send};
use crate::process::own_cpu;
use crate::report::{Report, Target, quantile};
use crate::world::{Arrived, Place, Sandbox, Server, UNLIMITED};

const BATCH: usize = 100;
const CONNECTIONS: usize = 16;

/// Events a second that must be sustained, and what is offered to see it.
const GOAL: f64 = 30_000.0;
const OFFERED: f64 = 31_000.0;

/// A minute of batches at an even rate; then whether more goes.
pub(crate) fn end_to_end(place: &Place, report: &mut Report) -> Result<()> {
    const BENCH: &str = "end-to-end";
    eprintln!("end-to-end: {OFFERED} events/s in batches of {BATCH}");
    let run = Run::new(place)?;
    let time = Duration::from_secs(place.pick(60, 10));
    let minute = run.at_rate(OFFERED, time, 0)?;
    let name = format!("events accepted and settled, {} s", time.as_secs());
    let settled = minute.settled_per_second;
    report.judge(BENCH, name, "events/s", [settled], Target::AtLeast(GOAL));
    report.note(BENCH, "backlog after a third of the time", "events", [minute.backlog_early]);
    let bound = minute.backlog_early.max(GOAL);
    let late = minute.backlog_late;
    report.judge(BENCH, "backlog at the end", "events", [late], Target::AtMost(bound));
    let peak = run.server.program.peak_memory()?;
    report.judge(BENCH, "server, peak memory", "MB", [peak], Target::AtMost(256.0));
    for (who, cores) in ["server", "sandbox", "generator"].into_iter().zip(minute.cores) {
        report.note(BENCH, format!("{who}, processor time"), "cores", [cores]);
        let each = cores / settled * 1e6;
        report.note(BENCH, format!("{who}, processor time"), "µs/event", [each]);
    }
    let arrived = run.sandbox.arrived()?;
    report.note(BENCH, "events in the sandbox", "events", [arrived.events]);
    let per_thousand = minute.requests / minute.events * 1000.0;
    report.note(BENCH, "requests to Heap at this rate", "/1,000 events", [per_thousand]);

    let mut next = minute.next;
    let mut best = 0.0;
    for rate in [40_000.0, 50_000.0, 60_000.0] {
        run.drain()?;
        let tried = run.at_rate(rate, Duration::from_secs(place.pick(20, 5)), next)?;
        next = tried.next;
        if tried.backlog_late > tried.backlog_early.max(rate) {
            break;
        }
        best = tried.settled_per_second;
    }
    report.note(BENCH, "highest rate tried that was sustained", "events/s", [best]);
    Ok(())
}

/// How many requests Heap gets for the captured events, with its limits and without.
pub(crate) fn requests(place: &Place, report: &mut Report) -> Result<()> {
    const BENCH: &str = "requests";
    eprintln!("requests: how many Heap gets for 1,000 events");
    let run = Run::new(place)?;
    let mut next = 0;
    for (rate, goal) in [(30_000.0, true), (5_000.0, false), (500.0, false)] {
        let before = run.arrived_when_drained()?;
        let seconds = Duration::from_secs(place.pick(10, 3));
        let sent = run.at_rate(rate, seconds, next)?;
        next = sent.next;
        let after = run.arrived_when_drained()?;
        let each = (after.requests - before.requests) / sent.events * 1000.0;
        let name = format!("Heapline, {rate} events/s in batches of {BATCH}");
        if goal {
            report.judge(BENCH, name, "/1,000 events", [each], Target::AtMost(5.0));
        } else {
            report.note(BENCH, name, "/1,000 events", [each]);
        }
    }
    let theirs = crate::reference::Reference::start("bare")?.plan(2910)?.requests_per_event;
    report.note(BENCH, "public implementation", "/1,000 events", [theirs * 1000.0]);
    Ok(())
}

/// Single events at an even, modest rate: from the answer to the arrival at the sandbox.
pub(crate) fn latency(place: &Place, report: &mut Report) -> Result<()> {
    const BENCH: &str = "latency";
    const RATE: f64 = 500.0;
    eprintln!("latency: single events, {RATE} a second");
    let (mut middles, mut tails) = (Vec::new(), Vec::new());
    let mut counts = Vec::new();
    for _ in 0..place.pick(3, 1) {
        let run = Run::new(place)?;
        let name = "late";
        let load = Load {
            templates: templates(name, 1)?.into(),
            connections: 32,
            time: Duration::from_secs(place.pick(20, 5)),
            pace: Some(RATE),
            ..run.load(0)
        };
        let (wall, clock) = (SystemTime::now(), Instant::now());
        let sent = send(&load)?;
        run.drain()?;
        let answered: HashMap<String, f64> = sent
            .answers
            .iter()
            .map(|(number, at)| {
                let since = wall + at.duration_since(clock);
                let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                (message_id(name, *number), since.as_secs_f64() * 1000.0)
            })
            .collect();
        let delays = delays(run.sandbox.address, &answered)?;
        middles.push(quantile(&delays, 0.5));
        tails.push(quantile(&delays, 0.99));
        counts.push(delays.len() as f64);
    }
    report.note(BENCH, "events measured", "events", counts);
    report.judge(BENCH, "200 to arrival at Heap, p50", "ms", middles, Target::AtMost(50.0));
    report.judge(BENCH, "200 to arrival at Heap, p99", "ms", tails, Target::AtMost(500.0));
    Ok(())
}

/// Milliseconds from the answer of each event to its arrival at the sandbox; 0 for those that
/// arrived before their answer was read.
fn delays(sandbox: SocketAddr, answered: &HashMap<String, f64>) -> Result<Vec<f64>> {
    let list: Value = serde_json::from_str(&fetch(sandbox, "/_sandbox/events")?)?;
    let events = list.get("events").and_then(Value::as_array).context("no list of events")?;
    let mut delays = Vec::new();
    for event in events {
        let text = |name| event.get(name).and_then(Value::as_str);
        let (Some(key), Some(arrived)) = (text("idempotency_key"), text("arrived")) else {
            continue;
        };
        let arrived = datetime::read_text(arrived).context("the sandbox prints no time")?;
        let Some(answered) = answered.get(key) else {
            bail!("the event {key:?} was delivered but not answered");
        };
        delays.push((arrived as f64 - answered).max(0.0));
    }
    if delays.len() * 2 < answered.len() {
        bail!("only {} of {} events arrived", delays.len(), answered.len());
    }
    Ok(delays)
}

/// A server that delivers to a sandbox.
struct Run {
    server: Server,
    sandbox: Sandbox,
    batches: Rc<[Template]>,
}

struct AtRate {
    events: f64,
    next: u64,
    requests: f64,
    settled_per_second: f64,
    backlog_early: f64,
    backlog_late: f64,
    /// Server, sandbox, generator.
    cores: [f64; 3],
}

impl Run {
    fn new(place: &Place) -> Result<Run> {
        let sandbox = Sandbox::start(place)?;
        let server = Server::start(place, Some(sandbox.address), UNLIMITED)?;
        Ok(Run { server, sandbox, batches: templates("batch", BATCH)?.into() })
    }

    fn load(&self, first: u64) -> Load {
        Load {
            address: self.server.address,
            templates: self.batches.clone(),
            connections: CONNECTIONS,
            time: Duration::ZERO,
            pace: None,
            first,
        }
    }

    fn cpu(&self) -> [f64; 3] {
        [self.server.program.cpu(), self.sandbox.program.cpu(), own_cpu()]
    }

    /// Batches at `rate` events a second, in three stretches.
    fn at_rate(&self, rate: f64, time: Duration, first: u64) -> Result<AtRate> {
        let load = Load { time: time / 3, pace: Some(rate / BATCH as f64), ..self.load(first) };
        let cpu = self.cpu();
        let (begun, before) = (Instant::now(), self.sandbox.arrived()?);
        let backlog_before = self.backlog()?;
        let mut sent: Vec<Sent> = Vec::new();
        let mut backlogs = Vec::new();
        for _ in 0..3 {
            let first = sent.last().map_or(first, |sent| sent.next);
            sent.push(send(&Load { first, ..load.clone() })?);
            backlogs.push(self.backlog()?);
        }
        let seconds = begun.elapsed().as_secs_f64();
        let used = self.cpu();
        let after = self.sandbox.arrived()?;
        let events: f64 = sent.iter().map(|sent| sent.events as f64).sum();
        let late = backlogs.last().copied().unwrap_or_default();
        let mut cores = [0.0; 3];
        for (cores, (used, before)) in cores.iter_mut().zip(used.iter().zip(cpu)) {
            *cores = (used - before) / seconds;
        }
        Ok(AtRate {
            events,
            next: sent.last().map_or(first, |sent| sent.next),
            requests: after.requests - before.requests,
            settled_per_second: (events + backlog_before - late) / seconds,
            backlog_early: backlogs.first().copied().unwrap_or_default(),
            backlog_late: late,
            cores,
        })
    }

    /// Events that are accepted and not settled. The server looks once a second.
    fn backlog(&self) -> Result<f64> {
        self.server.metric("heapline_pending_events")
    }

    /// Waits until everything is settled.
    fn drain(&self) -> Result<()> {
        let begun = Instant::now();
        let mut quiet = 0;
        while quiet < 12 {
            std::thread::sleep(Duration::from_millis(200));
            quiet = if self.backlog()? == 0.0 { quiet + 1 } else { 0 };
            if begun.elapsed() > Duration::from_secs(120) {
                bail!("{} events aren't settled after 120 s", self.backlog()?);
            }
        }
        Ok(())
    }

    fn arrived_when_drained(&self) -> Result<Arrived> {
        self.drain()?;
        self.sandbox.arrived()
    }
}
