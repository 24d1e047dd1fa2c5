//! `heapline doctor`: says whether a data directory is sound, and mends it if it is told to.

use std::path::PathBuf;

use anyhow::{Result, bail};
use heapline_store::embedded::{Damage, IndexState, Report, inspect, mend};
use serde_json::json;

use super::{End, style};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  heapline doctor --data /var/lib/heapline
  heapline doctor --data /var/lib/heapline --mend

--mend cuts out of the journal what can't be read. Those events are lost for good, and their places
stay empty: look at the report first, and keep a copy of the directory.

Exit codes: 0 it is sound, or was mended; 1 it couldn't be looked at; 3 it is damaged.")]
pub(crate) struct Args {
    /// Data directory; the server must not run on it
    #[arg(long, value_name = "DIR", default_value = "heapline-data", env = "HEAPLINE_DATA")]
    data: PathBuf,
    /// Cut out what can't be read
    #[arg(long)]
    mend: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<End> {
    if !args.data.is_dir() {
        bail!("there is no data directory {}; say with --data where it is", args.data.display());
    }
    let report = if args.mend { mend(&args.data)? } else { inspect(&args.data)? };
    if args.json {
        println!("{}", document(&report, args.mend));
    } else {
        print(&report, args.mend);
    }
    Ok(if report.is_whole() || args.mend { End::Done } else { End::NotFound })
}

fn sentence(damage: &Damage) -> String {
    let (from, to) = damage.events;
    format!("byte {}: {}; events {from} to {}", damage.offset, damage.what, to.saturating_sub(1))
}

fn document(report: &Report, mended: bool) -> serde_json::Value {
    let segments = report.segments.iter().map(|segment| {
        json!({
            "file": segment.file,
            "first": segment.first,
            "next": segment.next,
            "damage": segment.damage.iter().map(sentence).collect::<Vec<_>>(),
        })
    });
    let files = report.files.iter().map(|(file, what)| json!({ "file": file, "damage": what }));
    json!({
        "sound": report.is_whole(),
        "mended": mended && !report.is_whole(),
        "first": report.first(),
        "next": report.next(),
        "segments": segments.collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
    })
}

fn print(report: &Report, mended: bool) {
    let style = style::for_stdout();
    for segment in &report.segments {
        let mark = if segment.is_whole() { style.green("sound  ") } else { style.red("damaged") };
        println!(
            "{mark}  {}  events {} to {}",
            segment.file,
            segment.first,
            segment.next.saturating_sub(1)
        );
        for damage in &segment.damage {
            println!("         {}", sentence(damage));
        }
    }
    for segment in &report.segments {
        if let IndexState::Wrong(what) = &segment.index {
            println!("{}  index of {}\n         {what}", style.red("damaged"), segment.file);
        }
    }
    for (file, what) in &report.files {
        println!("{}  {file}\n         {what}", style.red("damaged"));
    }
    let events = report.next() - report.first();
    match (report.is_whole(), mended) {
        (true, _) => println!("{}  {events} events", style.green("All is sound.")),
        (false, true) => println!("{}", style.yellow("Mended: what is told above was cut out.")),
        (false, false) => println!("{}", style.red("Damaged. --mend cuts it out.")),
    }
}
