//! The command line: one file for each command, one definition from which help is drawn.

mod apply;
mod check;
mod client;
mod complete;
mod demo;
mod doctor;
mod eval;
mod events;
mod explain;
mod export;
mod replay;
mod sandbox;
mod send;
mod serve;
mod style;
mod tail;
mod token;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Customer events in, Heap requests out; nothing lost, every outcome visible.
#[derive(Parser)]
#[command(name = "heapline", version, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 it failed; 2 the command was used wrongly; \
3 nothing was found, or the document has faults.";

#[derive(Subcommand)]
enum Command {
    /// Everything at once on an empty directory: sandbox, server, a stream of real events
    Demo(demo::Args),
    /// Run the server
    Serve(serve::Args),
    /// Run a local Heap that takes what the real one takes
    Sandbox(sandbox::Args),
    /// Show what events would become; sends nothing
    Explain(explain::Args),
    /// Evaluate triggers, mappings and whole actions: JSON lines in, JSON lines out
    Eval(eval::Args),
    /// Check a workspace document
    Check(check::Args),
    /// Make a document the workspace of a running server
    Apply(apply::Args),
    /// Print the workspace of a running server
    Export(export::Args),
    /// Send events from files: JSON lines or CSV, also gzipped
    Send(Box<send::Args>),
    /// Find events and see what became of them
    Events(Box<events::Args>),
    /// Watch events as they are accepted and settle
    Tail(tail::Args),
    /// Deliver events of the past once more
    Replay(replay::Args),
    /// Make, list and revoke tokens of the admin API
    Token(token::Args),
    /// Write shell completions or man pages
    Complete(complete::Args),
    /// Look whether a data directory is sound, and mend it
    Doctor(doctor::Args),
}

/// How a command ended, beside failing.
pub(crate) enum End {
    /// It did what it was asked.
    Done,
    /// It found nothing, or found faults.
    NotFound,
}

/// Says on standard error that nothing was found, so that silence isn't the whole answer.
fn nothing(what: &str) -> End {
    eprintln!("{what}");
    End::NotFound
}

/// Runs the program.
pub fn main() -> ExitCode {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // `println!` has no other way to say that the reader of our output has gone, e.g. `| head`.
        let said = panic.payload_as_str().unwrap_or_default();
        if said.contains("failed printing to stdout") && said.contains("Broken pipe") {
            std::process::exit(0);
        }
        usual(panic);
    }));
    let cli = Cli::parse();
    let ended = match cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Sandbox(args) => sandbox::run(args),
        Command::Explain(args) => explain::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Apply(args) => apply::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Tail(args) => tail::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Complete(args) => complete::run(&args, Cli::command()),
        Command::Events(args) => events::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    };
    match ended {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::NotFound) => ExitCode::from(3),
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{}: {e:#}", style::for_stderr().red("error"));
            ExitCode::FAILURE
        }
    }
}

/// The reader of our output has gone, e.g. `| head`: nothing is wrong.
fn is_broken_pipe(e: &anyhow::Error) -> bool {
    e.chain()
        .filter_map(|e| e.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
