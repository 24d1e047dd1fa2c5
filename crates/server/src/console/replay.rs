//! Replays: what one would do, said before it is started; how those under way get on.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query as Params, State};
use axum::response::Response;
use heapline_store::Seq;
use serde::{Deserialize, Serialize};

use super::fields::{Fields, given};
use super::integration::{Tab, Top, find};
use super::oops::{Oops, sentence};
use super::shell::{Section, Shell, Visit, go, local, page as shown};
use super::{Console, work};
use crate::admin::EventParams;
use crate::admin::events::Summary;
use crate::control::{EventChoice, PreviewRequest, Problem, Replay, ReplayState, Selection};
use crate::workspace::Integration;

/// Which deliveries are to be repeated, as it stands in the address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) outcome: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) code: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) message: String,
    /// Where to go on afterwards.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) back: String,
}

#[derive(Template)]
#[template(path = "replay.html")]
struct Page {
    shell: Shell,
    top: Top,
    wanted: Wanted,
    back: String,
    events: u64,
    revision: u64,
    tried: Vec<Tried>,
}

/// What would become of one of the events.
struct Tried {
    seq: Seq,
    name: String,
    /// The class of its tag.
    class: &'static str,
    verdict: &'static str,
    reason: String,
}

impl Page {
    fn any_is_sent(&self) -> bool {
        self.tried.iter().any(|one| one.verdict == SENT)
    }
}

/// A replay as it is shown.
pub(super) struct Under {
    pub(super) replay: Replay,
    pub(super) what: String,
}

/// What is said of an event that would go out.
const SENT: &str = "is sent";

/// Events that are tried beforehand.
const TRIED: usize = 10;

/// Replays that are shown.
const SHOWN: usize = 5;

impl Wanted {
    /// As the query of an address.
    pub(super) fn query(&self) -> String {
        serde_urlencoded::to_string(self).expect("texts can be written")
    }

    fn selection(&self, integration: String) -> Selection {
        Selection {
            integration,
            outcome: given(&self.outcome),
            code: given(&self.code),
            message_id: given(&self.message),
            ..Selection::default()
        }
    }

    /// Where to go on.
    fn back(&self, id: &str) -> String {
        match local(&self.back) {
            "/" => format!("/integrations/{id}/dead-letters"),
            back => back.to_owned(),
        }
    }
}

/// Says what a replay would do.
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
    Params(wanted): Params<Wanted>,
) -> Result<Response, Oops> {
    let page = work(move || {
        let integration = find(&console, &id)?;
        let events = console.control.count_replay(&wanted.selection(id.clone()))?.events;
        Ok(Page {
            shell: visit.shell(&console, Section::Integrations, "Replay"),
            top: Top::of(&integration, Tab::DeadLetters),
            back: wanted.back(&id),
            revision: console.control.workspaces.current().revision,
            tried: tried(&console, &integration, &wanted)?,
            events,
            wanted,
        })
    });
    Ok(shown(&page.await?))
}

/// Starts a replay.
pub(super) async fn start(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Oops> {
    let text = |name| fields.text(name).to_owned();
    let wanted = Wanted {
        outcome: text("outcome"),
        code: text("code"),
        message: text("message"),
        back: text("back"),
    };
    let back = format!("{}?done=replayed", wanted.back(&id));
    work(move || console.control.start_replay(&visit.who, wanted.selection(id))).await?;
    Ok(go(back))
}

/// Lets a replay pause, go on, or end.
pub(super) async fn steer(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path((id, replay)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Oops> {
    work(move || {
        let state = match fields.text("do") {
            "pause" => ReplayState::Paused,
            "resume" => ReplayState::Running,
            "cancel" => ReplayState::Canceled,
            other => return Err(Problem::Bad(format!("nothing is called {other:?} here"))),
        };
        console.control.steer_replay(&visit.who, &replay, state)
    })
    .await?;
    Ok(go(format!("/integrations/{id}/dead-letters")))
}

/// The latest replays of an integration.
pub(super) fn under_way(console: &Console, id: &str) -> Vec<Under> {
    let all = console.control.replays().into_iter();
    let ours = all.filter(|replay| replay.selection.integration == id).take(SHOWN);
    ours.map(|replay| Under { what: what(&replay.selection), replay }).collect()
}

/// Which deliveries a replay repeats, in words.
fn what(selection: &Selection) -> String {
    let parts = [
        selection.outcome.clone(),
        selection.code.clone(),
        selection.message_id.as_ref().map(|id| format!("message {id}")),
        selection.event.clone(),
        selection.user_id.as_ref().map(|id| format!("user {id}")),
        selection.source.as_ref().map(|id| format!("source {id}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "all events".to_owned() } else { parts.join(" · ") }
}

/// What the rules of now would make of the latest of the events.
fn tried(
    console: &Console,
    integration: &Integration,
    wanted: &Wanted,
) -> Result<Vec<Tried>, Problem> {
    let by_fate = !(wanted.outcome.is_empty() && wanted.code.is_empty());
    let params = EventParams {
        integration: by_fate.then(|| integration.id.to_string()),
        outcome: given(&wanted.outcome),
        code: given(&wanted.code),
        message_id: given(&wanted.message),
        limit: Some(TRIED),
        ..EventParams::default()
    };
    let events = console.control.events(&params)?.events.into_iter();
    events.map(|event| try_one(console, integration, wanted, event)).collect()
}

fn try_one(
    console: &Console,
    integration: &Integration,
    wanted: &Wanted,
    event: Summary,
) -> Result<Tried, Problem> {
    let request = PreviewRequest {
        integration: integration.id.to_string(),
        draft: None,
        event: EventChoice::Seq(event.seq),
    };
    let repeats = |text: &str, wanted: &str| wanted.is_empty() || text == wanted;
    let repeated: Vec<&str> = event
        .deliveries
        .iter()
        .filter(|d| d.integration == *integration.id)
        .filter(|d| repeats(&d.outcome, &wanted.outcome) && repeats(&d.code, &wanted.code))
        .filter_map(|d| integration.actions.iter().find(|action| action.id == d.action))
        .map(|action| action.name.as_str())
        .collect();
    let made = console.control.preview(&request)?;
    let mut ours = made.into_iter().filter(|made| repeated.contains(&&*made.action)).peekable();
    let first_reason = ours.peek().and_then(|made| made.reason.clone()).unwrap_or_default();
    let verdicts: Vec<String> = ours.map(|made| made.verdict).collect();
    let has = |verdict: &str| verdicts.iter().any(|known| known == verdict);
    let (class, verdict) = match () {
        () if has("sent") => ("pending", SENT),
        () if has("held") => ("held", "is held"),
        () if has("refused") => ("refused", "is refused"),
        () => ("filtered", "is filtered"),
    };
    let reason = match (verdict, verdicts.is_empty()) {
        (SENT, _) => String::new(),
        (_, true) => "The action that took it is gone or switched off.".to_owned(),
        (_, false) => sentence(&first_reason),
    };
    Ok(Tried { seq: event.seq, name: event.name, class, verdict, reason })
}
