//! One item: is it a call that we take, and if so, the event in the form that is stored.

use std::borrow::Cow;
use std::net::IpAddr;

use heapline_action::datetime;
use heapline_action::value::Value;
use heapline_store::{Millis, NewEvent};
use serde_json::value::RawValue;

use super::answer::{Code, Fault};
use super::decode::{Warning, WarningCode};
use super::inspect::inspect;
use super::json::{self, Members};
use super::limits::Limits;
use super::route::Call;
use super::source::Source;
use super::time;

/// What an item gets from the request around it.
pub(super) struct Frame<'a> {
    pub(super) now: Millis,
    pub(super) source: &'a Source,
    pub(super) limits: &'a Limits,
    pub(super) client_ip: Option<IpAddr>,
    /// From the path of a single call.
    pub(super) call: Option<Call>,
    /// Of the batch, as are the next two.
    pub(super) sent_at: Option<&'a RawValue>,
    pub(super) context: Option<&'a RawValue>,
    pub(super) integrations: Option<&'a RawValue>,
    /// Makes a message id.
    pub(super) fresh_id: &'a dyn Fn() -> String,
}

/// Judges one item, which consists of `members`, and makes it an event. Faults and warnings don't know the item's index yet.
pub(super) fn judge<'a>(
    item: &'a str,
    members: Members<'a>,
    frame: &Frame<'a>,
    warn: &mut dyn FnMut(WarningCode, String),
) -> Result<NewEvent, Fault> {
    let limits = frame.limits;
    check_json(item, limits.nesting, limits.item)?;
    let fields = Fields::sort(members);
    let call = fields.call(frame.call)?;
    let ids = Ids::read(&fields);
    ids.check(call)?;
    if call == Call::Track {
        fields.check_event()?;
    }
    check_object("properties", fields.properties)?;
    check_object("traits", fields.traits)?;
    let message_id = fields.message_id(frame)?;
    if item.len() > limits.item_warning {
        warn(WarningCode::LargeItem, format!("{} bytes", item.len()));
    }
    let times = Times::read(&fields, frame, warn);

    let mut out = Vec::with_capacity(item.len() + 320);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(call.name().as_bytes());
    out.extend_from_slice(b"\",\"messageId\":");
    json::push_text(&mut out, &message_id);
    for (name, id) in ids.named() {
        if let Some(id) = id {
            push_name(&mut out, name);
            json::push_text(&mut out, id);
        }
    }
    push_time(&mut out, "timestamp", times.timestamp);
    push_time(&mut out, "receivedAt", frame.now);
    let before = [
        ("originalTimestamp", times.original),
        ("sentAt", times.sent),
        ("event", fields.event),
        ("properties", fields.properties),
        ("traits", fields.traits.or_else(|| fields.traits_of_context(call))),
        ("integrations", fields.integrations.or(frame.integrations)),
    ];
    for (name, raw) in before {
        if let Some(raw) = raw {
            push_name(&mut out, name);
            json::push_raw(&mut out, raw);
        }
    }
    for (name, raw) in &fields.rest.0 {
        json::push_member(&mut out, name, raw);
    }
    push_context(&mut out, fields.context.or(frame.context), frame);
    out.push(b'}');

    Ok(NewEvent {
        source: frame.source.id.clone(),
        received_at: frame.now,
        message_id: message_id.into(),
        user_id: ids.user.map(|id| id.into_owned().into()),
        anonymous_id: ids.anonymous.map(|id| id.into_owned().into()),
        name: fields
            .event
            .and_then(json::text)
            .filter(|name| !name.trim().is_empty())
            .map_or_else(|| call.name().into(), |name| name.into()),
        json: out.into(),
    })
}

/// Refuses what is too large, too deep, or unreadable for the range of a number.
pub(super) fn check_json(json: &str, nesting: usize, size: usize) -> Result<(), Fault> {
    if json.len() > size {
        return Err(too_large(size, json.len()));
    }
    let shape = inspect(json);
    if shape.depth > nesting {
        let expected = format!("at most {nesting} levels of nesting");
        return Err(Fault::new(Code::TooLarge, "", expected, shape.depth.to_string()));
    }
    if shape.huge_number {
        let expected = "numbers within the range of a double";
        return Err(Fault::new(Code::InvalidEvent, "", expected, "a larger one"));
    }
    Ok(())
}

/// The fault of something larger than `limit` bytes.
pub(super) fn too_large(limit: usize, found: usize) -> Fault {
    Fault::new(Code::TooLarge, "", format!("at most {limit} bytes"), format!("{found} bytes"))
}

/// Warnings of one item get its index.
pub(super) fn warn_into(
    warnings: &mut Vec<Warning>,
    item: Option<usize>,
) -> impl FnMut(WarningCode, String) {
    move |code, found| warnings.push(Warning { item, code, found })
}

