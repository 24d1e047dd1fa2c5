//! What `evaluate` says of faults, of several actions, and of the page's further cases.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use heapline_action::value::Value;
use heapline_destinations::{Evaluation, Problem, evaluate, find, start};

fn run(slug: &str, case: &str) -> Result<Evaluation, Vec<Problem>> {
    let case = Value::parse(case).unwrap();
    let settings = case.get("settings").cloned().unwrap_or(Value::Null);
    let event = case.get("event").cloned().unwrap_or(Value::Null);
    evaluate(find(slug).unwrap(), &settings, case.get("actions"), &event, "site")
}

fn requests(case: &str) -> Vec<String> {
    match run("heap", case).unwrap() {
        Evaluation::Requests(all) => all.iter().map(|r| r.json.as_str().to_owned()).collect(),
        other => panic!("{other:?}"),
    }
}

fn calls(case: &str) -> Vec<String> {
    match run("heap-web", case).unwrap() {
        Evaluation::Calls(calls) => calls
            .into_iter()
            .map(|call| format!("{}{}", call.method, Value::Array(call.args).to_json()))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_faults_come_at_once_with_their_places() {
    let case = r#"{"settings":{"appId":"x"},"event":{},"actions":[
        {"action":"trackEvent","trigger":"type = \"track\"\nand type =","enabled":1},
        {"action":"identifyUser","mapping":{"user_id":{"@path":7}},"nam":"x"},
        {"action":"sendEvent"},
        7
    ]}"#;
    let problems = run("heap", case).unwrap_err();
    let found: Vec<_> = problems.iter().map(|p| (p.path.as_str(), p.place)).collect();
    assert_eq!(
        found,
        [
            ("settings.appId", None),
            ("actions[0].enabled", None),
            ("actions[0].trigger", Some((2, 11))),
            ("actions[1].nam", None),
            ("actions[1].mapping.user_id.@path", None),
            ("actions[2].action", None),
            ("actions[3]", None),
        ],
        "{problems:#?}"
    );
}

#[test]
fn an_action_has_the_presets_trigger_and_the_fields_mapping_unless_it_says_otherwise() {
    let event = r#""event":{"type":"track","event":"E","userId":"u1","messageId":"message-1"}"#;
    let plain = requests(&format!(r#"{{"settings":{{"appId":"1"}},{event}}}"#));
    assert_eq!(
        plain,
        [
            r#"{"app_id":"1","events":[{"identity":"u1","event":"E","properties":{},"idempotency_key":"message-1"}]}"#
        ]
    );
    let named =
        format!(r#"{{"settings":{{"appId":"1"}},{event},"actions":[{{"action":"trackEvent"}}]}}"#);
    assert_eq!(requests(&named), plain);
    let off = format!(
        r#"{{"settings":{{"appId":"1"}},{event},"actions":[{{"action":"trackEvent","enabled":false}}]}}"#
    );
    assert_eq!(requests(&off), [""; 0]);
}

#[test]
fn the_first_action_that_sends_has_the_message_id_as_key() {
    let case = |first: &str| {
        format!(
            r#"{{"settings":{{"appId":"1"}},
            "event":{{"type":"track","event":"E","userId":"u1","messageId":"message-1"}},
            "actions":[{{"action":"trackEvent","id":"a"{first}}},{{"action":"trackEvent","id":"b"}},
            {{"action":"trackEvent","id":"c"}}]}}"#
        )
    };
    let keys = |first: &str| -> Vec<String> {
        requests(&case(first))
            .iter()
            .map(|json| {
                let json = Value::parse(json).unwrap();
                let event = &json.get("events").unwrap().as_array().unwrap()[0];
                event.get("idempotency_key").and_then(Value::as_text).unwrap().to_owned()
            })
            .collect()
    };
    assert_eq!(keys(""), ["message-1", "message-1:b", "message-1:c"]);
    for first in [r#","trigger":"type = \"page\"""#, r#","enabled":false"#, r#","mapping":{}"#] {
        assert_eq!(keys(first), ["message-1", "message-1:c"], "{first}");
    }
}

#[test]
fn a_refusal_counts_only_if_nothing_is_sent() {
    let event =
        r#""event":{"type":"track","event":"E","anonymousId":"a1","messageId":"message-1"}"#;
    let refused = run("heap", &format!(r#"{{"settings":{{"appId":"1"}},{event}}}"#)).unwrap();
    assert!(matches!(refused, Evaluation::Refused(why) if why.contains("user id")));
    let held =
        run("heap", &format!(r#"{{"settings":{{"appId":"1","anonymous":"hold"}},{event}}}"#));
    assert_eq!(held, Ok(Evaluation::Held { anonymous_id: "a1".to_owned() }));
    let both = format!(
        r#"{{"settings":{{"appId":"1"}},{event},"actions":[{{"action":"trackEvent"}},
        {{"action":"trackEvent","id":"b","mapping":{{"message_id":"message-2","identity":"u1"}}}}]}}"#
    );
    assert_eq!(requests(&both).len(), 1);
}

#[test]
fn an_anonymous_event_is_told_which_field_lacks_the_user_id() {
    for (call, field) in [("track\",\"event\":\"E", "`identity`"), ("identify", "`user_id`")] {
        let case = format!(
            r#"{{"settings":{{"appId":"1"}},"event":{{"type":"{call}","anonymousId":"a1",
            "messageId":"message-1"}}}}"#
        );
        match run("heap", &case).unwrap() {
            Evaluation::Refused(sentence) => assert!(sentence.contains(field), "{sentence}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_event_over_the_size_of_a_body_is_refused() {
    let properties: Vec<String> =
        (0..2_000).map(|n| format!(r#""k{n}":"{}""#, "v".repeat(1_000))).collect();
    let case = format!(
        r#"{{"settings":{{"appId":"1"}},"event":{{"type":"track","event":"E","userId":"u1",
        "messageId":"message-1","properties":{{{}}}}}}}"#,
        properties.join(",")
    );
    let refused = run("heap", &case).unwrap();
    assert!(matches!(refused, Evaluation::Refused(why) if why.contains("1048576")));
}

