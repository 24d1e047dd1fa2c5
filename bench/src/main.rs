//! The benchmarks: ratios within one run, as a table and as JSON. See `docs/benchmarks.md`.

mod accepting;
mod bare;
mod delivering;
mod disk;
mod events;
mod load;
mod page;
mod planning;
mod process;
mod reference;
mod report;
mod searching;
mod world;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use report::Report;

/// That of the program under measurement.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures Heapline against what it is compared with, in one run on the same processors.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Args {
    /// What to measure; everything but `search` if left out
    what: Vec<What>,
    /// Events that are searched
    #[arg(long, value_name = "COUNT", default_value_t = 10_000_000)]
    events: u64,
    /// Keep the store that is searched in this directory, and use the one that an earlier run kept
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Fewer and shorter rounds: to try it out, not for figures
    #[arg(long)]
    short: bool,
    /// Where data directories are made, and removed again; on the disk that is to be measured
    #[arg(long, value_name = "DIR", default_value = "target")]
    scratch: PathBuf,
    /// The program that is measured
    #[arg(long, value_name = "FILE", default_value = "target/release/heapline")]
    program: PathBuf,
    /// Serve the bare handler instead: what accepting is compared with
    #[arg(long, hide = true, value_name = "ADDR")]
    serve_bare: Option<SocketAddr>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Planning,
    Accepting,
    EndToEnd,
    Latency,
    Requests,
    /// The page plugin, in a browser
    Page,
    /// Searches of the admin API; fills a store first: 13 GB and some minutes for ten million events
    Search,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(address) = args.serve_bare {
        return bare::serve(address);
    }
    let place = world::Place { scratch: args.scratch, program: args.program, short: args.short };
    let chosen = |what| args.what.is_empty() || args.what.contains(&what);
    let mut report = Report::default();
    if chosen(What::Planning) {
        planning::measure(&place, &mut report)?;
    }
    if chosen(What::Accepting) {
        accepting::measure(&place, &mut report)?;
    }
    if chosen(What::EndToEnd) {
        delivering::end_to_end(&place, &mut report)?;
    }
    if chosen(What::Requests) {
        delivering::requests(&place, &mut report)?;
    }
    if chosen(What::Latency) {
        delivering::latency(&place, &mut report)?;
    }
    if chosen(What::Page) {
        page::measure(&place, &mut report)?;
    }
    if args.what.contains(&What::Search) {
        searching::measure(&place, args.events, args.keep, &mut report)?;
    }
    report.print()
}
