//! The project's own commands: `cargo xtask setup | test | demo | bench | screenshots`.

mod setup;
mod shell;
mod suite;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask <command>

  demo         set up, build, and run everything at once: sandbox, server, a stream of real events
  test         set up, then format, lint and all tests
  setup        install what the tests and the page plugin need (Node and Python packages, Chromium)
  bench        set up, then measure; see docs/benchmarks.md; `bench console` weighs the console
  screenshots  every page of the console into target/screenshots, and the README's two into docs

Arguments after `demo` and `bench` go to the program.";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("\nerror: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    std::env::set_current_dir(shell::root())?;
    match command.as_str() {
        "demo" => suite::demo(&rest),
        "test" => suite::test(),
        "setup" => setup::all(),
        "bench" => suite::bench(&rest),
        "screenshots" => suite::screenshots(),
        "" | "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        other => bail!("no command `{other}`\n\n{HELP}"),
    }
}
