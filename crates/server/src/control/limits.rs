//! The rates that a destination allows, and how much of them is used.

use std::collections::BTreeMap;

use heapline_action::datetime;
use heapline_action::destination::Configured;
use heapline_action::plan::{Limit, LimitCounts, LimitScope};
use heapline_store::{Millis, Span};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::views::find_integration;
use super::{Control, Problem};
use crate::server::now;
use crate::telemetry::Subject;

/// How far back the used amounts go.
const HOUR: Millis = 3_600_000;

/// One rate that an integration's destination allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitView {
    /// The endpoint that it is about, e.g. `track`.
    pub endpoint: String,
    /// The whole of it in words, e.g. `15000 items a minute`.
    pub words: String,
    /// `integration` if it is for everything that the integration sends; `identity` if each identity
    /// has as much for itself.
    pub scope: String,
    /// `items` or `requests`: what is counted.
    pub counts: String,
    /// At most so many in any window.
    pub limit: u32,
    /// Length of the window.
    pub window_ms: u64,
    /// How many count now: on their way, or answered within one window. With the scope `identity`
    /// those of the busiest one.
    pub used: u32,
    /// With the scope `identity`: identities of which something counts now.
    pub identities: u64,
    /// With the scope `identity`: those of them that have to wait.
    pub exhausted: u64,
    /// The most that was used at one time, by minute, for an hour; where nothing was is no point.
    pub history: Vec<UsedPoint>,
}

/// How much of a limit was used in a minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsedPoint {
    /// The minute's beginning, RFC 3339.
    pub at: String,
    /// The most that was used at one time.
    pub used: u64,
}

impl Control {
    /// The rates that an integration's destination allows, and how much of them is used; none if
    /// any rate is allowed, or if the page delivers.
    pub fn limits(&self, id: &str) -> Result<Vec<LimitView>, Problem> {
        let workspace = self.workspaces.current();
        let (_, integration) = find_integration(&workspace, id)?;
        let integration = integration.fallback.as_deref().unwrap_or(integration);
        let Configured::Cloud(cloud) = &integration.configured else { return Ok(Vec::new()) };
        self.write_statistics()?;
        let mut history: BTreeMap<usize, Vec<UsedPoint>> = BTreeMap::new();
        let subject = Subject::Integration(id).name();
        let from = Span::Minute.start(now() - HOUR);
        for count in self.store.counts(Span::Minute, from, now() + 1)? {
            let at = count.name.strip_prefix("used/").and_then(|at| at.parse().ok());
            if let Some(at) = at.filter(|_| count.subject == subject) {
                let point = UsedPoint { at: datetime::print(count.at), used: count.value };
                history.entry(at).or_default().push(point);
            }
        }
        let used = self.fleet.usage(id);
        let endpoints = cloud.endpoints().iter();
        let limits = endpoints.flat_map(|endpoint| {
            // In the order in which a lane tells them.
            let of = |scope| endpoint.limits.iter().filter(move |limit| limit.scope == scope);
            let all = of(LimitScope::Integration).chain(of(LimitScope::Identity));
            all.map(move |limit| (endpoint.name, *limit))
        });
        let limits = limits.enumerate().map(|(at, (endpoint, limit))| {
            let now = used.get(at).filter(|usage| usage.limit == limit);
            LimitView {
                endpoint: endpoint.to_owned(),
                words: words(&limit),
                scope: match limit.scope {
                    LimitScope::Integration => "integration",
                    LimitScope::Identity => "identity",
                }
                .to_owned(),
                counts: counted(limit.counts).to_owned(),
                limit: limit.count,
                window_ms: limit.window_ms,
                used: now.map_or(0, |usage| usage.used),
                identities: now.map_or(0, |usage| usage.budgets as u64),
                exhausted: now.map_or(0, |usage| usage.exhausted as u64),
                history: history.remove(&at).unwrap_or_default(),
            }
        });
        Ok(limits.collect())
    }
}

fn counted(counts: LimitCounts) -> &'static str {
    match counts {
        LimitCounts::Items => "items",
        LimitCounts::Requests => "requests",
    }
}

fn words(limit: &Limit) -> String {
    let of = match limit.scope {
        LimitScope::Integration => "",
        LimitScope::Identity => " of one identity",
    };
    let (count, what) = (limit.count, counted(limit.counts));
    match limit.window_ms {
        60_000 => format!("{count} {what}{of} a minute"),
        window_ms => format!("{count} {what}{of} in {} s", window_ms as f64 / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_said_in_words() {
        let mut limit = Limit {
            scope: LimitScope::Integration,
            counts: LimitCounts::Items,
            count: 15_000,
            window_ms: 60_000,
        };
        assert_eq!(words(&limit), "15000 items a minute");
        limit.scope = LimitScope::Identity;
        (limit.counts, limit.count, limit.window_ms) = (LimitCounts::Requests, 30, 30_000);
        assert_eq!(words(&limit), "30 requests of one identity in 30 s");
    }
}
