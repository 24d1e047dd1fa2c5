//! A request judged: a function of its parts, the sources, the limits and the time.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use heapline_store::{Millis, NewEvent, Rejected};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::answer::{Answer, Code, Fault};
use super::body::{Text, unpack};
use super::item::{self, Frame, judge, warn_into};
use super::json::{self, Batch, Envelope, Items, Members};
use super::limits::Limits;
use super::route::{Call, Route};
use super::source::{Answers, Source, SourceTable};
use super::{key, side};

/// What of a request matters to the judge.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What its path takes.
    pub route: Route,
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The write key in the address.
    pub address_key: Option<&'a str>,
    /// The header `Content-Encoding`.
    pub encoding: Option<&'a str>,
    /// The request says `X-Strict-Mode: 1`.
    pub strict: bool,
    /// As received.
    pub body: &'a [u8],
    /// When it was received.
    pub now: Millis,
    /// Where it came from, if known.
    pub client_ip: Option<IpAddr>,
}

/// Something odd about what was taken nevertheless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Position in the batch, if it is about one item of one.
    pub item: Option<usize>,
    /// Its kind.
    pub code: WarningCode,
    /// What was found.
    pub found: String,
}

/// Kinds of [`Warning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WarningCode {
    /// An item above the usual size.
    LargeItem,
    /// A batch above the usual size.
    LargeBatch,
    /// A time that can't be read.
    UnreadableTime,
    /// Half of a surrogate pair became U+FFFD.
    LoneSurrogate,
}

impl WarningCode {
    /// All of them.
    pub const ALL: [WarningCode; 4] = [
        WarningCode::LargeItem,
        WarningCode::LargeBatch,
        WarningCode::UnreadableTime,
        WarningCode::LoneSurrogate,
    ];

    /// The name in metrics and statistics.
    pub fn name(self) -> &'static str {
        match self {
            WarningCode::LargeItem => "large_item",
            WarningCode::LargeBatch => "large_batch",
            WarningCode::UnreadableTime => "unreadable_time",
            WarningCode::LoneSurrogate => "lone_surrogate",
        }
    }
}

/// A request judged.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// Whose it is, once that was known.
    pub source: Option<Arc<Source>>,
    /// To be stored before the answer is given.
    pub events: Vec<NewEvent>,
    /// What was not taken, for Data In.
    pub rejected: Vec<Rejected>,
    /// Why; as many as `rejected`.
    pub faults: Vec<Fault>,
    /// What was taken, but is odd.
    pub warnings: Vec<Warning>,
    /// Metric series that a client reported.
    pub series: u64,
    /// The body of reports by a page plugin.
    pub receipts: Option<String>,
    /// What to answer once the events are stored.
    pub answer: Answer,
}

/// Judges a request. `fresh_id` makes a message id for an event without one.
pub fn decode(
    request: &Request,
    sources: &SourceTable,
    limits: &Limits,
    fresh_id: &dyn Fn() -> String,
) -> Decoded {
    let mut judged = Judged::default();
    let outcome = judged.run(request, sources, limits, fresh_id);
    judged.finish(request, outcome)
}

#[derive(Default)]
struct Judged {
    source: Option<Arc<Source>>,
    batch: bool,
    events: Vec<NewEvent>,
    faults: Vec<Fault>,
    excerpts: Vec<Box<str>>,
    warnings: Vec<Warning>,
    series: u64,
    receipts: Option<String>,
}

/// A request refused as a whole, and what Data In shows of it.
type Whole = (Fault, Box<str>);

