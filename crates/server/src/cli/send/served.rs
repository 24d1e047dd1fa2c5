//! Sending through a running server.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use heapline_action::datetime;
use indicatif::ProgressBar;
use reqwest::Method;

use super::batches::{Batch, Batches};
use super::records::Shape;
use super::{Args, at_rate, bar, inputs, interrupted, interrupts, waiting};
use crate::cli::client::{Server, unreachable};
use crate::cli::{End, style};
use crate::control::{IntegrationView, LimitView, SourceView};
use crate::server::now;

/// Longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(30);
/// How often a wait looks whether it was interrupted.
const LOOK: Duration = Duration::from_millis(100);

/// What came of sending.
#[derive(Default)]
struct Sent {
    taken: u64,
    refused: u64,
}

pub(super) fn run(args: &Args, shape: &Shape) -> Result<End> {
    let server = args.place.server()?;
    let path = format!("/sources/{}", args.source);
    let source: SourceView = server.api(Method::GET, &path, None)?;
    let key = source.keys.iter().find_map(|key| key.key.clone());
    let key = key.context("the token may not see write keys; take one of an editor")?;
    if !source.enabled {
        bail!("the source {:?} is disabled: enable it first", source.id);
    }
    let mut inputs = inputs(args, shape, server.address())?;
    let all = waiting(&inputs);
    say_beforehand(&server, &source, all)?;
    if args.dry_run {
        return Ok(End::Done);
    }
    let interrupts = interrupts()?;
    let bar = bar(all)?;
    let mut sent = Sent::default();
    let mut batches = Batches::of(args, shape, &inputs);
    while let Some(batch) = batches.next()? {
        let refused = match post(&server, &key, &batch, &bar, &interrupts)? {
            Some(refused) => refused,
            None => return Err(interrupted(sent.taken + sent.refused, all)),
        };
        let many = batch.calls.len() as u64;
        sent.refused += refused;
        sent.taken += many.saturating_sub(refused);
        if let Some(input) = inputs.get_mut(batch.file) {
            input.progress.reach(batch.last(), BTreeSet::new())?;
        }
        bar.inc(many);
    }
    bar.finish_and_clear();
    let style = style::for_stdout();
    let refused = match sent.refused {
        0 => String::new(),
        some => format!(", {} refused", style.red(some)),
    };
    println!("{} taken{refused}", style.green(sent.taken));
    Ok(if sent.refused > 0 { End::NotFound } else { End::Done })
}

/// How many there are, and how long the limits of the slowest destination make them take.
fn say_beforehand(server: &Server, source: &SourceView, events: u64) -> Result<()> {
    let style = style::for_stdout();
    let (many, id) = (style.bold(events), &source.id);
    println!("{many} events to send through {} as the source {id:?}", server.address());
    for id in &source.integrations {
        let path = format!("/integrations/{id}");
        let integration: IntegrationView = server.api(Method::GET, &path, None)?;
        if !integration.enabled {
            println!("  {id}: disabled; it takes them once it is enabled");
            continue;
        }
        let limits: Vec<LimitView> = server.api(Method::GET, &format!("{path}/limits"), None)?;
        let of_all = limits.iter().filter(|l| l.scope == "integration" && l.counts == "items");
        let rates = of_all.map(|l| f64::from(l.limit) * 60_000.0 / l.window_ms.max(1) as f64);
        match rates.reduce(f64::min) {
            Some(rate) => {
                let time = at_rate(events, rate);
                println!("  {id}: takes {rate} events a minute, so all is there in {time} at best");
            }
            None => println!("  {id}: has no limit on events a minute"),
        }
    }
    if source.integrations.is_empty() {
        println!("  no integration takes its events");
    }
    Ok(())
}

/// Sends one batch until it is answered for good. Gives how many were refused; `None` if it was
/// interrupted before.
fn post(
    server: &Server,
    key: &str,
    batch: &Batch,
    bar: &ProgressBar,
    interrupts: &AtomicBool,
) -> Result<Option<u64>> {
    let mut wait = Duration::from_millis(200);
    let body = batch.body(&datetime::print(now()));
    loop {
        if interrupts.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let (why, asked) = match server.door("/v1/batch", key, body.clone()) {
            Ok(answer) if answer.status == 200 || answer.status == 400 => {
                return refusals(&answer.text, answer.status, batch, bar).map(Some);
            }
            Ok(answer) if answer.status == 429 || answer.status >= 500 => {
                (format!("the server answered {}", answer.status), answer.retry_after)
            }
            Ok(answer) => bail!("the server answered {} {}", answer.status, answer.text.trim()),
            Err(e) => (unreachable(server.address(), &e).to_string(), None),
        };
        bar.set_message(format!("waiting: {why}"));
        let until = Instant::now() + asked.unwrap_or(wait).min(LONGEST);
        while Instant::now() < until && !interrupts.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
        }
        wait = (wait * 2).min(LONGEST);
    }
}

fn refusals(text: &str, status: u16, batch: &Batch, bar: &ProgressBar) -> Result<u64> {
    bar.set_message("");
    let answer: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let mut refused = answer.pointer("/meta/refused").and_then(serde_json::Value::as_u64);
    if status == 400 && refused.is_none() {
        // Refused as a whole: what is wrong is wrong with this one.
        if batch.calls.len() > 1 {
            bail!("the server refused the batch: {text}");
        }
        refused = Some(1);
    }
    let errors = answer.pointer("/meta/errors").and_then(serde_json::Value::as_array);
    for error in errors.into_iter().flatten().filter_map(serde_json::Value::as_str).take(5) {
        bar.suspend(|| eprintln!("{}: {error}", style::for_stderr().red("refused")));
    }
    Ok(refused.unwrap_or_default())
}
