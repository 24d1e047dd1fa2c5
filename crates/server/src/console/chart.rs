//! What an integration did in the last hour: figures, and a bar for each minute.

use heapline_action::datetime;

use super::Console;
use crate::control::{IntegrationPoint, Problem, StatisticsParams};
use crate::server::now;

/// What an integration did in the last hour.
#[derive(Default)]
pub(super) struct Hour {
    pub(super) delivered: u64,
    pub(super) filtered: u64,
    pub(super) refused: u64,
    /// Failed and expired.
    pub(super) lost: u64,
    /// Time from door to answer, in milliseconds: half, and 95 of 100, kept to it.
    pub(super) latency: Option<(i64, i64)>,
    pub(super) bars: Vec<Bar>,
    /// Deliveries of the busiest minute.
    pub(super) peak: u64,
}

/// A piece of a minute's column, in a picture of 60 by [`HEIGHT`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: i64,
    pub(super) y: u64,
    pub(super) height: u64,
}

const HEIGHT: u64 = 100;
const MINUTES: i64 = 60;

/// The last hour of the integration `id`.
pub(super) fn hour(console: &Console, id: &str) -> Result<Hour, Problem> {
    let params =
        StatisticsParams { integration: Some(id.to_owned()), ..StatisticsParams::default() };
    let mut statistics = console.control.statistics(&params)?;
    let Some(ours) = statistics.integrations.pop() else { return Ok(Hour::default()) };
    let total = &ours.total;
    let (bars, peak) = bars(&ours.points, now());
    Ok(Hour {
        delivered: total.delivered,
        filtered: total.filtered,
        refused: total.refused,
        lost: total.failed + total.expired,
        latency: total.p50_ms.zip(total.p95_ms),
        bars,
        peak,
    })
}

fn bars(points: &[IntegrationPoint], now: i64) -> (Vec<Bar>, u64) {
    let parts = |point: &IntegrationPoint| {
        [("good", point.delivered), ("warn", point.refused), ("bad", point.failed + point.expired)]
    };
    let sum = |point: &IntegrationPoint| parts(point).iter().map(|(_, count)| count).sum::<u64>();
    let peak = points.iter().map(sum).max().unwrap_or(0);
    let mut bars = Vec::new();
    for point in points {
        let Some(at) = datetime::read_text(&point.at) else { continue };
        let x = MINUTES - 1 - (now.saturating_sub(at)) / 60_000;
        let mut below = 0;
        for (class, count) in parts(point) {
            if count == 0 || !(0..MINUTES).contains(&x) {
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
        let (bars, peak) = bars(&[point(10, 999, 1), point(0, 500, 0), point(99, 7, 0)], now);
        let drawn: Vec<_> = bars.iter().map(|b| (b.class, b.x, b.y, b.height)).collect();
        assert_eq!(peak, 1000);
        assert_eq!(drawn, [("good", 49, 1, 99), ("bad", 49, 0, 1), ("good", 59, 50, 50)]);
    }
}
