//! One event: its way from the door to the destination's answer.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use heapline_action::destination::Configured;
use heapline_action::value::Value;
use heapline_store::{Outcome, Seq};

use super::oops::Oops;
use super::page_reports::{self, Told};
use super::replay::Wanted;
use super::shell::{Section, Shell, Visit, page as shown, text};
use super::{Console, live as lively, work};
use crate::admin::events::{self, Attempt, OwnRequest, Trace};
use crate::control::Problem;
use crate::workspace::{Integration, Workspace};

#[derive(Template)]
#[template(path = "trace.html")]
struct Page {
    shell: Shell,
    trace: View,
}

#[derive(Template)]
#[template(path = "trace-part.html")]
struct Part {
    trace: View,
}

struct View {
    event: Event,
    ways: Vec<Way>,
    /// What the page says.
    page: Vec<Told>,
    warnings: Vec<String>,
    /// Where it can be replayed: name of the integration, and address.
    again: Vec<(String, String)>,
}

struct Event {
    seq: Seq,
    name: String,
    verdict: String,
    message_id: String,
    source: String,
    received_at: String,
    user_id: Option<String>,
    anonymous_id: Option<String>,
    json: String,
    curl: String,
}

struct Way {
    title: String,
    /// The class of its tag.
    outcome: &'static str,
    word: String,
    code: String,
    reason: String,
    revision: u64,
    notices: Vec<String>,
    requests: Vec<Request>,
    changed: bool,
    attempts: Vec<Answer>,
}

struct Request {
    id: String,
    method: String,
    url: String,
    body: String,
    curl: String,
    done: bool,
}

struct Answer {
    status: String,
    class: &'static str,
    answer: String,
    at: String,
    took_ms: u32,
    items: u32,
}

impl Way {
    fn detailed(&self) -> bool {
        !self.requests.is_empty() || !self.attempts.is_empty() || !self.notices.is_empty()
    }
}

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(seq): Path<String>,
) -> Result<Response, Oops> {
    let missing = || Oops::missing(format!("The journal has no event at {seq}."));
    let place: Seq = seq.parse().map_err(|_| missing())?;
    let shell = visit.shell(&console, Section::Events, "Event");
    let page = work(move || Ok(Page { shell, trace: view(&console, &visit, place)? }));
    Ok(shown(&page.await?))
}

/// The same, as it gets on.
pub(super) async fn live(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(seq): Path<Seq>,
) -> Response {
    lively::stream(console.stopping.clone(), move || match view(&console, &visit, seq) {
        Ok(trace) => text(&Part { trace }),
        Err(_) => String::new(),
    })
}

fn view(console: &Console, visit: &Visit, place: Seq) -> Result<View, Problem> {
    let now = &*console.control.workspaces.current();
    let Trace { summary, event, ways, page, warnings } = console.control.trace(place)?;
    let value = Value::parse(event.get());
    let json = value.as_ref().map_or_else(|_| event.get().to_owned(), pretty);
    let call = value.as_ref().ok().and_then(|v| v.get("type")?.as_text());
    let key = now.source(&summary.source).and_then(|source| source.write_keys.first());
    // A viewer sees everything but secrets.
    let key = key.filter(|_| visit.may_replay()).map_or("WRITE_KEY", |key| key.reveal());
    let address = format!("{}/v1/{}", visit.origin(), call.unwrap_or("track"));
    let curl = curl(&address, Some(key), event.get());
    let waiting = summary.deliveries.iter().filter(|d| d.action.is_empty());
    let mut all: Vec<Way> = ways.into_iter().enumerate().map(|(at, w)| way(now, at, w)).collect();
    all.extend(waiting.map(|delivery| Way {
        title: integration_name(now, &delivery.integration),
        outcome: Outcome::Pending.word(),
        word: delivery.outcome.clone(),
        code: String::new(),
        reason: delivery.reason.clone(),
        revision: 0,
        notices: Vec::new(),
        requests: Vec::new(),
        changed: false,
        attempts: Vec::new(),
    }));
    let page = page_reports::told(now, page);
    let verdict = verdict(&all, &page);
    let event = Event {
        seq: summary.seq,
        name: summary.name,
        verdict,
        message_id: summary.message_id,
        source: summary.source,
        received_at: summary.received_at,
        user_id: summary.user_id,
        anonymous_id: summary.anonymous_id,
        json,
        curl,
    };
    let again = if visit.may_replay() { again(now, &event) } else { Vec::new() };
    Ok(View { event, ways: all, page, warnings, again })
}

