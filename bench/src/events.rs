//! The captured events, and requests made of them: written once, then only numbered anew.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use base64::Engine;
use heapline_action::value::{Object, Value};

/// Real events of real clients, one a line: the demo's.
pub(crate) const CAPTURED: &str = include_str!("../../crates/server/demo/events.jsonl");

/// Where they lie in the checkout.
pub(crate) const CAPTURED_FILE: &str = "crates/server/demo/events.jsonl";

/// The key of the source that takes them.
pub(crate) const WRITE_KEY: &str = "wk_bench";

/// Users that the events are spread over.
const USERS: u64 = 10_000;

/// Stands where a message's number goes, with as many digits.
const NUMBER_MARK: &str = "NNNNNNNNNNNN";
/// Stands where a user's number goes.
const USER_MARK: &str = "UUUUUU";

/// A whole HTTP request with places for numbers.
#[derive(Clone)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Where the digits of each event begin: its message's number, and its user's.
    slots: Vec<(Vec<usize>, Vec<usize>)>,
}

impl Template {
    /// Events in it.
    pub(crate) fn events(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of the whole request.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Writes the request into `out`, its events numbered from `first` on.
    pub(crate) fn fill(&self, first: u64, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.bytes);
        for (number, (messages, users)) in (first..).zip(&self.slots) {
            for at in messages {
                write_digits(out, *at, NUMBER_MARK.len(), number);
            }
            // Neighbours are of different users, as in life.
            let user = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % USERS;
            for at in users {
                write_digits(out, *at, USER_MARK.len(), user);
            }
        }
    }
}

/// The message id of the event with this number.
pub(crate) fn message_id(run: &str, number: u64) -> String {
    let width = NUMBER_MARK.len();
    format!("{run}-{number:0width$}")
}

/// One request for each captured event; or, with `batch` above 1, requests with so many.
/// `run` begins every message id.
pub(crate) fn templates(run: &str, batch: usize) -> Result<Vec<Template>> {
    let events = CAPTURED.lines().map(|line| prepare(run, line)).collect::<Result<Vec<_>>>()?;
    if batch == 1 {
        let single = |(call, json): &(String, String)| {
            request(&format!("/v1/{call}"), "", &[json.as_str()], "")
        };
        return Ok(events.iter().map(single).collect());
    }
    // So many that every captured event takes part.
    let count = events.len().div_ceil(batch).max(8);
    let all = events.iter().cycle();
    let batches = (0..count).map(|at| {
        let chosen = all.clone().skip(at * batch).take(batch);
        let list: Vec<&str> = chosen.map(|(_, json)| json.as_str()).collect();
        request("/v1/batch", r#"{"batch":["#, &list, "]}")
    });
    Ok(batches.collect())
}

/// The call's name and the event with marks for ids, sent now.
fn prepare(run: &str, line: &str) -> Result<(String, String)> {
    let Value::Object(mut event) = Value::parse(line)?.into_owned() else {
        bail!("a captured event is no object");
    };
    let call = event.get("type").and_then(Value::as_text);
    let call = call.context("a captured event has no type")?.to_owned();
    event.remove("originalTimestamp");
    event.remove("sentAt");
    let now = heapline_action::datetime::print(heapline_server::server::now());
    event.insert("timestamp", Value::from(now));
    event.insert("messageId", Value::from(format!("{run}-{NUMBER_MARK}")));
    rename(&mut event, "userId", "user");
    rename(&mut event, "anonymousId", "anonymous");
    Ok((call, Value::Object(event).to_json()))
}

fn rename(event: &mut Object<'static>, key: &'static str, to: &str) {
    if event.get(key).is_some_and(|id| !matches!(id, Value::Null)) {
        event.insert(key, Value::from(format!("{to}-{USER_MARK}")));
    }
}

/// A POST of `events` between `open` and `close`.
fn request(path: &str, open: &str, events: &[&str], close: &str) -> Template {
    let key = base64::prelude::BASE64_STANDARD.encode(format!("{WRITE_KEY}:"));
    let body = format!("{open}{}{close}", events.join(","));
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut at = head.len() + open.len();
    let mut slots = Vec::new();
    for event in events {
        let places = |mark| event.match_indices(mark).map(|(place, _)| at + place).collect();
        slots.push((places(NUMBER_MARK), places(USER_MARK)));
        at += event.len() + ",".len();
    }
    Template { bytes: format!("{head}{body}").into_bytes(), slots }
}

fn write_digits(out: &mut [u8], at: usize, width: usize, number: u64) {
    let mut rest = number;
    for byte in out.iter_mut().skip(at).take(width).rev() {
        *byte = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
}

/// A GET for `path`, or another request without a body.
pub(crate) fn get(address: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
}
