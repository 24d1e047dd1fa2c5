//! What the action that is being edited makes of a real event.

use heapline_action::destination::ActionType;
use heapline_action::value::Value;
use heapline_destinations as destinations;

use super::Console;
use super::draft::Draft;
use super::fields::Fields;
use super::trace::pretty;
use crate::admin::EventParams;
use crate::control::{Draft as Drafted, EventChoice, Json, PreviewRequest, Problem, TriggerPart};
use crate::workspace::Integration;

/// An event to try with.
pub(super) struct Sample {
    pub(super) seq: u64,
    pub(super) label: String,
    pub(super) chosen: bool,
}

/// What the action makes of it.
pub(super) struct Preview {
    /// Why nothing can be shown; empty if it can.
    pub(super) nothing: String,
    pub(super) verdict: String,
    pub(super) reason: String,
    pub(super) conditions: Vec<Judged>,
    pub(super) payload: Option<String>,
    pub(super) sent: Vec<Sent>,
    pub(super) notices: Vec<String>,
    pub(super) event: String,
    /// Paths that the event has, for the inputs to offer.
    pub(super) paths: Vec<String>,
}

/// A part of the trigger, judged.
pub(super) struct Judged {
    /// How deep it lies, at most 6.
    pub(super) depth: usize,
    pub(super) text: String,
    pub(super) holds: bool,
    pub(super) found: Option<String>,
}

/// A request of the server or a call of the page.
pub(super) struct Sent {
    pub(super) what: String,
    pub(super) address: String,
    pub(super) body: String,
}

/// An event that can be tried where none has come yet.
const EXAMPLE: &str = r#"{
  "type": "track",
  "event": "Order Completed",
  "userId": "ada",
  "messageId": "example-1",
  "timestamp": "2026-01-01T00:00:00.000Z",
  "properties": { "total": 42.5, "currency": "EUR" },
  "context": { "library": { "name": "example" } }
}"#;

/// The latest events of the integration's sources, the chosen one marked.
pub(super) fn samples(
    console: &Console,
    integration: &Integration,
    fields: &Fields,
) -> Result<Vec<Sample>, Problem> {
    let params = EventParams { limit: Some(200), ..EventParams::default() };
    let list = console.control.events(&params)?.events.into_iter();
    let ours = list.filter(|event| integration.takes(&event.source));
    let mut samples: Vec<Sample> = ours
        .take(25)
        .map(|event| {
            let who = event.user_id.or(event.anonymous_id).unwrap_or_else(|| "nobody".into());
            Sample { seq: event.seq, label: format!("{} · {who}", event.name), chosen: false }
        })
        .collect();
    let wanted: Option<u64> = fields.text("sample").parse().ok();
    if let Some(seq) = wanted.filter(|seq| samples.iter().all(|sample| sample.seq != *seq))
        && let Some(stored) = console.control.store.event(seq)?
    {
        let label = format!("{} · at place {seq}", stored.event.name);
        samples.insert(0, Sample { seq, label, chosen: false });
    }
    let at = samples.iter().position(|sample| Some(sample.seq) == wanted).unwrap_or(0);
    if let Some(sample) = samples.get_mut(at) {
        sample.chosen = true;
    }
    Ok(samples)
}

