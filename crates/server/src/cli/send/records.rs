//! Records of a file: JSON lines or rows of CSV, unpacked where they are packed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use heapline_action::value::{Object, Value};
use sha2::{Digest, Sha256};

use crate::cli::explain::begin;

/// How columns are read.
pub(super) struct Shape {
    /// Columns and the fields that they are.
    pub(super) map: Vec<(String, String)>,
    /// Numbers, true and false are such.
    pub(super) typed: bool,
}

/// What a record was written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Csv,
}

/// One record.
pub(super) struct Record {
    pub(super) kind: Kind,
    /// As it was written.
    pub(super) text: String,
    pub(super) call: Value<'static>,
}

/// Reads one record after the other.
pub(super) struct Records<'s> {
    shape: &'s Shape,
    line: u64,
    input: Input,
}

enum Input {
    Lines(Box<dyn BufRead>),
    Rows(Box<csv::Reader<Box<dyn BufRead>>>, Vec<String>),
}

/// Members of a call, besides the objects that dotted columns go into.
const FIELDS: [&str; 13] = [
    "type",
    "userId",
    "anonymousId",
    "messageId",
    "event",
    "name",
    "category",
    "timestamp",
    "originalTimestamp",
    "groupId",
    "previousId",
    "integrations",
    "context",
];

impl<'s> Records<'s> {
    pub(super) fn open(file: &Path, shape: &'s Shape) -> Result<Records<'s>> {
        let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name.to_ascii_lowercase();
        let packed = name.strip_suffix(".gz");
        let bytes: Box<dyn Read> = match packed {
            Some(_) => Box::new(MultiGzDecoder::new(opened)),
            None => Box::new(opened),
        };
        let text: Box<dyn BufRead> = Box::new(BufReader::with_capacity(1 << 16, bytes));
        let input = if packed.unwrap_or(&name).ends_with(".csv") {
            let mut rows = csv::ReaderBuilder::new().flexible(false).from_reader(text);
            let header = rows.headers().map_err(|e| csv_fault(&e))?;
            if let Some((column, _)) = shape
                .map
                .iter()
                .find(|(column, _)| header.iter().all(|found| Shape::column(found) != column))
            {
                let columns: Vec<&str> = header.iter().map(Shape::column).collect();
                bail!("it has no column {column:?}; it has {}", columns.join(", "));
            }
            let header = header.iter().map(|column| shape.field(column)).collect();
            Input::Rows(Box::new(rows), header)
        } else {
            Input::Lines(text)
        };
        Ok(Records { shape, line: 0, input })
    }

    /// The next record; blank lines are none.
    pub(super) fn next(&mut self) -> Result<Option<Record>> {
        match &mut self.input {
            Input::Lines(lines) => loop {
                let mut line = String::new();
                self.line += 1;
                let read = lines.read_line(&mut line).map_err(|e| match e.kind() {
                    std::io::ErrorKind::InvalidData => {
                        anyhow::anyhow!("line {}: expected text in UTF-8", self.line)
                    }
                    _ => anyhow::anyhow!("line {}: cannot read on: {e}", self.line),
                });
                if read? == 0 {
                    return Ok(None);
                }
                let text = line.trim_start_matches('\u{feff}').trim();
                if text.is_empty() {
                    continue;
                }
                let call = match Value::parse(text) {
                    Ok(call) => call.into_owned(),
                    Err(e) => {
                        bail!("line {} isn't JSON: {e}; it begins {}", self.line, begin(text))
                    }
                };
                return Ok(Some(Record { kind: Kind::Json, text: text.to_owned(), call }));
            },
            Input::Rows(rows, header) => {
                let mut row = csv::StringRecord::new();
                if !rows.read_record(&mut row).map_err(|e| csv_fault(&e))? {
                    return Ok(None);
                }
                let mut call = Object::new();
                for (field, cell) in header.iter().zip(&row) {
                    // An empty cell says nothing.
                    if !cell.is_empty() {
                        put(&mut call, field, self.shape.value(cell));
                    }
                }
                let text = row.iter().collect::<Vec<_>>().join("\u{1f}");
                Ok(Some(Record { kind: Kind::Csv, text, call: Value::Object(call) }))
            }
        }
    }
}

impl Shape {
    /// The name of a column, without what programs put before and after it.
    fn column(written: &str) -> &str {
        written.trim_start_matches('\u{feff}').trim()
    }

    fn field(&self, column: &str) -> String {
        let column = Shape::column(column);
        let mapped = self.map.iter().find(|(from, _)| from == column);
        mapped.map_or(column, |(_, field)| field).to_owned()
    }

