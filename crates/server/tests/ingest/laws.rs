//! Laws that hold for any body.

use heapline_action::value::Value;
use heapline_server::ingest::{Call, Decoded, Limits, Request, Route, decode};
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::{NOON, sources};

const ROUTES: [Route; 5] = [
    Route::Single(Call::Track),
    Route::Single(Call::Group),
    Route::Batch,
    Route::Metrics,
    Route::Receipts,
];

fn judge(route: Route, key: &str, encoding: Option<&str>, body: &[u8]) -> Decoded {
    let authorization = format!("Bearer {key}");
    let request = Request {
        route,
        authorization: Some(&authorization),
        address_key: None,
        encoding,
        strict: false,
        body,
        now: NOON,
        client_ip: Some([198, 51, 100, 7].into()),
    };
    decode(&request, &sources(), &Limits::default(), &|| "made-id-1".to_owned())
}

/// JSON, with the names that the door knows among the keys, and with odd texts and numbers.
fn json() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        select(vec![
            "\"u\"",
            "\"\"",
            "\" \"",
            "\"\\ud800\"",
            "\"\\udc00x\"",
            "\"\\ud83d\\ude00\"",
            "\"track\"",
            "\"2026-11-24T11:00:00Z\"",
            "\"a\\\"b\\\\\"",
            "\"é\"",
            "\"\\u0000\"",
        ])
        .prop_map(str::to_owned),
        "[a-z]{0,8}".prop_map(|text| format!("\"{text}\"")),
    ];
    let leaf = prop_oneof![
        text,
        select(vec![
            "null",
            "true",
            "0",
            "-0",
            "1.50",
            "1e5",
            "1E+400",
            "-1e-400",
            "12345678901234567890"
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5)
                .prop_map(|items| format!("[{}]", items.join("\r, "))),
            object(inner, 0..8),
        ]
    })
}

fn object(
    value: impl Strategy<Value = String>,
    size: std::ops::Range<usize>,
) -> impl Strategy<Value = String> {
    let key = prop_oneof![
        3 => select(vec![
            "type", "event", "userId", "anonymousId", "groupId", "previousId", "messageId", "timestamp",
            "originalTimestamp", "sentAt", "receivedAt", "properties", "traits", "context",
            "integrations", "writeKey", "version", "batch", "ip", "series", "user\\u0049d", "k\\ud800",
        ]).prop_map(str::to_owned),
        1 => "[a-z]{1,3}",
    ];
    proptest::collection::vec((key, value), size).prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(k, v)| format!("\n\"{k}\" :{v}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

/// A call that is good but for what `extra` may break.
fn call() -> impl Strategy<Value = String> {
    object(json(), 0..12).prop_map(|extra| {
        let extra = extra.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
        let comma = if extra.is_empty() { "" } else { "," };
        format!(r#"{{"type":"track","event":"A","userId":"u"{comma}{extra}}}"#)
    })
}

fn assert_stored_well(decoded: &Decoded) {
    assert_eq!(decoded.faults.len(), decoded.rejected.len());
    for event in &decoded.events {
        let text = std::str::from_utf8(&event.json).unwrap();
        assert!(!text.contains(['\n', '\r']), "{text}");
        let value = Value::parse(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let member = |name| value.get(name).and_then(Value::as_text);
        assert_eq!(member("messageId"), Some(&*event.message_id));
        assert_eq!(member("userId"), event.user_id.as_deref());
        assert_eq!(member("anonymousId"), event.anonymous_id.as_deref());
        assert_eq!(member("receivedAt"), Some("2026-11-24T12:00:10.000Z"));
        assert_eq!(member("timestamp").map(str::len), Some(24));
        assert!(value.get("writeKey").is_none() && !event.message_id.trim().is_empty());
        let keys: Vec<&str> = value.as_object().unwrap().iter().map(|(key, _)| key).collect();
        let count = text_keys(text);
        assert_eq!(keys.len(), count, "each key once: {text}");
    }
}

/// Top-level keys as written, repeated ones too.
fn text_keys(text: &str) -> usize {
    struct Count(usize);
    impl<'de> serde::Deserialize<'de> for Count {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Walk;
            impl<'de> serde::de::Visitor<'de> for Walk {
                type Value = Count;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut from: A,
                ) -> Result<Count, A::Error> {
                    use serde::de::IgnoredAny;
                    let mut count = 0;
                    while from.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                        count += 1;
                    }
                    Ok(Count(count))
                }
            }
            from.deserialize_map(Walk)
        }
    }
    serde_json::from_str::<Count>(text).unwrap().0
}

const MEANT: [&str; 18] = [
    "type",
    "event",
    "userId",
    "anonymousId",
    "groupId",
    "previousId",
    "messageId",
    "timestamp",
    "originalTimestamp",
    "sentAt",
    "receivedAt",
    "properties",
    "traits",
    "context",
    "integrations",
    "writeKey",
    "version",
    "batch",
];

proptest! {
    #[test]
    fn any_bytes_are_judged(
        route in select(ROUTES.to_vec()),
        encoding in select(vec![None, Some("gzip"), Some("br")]),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        assert_stored_well(&judge(route, "wk_site", encoding, &body));
    }

    #[test]
    fn any_json_is_judged(route in select(ROUTES.to_vec()), body in json()) {
        assert_stored_well(&judge(route, "wk_site", None, body.as_bytes()));
    }

    #[test]
    fn a_cut_or_flipped_call_is_judged(
        body in call(), at in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut body = body.into_bytes();
        let at = at.index(body.len());
        if cut { body.truncate(at) } else { body[at] = byte }
        assert_stored_well(&judge(Route::Single(Call::Track), "wk_site", None, &body));
    }

    #[test]
    fn unknown_members_are_kept(body in call(), key in select(vec!["wk_server", "wk_site"])) {
        let decoded = judge(Route::Single(Call::Track), key, None, body.as_bytes());
        assert_stored_well(&decoded);
        let Some(event) = decoded.events.first() else { return Ok(()) };
        let mended = heapline_action::value::mend_surrogates(&body).unwrap_or(body);
        let sent = Value::parse(&mended).unwrap();
        let stored = Value::parse(std::str::from_utf8(&event.json).unwrap()).unwrap();
        for (name, value) in sent.as_object().unwrap().iter().filter(|(k, _)| !MEANT.contains(k)) {
            prop_assert_eq!(stored.get(name), Some(value), "{}", name);
        }
        for name in ["properties", "traits", "integrations", "event"] {
            let sent = sent.get(name).filter(|value| **value != Value::Null);
            prop_assert_eq!(stored.get(name), sent, "{}", name);
        }
    }

    #[test]
    fn a_batch_is_its_items(items in proptest::collection::vec(call(), 0..6)) {
        let body = format!("{{\"batch\":[{}]}}", items.join(","));
        let whole = judge(Route::Batch, "wk_site", None, body.as_bytes());
        assert_stored_well(&whole);
        let mut events = whole.events.into_iter();
        let mut faults = whole.faults.into_iter();
        for (at, item) in items.iter().enumerate() {
            let alone = judge(Route::Batch, "wk_site", None, format!("{{\"batch\":[{item}]}}").as_bytes());
            match alone.events.into_iter().next() {
                Some(event) => prop_assert_eq!(events.next(), Some(event)),
                None => {
                    let fault = faults.next().unwrap();
                    prop_assert_eq!(fault.item, Some(at));
                    prop_assert_eq!(&fault.found, &alone.faults[0].found);
                }
            }
        }
        prop_assert_eq!((events.next(), faults.next()), (None, None));
    }
}
