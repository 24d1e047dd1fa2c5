//! What the caller is told: one fixed code, one sentence for each fault, one JSON form.

use std::fmt;

use serde::Serialize;

/// Why something was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Not JSON, not an object, bad gzip.
    Malformed,
    /// A field is missing or has the wrong type.
    InvalidEvent,
    /// An item or a batch is over a limit.
    TooLarge,
    /// No key, an unknown key, or a disabled source.
    UnknownWriteKey,
    /// No such path.
    NotFound,
    /// The path is there, but not for this method.
    MethodNotAllowed,
    /// Nothing can be stored now.
    Unavailable,
}

impl Code {
    /// All of them.
    pub const ALL: [Code; 7] = [
        Code::Malformed,
        Code::InvalidEvent,
        Code::TooLarge,
        Code::UnknownWriteKey,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::Unavailable,
    ];

    /// The name in answers, metrics and Data In.
    pub fn name(self) -> &'static str {
        match self {
            Code::Malformed => "malformed",
            Code::InvalidEvent => "invalid_event",
            Code::TooLarge => "too_large",
            Code::UnknownWriteKey => "unknown_write_key",
            Code::NotFound => "not_found",
            Code::MethodNotAllowed => "method_not_allowed",
            Code::Unavailable => "unavailable",
        }
    }

    /// The HTTP status. Too large is 400, since the Node client repeats all other refusals.
    pub fn status(self) -> u16 {
        match self {
            Code::Malformed | Code::InvalidEvent | Code::TooLarge => 400,
            Code::UnknownWriteKey => 401,
            Code::NotFound => 404,
            Code::MethodNotAllowed => 405,
            Code::Unavailable => 503,
        }
    }
}

/// One thing that is wrong: where, what was found, what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its kind.
    pub code: Code,
    /// Position in the batch; `None` for a single call or the request as a whole.
    pub item: Option<usize>,
    /// The member, or `body`, or a header's name; empty for an item as a whole.
    pub path: &'static str,
    /// What should have been there.
    pub expected: String,
    /// What was there; never a whole value, never a write key.
    pub found: String,
}

impl Fault {
    /// A fault of a single call or of the request as a whole.
    pub fn new(
        code: Code,
        path: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Fault { code, item: None, path, expected: expected.into(), found: found.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.item, self.path) {
            (None, "") => f.write_str("body")?,
            (None, path) => f.write_str(path)?,
            (Some(item), "") => write!(f, "batch[{item}]")?,
            (Some(item), path) => write!(f, "batch[{item}].{path}")?,
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)
    }
}

/// A status and a JSON body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON text.
    pub body: String,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    message: &'a str,
    meta: Meta,
}

#[derive(Serialize)]
struct Meta {
    errors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<usize>,
}

impl Answer {
    /// 200 and `{}`: exactly what every client takes for success.
    pub fn ok() -> Self {
        Answer { status: 200, body: "{}".to_owned() }
    }

    /// The request as a whole is refused.
    pub fn refusal(fault: &Fault) -> Self {
        let message = fault.to_string();
        let meta = Meta { errors: vec![message.clone()], accepted: None, refused: None };
        Answer::error(fault.code.status(), fault.code, &message, meta)
    }

    /// Some or all items of a batch are refused; `faults` is not empty.
    pub(super) fn batch(faults: &[Fault], accepted: usize, strict_header: bool) -> Self {
        let refused = faults.len();
        let errors = faults.iter().map(Fault::to_string).collect();
        let meta = Meta { errors, accepted: Some(accepted), refused: Some(refused) };
        if accepted == 0 {
            let code = faults.first().map_or(Code::InvalidEvent, |fault| fault.code);
            let message = format!("none of the {refused} items could be taken");
            return Answer::error(code.status(), code, &message, meta);
        }
        let message = format!("{refused} of {} items were refused", accepted + refused);
        let status = if strict_header { Code::InvalidEvent.status() } else { 200 };
        Answer::error(status, Code::InvalidEvent, &message, meta)
    }

    fn error(status: u16, code: Code, message: &str, meta: Meta) -> Self {
        let body = serde_json::to_string(&ErrorBody { code: code.name(), message, meta });
        Answer { status, body: body.expect("texts and numbers always make JSON") }
    }
}
