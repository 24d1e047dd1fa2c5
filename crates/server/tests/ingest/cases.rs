//! Walks `data/ingest/*.jsonl`: one claim a line, a request and what must come of it.
//!
//! A line has `claim`, `path`, `body` (JSON), `text` (any text) or `base64`, and optionally `method`
//! (POST), `headers`, `key` (sent as Basic), `now`, and the expectations: `status` (200), `answer`
//! (the body, whole), `code`, `errors` (whole), `events` (members that each stored event must have;
//! `null` for a member that must be absent), `rejected` (codes in Data In), `header` (of the answer;
//! `null` for one that must be absent).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;

use base64::Engine;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::support::{Door, basic, gzip};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    claim: String,
    path: String,
    #[serde(default)]
    body: Option<Box<RawValue>>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    base64: Option<String>,
    #[serde(default)]
    gzip: bool,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    now: Option<String>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    answer: Option<Value>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    errors: Option<Vec<String>>,
    #[serde(default)]
    events: Vec<BTreeMap<String, Value>>,
    #[serde(default)]
    rejected: Vec<String>,
    #[serde(default)]
    header: BTreeMap<String, Option<String>>,
}

impl Case {
    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(self.method.as_deref().unwrap_or("POST"));
        request = request.uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(key) = &self.key {
            request = request.header("authorization", basic(key));
        }
        let mut body = match (&self.body, &self.text, &self.base64) {
            (Some(json), None, None) => json.get().as_bytes().to_vec(),
            (None, Some(text), None) => text.as_bytes().to_vec(),
            (None, None, Some(base64)) => {
                base64::engine::general_purpose::STANDARD.decode(base64).unwrap()
            }
            (None, None, None) => Vec::new(),
            _ => panic!("{}: one body at most", self.claim),
        };
        if self.gzip {
            request = request.header("content-encoding", "gzip");
            body = gzip(&body);
        }
        request.body(Full::new(body.into())).unwrap()
    }

    async fn check(&self) -> Result<(), String> {
        let door = Door::new();
        if let Some(now) = &self.now {
            let now: jiff::Timestamp = now.parse().unwrap();
            door.clock.store(now.as_millisecond(), Ordering::Relaxed);
        }
        let answered = door.call(self.request()).await.ok_or("not the door's")?;
        let mut wrong = Vec::new();
        if answered.status != self.status.unwrap_or(200) {
            wrong.push(format!("status {} {}", answered.status, answered.text));
        }
        for (name, expected) in &self.header {
            let found = answered.headers.get(name).map(|v| v.to_str().unwrap().to_owned());
            if found != *expected {
                wrong.push(format!("header {name} is {found:?}, expected {expected:?}"));
            }
        }
        if answered.status != 204 {
            let body = answered.json();
            if self.answer.as_ref().is_some_and(|answer| *answer != body) {
                wrong.push(format!("answer {body}"));
            }
            if self.code.as_deref() != body.get("code").and_then(Value::as_str) {
                wrong.push(format!("code in {body}"));
            }
            let errors = body.pointer("/meta/errors").cloned();
            let expected = self.errors.as_ref().map(|list| Value::from(list.clone()));
            if expected.is_some() && errors != expected {
                wrong.push(format!("errors {errors:?}"));
            }
        }
        let stored = door.stored();
        if stored.len() != self.events.len() {
            wrong.push(format!("{} events stored: {stored:?}", stored.len()));
        }
        for (event, expected) in stored.iter().zip(&self.events) {
            for (path, value) in expected {
                let found = path.split('.').try_fold(event, |at, key| at.get(key));
                if found.unwrap_or(&Value::Null) != value {
                    wrong.push(format!("{path} is {found:?}, expected {value}"));
                }
            }
        }
        let refusals = door.store.refusals();
        let rejected: Vec<&str> = refusals.iter().map(|one| &*one.code).collect();
        if rejected != self.rejected {
            wrong.push(format!("rejected {rejected:?}"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n    ")) }
    }
}

#[tokio::test]
async fn every_case_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ingest");
    let (mut walked, mut wrong) = (0, Vec::new());
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let name = format!("{}:{}", path.file_name().unwrap().display(), at + 1);
            let case: Case = serde_json::from_str(line).unwrap_or_else(|e| panic!("{name}: {e}"));
            walked += 1;
            if let Err(what) = case.check().await {
                wrong.push(format!("{name}: {}\n    {what}", case.claim));
            }
        }
    }
    assert!(walked > 100, "only {walked} cases were found");
    assert!(wrong.is_empty(), "{} of {walked} cases:\n{}", wrong.len(), wrong.join("\n"));
}