impl Judged {
    fn run(
        &mut self,
        request: &Request,
        sources: &SourceTable,
        limits: &Limits,
        fresh_id: &dyn Fn() -> String,
    ) -> Result<(), Whole> {
        let header_key = request.authorization.and_then(key::from_header);
        if let Some(key) = &header_key {
            self.source = sources.by_key(key).cloned();
        }
        let bytes = unpack(request.body, request.encoding, limits.body)
            .map_err(|fault| (fault, Box::from("")))?;
        let text = Text::read(&bytes)
            .map_err(|fault| (fault, excerpt(&String::from_utf8_lossy(start(&bytes)))))?;
        let body = text.as_str();
        let whole = |fault| (fault, excerpt(body));

        if request.route == Route::Metrics {
            self.series = side::series(body);
            return Ok(());
        }
        let parsed = Parsed::read(request.route, body, limits.items)
            .map_err(|e| whole(not_json(&e, body)))?;
        let key = header_key
            .or_else(|| parsed.write_key().and_then(json::text).filter(|key| !key.is_empty()))
            .or_else(|| request.address_key.map(Cow::Borrowed));
        let Some(key) = key else { return Err(whole(key::missing())) };
        self.source = sources.by_key(&key).cloned();
        let Some(source) = self.source.clone() else { return Err(whole(key::unknown(&key))) };
        if !source.enabled {
            return Err(whole(key::disabled(&source.id)));
        }

        let mut frame = Frame {
            now: request.now,
            source: &source,
            limits,
            client_ip: request.client_ip,
            call: None,
            sent_at: None,
            context: None,
            integrations: None,
            fresh_id,
        };
        match parsed {
            Parsed::Receipts { .. } if body.len() > limits.item => {
                Err(whole(item::too_large(limits.item, body.len())))
            }
            Parsed::Receipts { .. } => {
                self.receipts = Some(body.to_owned());
                Ok(())
            }
            Parsed::Single { call, members } => {
                frame.call = Some(call);
                let event = self.judge(body, members, None, &text, &frame).map_err(whole)?;
                self.events.push(event);
                Ok(())
            }
            Parsed::Batch(envelope) => {
                self.batch = true;
                self.judge_batch(envelope, &text, frame).map_err(whole)
            }
        }
    }

    fn judge<'a>(
        &mut self,
        json: &'a str,
        members: Members<'a>,
        item: Option<usize>,
        text: &Text,
        frame: &Frame<'a>,
    ) -> Result<NewEvent, Fault> {
        let mut warn = warn_into(&mut self.warnings, item);
        if text.is_mended(json) {
            warn(WarningCode::LoneSurrogate, "half of a surrogate pair".to_owned());
        }
        judge(json, members, frame, &mut warn).map_err(|fault| Fault { item, ..fault })
    }

    fn judge_batch<'a>(
        &mut self,
        envelope: Envelope<'a>,
        text: &Text,
        mut frame: Frame<'a>,
    ) -> Result<(), Fault> {
        let limits = frame.limits;
        let items = match envelope.batch {
            Batch::Items(items) => items,
            Batch::Missing => return Err(not_array("nothing")),
            Batch::Other(found) => return Err(not_array(found)),
        };
        let size = text.as_str().len();
        check_batch(size, &items, limits)?;
        if size > limits.batch_warning {
            let found = format!("{size} bytes");
            self.warnings.push(Warning { item: None, code: WarningCode::LargeBatch, found });
        }
        let present = |raw: Option<&'a RawValue>| raw.filter(|raw| raw.get() != "null");
        frame.sent_at = present(envelope.sent_at);
        frame.context = present(envelope.context);
        frame.integrations = present(envelope.integrations);
        let defaults = check_default("context", frame.context, limits)?
            + check_default("integrations", frame.integrations, limits)?
            + check_default("sentAt", frame.sent_at, limits)?;
        let repeated = size.saturating_add(defaults.saturating_mul(items.count));
        if repeated > limits.body {
            let expected = format!("at most {} bytes with what all items share", limits.body);
            return Err(Fault::new(Code::TooLarge, "body", expected, format!("{repeated} bytes")));
        }
        self.events.reserve(items.first.len());
        for (at, raw) in items.first.iter().enumerate() {
            let item = Some(at);
            let members = Members::parse(raw.get()).map_err(|_| {
                let found = json::describe(raw);
                Fault { item, ..Fault::new(Code::InvalidEvent, "", "an object", found) }
            });
            match members.and_then(|m| self.judge(raw.get(), m, item, text, &frame)) {
                Ok(event) => self.events.push(event),
                Err(fault) => {
                    self.faults.push(fault);
                    self.excerpts.push(excerpt(raw.get()));
                }
            }
        }
        Ok(())
    }

    fn finish(mut self, request: &Request, outcome: Result<(), Whole>) -> Decoded {
        let permissive = !request.strict
            && self.source.as_ref().is_some_and(|source| source.answers == Answers::Permissive);
        let mut answer = match (outcome, self.batch) {
            (Err((fault, excerpt)), _) => {
                let answer = Answer::refusal(&fault);
                self.faults.push(fault);
                self.excerpts.push(excerpt);
                answer
            }
            (Ok(()), true) if !self.faults.is_empty() => {
                Answer::batch(&self.faults, self.events.len(), request.strict)
            }
            (Ok(()), _) => Answer::ok(),
        };
        // A page's reports and metrics are never worth a second try.
        if permissive || matches!(request.route, Route::Metrics | Route::Receipts) {
            answer = Answer::ok();
        }
        let source = self.source.as_ref().map_or("", |source| &source.id);
        let rejected = self.faults.iter().zip(self.excerpts).map(|(fault, excerpt)| Rejected {
            at: request.now,
            source: source.into(),
            code: fault.code.name().into(),
            message: fault.to_string().into(),
            excerpt,
        });
        let rejected = rejected.collect();
        Decoded {
            source: self.source,
            events: self.events,
            rejected,
            faults: self.faults,
            warnings: self.warnings,
            series: self.series,
            receipts: self.receipts,
            answer,
        }
    }
}

