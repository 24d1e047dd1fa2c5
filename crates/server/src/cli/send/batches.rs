//! The events of files in batches, as the door takes them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use heapline_action::value::{Object, Value};

use super::records::{self, Kind, Record, Records, Shape};
use super::{Args, Input};

/// Events in one batch, and about how many bytes of them.
const EVENTS: usize = 500;
const BYTES: usize = 500_000;

/// Some events of one file.
pub(super) struct Batch {
    /// Index of the file.
    pub(super) file: usize,
    /// Number of each record in its file, from 1, and the call that it is.
    pub(super) calls: Vec<(u64, String)>,
}

/// Reads one batch after the other; a batch is of one file.
pub(super) struct Batches<'a> {
    args: &'a Args,
    shape: &'a Shape,
    /// Records of each file that are left out, since they were sent before: so many, and those.
    done: Vec<(u64, BTreeSet<u64>)>,
    file: usize,
    open: Option<(Records<'a>, u64)>,
    /// Read, and too large for the batch before.
    ahead: Option<(u64, String)>,
}

impl Batch {
    /// Number of the last record.
    pub(super) fn last(&self) -> u64 {
        self.calls.last().map_or(0, |(number, _)| *number)
    }

    /// The body of a request with them.
    pub(super) fn body(&self, sent_at: &str) -> String {
        let calls: Vec<&str> = self.calls.iter().map(|(_, call)| call.as_str()).collect();
        format!(r#"{{"batch":[{}],"sentAt":"{sent_at}"}}"#, calls.join(","))
    }
}

impl<'a> Batches<'a> {
    pub(super) fn of(args: &'a Args, shape: &'a Shape, inputs: &[Input]) -> Batches<'a> {
        let done = |input: &Input| (input.progress.records, input.progress.beyond.clone());
        let done = inputs.iter().map(done).collect();
        Batches { args, shape, done, file: 0, open: None, ahead: None }
    }

    pub(super) fn next(&mut self) -> Result<Option<Batch>> {
        loop {
            let Some(path) = self.args.files.get(self.file) else { return Ok(None) };
            let done = self.done.get(self.file);
            let is_done = |number: u64| {
                done.is_some_and(|(first, beyond)| number <= *first || beyond.contains(&number))
            };
            let (records, number) = match &mut self.open {
                Some(open) => open,
                None => self.open.insert((Records::open(path, self.shape)?, 0)),
            };
            let mut calls: Vec<(u64, String)> = self.ahead.take().into_iter().collect();
            let mut bytes: usize = calls.iter().map(|(_, call)| call.len()).sum();
            let mut is_end = false;
            while calls.len() < EVENTS {
                let read = records.next().with_context(|| format!("{}", path.display()))?;
                let Some(record) = read else {
                    is_end = true;
                    break;
                };
                *number += 1;
                if is_done(*number) {
                    continue;
                }
                let call = call(path, &record, &self.args.kind, *number)
                    .with_context(|| format!("{}, record {number}", path.display()))?;
                if !calls.is_empty() && bytes + call.len() > BYTES {
                    self.ahead = Some((*number, call));
                    break;
                }
                bytes += call.len();
                calls.push((*number, call));
            }
            let file = self.file;
            if is_end {
                self.open = None;
                self.file += 1;
            }
            if !calls.is_empty() {
                return Ok(Some(Batch { file, calls }));
            }
        }
    }
}

/// The call as the door takes it, with a message id that a second sending has, too.
fn call(file: &Path, record: &Record, kind: &str, number: u64) -> Result<String> {
    let mut call: Object<'static> = match &record.call {
        Value::Object(call) => call.clone(),
        other => bail!("expected an object, found {}", other.kind()),
    };
    if record.kind == Kind::Csv {
        records::shape_columns(&mut call, kind);
    }
    if call.get("type").is_none() {
        call.insert("type", Value::from(kind.to_owned()));
    }
    if call.get("messageId").is_none() {
        call.insert("messageId", Value::from(records::message_id(file, &record.text, number)));
    }
    Ok(Value::Object(call).to_json())
}
