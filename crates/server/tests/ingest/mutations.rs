//! Captured requests, changed as an attacker or a broken client might: each is answered with a known
//! status and a clear body, and each item is stored whole or turned away with its reason.

use bytes::Bytes;
use heapline_action::value::Value as Read;
use http::{HeaderValue, Request};
use http_body_util::Full;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use crate::support::{Door, basic, gzip};

/// Bodies of captured requests, unpacked.
fn bodies() -> Vec<Value> {
    let text = include_str!("../data/requests.jsonl");
    let requests = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let bodies = requests.filter_map(|r| serde_json::from_str(r["body"].as_str()?).ok());
    bodies.collect()
}

/// What a value is replaced by, as JSON text or something like it.
fn odd() -> impl Strategy<Value = String> {
    let fixed = select(vec![
        "null",
        "true",
        "-0",
        "1e999",
        "-1e999",
        "1e-999",
        "01",
        "1.",
        "+1",
        "NaN",
        "'x'",
        "[]",
        "{}",
        "[[]]",
        "\"\"",
        "\" \"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\\u0000\"",
        "\"\\x\"",
        "\"a\nb\"",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,}",
        "[1,]",
        "{\"\":{\"\":{\"\":0}}}",
        "\"__proto__\"",
        "{\"__proto__\":{\"x\":1}}",
        "\"2026-13-45T99:99:99Z\"",
        "253402300800000",
        "9007199254740993",
        "\"\u{202e}\u{feff}\u{0}\"",
        "",
        ",",
        "}",
        "]",
        "\"",
    ]);
    prop_oneof![
        6 => fixed.prop_map(str::to_owned),
        1 => (1_usize..12_000).prop_map(|levels| format!("{}0{}", "[".repeat(levels), "]".repeat(levels))),
        1 => (1_usize..12_000).prop_map(|levels| "{\"a\":".repeat(levels)),
        1 => (300_usize..2_000).prop_map(|digits| "9".repeat(digits)),
        1 => (1_usize..70_000).prop_map(|length| format!("\"{}\"", "é".repeat(length))),
        1 => (1_usize..3_000).prop_map(|items| format!("[{}{{}}]", "{},".repeat(items))),
    ]
}

/// Prints `value`, but with the node that is counted down to zero replaced by `odd`, and the member
/// that is counted down to zero written twice.
fn print(value: &Value, node: &mut usize, twice: &mut usize, odd: &str, out: &mut String) {
    if *node == 0 {
        *node = usize::MAX;
        out.push_str(odd);
        return;
    }
    *node -= 1;
    match value {
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                print(item, node, twice, odd, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (at, (key, value)) in members.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                let key = Value::from(key.as_str()).to_string();
                if *twice == 0 {
                    *twice = usize::MAX;
                    out.push_str(&format!("{key}:{odd},"));
                }
                *twice -= 1;
                out.push_str(&format!("{key}:"));
                print(value, node, twice, odd, out);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
    }
}

/// How the bytes are changed on their way.
#[derive(Clone, Debug)]
enum Handling {
    Plain,
    Bom,
    Cut(Index),
    Flipped(Index, u8),
    Gzip,
    GzipCut(Index),
    GzipFlipped(Index, u8),
    GzipTwice,
    GzipWithMore,
    SaysGzip,
    SaysDeflate,
}

fn handling() -> impl Strategy<Value = Handling> {
    prop_oneof![
        4 => Just(Handling::Plain),
        1 => Just(Handling::Bom),
        1 => any::<Index>().prop_map(Handling::Cut),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, by)| Handling::Flipped(at, by)),
        1 => Just(Handling::Gzip),
        1 => any::<Index>().prop_map(Handling::GzipCut),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, by)| Handling::GzipFlipped(at, by)),
        1 => Just(Handling::GzipTwice),
        1 => Just(Handling::GzipWithMore),
        1 => Just(Handling::SaysGzip),
        1 => Just(Handling::SaysDeflate),
    ]
}