#[test]
fn consent_and_the_integrations_object_filter_what_the_server_sends() {
    for (settings, more) in [
        (r#""appId":"1""#, r#","integrations":{"All":false}"#),
        (r#""appId":"1""#, r#","integrations":{"Heap Cloud (Actions) trackEvent":false}"#),
        (r#""appId":"1","consentCategories":["ads"]"#, ""),
    ] {
        let case = format!(
            r#"{{"settings":{{{settings}}},"event":{{"type":"track","event":"E","userId":"u1",
            "messageId":"message-1"{more}}}}}"#
        );
        assert_eq!(requests(&case), [""; 0], "{settings} {more}");
    }
}

#[test]
fn only_a_truthy_answer_in_the_stamp_is_consent_at_both_destinations() {
    for (answer, granted) in [
        ("true", true),
        ("\"yes\"", true),
        ("1", true),
        ("false", false),
        ("null", false),
        ("0", false),
        ("\"\"", false),
    ] {
        let case = format!(
            r#"{{"settings":{{"appId":"1","consentCategories":["ads"]}},"event":{{"type":"track",
            "event":"E","userId":"u1","messageId":"message-1",
            "context":{{"consent":{{"categoryPreferences":{{"ads":{answer}}}}}}}}}}}"#
        );
        assert_eq!(!requests(&case).is_empty(), granted, "{answer}");
        assert_eq!(!calls(&case).is_empty(), granted, "{answer}");
    }
}

#[test]
fn items_of_lists_are_unrolled_up_to_the_limit() {
    let case = |settings: &str, properties: &str| {
        calls(&format!(
            r#"{{"settings":{{"appId":"1"{settings}}},
            "event":{{"type":"track","event":"E","properties":{properties}}}}}"#
        ))
    };
    let mark = r#""segment_library":"browser-destination""#;
    assert_eq!(
        case(r#","browserArrayLimit":2"#, r#"{"a":[{"x":1},{"x":2},{"x":3}],"b":{"c":1},"d":5}"#),
        [
            format!(r#"track["E a item",{{{mark},"x":"1"}}]"#),
            format!(r#"track["E a item",{{{mark},"x":"2"}}]"#),
            format!(
                r#"track["E",{{{mark},"a":"[{{\"x\":1}},{{\"x\":2}},{{\"x\":3}}]","b.c":"1","d":"5"}}]"#
            ),
        ]
    );
    assert_eq!(
        case(
            r#","browserArrayLimit":4,"numbers":"number""#,
            r#"{"a":[null,"t",1.5,[2]],"b":[true,9]}"#
        ),
        [
            format!(r#"track["E a item",{{{mark},"value":"t"}}]"#),
            format!(r#"track["E a item",{{{mark},"value":1.5}}]"#),
            format!(r#"track["E a item",{{{mark},"value":"[2]"}}]"#),
            format!(r#"track["E b item",{{{mark},"value":"true"}}]"#),
            format!(r#"track["E",{{{mark},"a":"[null,\"t\",1.5,[2]]","b":"[true,9]"}}]"#),
        ]
    );
    assert_eq!(
        case("", r#"{"segment_library":"mine","n":null,"":1}"#),
        [r#"track["E",{"segment_library":"mine","n":null}]"#]
    );
}

#[test]
fn the_page_identifies_by_the_same_rules() {
    let identify = |user: &str| {
        format!(
            r#"{{"settings":{{"appId":"1"}},"event":{{"type":"identify","userId":{user},
            "traits":{{"a":{{"b":1}},"e":{{}}}}}}}}"#
        )
    };
    let traits = r#"addUserProperties[{"a.b":"1"}]"#;
    assert_eq!(calls(&identify(r#"" u1 ""#)), [traits, r#"identify["u1"]"#]);
    for nobody in ["null", r#""0""#, r#""  ""#] {
        assert_eq!(calls(&identify(nobody)), [traits], "{nobody}");
    }
    for refused in [r#""undefined""#.to_owned(), format!(r#""{}""#, "x".repeat(256))] {
        let found = run("heap-web", &identify(&refused)).unwrap();
        assert!(matches!(found, Evaluation::Refused(_)), "{refused}");
    }
}

#[test]
fn only_the_page_starts_a_script() {
    let settings = Value::parse(r#"{"appId":"1"}"#).unwrap();
    assert!(start(find("heap-web").unwrap(), &settings).is_ok());
    assert_eq!(start(find("heap").unwrap(), &settings).unwrap_err()[0].path, "destination");
}
