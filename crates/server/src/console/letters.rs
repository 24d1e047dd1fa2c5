//! Dead letters: what an integration could not deliver, by reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use heapline_store::Outcome;

use super::fields::Fields;
use super::integration::{Tab, Top, find};
use super::oops::Oops;
use super::shell::{Section, Shell, Visit, page as shown};
use super::shell::{go, text};
use super::{Console, live as lively, work};
use crate::admin::EventParams;
use crate::control::{Problem, Replay, ReplayState, Selection};

#[derive(Template)]
#[template(path = "dead-letters.html")]
struct Page {
    shell: Shell,
    top: Top,
    groups: Vec<Group>,
    replays: Vec<Replay>,
    /// True if only the latest were looked at.
    more: bool,
}

#[derive(Template)]
#[template(path = "replays.html")]
struct Part {
    replays: Vec<Replay>,
}

/// Dead letters with one reason at one action.
struct Group {
    outcome: &'static str,
    code: String,
    reason: String,
    action_name: String,
    /// Where the action is edited, with the latest of them beside it; empty if it is gone.
    edit: String,
    count: usize,
    latest: Vec<(u64, String, String)>,
}

/// Outcomes that a dead letter can have, or that an edited action could mend.
const DEAD: [Outcome; 3] = [Outcome::Failed, Outcome::Expired, Outcome::Refused];

/// Events of each outcome that are looked at.
const LOOKED_AT: usize = 500;

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    let page = work(move || {
        let integration = find(&console, &id)?;
        let mut groups: BTreeMap<(Outcome, String, String), Group> = BTreeMap::new();
        let mut more = false;
        for outcome in DEAD {
            let params = EventParams {
                integration: Some(id.clone()),
                outcome: Some(outcome.word().to_owned()),
                limit: Some(LOOKED_AT),
                ..EventParams::default()
            };
            let list = console.control.events(&params)?;
            more |= list.events.len() >= LOOKED_AT;
            for event in list.events {
                let ours = event.deliveries.into_iter();
                for d in ours.filter(|d| d.integration == id && d.outcome == outcome.word()) {
                    let key = (outcome, d.code.clone(), d.action.clone());
                    let known = integration.actions.iter().find(|action| action.id == d.action);
                    let seq = event.seq;
                    let group = groups.entry(key).or_insert_with(|| Group {
                        outcome: outcome.word(),
                        edit: known.map_or_else(String::new, |action| {
                            format!("/integrations/{id}/actions/{}?sample={seq}", action.id)
                        }),
                        action_name: known.map_or(&d.action, |action| &action.name).clone(),
                        code: d.code,
                        reason: d.reason,
                        count: 0,
                        latest: Vec::new(),
                    });
                    group.count += 1;
                    if group.latest.len() < 3 {
                        let (name, at) = (event.name.clone(), event.received_at.clone());
                        group.latest.push((seq, name, at));
                    }
                }
            }
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        Ok::<_, Problem>(Page {
            shell: visit.shell(&console, Section::Integrations, integration.name.clone()),
            top: Top::of(&integration, Tab::DeadLetters),
            replays: replays(&console, &id),
            groups,
            more,
        })
    });
    Ok(shown(&page.await?))
}

/// Sends a lot, or one event, once more by the rules of now.
pub(super) async fn replay(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Oops> {
    let back = format!("/integrations/{id}/dead-letters?done=replayed");
    work(move || {
        let given = |name| Some(fields.text(name).to_owned()).filter(|text| !text.is_empty());
        let selection = Selection {
            integration: id,
            outcome: given("outcome"),
            code: given("code"),
            message_id: given("message"),
            ..Selection::default()
        };
        console.control.start_replay(&visit.who, selection)
    })
    .await?;
    Ok(go(back))
}

pub(super) async fn live(State(console): State<Arc<Console>>, Path(id): Path<String>) -> Response {
    lively::stream(console.stopping.clone(), move || {
        text(&Part { replays: replays(&console, &id) })
    })
}

/// The latest replays of an integration.
fn replays(console: &Console, id: &str) -> Vec<Replay> {
    let all = console.control.replays().into_iter();
    all.filter(|replay| replay.selection.integration == id).take(5).collect()
}
