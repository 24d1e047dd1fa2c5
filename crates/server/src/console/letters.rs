//! Dead letters: what an integration could not deliver, by reason.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use heapline_store::{Outcome, Seq};

use super::integration::{Tab, Top, find};
use super::oops::Oops;
use super::replay::{Under, Wanted, under_way};
use super::shell::{Section, Shell, Visit, page as shown, text};
use super::{Console, live as lively, work};
use crate::admin::EventParams;
use crate::control::{DeadLetterParams, DeadLetters, Problem, ReplayState};
use crate::workspace::Integration;

#[derive(Template)]
#[template(path = "dead-letters.html")]
struct Page {
    shell: Shell,
    top: Top,
    groups: Vec<Group>,
    /// What all groups of an outcome can be replayed by, where there is more than one.
    lots: Vec<Lot>,
    replays: Vec<Under>,
}

#[derive(Template)]
#[template(path = "dead-letters-part.html")]
struct Part {
    top: Top,
    groups: Vec<Group>,
    lots: Vec<Lot>,
    replays: Vec<Under>,
    may_replay: bool,
}

/// Dead letters of one action with one reason.
struct Group {
    letters: DeadLetters,
    action_name: String,
    /// Where the action is edited, with the latest of them beside it; empty if it is gone.
    edit: String,
    /// Where they are replayed.
    replay: String,
    /// Where they are listed.
    list: String,
    samples: Vec<Sample>,
}

struct Sample {
    seq: Seq,
    name: String,
    at: String,
}

struct Lot {
    outcome: String,
    count: u64,
    replay: String,
}

/// Dead letters of a group that are shown at once.
const SAMPLES: usize = 3;

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    let page = work(move || {
        let integration = find(&console, &id)?;
        let Part { top, groups, lots, replays, .. } = part(&console, &visit, &integration)?;
        let shell = visit.shell(&console, Section::Integrations, integration.name.clone());
        Ok(Page { shell, top, groups, lots, replays })
    });
    Ok(shown(&page.await?))
}

/// The same, as it gets on.
pub(super) async fn live(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    lively::stream(console.stopping.clone(), move || {
        let drawn = find(&console, &id).and_then(|found| part(&console, &visit, &found));
        drawn.map_or_else(|_| String::new(), |part| text(&part))
    })
}

fn part(console: &Console, visit: &Visit, integration: &Integration) -> Result<Part, Problem> {
    let id = &*integration.id;
    let params = DeadLetterParams { integration: Some(id.to_owned()), refused: true };
    let letters = console.control.dead_letters(&params)?;
    let groups = letters.into_iter().map(|letters| group(console, integration, letters));
    let groups = groups.collect::<Result<Vec<Group>, Problem>>()?;
    Ok(Part {
        top: Top::of(integration, Tab::DeadLetters),
        lots: lots(id, &groups),
        replays: under_way(console, id),
        may_replay: visit.may_replay(),
        groups,
    })
}

fn group(
    console: &Console,
    integration: &Integration,
    letters: DeadLetters,
) -> Result<Group, Problem> {
    let id = &integration.id;
    let wanted = Wanted {
        outcome: letters.outcome.clone(),
        code: letters.code.clone(),
        ..Wanted::default()
    };
    let known = integration.actions.iter().find(|action| action.id == letters.action);
    let params = EventParams {
        integration: Some(id.to_string()),
        outcome: Some(letters.outcome.clone()),
        code: Some(letters.code.clone()),
        limit: Some(10 * SAMPLES),
        ..EventParams::default()
    };
    let events = console.control.events(&params)?.events.into_iter();
    let ours = events.filter(|event| {
        event.deliveries.iter().any(|d| {
            d.integration == **id && d.action == letters.action && d.outcome == letters.outcome
        })
    });
    let sample = |event: crate::admin::events::Summary| Sample {
        seq: event.seq,
        name: event.name,
        at: event.received_at,
    };
    Ok(Group {
        action_name: known.map_or(&letters.action, |action| &action.name).clone(),
        edit: known.map_or_else(String::new, |action| {
            let latest = letters.latest;
            format!("/integrations/{id}/actions/{}?sample={latest}", action.id)
        }),
        replay: format!("/integrations/{id}/replay?{}", wanted.query()),
        list: format!("/integrations/{id}/data-out?{}", wanted.query()),
        samples: ours.take(SAMPLES).map(sample).collect(),
        letters,
    })
}

fn lots(id: &str, groups: &[Group]) -> Vec<Lot> {
    let lot = |outcome: &Outcome| {
        let outcome = outcome.word().to_owned();
        let ours: Vec<u64> = groups
            .iter()
            .filter(|group| group.letters.outcome == outcome)
            .map(|group| group.letters.count)
            .collect();
        let wanted = Wanted { outcome: outcome.clone(), ..Wanted::default() };
        let replay = format!("/integrations/{id}/replay?{}", wanted.query());
        (ours.len() > 1).then(|| Lot { outcome, count: ours.iter().sum(), replay })
    };
    Outcome::ALL.iter().filter_map(lot).collect()
}
