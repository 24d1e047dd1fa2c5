//! Programs under measurement: started, watched, and ended by their own process id.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

/// A running program. Ended when dropped.
pub(crate) struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
}

/// Processor ticks in `/proc`: always 100 a second on Linux.
const TICKS: f64 = 100.0;

impl Program {
    pub(crate) fn start(command: &mut Command) -> Result<Program> {
        let shown = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {shown}"))?;
        let output = child.stdout.take().context("no output")?;
        Ok(Program { child, output: BufReader::new(output) })
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the program ended: {}", self.child.wait()?);
        }
        Ok(line.trim_end().to_owned())
    }

    /// Its standard input.
    pub(crate) fn input(&mut self) -> Result<&mut ChildStdin> {
        self.child.stdin.as_mut().context("no input")
    }

    /// The address in the next line that it prints.
    pub(crate) fn address(&mut self) -> Result<SocketAddr> {
        let line = self.line()?;
        let words = line.split([' ', ';', '/']);
        let found = words.filter_map(|word| word.parse().ok()).next();
        found.with_context(|| format!("expected an address in {line:?}"))
    }

    /// Waits until `look` finds something.
    pub(crate) fn wait_for<T>(&mut self, mut look: impl FnMut() -> Option<T>) -> Result<T> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            if let Some(found) = look() {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the program ended: {status}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(anyhow!("the program isn't ready after 30 s"))
    }

    /// Processor seconds that it has used.
    pub(crate) fn cpu(&self) -> f64 {
        cpu(&self.child.id().to_string())
    }

    /// The most memory that it ever held, in MB (`VmHWM`).
    pub(crate) fn peak_memory(&self) -> Result<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|l| l.trim().strip_suffix("kB")).map(str::trim);
        let kib: f64 = kib.context("no VmHWM in /proc")?.parse()?;
        Ok(kib * 1024.0 / 1e6)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Processor seconds that this process has used.
pub(crate) fn own_cpu() -> f64 {
    cpu("self")
}

fn cpu(process: &str) -> f64 {
    let stat = std::fs::read_to_string(Path::new("/proc").join(process).join("stat"));
    let stat = stat.unwrap_or_default();
    // The second field is the name in parentheses; user and system time are the 14th and 15th.
    let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
    let ticks: f64 = after.split(' ').skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum();
    ticks / TICKS
}

/// Processor nanoseconds that this thread has used.
pub(crate) fn thread_cpu_ns() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split(' ').next().context("/proc/thread-self/schedstat is empty")?;
    Ok(first.parse()?)
}
