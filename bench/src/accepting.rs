//! Accepting: durable events a second, beside a bare handler and beside the bare disk.

use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::disk;
use crate::events::{Template, templates};
use crate::load::{Load, Sent, send};
use crate::process::{Program, own_cpu};
use crate::report::{Report, Target};
use crate::world::{Place, Server};

const BENCH: &str = "accepting";

/// Connections with one event in a request.
const CONNECTIONS: usize = 64;

/// Connections with batches, and events in a batch.
const BATCH_CONNECTIONS: usize = 16;
const BATCH: usize = 100;

/// Measures both.
pub(crate) fn measure(place: &Place, report: &mut Report) -> Result<()> {
    eprintln!("accepting: Heapline and a bare handler in turns");
    let rounds = place.pick(5, 2);
    let time = Duration::from_secs(place.pick(6, 2));
    let server = Server::start(place, None, "")?;
    let mut command = Command::new(std::env::current_exe()?);
    let mut bare = Program::start(command.args(["--serve-bare", "127.0.0.1:0"]))?;
    let bare_address = bare.address()?;
    let single: Rc<[Template]> = templates("single", 1)?.into();
    let mut load = Load {
        address: server.address,
        templates: single,
        connections: CONNECTIONS,
        time: Duration::from_secs(1),
        pace: None,
        first: 0,
    };
    // The first touch of everything.
    load.first = send(&load)?.next;
    send(&Load { address: bare_address, ..load.clone() })?;

    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut our_costs, mut their_costs) = (Costs::default(), Costs::default());
    load.time = time;
    for _ in 0..rounds {
        let sent = their_costs.send(&Load { address: bare_address, ..load.clone() }, &bare)?;
        theirs.push(sent.events_per_second());
        let sent = our_costs.send(&load, &server.program)?;
        load.first = sent.next;
        ours.push(sent.events_per_second());
        ratios.extend(ours.last().zip(theirs.last()).map(|(ours, theirs)| ours / theirs));
    }
    check_stored(&server, load.first)?;
    drop(bare);
    report.note(BENCH, "bare handler, single events, 64 connections", "events/s", theirs);
    their_costs.tell(report);
    report.note(BENCH, "Heapline, single events, 64 connections", "events/s", ours);
    our_costs.tell(report);
    report.judge(BENCH, "Heapline ÷ bare handler", "×", ratios, Target::AtLeast(0.5));
    report.note(BENCH, "Heapline, peak memory", "MB", [server.program.peak_memory()?]);
    drop(server);
    batches(place, report, rounds, time)
}

fn batches(place: &Place, report: &mut Report, rounds: usize, time: Duration) -> Result<()> {
    eprintln!("accepting: batches and the bare disk in turns");
    let server = Server::start(place, None, "")?;
    let templates: Rc<[Template]> = templates("batch", BATCH)?.into();
    let bytes: usize = templates.iter().map(Template::bytes).sum::<usize>() / templates.len();
    let mut load = Load {
        address: server.address,
        templates,
        connections: BATCH_CONNECTIONS,
        time: Duration::from_secs(1),
        pace: None,
        first: 0,
    };
    load.first = send(&load)?.next;
    load.time = time;
    let (mut ours, mut limits, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut costs = Costs::default();
    for _ in 0..rounds {
        // No group can be larger than what all connections together have under way.
        let group = bytes * BATCH_CONNECTIONS;
        let commits = disk::commits_per_second(&place.scratch, group, time / 2)?;
        let limit = commits * (BATCH_CONNECTIONS * BATCH) as f64;
        let sent = costs.send(&load, &server.program)?;
        load.first = sent.next;
        ours.push(sent.events_per_second());
        limits.push(limit);
        ratios.push(sent.events_per_second() / (limit * 0.7).min(100_000.0));
    }
    check_stored(&server, load.first)?;
    report.note(BENCH, "bare disk, groups of 1,600 events, fdatasync", "events/s", limits);
    report.note(BENCH, "Heapline, batches of 100, 16 connections", "events/s", ours);
    costs.tell(report);
    let name = "  ÷ the lower of 100,000/s and 70 % of the bare disk";
    report.judge(BENCH, name, "×", ratios, Target::AtLeast(1.0));
    report.note(BENCH, "Heapline, peak memory", "MB", [server.program.peak_memory()?]);
    Ok(())
}

/// Processor time of both sides, round by round.
#[derive(Default)]
struct Costs {
    generator_share: Vec<f64>,
    us_per_event: Vec<f64>,
}

impl Costs {
    fn send(&mut self, load: &Load, program: &Program) -> Result<Sent> {
        let (own, theirs) = (own_cpu(), program.cpu());
        let sent = send(load)?;
        let (own, theirs) = (own_cpu() - own, program.cpu() - theirs);
        self.generator_share.push(own / (own + theirs));
        self.us_per_event.push(theirs * 1e6 / sent.events as f64);
        Ok(sent)
    }

    fn tell(self, report: &mut Report) {
        report.note(BENCH, "  its processor time", "µs/event", self.us_per_event);
        let share = self.generator_share;
        report.note(BENCH, "  generator's share of the processor time", "", share);
    }
}

fn check_stored(server: &Server, events: u64) -> Result<()> {
    let stored = server.metric("heapline_accepted_total")?;
    if stored != events as f64 {
        bail!("{events} events were sent, but {stored} are stored");
    }
    Ok(())
}
