//! What `demo`, `test` and `bench` run, in order.

use anyhow::Result;

use crate::setup;
use crate::shell::{command, root, run_in};

/// Everything at once on an empty data directory, in release.
pub(crate) fn demo(args: &[String]) -> Result<()> {
    let root = root();
    if let Err(e) = setup::web_assets() {
        eprintln!("\nWithout the files for pages, since they can't be made: {e:#}");
    }
    run_in(&root, "cargo build --release --quiet --package heapline-server")?;
    let mut demo = command("target/release/heapline demo");
    demo.args(args);
    let status = demo.status()?;
    std::process::exit(status.code().unwrap_or(1));
}

/// Every page of the console, as its test in the browser sees it.
pub(crate) fn screenshots() -> Result<()> {
    let root = root();
    setup::all()?;
    run_in(&root, "cargo build --quiet --package heapline-server")?;
    let shots = root.join("target/screenshots");
    let mut visit = command("node --test console.test.mjs");
    visit.current_dir(root.join("crates/server/tests/console")).env("SHOTS", &shots);
    if !visit.status()?.success() {
        anyhow::bail!("the console's test failed; its screenshots are in {}", shots.display());
    }
    for (page, name) in [
        ("events-1-1280-light-screen", "console-event"),
        ("integrations-heap-1280-dark-screen", "console-integration"),
    ] {
        let to = root.join(format!("docs/{name}.png"));
        std::fs::copy(shots.join(format!("{page}.png")), to)?;
    }
    Ok(())
}

/// Format, lints, and all tests.
pub(crate) fn test() -> Result<()> {
    let root = root();
    setup::all()?;
    run_in(&root, "cargo fmt --all --check")?;
    run_in(&root, "cargo clippy --workspace --all-targets --locked --quiet -- -D warnings")?;
    run_in(&root, "cargo test --workspace --locked --quiet")?;
    let plugin = root.join("destinations/heap_web/plugin");
    for script in ["check", "build", "test"] {
        run_in(&plugin, &format!("npm run --silent {script}"))?;
    }
    run_in(&plugin.join("browser"), "npm test --silent")
}

/// The benchmarks of docs/benchmarks.md.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    let root = root();
    if let Some((first, rest)) = args.split_first()
        && first == "console"
    {
        return bench_console(rest);
    }
    // Searches are compared with nothing.
    if args.first().map(String::as_str) != Some("search") {
        setup::bench()?;
    }
    run_in(
        &root,
        "cargo build --release --locked --quiet --package heapline-server --package heapline-bench",
    )?;
    let mut bench = command("target/release/heapline-bench");
    bench.args(args);
    let status = bench.status()?;
    std::process::exit(status.code().unwrap_or(1));
}

/// What the console weighs, and how soon it is seen.
fn bench_console(args: &[String]) -> Result<()> {
    let root = root();
    setup::all()?;
    run_in(&root, "cargo build --release --locked --quiet --package heapline-server")?;
    let mut bench = command("node bench.mjs");
    bench.args(args).current_dir(root.join("crates/server/tests/console"));
    bench.env("HEAPLINE", root.join("target/release/heapline"));
    let status = bench.status()?;
    std::process::exit(status.code().unwrap_or(1));
}
