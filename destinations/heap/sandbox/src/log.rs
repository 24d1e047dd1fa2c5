//! The record of requests: what came, what was answered, and the verdict on each item.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header};
use serde::Serialize;

use crate::clock::Millis;
use crate::ring::Ring;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Stored,
    /// A key seen before: nothing changed.
    Duplicate,
    /// Accepted, and nothing kept; the effects say why.
    Dropped,
    Refused,
}

#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) number: u64,
    pub(crate) at: Millis,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    pub(crate) body_bytes: usize,
    pub(crate) app_id: Option<Box<str>>,
    /// `None` until answered, and where the connection was closed instead.
    pub(crate) status: Option<u16>,
    pub(crate) answer: Box<str>,
    pub(crate) fault: Option<&'static str>,
    pub(crate) items: Vec<Verdict>,
}

/// What the log learns of a request once it's judged.
pub(crate) struct Judgement {
    pub(crate) app_id: Option<Box<str>>,
    pub(crate) status: Option<u16>,
    pub(crate) answer: Box<str>,
    pub(crate) fault: Option<&'static str>,
    pub(crate) items: Vec<Verdict>,
}

const MOST_PATHS: usize = 1000;

pub(crate) struct Log {
    pub(crate) records: Ring<Record>,
    /// Requests by path and status; `closed` for a connection closed without an answer.
    pub(crate) by_path: BTreeMap<Box<str>, BTreeMap<Box<str>, u64>>,
    body_bytes: usize,
    most_body_bytes: usize,
    oldest_body: u64,
}

impl Log {
    pub(crate) fn new(keep_requests: usize, most_body_bytes: usize) -> Log {
        Log {
            records: Ring::new(keep_requests),
            by_path: BTreeMap::new(),
            body_bytes: 0,
            most_body_bytes,
            oldest_body: 0,
        }
    }

    /// Notes a request that came, and gives its number, from 0.
    pub(crate) fn begin(
        &mut self,
        at: Millis,
        method: Method,
        uri: Uri,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> u64 {
        let number = self.records.total();
        let keeps_body = body.len() <= self.most_body_bytes;
        let evicted = self.records.push(Record {
            number,
            at,
            method,
            uri,
            headers: redacted(headers),
            body: keeps_body.then(|| body.clone()),
            body_bytes: body.len(),
            app_id: None,
            status: None,
            answer: "".into(),
            fault: None,
            items: Vec::new(),
        });
        self.body_bytes += if keeps_body { body.len() } else { 0 };
        self.body_bytes -= evicted.and_then(|old| old.body).map_or(0, |body| body.len());
        self.drop_old_bodies(number);
        number
    }

    /// Keeps the bodies within their bound by dropping the oldest.
    fn drop_old_bodies(&mut self, newest: u64) {
        let first_kept = self.records.total() - self.records.len() as u64;
        self.oldest_body = self.oldest_body.max(first_kept);
        while self.body_bytes > self.most_body_bytes && self.oldest_body <= newest {
            if let Some(record) = self.records.get_mut(self.oldest_body) {
                self.body_bytes -= record.body.take().map_or(0, |body| body.len());
            }
            self.oldest_body += 1;
        }
    }

    pub(crate) fn finish(&mut self, number: u64, path: &str, judgement: Judgement) {
        let status = judgement.status.map_or("closed".into(), |status| status.to_string());
        // Unknown paths come in any number.
        let full = self.by_path.len() >= MOST_PATHS && !self.by_path.contains_key(path);
        let path = if full { "other" } else { path };
        let statuses = self.by_path.entry(path.into()).or_default();
        *statuses.entry(status.into()).or_default() += 1;
        if let Some(record) = self.records.get_mut(number) {
            record.app_id = judgement.app_id;
            record.status = judgement.status;
            record.answer = judgement.answer;
            record.fault = judgement.fault;
            record.items = judgement.items;
        }
    }
}

fn redacted(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE] {
        if headers.contains_key(&name) {
            headers.insert(name, http::HeaderValue::from_static("[redacted]"));
        }
    }
    headers
}
