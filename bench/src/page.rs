//! The page plugin beside the public one, in Chromium: size, time to the first call, cost of an event.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::events::CAPTURED_FILE;
use crate::process::Program;
use crate::report::{Report, Target};
use crate::world::Place;

const BENCH: &str = "page";

/// Most bytes of the plugin after gzip -9.
const BUDGET: f64 = 3_072.0;

/// Measures both in turns. What is measured stands in `bench/page/measure.mjs`.
pub(crate) fn measure(place: &Place, report: &mut Report) -> Result<()> {
    eprintln!("page: the plugin and the public one in turns");
    let rounds = place.pick(15, 3).to_string();
    let mut command = Command::new("node");
    command.args(["bench/page/measure.mjs", &rounds, CAPTURED_FILE]);
    let line = Program::start(&mut command)?.line()?;
    let told: Value = serde_json::from_str(&line).context("not what Node answers")?;

    for (size, name) in [("raw", "raw"), ("gzip", "gzip -9"), ("brotli", "brotli 11")] {
        let of = |which: &str| {
            let bytes = told.pointer(&format!("/sizes/{which}/{size}")).and_then(Value::as_f64);
            bytes.with_context(|| format!("no size of {which}"))
        };
        let (ours, public) = (of("ours")?, of("public")?);
        match size {
            "gzip" => {
                let target = Target::AtMost(BUDGET);
                report.judge(BENCH, format!("plugin, {name}"), "bytes", [ours], target);
            }
            _ => report.note(BENCH, format!("plugin, {name}"), "bytes", [ours]),
        }
        report.note(BENCH, format!("public plugin, {name}"), "bytes", [public]);
        report.note(BENCH, format!("plugin ÷ public, {name}"), "×", [ours / public]);
    }

    let compare = [
        ("firstCall", "load to first heap.track, loopback", "ms", None),
        ("firstCallSlow", "load to first heap.track, 150 ms and 1.6 Mbit/s", "ms", None),
        (
            "firstEvent",
            "load to first event at the server, Heap's CDN 2 s slow",
            "ms",
            Some(1_000.0),
        ),
        ("perEvent", "an event in the page", "µs", None),
    ];
    for (key, name, unit, most) in compare {
        let of = |which: &str| -> Result<Vec<f64>> {
            let list = told.pointer(&format!("/{key}/{which}")).and_then(Value::as_array);
            let list = list.with_context(|| format!("no {key} of {which}"))?;
            Ok(list.iter().filter_map(Value::as_f64).collect())
        };
        let (ours, public) = (of("ours")?, of("public")?);
        let ratios: Vec<f64> =
            ours.iter().zip(&public).map(|(ours, public)| ours / public).collect();
        match most {
            Some(most) => report.judge(BENCH, name, unit, ours, Target::AtMost(most)),
            None => report.note(BENCH, name, unit, ours),
        }
        report.note(BENCH, format!("public: {name}"), unit, public);
        report.note(BENCH, format!("÷ public: {name}"), "×", ratios);
    }
    Ok(())
}
