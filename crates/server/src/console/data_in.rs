//! Data In: what a source sends, as it comes; what is refused or odd, and why.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use heapline_action::datetime;

use super::rates::rates;
use super::shell::{Visit, text};
use super::{Console, live as lively};
use crate::admin::{EventParams, RefusedParams};
use crate::control::{Problem, SourceView, StatisticsParams};
use crate::server::now;

#[derive(Template)]
#[template(path = "data-in.html")]
struct Part {
    data_in: DataIn,
}

/// What a source sends.
pub(super) struct DataIn {
    pub(super) source: String,
    /// True if an integration takes its events.
    pub(super) connected: bool,
    /// True if the first event has only just arrived.
    pub(super) celebrated: bool,
    /// Events a minute.
    pub(super) rate: u64,
    /// Within the last hour.
    pub(super) accepted: u64,
    pub(super) repeated: u64,
    pub(super) refused: u64,
    /// Oddities in what was taken all the same, within the last hour: what, how many.
    pub(super) odd: Vec<(&'static str, u64)>,
    pub(super) rows: Vec<Arrived>,
}

/// An event or a refusal.
pub(super) struct Arrived {
    pub(super) at: String,
    /// An event, or the code of a refusal.
    pub(super) what: String,
    /// Its place, if it was accepted.
    pub(super) seq: Option<u64>,
    pub(super) detail: String,
    pub(super) excerpt: String,
}

/// What is shown at once.
const ROWS: usize = 10;

/// A source whose only events are younger than this is celebrated, in milliseconds.
const FRESH: i64 = 10 * 60_000;

/// Keeps it as it is now.
pub(super) async fn live(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    lively::stream(console.stopping.clone(), move || {
        let source = console.control.source(&visit.who, &id);
        let drawn = source.and_then(|source| data_in(&console, &source));
        drawn.map_or_else(|_| String::new(), |data_in| text(&Part { data_in }))
    })
}

/// What `source` sends now.
pub(super) fn data_in(console: &Console, source: &SourceView) -> Result<DataIn, Problem> {
    let (id, limit) = (Some(source.id.clone()), Some(ROWS));
    let events = EventParams { source: id.clone(), limit, ..EventParams::default() };
    let list = console.control.events(&events)?;
    let refused = console.control.refused(&RefusedParams { source: id.clone(), limit })?;
    let hour = StatisticsParams { source: id, ..StatisticsParams::default() };
    let hour = console.control.statistics(&hour)?.sources.into_iter().next();
    let hour = hour.map(|source| source.total).unwrap_or_default();
    let oldest = list.events.last().and_then(|event| datetime::read_text(&event.received_at));
    let celebrated =
        list.next.is_none() && oldest.is_some_and(|at| now().saturating_sub(at) < FRESH);
    let events = list.events.into_iter().map(|event| Arrived {
        at: event.received_at,
        what: event.name,
        seq: Some(event.seq),
        detail: event.user_id.or(event.anonymous_id).unwrap_or_else(|| "nobody".into()),
        excerpt: String::new(),
    });
    let refusals = refused.into_iter().map(|refused| Arrived {
        at: refused.at,
        what: refused.code,
        seq: None,
        detail: refused.message,
        excerpt: refused.excerpt,
    });
    let mut rows: Vec<Arrived> = events.chain(refusals).collect();
    rows.sort_by(|a, b| b.at.cmp(&a.at));
    rows.truncate(ROWS);
    Ok(DataIn {
        source: source.id.clone(),
        connected: !source.integrations.is_empty(),
        celebrated,
        rate: rates(console)?.accepted(&source.id),
        accepted: hour.accepted,
        repeated: hour.duplicate,
        refused: hour.refused.values().sum(),
        odd: odd(&hour.warned),
        rows,
    })
}

fn odd(warned: &BTreeMap<String, u64>) -> Vec<(&'static str, u64)> {
    let words = |code: &str| match code {
        "large_item" => "events larger than hosted services take",
        "large_batch" => "batches larger than hosted services take",
        "unreadable_time" => "times that can't be read, so the time of arrival counts",
        "lone_surrogate" => "texts with half a character, which became \u{fffd}",
        _ => "other oddities",
    };
    let seen = warned.iter().filter(|(_, count)| **count > 0);
    seen.map(|(code, count)| (words(code), *count)).collect()
}
