//! How much flows now: events a minute, by source and by integration.

use std::collections::BTreeMap;

use heapline_action::datetime;

use super::Console;
use crate::control::{Problem, StatisticsParams};
use crate::server::now;

const MINUTE: i64 = 60_000;

/// Events a minute, over the last sixty seconds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rates {
    sources: BTreeMap<String, u64>,
    integrations: BTreeMap<String, u64>,
}

impl Rates {
    /// Events that were accepted from a source.
    pub(super) fn accepted(&self, source: &str) -> u64 {
        self.sources.get(source).copied().unwrap_or(0)
    }

    /// Events that an integration delivered.
    pub(super) fn delivered(&self, integration: &str) -> u64 {
        self.integrations.get(integration).copied().unwrap_or(0)
    }
}

/// The rates of now.
pub(super) fn rates(console: &Console) -> Result<Rates, Problem> {
    let at = now();
    let since = Some(datetime::print(at - MINUTE));
    let seen =
        console.control.statistics(&StatisticsParams { since, ..StatisticsParams::default() })?;
    let mut rates = Rates::default();
    for source in seen.sources {
        let counts = source.points.iter().map(|point| (point.at.as_str(), point.accepted));
        rates.sources.insert(source.source, over_a_minute(counts, at));
    }
    for of in seen.integrations {
        let counts = of.points.iter().map(|point| (point.at.as_str(), point.delivered));
        rates.integrations.insert(of.integration, over_a_minute(counts, at));
    }
    Ok(rates)
}

/// What the last sixty seconds have of counts by the minute: all of the minute that runs, and of the
/// one before the share that is not yet a minute ago.
fn over_a_minute<'p>(counts: impl Iterator<Item = (&'p str, u64)>, now: i64) -> u64 {
    let share = |(at, count): (&str, u64)| {
        let age = now.saturating_sub(datetime::read_text(at)?);
        let left = (2 * MINUTE - age).clamp(0, MINUTE);
        Some(count * u64::try_from(left).ok()? / MINUTE as u64)
    };
    counts.filter_map(share).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minute_that_runs_counts_wholly_and_the_one_before_by_what_is_left_of_it() {
        let minute = 1_800_000_000_000;
        let points = [-2, -1, 0].map(|at| datetime::print(minute + at * MINUTE));
        let counts = || points.iter().map(String::as_str).zip([7_000, 600, 30]);
        for (into, rate) in [(0, 630), (15_000, 480), (59_999, 30)] {
            assert_eq!(over_a_minute(counts(), minute + into), rate, "{into}");
        }
    }
}
