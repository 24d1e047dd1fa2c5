//! The rate of an integration beside what its destination allows.

use heapline_action::datetime;

use super::Console;
use super::words::{counted, grouped};
use crate::control::{LimitView, Problem};
use crate::server::now;

/// One limit, and how much of it is used.
pub(super) struct Gauge {
    pub(super) endpoint: String,
    /// The limit in words.
    pub(super) allows: String,
    /// What is used of it now, in words.
    pub(super) used: String,
    /// Of a hundred, and true if it is less than one, but something.
    pub(super) share: u64,
    pub(super) tiny: bool,
    /// True if it holds something back, or soon will.
    pub(super) tight: bool,
    /// The last hour: minute, and what was used of a hundred.
    pub(super) columns: Vec<(i64, u64)>,
}

/// A limit is tight from this share on, of a hundred.
const TIGHT: u64 = 90;

const MINUTES: i64 = 60;

/// The limits of the integration `id`.
pub(super) fn gauges(console: &Console, id: &str) -> Result<Vec<Gauge>, Problem> {
    let at = now();
    let limits = console.control.limits(id)?.into_iter();
    Ok(limits.map(|limit| Gauge::of(limit, at)).collect())
}

impl Gauge {
    fn of(limit: LimitView, now: i64) -> Gauge {
        let own = limit.scope == "identity";
        let share = share(u64::from(limit.used), limit.limit);
        let column = |point: &crate::control::UsedPoint| {
            let x = MINUTES - 1 - now.saturating_sub(datetime::read_text(&point.at)?) / 60_000;
            (0..MINUTES).contains(&x).then(|| (x, self::share(point.used, limit.limit)))
        };
        Gauge {
            allows: allows(&limit),
            used: match (own, limit.identities, limit.exhausted) {
                (false, ..) => format!("{} used now", grouped(limit.used)),
                (true, 0, _) => "nobody has used any now".to_owned(),
                (true, people, 0) => format!(
                    "{} used by the busiest of {} now",
                    grouped(limit.used),
                    counted(people, "user", "users")
                ),
                (true, people, waiting) => format!(
                    "{} of {} have to wait",
                    grouped(waiting),
                    counted(people, "user", "users")
                ),
            },
            tiny: limit.used > 0 && u64::from(limit.used) * 100 < u64::from(limit.limit),
            share,
            tight: share >= TIGHT || limit.exhausted > 0,
            columns: limit.history.iter().filter_map(column).collect(),
            endpoint: limit.endpoint,
        }
    }
}

/// Of a hundred; something is never nothing.
fn share(used: u64, limit: u32) -> u64 {
    let share = (used * 100).checked_div(u64::from(limit)).unwrap_or(0);
    if used > 0 { share.clamp(1, 100) } else { 0 }
}

fn allows(limit: &LimitView) -> String {
    let whose = if limit.scope == "identity" { " of one user" } else { "" };
    let window = match limit.window_ms {
        60_000 => "a minute".to_owned(),
        ms => format!("in {} seconds", ms / 1_000),
    };
    format!("{} {}{whose} {window}", grouped(limit.limit), limit.counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::UsedPoint;

    fn limit(scope: &str, used: u32, identities: u64, exhausted: u64) -> LimitView {
        LimitView {
            endpoint: "track".into(),
            words: String::new(),
            scope: scope.into(),
            counts: "items".into(),
            limit: 1_000,
            window_ms: 60_000,
            used,
            identities,
            exhausted,
            history: vec![UsedPoint { at: datetime::print(1_800_000_000_000), used: 3 }],
        }
    }

    #[test]
    fn a_gauge_says_what_is_used_and_draws_a_little_rather_than_nothing() {
        let gauge = |limit| Gauge::of(limit, 1_800_000_061_000);
        let all = gauge(limit("integration", 999, 0, 0));
        assert_eq!((&*all.allows, &*all.used), ("1,000 items a minute", "999 used now"));
        assert_eq!((all.share, all.tight, all.columns), (99, true, vec![(58, 1)]));
        assert!(!all.tiny && gauge(limit("integration", 9, 0, 0)).tiny);
        let own = gauge(limit("identity", 7, 3, 0));
        assert_eq!(own.allows, "1,000 items of one user a minute");
        assert_eq!(own.used, "7 used by the busiest of 3 users now");
        assert!(gauge(limit("identity", 7, 3, 2)).tight);
    }
}
