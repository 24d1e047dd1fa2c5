//! Heap's page side: stand-ins for both generations of its SDK, and the calls that they report.

use http::HeaderMap;
use http::header;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answer::Answer;
use crate::clock::Millis;
use crate::ids::MAX_USER_ID;
use crate::json::Json;
use crate::schema::whole;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sdk {
    Classic,
    V5,
}

/// One call on `window.heap`, as the page reports it.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ReportedCall {
    pub(crate) sdk: String,
    pub(crate) app_id: String,
    /// A random name of this loading of the page.
    pub(crate) page: String,
    /// The how-manieth call of that page, from 0.
    pub(crate) n: u64,
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) args: Vec<Value>,
}

#[derive(Debug)]
pub(crate) struct WebCall {
    pub(crate) at: Millis,
    pub(crate) call: ReportedCall,
}

const COMMON: &str = include_str!("web/common.js");
const CLASSIC: &str = include_str!("web/classic.js");
const V5: &str = include_str!("web/v5.js");

/// The script of an environment. It finds the sandbox by its own address; the host that it was
/// asked at serves where a page hides that.
pub(crate) fn script(sdk: Sdk, id: &str, headers: &HeaderMap) -> Answer {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let own = match sdk {
        Sdk::Classic => CLASSIC,
        Sdk::V5 => V5,
    };
    let (id, host) = (js_text(id), js_text(host));
    let head = format!("(function () {{\n\"use strict\";\nvar ID = {id}, HOST = {host};\n");
    Answer::script(format!("{head}{COMMON}{own}}})();\n"))
        .with(header::CACHE_CONTROL, "no-store")
        .for_pages()
}

/// A text as JavaScript's literal: JSON, whose remaining differences don't matter outside HTML.
fn js_text(text: &str) -> String {
    Value::from(text).to_string()
}

/// v5's identify on the wire: `{"env_id","user_id","identity","time"}`.
pub(crate) fn read_identify(body: &[u8]) -> Option<(String, u64, String)> {
    let Json::Object(body) = Json::parse(body)? else { return None };
    let text_of = |value: &Json<'_>| match value {
        Json::Text(text) => Some(text.to_string()),
        Json::Number(number) => whole(number).map(|number| number.to_string()),
        Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) => None,
    };
    let env_id = body.get("env_id").and_then(text_of)?;
    let user_id = body.get("user_id").and_then(text_of)?.parse().ok()?;
    let identity = body.get("identity").and_then(Json::text)?.to_owned();
    let sound = user_id <= MAX_USER_ID && !identity.is_empty();
    sound.then_some((env_id, user_id, identity))
}