    fn value(&self, cell: &str) -> Value<'static> {
        match Value::parse(cell) {
            Ok(value @ (Value::Bool(_) | Value::Number(_))) if self.typed => value.into_owned(),
            Ok(_) | Err(_) => Value::from(cell.to_owned()),
        }
    }
}

/// What is wrong with a CSV file, and where.
fn csv_fault(e: &csv::Error) -> anyhow::Error {
    let line = e.position().map_or(0, csv::Position::line);
    match e.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            anyhow::anyhow!(
                "line {line}: expected {expected_len} columns as in the header, found {len}"
            )
        }
        csv::ErrorKind::Utf8 { .. } => anyhow::anyhow!("line {line}: expected text in UTF-8"),
        _ => anyhow::anyhow!("line {line}: {e}"),
    }
}

/// Puts a value at a dotted place.
fn put(object: &mut Object<'static>, field: &str, value: Value<'static>) {
    match field.split_once('.') {
        None => object.insert(field.to_owned(), value),
        Some((first, rest)) => {
            if !matches!(object.get(first), Some(Value::Object(_))) {
                object.insert(first.to_owned(), Value::Object(Object::new()));
            }
            if let Some(Value::Object(inner)) = object.get_mut(first) {
                put(inner, rest, value);
            }
        }
    }
}

/// Columns that are no field of a call become properties or traits, by its type.
pub(super) fn shape_columns(call: &mut Object<'static>, kind: &str) {
    let kind = call.get("type").and_then(Value::as_text).unwrap_or(kind);
    let inside = if matches!(kind, "identify" | "group") { "traits" } else { "properties" };
    let all = std::mem::take(call);
    let mut loose = Vec::new();
    for (key, value) in all {
        if FIELDS.contains(&&*key) || matches!(&*key, "properties" | "traits") {
            call.insert(key, value);
        } else {
            loose.push((key, value));
        }
    }
    for (key, value) in loose {
        put(call, &format!("{inside}.{key}"), value);
    }
}

/// A message id that the same record of the same file has at each sending.
pub(super) fn message_id(file: &Path, text: &str, number: u64) -> String {
    let mut hash = Sha256::new();
    hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
    hash.update([0]);
    hash.update(number.to_le_bytes());
    hash.update(text);
    let hash: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("send-{hash}")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn calls(name: &str, text: &[u8], shape: &Shape) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        let mut records = Records::open(&file, shape).unwrap();
        let mut calls = Vec::new();
        while let Some(record) = records.next().unwrap() {
            let Value::Object(mut call) = record.call else { panic!() };
            if record.kind == Kind::Csv {
                shape_columns(&mut call, "track");
            }
            calls.push(Value::Object(call).to_json());
        }
        calls
    }

    #[test]
    fn columns_are_fields_or_properties_by_name_or_as_they_are_mapped() {
        let map = vec![("customer".to_owned(), "userId".to_owned())];
        let text = "\u{feff}customer,event,properties.a.b,price,type\n\
                    ada,\"Paid, twice\",1,2.50,\n\
                    bob,,,x,identify\n";
        let plain = Shape { map: map.clone(), typed: false };
        assert_eq!(
            calls("f.csv", text.as_bytes(), &plain),
            [
                r#"{"userId":"ada","event":"Paid, twice","properties":{"a":{"b":"1"},"price":"2.50"}}"#,
                r#"{"userId":"bob","type":"identify","traits":{"price":"x"}}"#,
            ]
        );
        let typed = Shape { map, typed: true };
        let first = calls("f.csv", text.as_bytes(), &typed).remove(0);
        assert!(first.ends_with(r#""properties":{"a":{"b":1},"price":2.5}}"#), "{first}");
    }

    #[test]
    fn packed_lines_are_unpacked_and_blank_ones_left_out() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"{\"event\":\"A\"}\n\n  {\"event\":\"B\"}").unwrap();
        let shape = Shape { map: Vec::new(), typed: false };
        let read = calls("f.ndjson.gz", &packed.finish().unwrap(), &shape);
        assert_eq!(read, [r#"{"event":"A"}"#, r#"{"event":"B"}"#]);
    }

    #[test]
    fn a_message_id_differs_by_record_and_is_the_same_each_time() {
        let id = |file: &str, text, number| message_id(Path::new(file), text, number);
        assert_eq!(id("x/f", "a", 1), id("y/f", "a", 1));
        assert_ne!(id("f", "a", 1), id("f", "a", 2));
        assert_ne!(id("f", "a", 1), id("f", "b", 1));
        assert_ne!(id("f", "a", 1), id("g", "a", 1));
    }
}
