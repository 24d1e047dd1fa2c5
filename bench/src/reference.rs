//! The public implementation of the same actions, run by Node.

use std::io::Write;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::events::CAPTURED_FILE;
use crate::process::Program;

/// A Node process that plans the captured events, one after the other.
pub(crate) struct Reference(Program);

/// What some events cost there.
pub(crate) struct Cost {
    pub(crate) events_per_cpu_second: f64,
    pub(crate) requests_per_event: f64,
}

impl Reference {
    /// `mode` is `whole` or `bare`, as `bench/node/reference.mjs` explains.
    pub(crate) fn start(mode: &str) -> Result<Reference> {
        let mut command = Command::new("node");
        command.args(["bench/node/reference.mjs", mode, CAPTURED_FILE]);
        Ok(Reference(Program::start(&mut command)?))
    }

    /// Plans so many events.
    pub(crate) fn plan(&mut self, events: u64) -> Result<Cost> {
        writeln!(self.0.input()?, "{events}")?;
        let answer: Value = serde_json::from_str(&self.0.line()?)?;
        let number = |key| answer.get(key).and_then(Value::as_f64).context("not what Node answers");
        let (requests, cpu_us) = (number("requests")?, number("cpuUs")?);
        if number("failed")? > events as f64 / 20.0 {
            bail!("the public implementation failed on many events: {answer}");
        }
        Ok(Cost {
            events_per_cpu_second: events as f64 / cpu_us * 1e6,
            requests_per_event: requests / events as f64,
        })
    }
}
