//! Statistics by minute and hour.

use std::collections::BTreeMap;

use heapline_action::datetime;
use heapline_store::{Count, Millis, Span};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Control, Problem};
use crate::server::now;
use crate::telemetry::{Latencies, Subject};

/// Most points of one answer.
const POINTS: Millis = 3_000;

/// Which statistics.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatisticsParams {
    /// `minute` or `hour`; `minute` if left out.
    pub step: Option<String>,
    /// From this moment on; an hour, or a day, ago if left out.
    pub since: Option<String>,
    /// Before this moment; now if left out.
    pub until: Option<String>,
    /// Only this integration.
    pub integration: Option<String>,
    /// Only this source.
    pub source: Option<String>,
}

/// Statistics of the door, of sources, and of integrations.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StatisticsView {
    /// `minute` or `hour`.
    pub step: String,
    /// What the door saw in all, with what came without a key that is known.
    pub door: Vec<DoorPoint>,
    /// What the door saw of each source; none that nothing came from.
    pub sources: Vec<SourceStatistics>,
    /// What integrations did.
    pub integrations: Vec<IntegrationStatistics>,
}

/// What the door saw in one minute or hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoorPoint {
    /// Its beginning, RFC 3339; empty in a total.
    pub at: String,
    /// Events stored.
    pub accepted: u64,
    /// Events acknowledged and not stored again: repeated.
    pub duplicate: u64,
    /// Items and requests refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Oddities in what was stored all the same, by kind: `large_item`, `large_batch`,
    /// `unreadable_time`, `lone_surrogate`.
    #[serde(default)]
    pub warned: BTreeMap<String, u64>,
}

/// What the door saw of a source.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SourceStatistics {
    /// Its id.
    pub source: String,
    /// By time; where nothing came is no point.
    pub points: Vec<DoorPoint>,
    /// All of that together.
    pub total: DoorPoint,
}

/// What an integration did.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct IntegrationStatistics {
    /// Its id.
    pub integration: String,
    /// By time; where nothing was done is no point.
    pub points: Vec<IntegrationPoint>,
    /// All of that together.
    pub total: IntegrationPoint,
    /// The same of each of its actions, without `pending`.
    #[serde(default)]
    pub actions: Vec<ActionStatistics>,
}

/// What an action did.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ActionStatistics {
    /// Its id.
    pub action: String,
    /// By time; where nothing was done is no point.
    pub points: Vec<IntegrationPoint>,
    /// All of that together.
    pub total: IntegrationPoint,
}

/// What an integration or an action did in one minute or hour. Counts are deliveries: one event at one action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntegrationPoint {
    /// Its beginning, RFC 3339.
    pub at: String,
    /// Taken by the destination.
    pub delivered: u64,
    /// Not taken by an action.
    pub filtered: u64,
    /// That can't become a request.
    pub refused: u64,
    /// Refused by the destination.
    pub failed: u64,
    /// Whose time ran out.
    pub expired: u64,
    /// Held for an identity.
    pub held: u64,
    /// The most events that waited at one time.
    pub pending: u64,
    /// The counts of filtered, refused, failed and expired, by `outcome/reason`.
    pub reasons: BTreeMap<String, u64>,
    /// Time from door to answer that half of the deliveries kept to, in milliseconds, as the
    /// next larger of fixed bounds.
    pub p50_ms: Option<i64>,
    /// The same for 95 of 100.
    pub p95_ms: Option<i64>,
    /// The same for 99 of 100.
    pub p99_ms: Option<i64>,
}

/// Counts of an integration or action on their way into a point.
#[derive(Default)]
struct Gathered {
    point: IntegrationPoint,
    latencies: Latencies,
}

impl Control {
    /// Statistics by minute or hour.
    pub fn statistics(&self, params: &StatisticsParams) -> Result<StatisticsView, Problem> {
        let span = match params.step.as_deref() {
            None | Some("minute") => Span::Minute,
            Some("hour") => Span::Hour,
            Some(other) => {
                return Err(Problem::Bad(format!(
                    "step: expected minute or hour, found {other:?}"
                )));
            }
        };
        let moment = |key: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => datetime::read_text(text).map(Some).ok_or_else(|| {
                let expected = "expected a moment such as 2026-03-10T22:21:56Z";
                Problem::Bad(format!("{key}: {expected}, found {text:?}"))
            }),
        };
        let until = moment("until", &params.until)?.unwrap_or_else(|| now() + 1);
        let usual = match span {
            Span::Minute => 3_600_000,
            Span::Hour => 24 * 3_600_000,
        };
        let since = moment("since", &params.since)?.unwrap_or(until - usual);
        if (until - since) / span.millis() > POINTS {
            return Err(Problem::Bad(format!("expected at most {POINTS} steps; take longer ones")));
        }
        self.write_statistics()?;
        let counts = self.store.counts(span, span.start(since), until)?;
        Ok(view(span, &counts, params))
    }

    /// Writes to the store what has been counted.
    pub fn write_statistics(&self) -> Result<(), Problem> {
        self.metrics.door(&self.ingest.counters().snapshot());
        let counts = self.metrics.statistics.take();
        if !counts.is_empty() {
            self.store.count(&counts)?;
        }
        Ok(())
    }
}