/// Where the event can be replayed: name of the integration, and address.
fn again(now: &Workspace, event: &Event) -> Vec<(String, String)> {
    let cloud = |i: &&Arc<Integration>| matches!(i.configured, Configured::Cloud(_));
    let takers = now.integrations.iter().filter(cloud).filter(|i| i.takes(&event.source));
    let replay = |integration: &Arc<Integration>| {
        let back = format!("/events/{}", event.seq);
        let wanted = Wanted { message: event.message_id.clone(), back, ..Wanted::default() };
        let address = format!("/integrations/{}/replay?{}", integration.id, wanted.query());
        (integration.name.clone(), address)
    };
    takers.map(replay).collect()
}

fn way(now: &Workspace, at: usize, way: events::Way) -> Way {
    let integration = now.integration(&way.delivery.integration);
    let action = integration.and_then(|i| i.actions.iter().find(|a| a.id == way.delivery.action));
    let action = action.map_or(&way.delivery.action, |action| &action.name);
    let title = format!("{} · {action}", integration_name(now, &way.delivery.integration));
    let mut attempts = way.attempts;
    attempts.sort_by(|one, other| one.at.cmp(&other.at));
    Way {
        title,
        outcome: known(&way.delivery.outcome),
        word: way.delivery.outcome,
        code: way.delivery.code,
        reason: way.delivery.reason,
        revision: way.revision,
        notices: way.notices,
        requests: way.requests.into_iter().enumerate().map(|(n, r)| own(at, n, r)).collect(),
        changed: way.requests_match == Some(false),
        attempts: attempts.into_iter().map(answer).collect(),
    }
}

/// The outcome of this word.
fn known(word: &str) -> &'static str {
    Outcome::ALL.iter().map(|outcome| outcome.word()).find(|known| *known == word).unwrap_or("")
}

fn integration_name(now: &Workspace, id: &str) -> String {
    now.integration(id).map_or_else(|| id.to_owned(), |integration| integration.name.clone())
}

fn own(way: usize, number: usize, request: OwnRequest) -> Request {
    let body = request.json.get();
    Request {
        id: format!("way-{way}-{number}"),
        curl: curl(&request.url, None, body),
        body: Value::parse(body).as_ref().map_or_else(|_| body.to_owned(), pretty),
        method: request.method,
        url: request.url,
        done: request.done,
    }
}

fn answer(attempt: Attempt) -> Answer {
    Answer {
        status: match attempt.status {
            0 => "no answer".to_owned(),
            status => status.to_string(),
        },
        class: if (200..300).contains(&attempt.status) { "text-good" } else { "text-bad" },
        answer: attempt.answer,
        at: attempt.at,
        took_ms: attempt.took_ms,
        items: attempt.items,
    }
}

/// What became of the event, in one sentence. What the page says counts only where the server has
/// nothing to say itself.
fn verdict(ways: &[Way], page: &[Told]) -> String {
    let count = |outcome: Outcome| ways.iter().filter(|w| w.outcome == outcome.word()).count();
    let lost = count(Outcome::Failed) + count(Outcome::Expired) + count(Outcome::Refused);
    let open = count(Outcome::Pending) + count(Outcome::Held);
    match (count(Outcome::Delivered), lost, open) {
        (0, 0, 0) => match page_reports::verdict(page) {
            Some(said) => said,
            None if ways.is_empty() && page.is_empty() => {
                "No integration takes events of this source."
            }
            None => "No action took it.",
        },
        (_, 0, 0) => "Delivered.",
        (_, 0, _) => "On its way.",
        (0, _, _) => "It could not be delivered.",
        (_, _, _) => "Delivered in part.",
    }
    .to_owned()
}

/// JSON with an indent of two.
pub(super) fn pretty(value: &Value<'_>) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_json())
}

/// A request as a command for the shell.
pub(super) fn curl(url: &str, user: Option<&str>, body: &str) -> String {
    let user = user.map_or_else(String::new, |user| format!(" -u {}:", quoted(user)));
    format!(
        "curl{user} {} \\\n  -H 'Content-Type: application/json' \\\n  -d {}",
        quoted(url),
        quoted(body)
    )
}

/// A text as one word of the shell.
pub(super) fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:@%+,=".contains(&b));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_word_of_the_shell() {
        for (text, word) in [
            ("http://h:1/v1/track", "http://h:1/v1/track"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$(rm)", "'$(rm)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }
}