enum Parsed<'a> {
    Single { call: Call, members: Members<'a> },
    Batch(Envelope<'a>),
    Receipts { members: Members<'a> },
}

impl<'a> Parsed<'a> {
    fn read(route: Route, body: &'a str, items: usize) -> Result<Parsed<'a>, serde_json::Error> {
        Ok(match route {
            Route::Batch => Parsed::Batch(Envelope::parse(body, items)?),
            Route::Single(call) => Parsed::Single { call, members: Members::parse(body)? },
            Route::Receipts | Route::Metrics => Parsed::Receipts { members: Members::parse(body)? },
        })
    }

    fn write_key(&self) -> Option<&'a RawValue> {
        match self {
            Parsed::Single { members, .. } | Parsed::Receipts { members } => {
                members.last("writeKey")
            }
            Parsed::Batch(envelope) => envelope.write_key,
        }
    }
}

fn check_batch(size: usize, items: &Items, limits: &Limits) -> Result<(), Fault> {
    if size > limits.batch {
        let expected = format!("a batch of at most {} bytes", limits.batch);
        let found =
            format!("{size} bytes in {} items, the largest of {}", items.count, items.largest);
        return Err(Fault::new(Code::TooLarge, "body", expected, found));
    }
    if items.count > limits.items {
        let expected = format!("at most {} items", limits.items);
        return Err(Fault::new(Code::TooLarge, "batch", expected, items.count.to_string()));
    }
    Ok(())
}

/// What all items share must be fit for each. Gives its size.
fn check_default(
    path: &'static str,
    raw: Option<&RawValue>,
    limits: &Limits,
) -> Result<usize, Fault> {
    let Some(raw) = raw else { return Ok(0) };
    item::check_json(raw.get(), limits.nesting.saturating_sub(1), limits.item)
        .map_err(|fault| Fault { path, ..fault })?;
    Ok(raw.get().len())
}

fn not_array(found: &str) -> Fault {
    Fault::new(Code::InvalidEvent, "batch", "an array of calls", found)
}

/// What serde says of a value of another kind repeats the value, of whatever length.
fn not_json(e: &serde_json::Error, body: &str) -> Fault {
    let found = match e.classify() {
        Category::Data => json::kind(body).to_owned(),
        Category::Syntax | Category::Eof | Category::Io => format!("something else ({e})"),
    };
    Fault::new(Code::Malformed, "body", "a JSON object", found)
}

const EXCERPT: usize = 4_096;

fn start(bytes: &[u8]) -> &[u8] {
    bytes.get(..EXCERPT).unwrap_or(bytes)
}

/// At most 4 KiB of `text`, without write keys.
fn excerpt(text: &str) -> Box<str> {
    // Hiding may lengthen by a few bytes what is cut to the limit afterwards.
    let cut = text.get(..text.floor_char_boundary(EXCERPT)).unwrap_or(text);
    let hidden = key::hide(cut);
    let end = hidden.floor_char_boundary(EXCERPT);
    hidden.get(..end).unwrap_or_default().into()
}
