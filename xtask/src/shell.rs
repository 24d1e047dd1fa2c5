//! Running other programs: shown before they run, and failing loudly.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies in the checkout").to_owned()
}

/// Runs `line` (program and arguments, split at blanks) in `dir`, showing it and its output.
pub(crate) fn run_in(dir: &Path, line: &str) -> Result<()> {
    run(command(line).current_dir(dir))
}

/// Runs `command`, showing it and its output.
fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    eprintln!("\n▸ {shown}");
    let begun = Instant::now();
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    eprintln!("  {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// True if `program --version` runs.
pub(crate) fn has(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A command from one line, split at blanks.
pub(crate) fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

fn show(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    let line = words.join(" ");
    match command.get_current_dir().and_then(|dir| dir.strip_prefix(root()).ok()) {
        Some(dir) if !dir.as_os_str().is_empty() => format!("{line}   (in {})", dir.display()),
        _ => line,
    }
}
