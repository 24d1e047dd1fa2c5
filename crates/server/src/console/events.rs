//! Events: find them, see at a glance what became of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Query as Params, State};
use axum::response::Response;
use heapline_action::datetime;
use heapline_action::destination::Configured;
use heapline_store::{Outcome, Seq};
use serde::{Deserialize, Serialize};

use super::fields::given;
use super::oops::Oops;
use super::shell::{Section, Shell, Visit, page as shown, text};
use super::{Console, live as lively, work};
use crate::admin::EventParams;
use crate::admin::events::{DeliverySummary, List, Summary};
use crate::control::Problem;
use crate::server::now;
use crate::workspace::Integration;

/// What is asked for, as it stands in the address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) anonymous: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) event: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) source: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) integration: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) outcome: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) code: String,
    /// A word of [`WITHIN`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) within: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Seq>,
}

/// How often a search that found nothing yet is asked to go on.
const AGAIN: usize = 5;

/// How long ago an event may have been received: word, words for people, milliseconds.
pub(super) const WITHIN: [(&str, &str, i64); 3] = [
    ("hour", "the last hour", 3_600_000),
    ("day", "the last day", 86_400_000),
    ("week", "the last 7 days", 604_800_000),
];

#[derive(Template)]
#[template(path = "events.html")]
struct Events {
    shell: Shell,
    asked: Asked,
    sources: Vec<(String, String)>,
    outcomes: Vec<&'static str>,
    live: Option<String>,
    rows: Rows,
}

#[derive(Template)]
#[template(path = "event-rows.html")]
struct Part {
    rows: Rows,
}

/// The rows of a list of events.
pub(super) struct Rows {
    pub(super) events: Vec<Row>,
    pub(super) next: Option<String>,
    pub(super) clear: String,
    pub(super) filtered: bool,
}

pub(super) struct Row {
    pub(super) seq: Seq,
    pub(super) name: String,
    pub(super) who: String,
    pub(super) source: String,
    pub(super) received_at: String,
    pub(super) fates: Vec<Fate>,
    /// Its page delivers it, too.
    pub(super) in_page: bool,
}

/// What became of an event, deliveries with the same outcome as one.
pub(super) struct Fate {
    pub(super) outcome: String,
    pub(super) reason: String,
    /// The code, if all have the same.
    pub(super) hint: String,
}

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Params(asked): Params<Asked>,
) -> Result<Response, Oops> {
    let shell = visit.shell(&console, Section::Events, "Events");
    let workspace = console.control.workspaces.current();
    let sources = workspace.sources.iter().map(|s| (s.id.to_string(), s.name.clone())).collect();
    let outcomes = Outcome::ALL.iter().map(|outcome| outcome.word()).collect();
    let live = asked.before.is_none().then(|| format!("/live/events?{}", asked.query()));
    let wanted = asked.clone();
    let rows = work(move || rows(&console, &wanted)).await?;
    Ok(shown(&Events { shell, asked, sources, outcomes, live, rows }))
}

pub(super) async fn live(
    State(console): State<Arc<Console>>,
    Params(asked): Params<Asked>,
) -> Response {
    lively::stream(console.stopping.clone(), move || match rows(&console, &asked) {
        Ok(rows) => text(&Part { rows }),
        Err(_) => String::new(),
    })
}

pub(super) fn rows(console: &Console, asked: &Asked) -> Result<Rows, Problem> {
    let workspace = console.control.workspaces.current();
    let in_page = |source: &str| {
        let pages = |i: &&Arc<Integration>| matches!(i.configured, Configured::Web(_)) && i.enabled;
        workspace.integrations.iter().filter(pages).any(|i| i.takes(source))
    };
    Ok(Rows::of(found(console, asked.params())?, asked, in_page))
}

/// The latest event that matches.
pub(super) fn latest(console: &Console, params: EventParams) -> Result<Option<Summary>, Problem> {
    let list = found(console, EventParams { limit: Some(1), ..params })?;
    Ok(list.events.into_iter().next())
}