impl Handling {
    /// The bytes to send, and what `Content-Encoding` says.
    fn apply(&self, text: String) -> (Vec<u8>, Option<&'static str>) {
        let mut bytes = text.into_bytes();
        let cut = |mut bytes: Vec<u8>, at: &Index| {
            bytes.truncate(at.index(bytes.len() + 1));
            bytes
        };
        let flip = |mut bytes: Vec<u8>, at: &Index, by: u8| {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= by;
            }
            bytes
        };
        match self {
            Handling::Plain => (bytes, None),
            Handling::Bom => {
                bytes.splice(0..0, [0xEF, 0xBB, 0xBF]);
                (bytes, None)
            }
            Handling::Cut(at) => (cut(bytes, at), None),
            Handling::Flipped(at, by) => (flip(bytes, at, *by), None),
            Handling::Gzip => (gzip(&bytes), Some("gzip")),
            Handling::GzipCut(at) => (cut(gzip(&bytes), at), Some("gzip")),
            Handling::GzipFlipped(at, by) => (flip(gzip(&bytes), at, *by), Some("GZIP")),
            Handling::GzipTwice => (gzip(&gzip(&bytes)), Some("gzip, gzip")),
            Handling::GzipWithMore => {
                let mut packed = gzip(&bytes);
                packed.extend_from_slice(b"and more");
                (packed, Some(" gzip "))
            }
            Handling::SaysGzip => (bytes, Some("gzip")),
            Handling::SaysDeflate => (bytes, Some("deflate")),
        }
    }
}

fn authorization() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        6 => Just(Some(basic("wk_server"))),
        2 => Just(Some(basic("wk_site"))),
        1 => Just(None),
        1 => select(vec![
            "Basic", "Basic ", "Basic !!!", "Basic AAAA", "Basic d2tfc2VydmVy", "Bearer", "Bearer ",
            "Bearer wk_server", "bearer\twk_server", "Digest x=\"y\"", "wk_server", "Basic Ojo6Og==",
        ]).prop_map(|text| Some(text.to_owned())),
        1 => (1_usize..9_000).prop_map(|length| Some(format!("Basic {}", "QUFB".repeat(length)))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_changed_request_is_answered_and_its_items_are_accounted_for(
        body in select(bodies()),
        node in any::<Index>(),
        twice in any::<Index>(),
        odd in odd(),
        handling in handling(),
        authorization in authorization(),
        path in select(vec![
            "/v1/track", "/v1/i", "/v1/batch", "/v1/b", "/v1/import", "/v1/m", "/v1/r",
            "/v1/group/", "/beacon/v1/batch?writeKey=wk_site", "/v1/t?writeKey=%ff%00wk",
        ]),
        kind in select(vec![
            "application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
            "application/json; charset=utf-16", "image/png", "\u{ff}",
        ]),
        strict in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let door = Door::new();
        let nodes = body.to_string().matches([':', ',']).count() + 1;
        let mut text = String::new();
        let (mut at, mut again) = (node.index(nodes + 1), twice.index(4 * nodes));
        print(&body, &mut at, &mut again, &odd, &mut text);
        let (bytes, encoding) = handling.apply(text);
        let mut request = Request::post(path);
        if let Some(text) = &authorization {
            request = request.header("authorization", text);
        }
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        request = request.header("content-type", HeaderValue::from_bytes(kind.as_bytes()).unwrap());
        request = request.header("x-forwarded-for", "1.2.3.4, \"><, ::ffff:1.1.1.1");
        if strict {
            request = request.header("x-strict-mode", "1");
        }
        let request = request.body(Full::new(Bytes::from(bytes))).unwrap();
        let answered = runtime.block_on(door.call(request)).unwrap();

        let told = answered.json();
        let (stored, refused) = (door.store.events(), door.store.refusals());
        prop_assert!([200, 400, 401].contains(&answered.status), "{}", answered.status);
        if told == serde_json::json!({}) {
            prop_assert_eq!(answered.status, 200);
        } else {
            prop_assert!(told["code"].is_string() && told["message"].is_string(), "{}", told);
            let errors = told["meta"]["errors"].as_array().unwrap();
            prop_assert_eq!(errors.len(), refused.len());
            for error in errors {
                let error = error.as_str().unwrap();
                prop_assert!(error.contains("expected ") && error.contains(", found "), "{}", error);
                prop_assert!(error.len() < 1_000, "{}", error);
            }
            let accepted = told["meta"]["accepted"].as_u64().unwrap_or(0);
            prop_assert_eq!(accepted, stored.len() as u64);
        }
        for event in &stored {
            let text = std::str::from_utf8(&event.json).unwrap();
            let value = Read::parse(text).unwrap();
            prop_assert_eq!(value.get("messageId").and_then(Read::as_text), Some(&*event.message_id));
            prop_assert!(event.json.len() < 2 * 65_536 + 1_000);
        }
        for one in &refused {
            prop_assert!(one.excerpt.len() <= 4_096 && !one.message.is_empty());
        }
    }
}