fn view(span: Span, counts: &[Count], params: &StatisticsParams) -> StatisticsView {
    let mut door: Series<DoorPoint> = Series::default();
    let mut sources: BTreeMap<&str, Series<DoorPoint>> = BTreeMap::new();
    let mut integrations: BTreeMap<&str, Series<Gathered>> = BTreeMap::new();
    let mut actions: BTreeMap<(&str, &str), Series<Gathered>> = BTreeMap::new();
    let is_wanted = |only: &Option<String>, id: &str| only.as_deref().is_none_or(|only| only == id);
    for count in counts {
        match Subject::of(&count.subject) {
            Some(Subject::Door) => door.add(count),
            Some(Subject::Source(id)) if is_wanted(&params.source, id) => {
                sources.entry(id).or_default().add(count);
            }
            Some(Subject::Integration(id)) if is_wanted(&params.integration, id) => {
                integrations.entry(id).or_default().add(count);
            }
            Some(Subject::Action(of, id)) if is_wanted(&params.integration, of) => {
                actions.entry((of, id)).or_default().add(count);
            }
            Some(Subject::Source(_) | Subject::Integration(_) | Subject::Action(..)) | None => {}
        }
    }
    let mut of_actions: BTreeMap<&str, Vec<ActionStatistics>> = BTreeMap::new();
    for ((integration, action), series) in actions {
        let (points, total) = series.points();
        let action = ActionStatistics { action: action.to_owned(), points, total };
        of_actions.entry(integration).or_default().push(action);
    }
    let of_source = |(source, series): (&str, Series<DoorPoint>)| {
        let (points, total) = series.points();
        SourceStatistics { source: source.to_owned(), points, total }
    };
    let of_integration = |(integration, series): (&str, Series<Gathered>)| {
        let (points, total) = series.points();
        let actions = of_actions.remove(integration).unwrap_or_default();
        IntegrationStatistics { integration: integration.to_owned(), points, total, actions }
    };
    StatisticsView {
        step: match span {
            Span::Minute => "minute",
            Span::Hour => "hour",
        }
        .to_owned(),
        door: door.points().0,
        sources: sources.into_iter().map(of_source).collect(),
        integrations: integrations.into_iter().map(of_integration).collect(),
    }
}

/// Counts of one subject, by time and together.
#[derive(Default)]
struct Series<G> {
    by_time: BTreeMap<Millis, G>,
    total: G,
}

/// Counts that become a point.
trait Gather: Default {
    type Point;

    fn add(&mut self, count: &Count);

    fn point(self, at: String) -> Self::Point;
}

impl<G: Gather> Series<G> {
    fn add(&mut self, count: &Count) {
        self.by_time.entry(count.at).or_default().add(count);
        self.total.add(count);
    }

    fn points(self) -> (Vec<G::Point>, G::Point) {
        let points = self.by_time.into_iter().map(|(at, of)| of.point(datetime::print(at)));
        (points.collect(), self.total.point(String::new()))
    }
}

impl Gather for DoorPoint {
    type Point = DoorPoint;

    fn add(&mut self, count: &Count) {
        let value = count.value;
        match count.name.split_once('/') {
            None if &*count.name == "accepted" => self.accepted += value,
            None if &*count.name == "duplicate" => self.duplicate += value,
            Some(("refused", code)) => *self.refused.entry(code.to_owned()).or_default() += value,
            Some(("warned", code)) => *self.warned.entry(code.to_owned()).or_default() += value,
            // A name of a later version.
            None | Some(_) => {}
        }
    }

    fn point(self, at: String) -> DoorPoint {
        DoorPoint { at, ..self }
    }
}

impl Gather for Gathered {
    type Point = IntegrationPoint;

    fn add(&mut self, count: &Count) {
        let (name, code) = match count.name.split_once('/') {
            Some((name, code)) => (name, Some(code)),
            None => (&*count.name, None),
        };
        let point = &mut self.point;
        let value = count.value;
        match name {
            "latency" => {
                let at = code.and_then(|code| code.parse().ok());
                self.latencies.add(at.unwrap_or(usize::MAX), value);
                return;
            }
            "pending" if code.is_none() => {
                point.pending = point.pending.max(value);
                return;
            }
            "delivered" => point.delivered += value,
            "filtered" => point.filtered += value,
            "refused" => point.refused += value,
            "failed" => point.failed += value,
            "expired" => point.expired += value,
            "held" => point.held += value,
            // Shown with the limits; or a name of a later version.
            _ => return,
        }
        if code.is_some() {
            *point.reasons.entry(count.name.to_string()).or_default() += value;
        }
    }

    fn point(self, at: String) -> IntegrationPoint {
        let part = |part| self.latencies.percentile(part);
        let (p50_ms, p95_ms, p99_ms) = (part(0.5), part(0.95), part(0.99));
        IntegrationPoint { at, p50_ms, p95_ms, p99_ms, ..self.point }
    }
}
