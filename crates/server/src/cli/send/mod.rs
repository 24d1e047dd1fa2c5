//! `heapline send`: events from files, through a running server, once each.
//!
//! How far a file has come is kept beside it, and events without a message id get one from their
//! text and line: so what is sent twice after an interruption is stored once.

mod progress;
mod records;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use heapline_action::datetime;
use heapline_action::value::{Number, Object, Value};
use heapline_destinations as destinations;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;

use self::progress::Progress;
use self::records::{Kind, Records, Shape};
use super::client::{Server, Where};
use super::{End, style};
use crate::control::{IntegrationView, SourceView};
use crate::server::now;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  heapline send --source backend events.jsonl
  heapline send --source backend 2025-*.ndjson.gz
  heapline send --source backend --map 'customer=userId' --map 'total=properties.revenue' orders.csv
  heapline send --dry-run --source backend events.jsonl     how many, and how long it will take

Files are JSON lines or, by their ending, CSV; .gz is unpacked. A JSON line is a call as an SDK
sends it. The columns of a CSV file are fields of the call: userId, event, timestamp, properties.x;
a column of another name is a property (a trait of identify and group). Calls without a type are
track.

Each file's progress is kept in FILE.progress; the same command goes on where it was interrupted,
and nothing is stored twice. Ctrl-C is safe.

Exit codes: 0 all were taken; 1 it failed, or was interrupted; 3 some were refused.")]
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
    /// Only say how many events there are, and how long it will take
    #[arg(long)]
    dry_run: bool,
    /// Forget earlier progress
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    place: Where,
}

/// Events in one request, and about how many bytes of them.
const EVENTS: usize = 500;
const BYTES: usize = 500_000;

/// Longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(30);

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(a, b)| !a.is_empty() && !b.is_empty());
    let pair = pair.ok_or_else(|| format!("expected COLUMN=FIELD, found {text:?}"))?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