/// The members that mean something to the door; `rest` is all others. Null is absent, but for the
/// members of which a message may have to say that null was found.
struct Fields<'a> {
    kind: Option<&'a RawValue>,
    message_id: Option<&'a RawValue>,
    user_id: Option<&'a RawValue>,
    anonymous_id: Option<&'a RawValue>,
    group_id: Option<&'a RawValue>,
    previous_id: Option<&'a RawValue>,
    timestamp: Option<&'a RawValue>,
    original_timestamp: Option<&'a RawValue>,
    sent_at: Option<&'a RawValue>,
    event: Option<&'a RawValue>,
    properties: Option<&'a RawValue>,
    traits: Option<&'a RawValue>,
    context: Option<&'a RawValue>,
    integrations: Option<&'a RawValue>,
    rest: Members<'a>,
}

impl<'a> Fields<'a> {
    fn sort(members: Members<'a>) -> Fields<'a> {
        let mut fields = Fields {
            kind: None,
            message_id: None,
            user_id: None,
            anonymous_id: None,
            group_id: None,
            previous_id: None,
            timestamp: None,
            original_timestamp: None,
            sent_at: None,
            event: None,
            properties: None,
            traits: None,
            context: None,
            integrations: None,
            rest: Members(Vec::new()),
        };
        for (key, raw) in members.0 {
            let slot = match key.as_ref() {
                "type" => &mut fields.kind,
                "messageId" => &mut fields.message_id,
                "userId" => &mut fields.user_id,
                "anonymousId" => &mut fields.anonymous_id,
                "groupId" => &mut fields.group_id,
                "previousId" => &mut fields.previous_id,
                "timestamp" => &mut fields.timestamp,
                "originalTimestamp" => &mut fields.original_timestamp,
                "sentAt" => &mut fields.sent_at,
                "event" => &mut fields.event,
                "properties" => &mut fields.properties,
                "traits" => &mut fields.traits,
                "context" => &mut fields.context,
                "integrations" => &mut fields.integrations,
                // Ours to set, whatever the client says; and a secret that must not be stored.
                "receivedAt" | "version" | "writeKey" => continue,
                _ => {
                    fields.rest.0.push((key, raw));
                    continue;
                }
            };
            *slot = Some(raw);
        }
        for slot in [
            &mut fields.timestamp,
            &mut fields.original_timestamp,
            &mut fields.sent_at,
            &mut fields.properties,
            &mut fields.traits,
            &mut fields.context,
            &mut fields.integrations,
        ] {
            *slot = slot.filter(|raw| !is_null(raw));
        }
        fields.rest.keep_last();
        fields
    }

    fn call(&self, of_path: Option<Call>) -> Result<Call, Fault> {
        let fault =
            |expected: String, found| Err(Fault::new(Code::InvalidEvent, "type", expected, found));
        let named = self.kind.and_then(json::text).and_then(|name| Call::from_name(&name));
        match (of_path, self.kind.filter(|raw| of_path.is_none() || !is_null(raw)), named) {
            (Some(path), None, _) => Ok(path),
            (Some(path), Some(_), Some(named)) if path == named => Ok(path),
            (Some(path), Some(raw), _) => {
                fault(format!("\"{}\", as in the path", path.name()), json::describe(raw))
            }
            (None, _, Some(named)) => Ok(named),
            (None, raw, None) => {
                let expected = "identify, track, page, screen, group or alias".to_owned();
                fault(expected, describe_or_none(raw))
            }
        }
    }

    fn check_event(&self) -> Result<(), Fault> {
        match self.event.and_then(json::text) {
            Some(event) if !event.trim().is_empty() => Ok(()),
            _ => {
                let found = describe_or_none(self.event);
                Err(Fault::new(Code::InvalidEvent, "event", "a non-empty string", found))
            }
        }
    }

    /// RudderStack's clients put an identify call's traits into its context, and nowhere else.
    fn traits_of_context(&self, call: Call) -> Option<&'a RawValue> {
        let context = self.context.filter(|_| call == Call::Identify)?;
        let traits = Members::parse(context.get()).ok()?.last("traits")?;
        (traits.get().starts_with('{') && traits.get() != "{}").then_some(traits)
    }

    fn message_id(&self, frame: &Frame) -> Result<Cow<'a, str>, Fault> {
        let Some(id) = self.message_id.and_then(id_text) else {
            return Ok(Cow::Owned((frame.fresh_id)()));
        };
        let limit = frame.limits.message_id;
        // Bytes are at least as many as characters: counting is for the rare long ones.
        if id.len() > limit && id.chars().count() > limit {
            let expected = format!("at most {limit} characters");
            let found = id.chars().count().to_string();
            return Err(Fault::new(Code::InvalidEvent, "messageId", expected, found));
        }
        Ok(id)
    }
}

struct Ids<'a> {
    user: Option<Cow<'a, str>>,
    anonymous: Option<Cow<'a, str>>,
    group: Option<Cow<'a, str>>,
    previous: Option<Cow<'a, str>>,
}