/// What matches. A search that has looked at much answers with what it has, which may be nothing:
/// then it is asked to go on, a few times.
fn found(console: &Console, mut params: EventParams) -> Result<List, Problem> {
    let mut list = console.control.events(&params)?;
    for _ in 0..AGAIN {
        if list.next.is_none() || !list.events.is_empty() {
            break;
        }
        params.before = list.next;
        list = console.control.events(&params)?;
    }
    Ok(list)
}

impl Asked {
    /// As the query of an address.
    pub(super) fn query(&self) -> String {
        serde_urlencoded::to_string(self).expect("texts and numbers can be written")
    }

    /// True if a question is asked that the form shows only when it is opened.
    pub(super) fn is_special(&self) -> bool {
        let special = [&self.message, &self.anonymous, &self.code, &self.within];
        special.iter().any(|text| !text.is_empty())
    }

    fn since(&self) -> Option<i64> {
        let within = WITHIN.iter().find(|(word, ..)| *word == self.within);
        within.map(|(_, _, ms)| now().saturating_sub(*ms))
    }

    fn params(&self) -> EventParams {
        EventParams {
            user_id: given(&self.user),
            anonymous_id: given(&self.anonymous),
            event: given(&self.event),
            message_id: given(&self.message),
            source: given(&self.source),
            integration: given(&self.integration),
            outcome: given(&self.outcome),
            code: given(&self.code),
            since: self.since().map(datetime::print),
            before: self.before,
            limit: Some(50),
            ..EventParams::default()
        }
    }
}

impl Rows {
    fn of(list: List, asked: &Asked, in_page: impl Fn(&str) -> bool) -> Rows {
        let only = Asked { integration: asked.integration.clone(), ..Asked::default() };
        let address = match asked.integration.as_str() {
            "" => "/events".to_owned(),
            id => format!("/integrations/{id}/data-out"),
        };
        let next = list.next.map(|before| {
            let older = Asked { before: Some(before), ..asked.clone() };
            format!("{address}?{}", older.query())
        });
        let events = list.events.into_iter().map(|event| Row {
            seq: event.seq,
            name: event.name,
            who: event.user_id.or(event.anonymous_id).unwrap_or_else(|| "nobody".into()),
            in_page: in_page(&event.source),
            source: event.source,
            received_at: event.received_at,
            fates: fates(&event.deliveries),
        });
        let filtered = *asked != only;
        Rows { events: events.collect(), next, clear: address, filtered }
    }
}

/// One entry for each outcome. That most actions leave most events alone says nothing where
/// another has taken it.
fn fates(deliveries: &[DeliverySummary]) -> Vec<Fate> {
    let mut by_outcome: BTreeMap<&str, Vec<&DeliverySummary>> = BTreeMap::new();
    for delivery in deliveries {
        by_outcome.entry(&delivery.outcome).or_default().push(delivery);
    }
    if by_outcome.len() > 1 {
        by_outcome.remove(Outcome::Filtered.word());
    }
    let fate = |(outcome, all): (&str, Vec<&DeliverySummary>)| {
        let code = all.first().map_or("", |delivery| delivery.code.as_str());
        let same = all.iter().all(|delivery| delivery.code == code);
        Fate {
            outcome: outcome.to_owned(),
            reason: all.iter().map(|d| d.reason.as_str()).collect::<Vec<_>>().join(" "),
            hint: if same { code.to_owned() } else { String::new() },
        }
    };
    by_outcome.into_iter().map(fate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(outcome: &str) -> DeliverySummary {
        DeliverySummary {
            integration: "heap".into(),
            action: "a".into(),
            outcome: outcome.into(),
            code: String::new(),
            reason: "Because.".into(),
        }
    }

    #[test]
    fn an_event_that_some_action_took_is_not_called_filtered() {
        let words = |outcomes: &[&str]| -> Vec<String> {
            let all: Vec<_> = outcomes.iter().map(|o| delivery(o)).collect();
            fates(&all).into_iter().map(|fate| fate.outcome).collect()
        };
        assert_eq!(words(&["filtered", "delivered"]), ["delivered"]);
        assert_eq!(words(&["filtered", "filtered"]), ["filtered"]);
        assert_eq!(words(&["failed", "delivered"]), ["delivered", "failed"]);
        assert!(words(&[]).is_empty());
    }
}
