//! What was measured: rows with their rounds, printed as a table and as JSON.

use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};

/// All rows of a run.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

struct Row {
    bench: &'static str,
    name: String,
    unit: &'static str,
    /// One for each round.
    values: Vec<f64>,
    target: Option<Target>,
}

/// What the median must reach.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Report {
    /// Adds a figure that nothing is asked of.
    pub(crate) fn note(
        &mut self,
        bench: &'static str,
        name: impl Into<String>,
        unit: &'static str,
        values: impl Into<Vec<f64>>,
    ) {
        self.add(bench, name.into(), unit, values.into(), None);
    }

    /// Adds a figure with what it must reach.
    pub(crate) fn judge(
        &mut self,
        bench: &'static str,
        name: impl Into<String>,
        unit: &'static str,
        values: impl Into<Vec<f64>>,
        target: Target,
    ) {
        self.add(bench, name.into(), unit, values.into(), Some(target));
    }

    fn add(
        &mut self,
        bench: &'static str,
        name: String,
        unit: &'static str,
        values: Vec<f64>,
        target: Option<Target>,
    ) {
        let row = Row { bench, name, unit, values, target };
        eprintln!("  {}", row.line());
        self.rows.push(row);
    }

    /// The table, then one line of JSON.
    pub(crate) fn print(&self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out)?;
        for row in &self.rows {
            writeln!(out, "{}", row.line())?;
        }
        writeln!(out)?;
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        writeln!(out, "{}", json!({ "cores": cores, "rows": rows }))?;
        Ok(())
    }
}

impl Row {
    fn line(&self) -> String {
        let (low, high) = (show(self.least()), show(self.most()));
        let range = if self.values.len() > 1 { format!("{low}–{high}") } else { String::new() };
        let verdict = match (self.target, self.is_met()) {
            (None, _) => String::new(),
            (Some(target), met) => {
                let (sign, value) = match target {
                    Target::AtLeast(value) => ("≥", value),
                    Target::AtMost(value) => ("≤", value),
                };
                format!("{sign} {} {}", show(value), if met { "met" } else { "MISSED" })
            }
        };
        let (bench, name, median) = (self.bench, &self.name, show(self.median()));
        format!("{bench:<11} {name:<58} {median:>10} {:<16} {range:<20} {verdict}", self.unit)
    }

    fn json(&self) -> Value {
        let target = self.target.map(|target| match target {
            Target::AtLeast(value) => json!({ "atLeast": value }),
            Target::AtMost(value) => json!({ "atMost": value }),
        });
        json!({
            "bench": self.bench,
            "name": self.name,
            "unit": self.unit,
            "median": self.median(),
            "min": self.least(),
            "max": self.most(),
            "rounds": self.values.len(),
            "target": target,
            "met": self.target.map(|_| self.is_met()),
        })
    }

    fn is_met(&self) -> bool {
        match self.target {
            None => true,
            Some(Target::AtLeast(value)) => self.median() >= value,
            Some(Target::AtMost(value)) => self.median() <= value,
        }
    }

    fn median(&self) -> f64 {
        quantile(&self.values, 0.5)
    }

    fn least(&self) -> f64 {
        quantile(&self.values, 0.0)
    }

    fn most(&self) -> f64 {
        quantile(&self.values, 1.0)
    }
}

/// The value below which the share `q` of `values` lies; 0.5 is the median.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * q).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// The larger, the fewer digits after the point.
fn show(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => {
            let digits = format!("{value:.0}");
            let length = digits.len();
            let mut shown = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (length - at).is_multiple_of(3) && !shown.ends_with('-') {
                    shown.push(',');
                }
                shown.push(digit);
            }
            shown
        }
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