impl<'a> Ids<'a> {
    fn read(fields: &Fields<'a>) -> Self {
        Ids {
            user: fields.user_id.and_then(id_text),
            anonymous: fields.anonymous_id.and_then(id_text),
            group: fields.group_id.and_then(id_text),
            previous: fields.previous_id.and_then(id_text),
        }
    }

    fn named(&self) -> [(&'static str, Option<&Cow<'a, str>>); 4] {
        [
            ("userId", self.user.as_ref()),
            ("anonymousId", self.anonymous.as_ref()),
            ("groupId", self.group.as_ref()),
            ("previousId", self.previous.as_ref()),
        ]
    }

    fn check(&self, call: Call) -> Result<(), Fault> {
        let person = self.user.is_some() || self.anonymous.is_some();
        let (path, good, expected) = match call {
            Call::Identify | Call::Page | Call::Screen => {
                ("userId", person, "a userId or an anonymousId")
            }
            Call::Track => {
                ("userId", person || self.group.is_some(), "a userId, an anonymousId or a groupId")
            }
            Call::Group => ("groupId", self.group.is_some(), "a groupId"),
            Call::Alias if self.previous.is_none() => ("previousId", false, "a previousId"),
            Call::Alias => ("userId", self.user.is_some(), "a userId"),
        };
        if good {
            return Ok(());
        }
        let expected = format!("{expected} (text that isn't blank, or a number)");
        Err(Fault::new(Code::InvalidEvent, path, expected, "none"))
    }
}

/// An id as text; blank ones and other kinds of values count as absent.
fn id_text(raw: &RawValue) -> Option<Cow<'_, str>> {
    if let Some(text) = json::text(raw) {
        return (!text.trim().is_empty()).then_some(text);
    }
    match Value::parse(raw.get()) {
        Ok(Value::Number(number)) => Some(Cow::Owned(number.to_text())),
        _ => None,
    }
}

struct Times<'a> {
    timestamp: Millis,
    original: Option<&'a RawValue>,
    sent: Option<&'a RawValue>,
}

impl<'a> Times<'a> {
    fn read(
        fields: &Fields<'a>,
        frame: &Frame<'a>,
        warn: &mut dyn FnMut(WarningCode, String),
    ) -> Self {
        let original = fields.timestamp.or(fields.original_timestamp);
        let sent = fields.sent_at.or(frame.sent_at);
        let mut read = |name, raw: Option<&RawValue>| {
            let raw = raw?;
            let moment = Value::parse(raw.get()).ok().as_ref().and_then(datetime::read);
            if moment.is_none() {
                warn(WarningCode::UnreadableTime, format!("{name}: {}", json::describe(raw)));
            }
            moment
        };
        let client = read("timestamp", original);
        let sent_at = read("sentAt", sent);
        let at = match (client, sent_at) {
            (None, _) => frame.now,
            (Some(client), None) => client,
            (Some(client), Some(sent)) => time::correct(frame.now, sent, client).unwrap_or(client),
        };
        Times { timestamp: at, original, sent }
    }
}

fn check_object(path: &'static str, raw: Option<&RawValue>) -> Result<(), Fault> {
    match raw {
        Some(raw) if !raw.get().starts_with('{') => {
            Err(Fault::new(Code::InvalidEvent, path, "an object", json::describe(raw)))
        }
        _ => Ok(()),
    }
}

fn describe_or_none(raw: Option<&RawValue>) -> String {
    raw.map_or_else(|| "nothing".to_owned(), json::describe)
}

fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// `name` needs no escapes.
fn push_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn push_time(out: &mut Vec<u8>, name: &str, at: Millis) {
    push_name(out, name);
    out.push(b'"');
    out.extend_from_slice(datetime::print(at).as_bytes());
    out.push(b'"');
}

/// The context; a page's gets the address of its visitor, unless it brings one.
fn push_context(out: &mut Vec<u8>, context: Option<&RawValue>, frame: &Frame) {
    let ip = frame.client_ip.filter(|_| frame.source.web);
    match (context, ip.and_then(|ip| Some((without_ip(context)?, ip)))) {
        (_, Some((Members(members), ip))) => {
            push_name(out, "context");
            out.extend_from_slice(b"{\"ip\":\"");
            out.extend_from_slice(ip.to_string().as_bytes());
            out.push(b'"');
            for (name, raw) in members {
                json::push_member(out, &name, raw);
            }
            out.push(b'}');
        }
        (Some(raw), None) => {
            push_name(out, "context");
            json::push_raw(out, raw);
        }
        (None, None) => {}
    }
}

/// The members of a context that lacks an address; `None` if it has one or is no object.
fn without_ip(context: Option<&RawValue>) -> Option<Members<'_>> {
    let Some(context) = context else { return Some(Members(Vec::new())) };
    let mut members = Members::parse(context.get()).ok()?;
    members.keep_last();
    let empty = |raw: &RawValue| matches!(raw.get(), "null" | "\"\"");
    let there = members.0.iter().any(|(name, raw)| name == "ip" && !empty(raw));
    members.0.retain(|(name, _)| name != "ip");
    (!there).then_some(members)
}