/// What came of sending.
#[derive(Default)]
struct Sent {
    taken: u64,
    refused: u64,
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let shape = Shape { map: args.map.clone(), typed: args.typed };
    let server = args.place.server()?;
    let path = format!("/sources/{}", args.source);
    let source: SourceView = server.api(Method::GET, &path, None)?;
    let key = source.keys.iter().find_map(|key| key.key.clone());
    let key = key.context("the token may not see write keys; take one of an editor")?;
    let mut files = Vec::new();
    let mut waiting = 0;
    for file in &args.files {
        let all = count(file, &shape)?;
        let progress = Progress::open(file, server.address(), &args.source, args.again)?;
        waiting += all.saturating_sub(progress.records);
        files.push((file, all, progress));
    }
    say_beforehand(&server, &source, waiting)?;
    if args.dry_run {
        return Ok(End::Done);
    }
    let bar = bar(waiting)?;
    let mut sent = Sent::default();
    for (file, _, mut progress) in files {
        send_file(&server, &key, args, &shape, file, &mut progress, &bar, &mut sent)?;
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

fn count(file: &std::path::Path, shape: &Shape) -> Result<u64> {
    let mut records = Records::open(file, shape)?;
    let mut all = 0;
    while records.next()?.is_some() {
        all += 1;
    }
    Ok(all)
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
        match events_per_minute(&integration) {
            Some(rate) => {
                let time = Duration::from_secs((events as f64 / rate * 60.0).ceil() as u64);
                let time = humantime::format_duration(time);
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

/// The limit by which an integration delivers, if it has one.
fn events_per_minute(integration: &IntegrationView) -> Option<f64> {
    const KEY: &str = "eventsPerMinute";
    let definition = destinations::find(&integration.destination)?.definition();
    let form = definition.settings.iter().find(|setting| setting.key == KEY)?;
    let written = integration.settings.0.get(KEY).cloned();
    let value = written.or_else(|| Some(Value::parse(form.default?).ok()?.into_owned()))?;
    let Value::Number(rate) = value else { return None };
    Some(Number::as_f64(rate)).filter(|rate| *rate > 0.0)
}

fn bar(events: u64) -> Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let template = "{pos}/{len} events  {wide_bar}  {per_sec}  {eta} left  {msg}";
    Ok(ProgressBar::new(events).with_style(ProgressStyle::with_template(template)?))
}

#[expect(clippy::too_many_arguments, reason = "called once")]
fn send_file(
    server: &Server,
    key: &str,
    args: &Args,
    shape: &Shape,
    file: &std::path::Path,
    progress: &mut Progress,
    bar: &ProgressBar,
    sent: &mut Sent,
) -> Result<()> {
    let mut records = Records::open(file, shape)?;
    let mut number = 0;
    let mut batch: Vec<String> = Vec::new();
    let mut bytes = 0;
    loop {
        let record = records.next()?;
        let is_end = record.is_none();
        if let Some(text) = record {
            number += 1;
            if number <= progress.records {
                continue;
            }
            let call = call(file, &text, &args.kind, number)
                .with_context(|| format!("{}, record {number}", file.display()))?;
            bytes += call.len();
            batch.push(call);
        }
        if !batch.is_empty() && (is_end || batch.len() >= EVENTS || bytes >= BYTES) {
            let body = format!(
                r#"{{"batch":[{}],"sentAt":"{}"}}"#,
                batch.join(","),
                datetime::print(now())
            );
            let refused = post(server, key, body, bar)?;
            let all = batch.len() as u64;
            sent.refused += refused;
            sent.taken += all.saturating_sub(refused);
            progress.reach(number)?;
            bar.inc(all);
            batch.clear();
            bytes = 0;
        }
        if is_end {
            return Ok(());
        }
    }
}

/// The call as the door takes it, with a message id that a second sending has, too.
fn call(
    file: &std::path::Path,
    record: &records::Record,
    kind: &str,
    number: u64,
) -> Result<String> {
    let mut call: Object<'static> = match &record.call {
        Value::Object(call) => call.clone(),
        other => bail!("expected an object, found {}", other.kind()),
    };
    if record.kind == Kind::Csv {
        records::shape_columns(&mut call, kind);
    }
    if call.get("type").is_none() {
        call.insert("type", Value::from(kind.to_owned()));
    }
    if call.get("messageId").is_none() {
        call.insert("messageId", Value::from(records::message_id(file, &record.text, number)));
    }
    Ok(Value::Object(call).to_json())
}

/// Sends one batch until it is answered for good. Gives how many were refused.
fn post(server: &Server, key: &str, body: String, bar: &ProgressBar) -> Result<u64> {
    let mut wait = Duration::from_millis(200);
    loop {
        let (why, asked) = match server.door("/v1/batch", key, body.clone()) {
            Ok(answer) if answer.status == 200 || answer.status == 400 => {
                return refusals(&answer.text, answer.status, bar);
            }
            Ok(answer) if answer.status == 429 || answer.status >= 500 => {
                (format!("status {}", answer.status), answer.retry_after)
            }
            Ok(answer) => bail!("the server answered {} {}", answer.status, answer.text.trim()),
            Err(e) => (format!("{e:#}"), None),
        };
        bar.set_message(format!("waiting: {why}"));
        std::thread::sleep(asked.unwrap_or(wait).min(LONGEST));
        wait = (wait * 2).min(LONGEST);
    }
}

fn refusals(text: &str, status: u16, bar: &ProgressBar) -> Result<u64> {
    bar.set_message("");
    let answer: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let refused = answer.pointer("/meta/refused").and_then(serde_json::Value::as_u64);
    if status == 400 && refused.is_none() {
        bail!("the server refused the batch: {text}");
    }
    let errors = answer.pointer("/meta/errors").and_then(serde_json::Value::as_array);
    for error in errors.into_iter().flatten().filter_map(serde_json::Value::as_str).take(5) {
        bar.suspend(|| eprintln!("{}: {error}", style::for_stderr().red("refused")));
    }
    Ok(refused.unwrap_or_default())
}