/// What the draft makes of the chosen sample, or of an example if there is none.
pub(super) fn preview(
    console: &Console,
    integration: &Integration,
    form: &'static ActionType,
    id: Option<&str>,
    draft: &Draft,
    samples: &[Sample],
    fields: &Fields,
) -> Result<Preview, Problem> {
    let seq = samples.iter().find(|sample| sample.chosen).map(|sample| sample.seq);
    let own = fields.text("own");
    let stored = match seq {
        Some(seq) => console.control.store.event(seq)?,
        None => None,
    };
    let text = match &stored {
        Some(stored) => String::from_utf8_lossy(&stored.event.json).into_owned(),
        None if own.is_empty() => EXAMPLE.to_owned(),
        None => own.to_owned(),
    };
    let event = match Value::parse(&text) {
        Ok(event) => event.into_owned(),
        Err(e) => return Ok(Preview::nothing(format!("The event is no JSON: {e}."), text)),
    };
    let mut paths = Vec::new();
    collect("", &event, &mut paths);
    let written = pretty(&event);
    let Some(mapping) = draft.value().filter(|_| draft.sound()) else {
        let nothing = "Mend what is marked to see what becomes of this event.".to_owned();
        return Ok(Preview { paths, ..Preview::nothing(nothing, written) });
    };
    let request = PreviewRequest {
        integration: integration.id.to_string(),
        draft: Some(Drafted {
            id: id.map(str::to_owned),
            action: form.slug.to_owned(),
            trigger: draft.trigger.clone(),
            mapping: Some(Json(filled(form, mapping))),
        }),
        event: match seq.filter(|_| stored.is_some()) {
            Some(seq) => EventChoice::Seq(seq),
            None => EventChoice::Given(Json(event)),
        },
    };
    let made = match console.control.preview(&request) {
        Ok(made) => made.into_iter().next(),
        Err(problem @ Problem::Faulty(_)) => {
            let nothing = super::oops::sentence(&problem.to_string());
            return Ok(Preview { paths, ..Preview::nothing(nothing, written) });
        }
        Err(other) => return Err(other),
    };
    let Some(made) = made else {
        return Ok(Preview { paths, ..Preview::nothing("Nothing to show.".into(), written) });
    };
    let mut conditions = Vec::new();
    judge(&made.trigger, 0, &mut conditions);
    let requests = made.requests.iter().map(|request| Sent {
        what: request.method.clone(),
        address: request.url.clone(),
        body: pretty(&request.json.0),
    });
    let calls = made.calls.iter().map(|call| Sent {
        what: format!("heap.{}", call.method),
        address: String::new(),
        body: pretty(&call.args.0),
    });
    Ok(Preview {
        nothing: String::new(),
        verdict: made.verdict,
        reason: made.reason.map(|reason| super::oops::sentence(&reason)).unwrap_or_default(),
        conditions,
        payload: made.payload.map(|payload| pretty(&payload.0)),
        sent: requests.chain(calls).collect(),
        notices: made.notices,
        event: written,
        paths,
    })
}

impl Preview {
    fn nothing(nothing: String, event: String) -> Preview {
        Preview {
            nothing,
            verdict: String::new(),
            reason: String::new(),
            conditions: Vec::new(),
            payload: None,
            sent: Vec::new(),
            notices: Vec::new(),
            event,
            paths: Vec::new(),
        }
    }

    /// The class of the verdict's tag.
    pub(super) fn class(&self) -> &'static str {
        match self.verdict.as_str() {
            "sent" => "delivered",
            "refused" => "refused",
            "held" => "held",
            _ => "filtered",
        }
    }
}

/// The mapping as it works once it is saved: a field that it doesn't name has its default.
fn filled(form: &'static ActionType, mapping: &Value<'static>) -> Value<'static> {
    let Some(object) = mapping.as_object() else { return mapping.clone() };
    if object.iter().any(|(key, _)| key.starts_with('@')) {
        return mapping.clone();
    }
    let mut whole = destinations::default_mapping(form);
    for (key, value) in object.iter() {
        whole.insert(key.to_owned(), value.clone());
    }
    Value::Object(whole)
}

fn judge(part: &TriggerPart, depth: usize, into: &mut Vec<Judged>) {
    let (text, found) = (part.text.clone(), part.found.clone());
    into.push(Judged { depth: depth.min(6), text, holds: part.holds, found });
    part.parts.iter().for_each(|part| judge(part, depth + 1, into));
}

fn collect(prefix: &str, value: &Value<'_>, into: &mut Vec<String>) {
    let Some(object) = value.as_object() else { return };
    for (key, value) in object.iter() {
        let plain = key.chars().all(|letter| letter.is_alphanumeric() || "_-".contains(letter));
        if !plain || into.len() >= 300 {
            continue;
        }
        let path = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        into.push(path.clone());
        collect(&path, value, into);
    }
}
