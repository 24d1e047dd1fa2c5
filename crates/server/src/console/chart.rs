//! What an integration did over time: figures, a column for each minute or hour, and the same as a
//! table.

use heapline_action::datetime;

use super::Console;
use super::words::{counted, grouped, moment};
use crate::control::{ActionStatistics, IntegrationPoint, Problem, StatisticsParams};
use crate::server::now;

/// How far back a chart goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Span {
    /// An hour, by the minute.
    #[default]
    Hour,
    /// A day, by the hour.
    Day,
}

/// What an integration did.
#[derive(Default)]
pub(super) struct Chart {
    pub(super) span: Span,
    pub(super) total: Counts,
    /// Time from door to answer, in milliseconds, that 50, 95 and 99 of 100 deliveries kept to.
    pub(super) latency: Option<[i64; 3]>,
    /// By action id.
    pub(super) actions: Vec<(String, Counts)>,
    pub(super) bars: Vec<Bar>,
    /// Deliveries of the busiest column.
    pub(super) peak: u64,
    /// Those columns in which something was done, the latest first.
    pub(super) rows: Vec<(String, Counts)>,
}

/// Deliveries by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) delivered: u64,
    pub(super) filtered: u64,
    pub(super) refused: u64,
    /// Failed and expired.
    pub(super) lost: u64,
}

/// A piece of a column, in a picture of so many columns by [`HEIGHT`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: i64,
    pub(super) y: u64,
    pub(super) height: u64,
}

const HEIGHT: u64 = 100;

impl Span {
    /// The span of this word; the hour if there is none.
    pub(super) fn of(word: &str) -> Span {
        match word {
            "day" => Span::Day,
            _ => Span::Hour,
        }
    }

    /// Its word in addresses.
    pub(super) fn word(self) -> &'static str {
        match self {
            Span::Hour => "hour",
            Span::Day => "day",
        }
    }

    /// How many columns it has.
    pub(super) fn columns(self) -> i64 {
        match self {
            Span::Hour => 60,
            Span::Day => 24,
        }
    }

    fn step(self) -> (&'static str, i64) {
        match self {
            Span::Hour => ("minute", 60_000),
            Span::Day => ("hour", 3_600_000),
        }
    }
}

/// What the integration `id` did within `span`.
pub(super) fn chart(console: &Console, id: &str, span: Span) -> Result<Chart, Problem> {
    let (step, ms) = span.step();
    let at = now();
    let params = StatisticsParams {
        integration: Some(id.to_owned()),
        step: Some(step.to_owned()),
        since: Some(datetime::print(at - (span.columns() - 1) * ms)),
        ..StatisticsParams::default()
    };
    let mut statistics = console.control.statistics(&params)?;
    let Some(ours) = statistics.integrations.pop() else {
        return Ok(Chart { span, ..Chart::default() });
    };
    let (bars, peak) = bars(&ours.points, at, span);
    let total = &ours.total;
    let latency = match (total.p50_ms, total.p95_ms, total.p99_ms) {
        (Some(half), Some(most), Some(nearly)) => Some([half, most, nearly]),
        (_, _, _) => None,
    };
    let action = |of: ActionStatistics| (of.action, Counts::of(&of.total));
    let row = |point: &IntegrationPoint| (moment(&point.at), Counts::of(point));
    Ok(Chart {
        span,
        total: Counts::of(total),
        latency,
        actions: ours.actions.into_iter().map(action).collect(),
        bars,
        peak,
        rows: ours.points.iter().rev().map(row).collect(),
    })
}

impl Chart {
    /// The picture in words.
    pub(super) fn in_words(&self) -> String {
        let Counts { delivered, filtered: _, refused, lost } = self.total;
        let each = match self.span {
            Span::Hour => "minute",
            Span::Day => "hour",
        };
        format!(
            "{} delivered, {} refused, {} failed or expired in the last {}; the busiest {each} had {}",
            grouped(delivered),
            grouped(refused),
            grouped(lost),
            self.span.word(),
            counted(self.peak, "delivery", "deliveries"),
        )
    }
}

impl Counts {
    fn of(point: &IntegrationPoint) -> Counts {
        Counts {
            delivered: point.delivered,
            filtered: point.filtered,
            refused: point.refused,
            lost: point.failed + point.expired,
        }
    }

    /// What a column is made of: what was meant to be sent.
    fn parts(self) -> [(&'static str, u64); 3] {
        [("good", self.delivered), ("warn", self.refused), ("bad", self.lost)]
    }
}

fn bars(points: &[IntegrationPoint], now: i64, span: Span) -> (Vec<Bar>, u64) {
    let sum = |point: &IntegrationPoint| {
        Counts::of(point).parts().iter().map(|(_, count)| count).sum::<u64>()
    };
    let peak = points.iter().map(sum).max().unwrap_or(0);
    let (columns, (_, ms)) = (span.columns(), span.step());
    let mut bars = Vec::new();
    for point in points {
        let Some(at) = datetime::read_text(&point.at) else { continue };
        let x = columns - 1 - now.saturating_sub(at) / ms;
        let mut below = 0;
        for (class, count) in Counts::of(point).parts() {
            if count == 0 || !(0..columns).contains(&x) {
                continue;
            }
            // At least one line high: a single failure among thousands must be seen.
            let height = (count * HEIGHT / peak).max(1).min(HEIGHT - below);
            below += height;
            bars.push(Bar { class, x, y: HEIGHT - below, height });
        }
    }
    (bars, peak)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_minute_is_a_column_and_the_rarest_is_seen() {
        let now = 1_800_000_030_000;
        let point = |minutes: i64, delivered, failed| IntegrationPoint {
            at: datetime::print(1_800_000_000_000 - minutes * 60_000),
            delivered,
            failed,
            ..IntegrationPoint::default()
        };
        let points = [point(10, 999, 1), point(0, 500, 0), point(99, 7, 0)];
        let (bars, peak) = bars(&points, now, Span::Hour);
        let drawn: Vec<_> = bars.iter().map(|b| (b.class, b.x, b.y, b.height)).collect();
        assert_eq!(peak, 1000);
        assert_eq!(drawn, [("good", 49, 1, 99), ("bad", 49, 0, 1), ("good", 59, 50, 50)]);
    }
}
