//! Walks the cases in `tests/cases/`: steps of a request and what must come of it.
//!
//! A file is a list of `{"claim", "steps"}`; each case has a sandbox of its own, its clock stopped.
//! A step sends `method` `path` with `json`, `body` or `make`, and may check `status`, `text` (the
//! exact body), `answer` (members that the JSON answer must have), `header`; `repeat` sends it
//! again. `save` keeps a member of the answer for `{name}` in later paths and headers.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use heapline_sandbox::{Options, Sandbox};
use http::Request;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use serde_json::{Value, json};

const START: i64 = 1_773_181_316_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    claim: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default)]
    method: Option<String>,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    json: Option<Value>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    make: Option<Make>,
    #[serde(default = "once")]
    repeat: usize,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    answer: Option<Value>,
    #[serde(default)]
    header: BTreeMap<String, Option<String>>,
    #[serde(default)]
    save: BTreeMap<String, String>,
}

fn once() -> usize {
    1
}

/// A body that is too long to write out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Make {
    json: Value,
    /// A list of this many copies is put at `list`; `#` in their texts is the number.
    #[serde(default)]
    copies: usize,
    #[serde(default)]
    list: String,
    #[serde(default)]
    item: Value,
    /// `~` in a text is this many letters.
    #[serde(default)]
    letters: usize,
    /// In place of the letter `x`.
    #[serde(default)]
    letter: Option<String>,
}

impl Make {
    fn json(&self, round: usize) -> Value {
        let letter = self.letter.as_deref().unwrap_or("x");
        let mut made = fill(&self.json, round, &letter.repeat(self.letters));
        if !self.list.is_empty() {
            let first = round * self.copies;
            let items = (first..first + self.copies)
                .map(|number| fill(&self.item, number, &letter.repeat(self.letters)));
            made[&self.list] = items.collect();
        }
        made
    }
}

fn fill(value: &Value, number: usize, letters: &str) -> Value {
    let text = |text: &str| text.replace('#', &number.to_string()).replace('~', letters);
    match value {
        Value::String(own) => text(own).into(),
        Value::Array(items) => items.iter().map(|item| fill(item, number, letters)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (text(key), fill(value, number, letters)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Where `expected` is not inside `found`: an object may have more members, a list may not.
/// `{"$length": n}` expects a text of that many UTF-16 code units.
fn difference(expected: &Value, found: &Value, at: &str) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::String(found)) if expected.contains_key("$length") => {
            let length = Value::from(found.encode_utf16().count());
            (expected.get("$length") != Some(&length)).then(|| format!("{at} is {length} long"))
        }
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().find_map(|(key, value)| match found.get(key) {
                Some(found) => difference(value, found, &format!("{at}.{key}")),
                None => Some(format!("{at}.{key} is missing")),
            })
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => expected
            .iter()
            .zip(found)
            .enumerate()
            .find_map(|(index, (e, f))| difference(e, f, &format!("{at}[{index}]"))),
        (expected, found) if expected == found => None,
        (expected, found) => Some(format!("{at} is {found}, expected {expected}")),
    }
}

async fn walk(case: &Case) -> Result<(), String> {
    let options = Options { time: Arc::new(|| START), ..Options::default() };
    let router = Sandbox::new(options).router();
    let mut saved = BTreeMap::new();
    for (number, step) in case.steps.iter().enumerate() {
        for round in 0..step.repeat {
            take(&router, step, round, &mut saved)
                .await
                .map_err(|error| format!("step {number} ({}): {error}", step.path))?;
        }
    }
    Ok(())
}

async fn take(
    router: &Router,
    step: &Step,
    round: usize,
    saved: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let with_saved = |text: &str| {
        saved.iter().fold(text.to_owned(), |text, (k, v)| text.replace(&format!("{{{k}}}"), v))
    };
    let body = match (&step.json, &step.body, &step.make) {
        (Some(json), None, None) => json.to_string(),
        (None, Some(body), None) => body.clone(),
        (None, None, Some(make)) => make.json(round).to_string(),
        (None, None, None) => String::new(),
        _ => return Err("a step has one of json, body, make".into()),
    };
    let method = step.method.as_deref().unwrap_or(if body.is_empty() { "GET" } else { "POST" });
    let mut request = Request::builder().method(method).uri(with_saved(&step.path));
    for (name, value) in &step.headers {
        request = request.header(name, with_saved(value));
    }
    let request = request.body(Body::from(body)).map_err(|error| error.to_string())?;
    let response = TowerToHyperService::new(router.clone())
        .call(request)
        .await
        .map_err(|error| error.to_string())?;
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&body).into_owned();

    let status = head.status.as_u16();
    let expected = step.status.unwrap_or(200);
    if status != expected {
        return Err(format!("round {round}: status {status} ({text}), expected {expected}"));
    }
    if let Some(expected) = &step.text
        && *expected != text
    {
        return Err(format!("body `{text}`, expected `{expected}`"));
    }
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    if let Some(expected) = &step.answer
        && let Some(difference) = difference(expected, &json, "$")
    {
        return Err(format!("{difference}\n  in {text}"));
    }
    for (name, expected) in &step.header {
        let found = head.headers.get(name).map(|value| value.to_str().unwrap_or_default());
        if found != expected.as_deref() {
            return Err(format!("header {name} is {found:?}, expected {expected:?}"));
        }
    }
    for (name, pointer) in &step.save {
        let value = json.pointer(pointer).ok_or_else(|| format!("no {pointer} in {text}"))?;
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        saved.insert(name.clone(), value);
    }
    Ok(())
}

#[tokio::test]
async fn the_cases_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut walked = 0;
    let mut failures = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let cases: Vec<Case> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in cases {
            walked += 1;
            if let Err(error) = walk(&case).await {
                let file = file.file_name().unwrap().display().to_string();
                failures.push(format!("{file}: {}\n  {error}", case.claim));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {walked} failed\n{}", failures.len(), failures.join("\n"));
    assert!(walked > 80, "only {walked} cases were found");
}

#[tokio::test]
async fn the_same_requests_give_the_same_state() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let options = Options { time: Arc::new(|| START), ..Options::default() };
        let router = Sandbox::new(options).router();
        for n in 0..20 {
            let event = json!({ "app_id": "11", "identity": format!("u{}", n % 7), "event": "E" });
            let request = Request::post("/api/track").body(Body::from(event.to_string())).unwrap();
            TowerToHyperService::new(router.clone()).call(request).await.unwrap();
        }
        let mut state = String::new();
        for list in ["events", "users", "requests", "effects"] {
            let request = Request::get(format!("/_sandbox/{list}")).body(Body::empty()).unwrap();
            let answer = TowerToHyperService::new(router.clone()).call(request).await.unwrap();
            let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
            state.push_str(std::str::from_utf8(&body).unwrap());
        }
        seen.push(state);
    }
    assert_eq!(seen.first(), seen.last());
    assert!(seen.concat().contains("event_id"));
}
