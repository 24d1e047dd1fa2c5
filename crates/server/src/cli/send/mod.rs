//! `heapline send`: events from files, through a running server or straight to the destination,
//! once each.
//!
//! How far a file has come is kept beside it, and events without a message id get one from their
//! text and line: so what is sent twice after an interruption counts once.

mod batches;
mod direct;
mod progress;
mod records;
mod report;
mod served;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use self::progress::Progress;
use self::records::{Records, Shape};
use super::End;
use super::client::Where;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  heapline send --source backend events.jsonl
  heapline send --source backend 2025-*.ndjson.gz
  heapline send --source backend --map 'customer=userId' --map 'total=properties.revenue' orders.csv
  heapline send --dry-run --source backend events.jsonl     how many, and how long it will take
  heapline send --direct --workspace workspace.toml --source backend events.jsonl

Files are JSON lines or, by their ending, CSV; .gz is unpacked. A JSON line is a call as an SDK
sends it. The columns of a CSV file are fields of the call: userId, event, timestamp, properties.x;
a column of another name is a property (a trait of identify and group). Calls without a type are
track.

Each file's progress is kept in FILE.progress; the same command goes on where it was interrupted,
and nothing counts twice. Ctrl-C is safe.

With --direct no server takes part: the workspace's actions and the destination's limits are
applied here, and what was refused or failed is told at the end, each record of it in --report.

Exit codes: 0 all were taken; 1 it failed, or was interrupted; 3 some were refused or failed.")]
pub(crate) struct Args {
    /// Files with events
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Id of the source that they are to come from
    #[arg(long, value_name = "ID")]
    source: String,
    /// Type of calls that name none
    #[arg(long = "type", value_name = "TYPE", default_value = "track")]
    kind: String,
    /// A column of CSV files and the field that it is: COLUMN=FIELD
    #[arg(long, value_name = "COLUMN=FIELD", value_parser = pair)]
    map: Vec<(String, String)>,
    /// Read numbers, true and false in CSV files as such; else all is text
    #[arg(long)]
    typed: bool,
    /// Send straight to the destinations of a workspace file, without a server
    #[arg(long, requires = "workspace", conflicts_with_all = ["server", "token"])]
    direct: bool,
    /// Workspace document, with --direct
    #[arg(long, value_name = "FILE", requires = "direct")]
    workspace: Option<PathBuf>,
    /// With --direct: only to this integration; may be given several times
    #[arg(long, value_name = "ID", requires = "direct")]
    integration: Vec<String>,
    /// With --direct: write what was refused or failed to this file, one JSON object a line
    #[arg(long, value_name = "FILE", requires = "direct")]
    report: Option<PathBuf>,
    /// Only say how many events there are, and how long it will take
    #[arg(long)]
    dry_run: bool,
    /// Forget earlier progress
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    place: Where,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(a, b)| !a.is_empty() && !b.is_empty());
    let pair = pair.ok_or_else(|| format!("expected COLUMN=FIELD, found {text:?}"))?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let shape = Shape { map: args.map.clone(), typed: args.typed };
    match &args.workspace {
        Some(workspace) if args.direct => direct::run(args, &shape, workspace),
        Some(_) | None => served::run(args, &shape),
    }
}

/// A file that is to be sent, and how far it has come.
struct Input {
    file: PathBuf,
    progress: Progress,
    /// Records in it.
    records: u64,
}

/// Reads all files once, so that what is wrong with them is known before anything is sent.
fn inputs(args: &Args, shape: &Shape, way: &str) -> Result<Vec<Input>> {
    let input = |file: &PathBuf| {
        let records = count(file, shape).with_context(|| format!("{}", file.display()))?;
        if records == 0 {
            bail!("{} has no events: expected JSON lines or CSV", file.display());
        }
        let progress = Progress::open(file, way, &args.source, args.again)?;
        Ok(Input { file: file.clone(), progress, records })
    };
    args.files.iter().map(input).collect()
}

/// Records that are not sent yet.
fn waiting(inputs: &[Input]) -> u64 {
    inputs.iter().map(|input| input.records.saturating_sub(input.progress.done())).sum()
}

fn count(file: &Path, shape: &Shape) -> Result<u64> {
    let mut records = Records::open(file, shape)?;
    let mut all = 0;
    while records.next()?.is_some() {
        all += 1;
    }
    Ok(all)
}

/// How long `events` take at so many a minute, for people.
fn at_rate(events: u64, rate: f64) -> impl std::fmt::Display {
    let seconds = (events as f64 / rate * 60.0).ceil() as u64;
    humantime::format_duration(Duration::from_secs(seconds))
}

/// True once Ctrl-C was pressed. Pressed again, it ends the program.
fn interrupts() -> Result<Arc<AtomicBool>> {
    let told = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tells = told.clone();
    let wait = move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if tells.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
            }
        });
    };
    std::thread::Builder::new().name("interrupts".into()).spawn(wait)?;
    Ok(told)
}

/// What an interrupted command says.
fn interrupted(done: u64, all: u64) -> anyhow::Error {
    anyhow::anyhow!(
        "interrupted: {done} of {all} events were sent; the same command sends the rest"
    )
}

fn bar(events: u64) -> Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let template = "{pos}/{len} events  {wide_bar}  {per_sec}  {eta} left  {msg}";
    Ok(ProgressBar::new(events).with_style(ProgressStyle::with_template(template)?))
}
