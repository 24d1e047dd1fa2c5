//! What would grow without bound is stopped, and says so.

use heapline_action::mapping::{Mapping, Unresolved};
use heapline_action::plan::{Item, Json};
use heapline_action::trigger::Trigger;
use heapline_action::value::Value;

/// `inner` inside `levels` of `outer`, where `INSIDE` stands for what is inside.
fn nested(levels: usize, outer: &str, inner: &str) -> String {
    (0..levels).fold(inner.to_owned(), |inside, _| outer.replace("INSIDE", &inside))
}

/// A mapping with the one field `a`.
fn mapping(a: &str) -> Mapping {
    let text = format!(r#"{{"a":{a}}}"#);
    Mapping::parse(&Value::parse(&text).unwrap()).unwrap()
}

fn outcome(mapping: &Mapping, event: &str) -> Result<usize, Unresolved> {
    let event = Value::parse(event).unwrap();
    let payload = mapping.resolve(&event)?;
    Ok(Value::Object(payload).to_json().len())
}

/// The root of a transform is what was applied, and both its members are that once more.
const TWICE: &str =
    r#"{"@transform":{"apply":{"v":INSIDE},"mapping":{"l":{"@path":"$"},"r":{"@path":"$"}}}}"#;

#[test]
fn a_mapping_that_multiplies_an_event_is_stopped() {
    let small = r#"{"a":"x","list":[1,2,3,4,5,6,7,8,9,10]}"#;
    let text = r#"{"@transform":{"apply":{"v":INSIDE},"mapping":{"@template":"{{v}}{{v}}{{v}}"}}}"#;
    let longer = r#"{"@replace":{"pattern":"x","replacement":"xxxxxxxxxx","value":INSIDE}}"#;
    let escaped = r#"{"@json":{"mode":"encode","value":INSIDE}}"#;
    let literal = r#"{"@transform":{"apply":{"l":[0,1,2,3,4,5,6,7,8,9]},"mapping":{"@arrayPath":["$.l",{"v":INSIDE}]}}}"#;
    let a = r#"{"@path":"$.a"}"#;
    for (levels, outer, inner) in [
        (20, TWICE, a),
        (20, text, a),
        (40, longer, a),
        (40, escaped, r#"{"@template":"\\"}"#),
        (10, literal, r#"{"@literal":1}"#),
        (10, literal, r#"{"@path":"$.missing"}"#),
    ] {
        let mapping = mapping(&nested(levels, outer, inner));
        assert_eq!(outcome(&mapping, small), Err(Unresolved::TooLarge), "{outer}");
    }
}

#[test]
fn what_is_large_but_bounded_passes() {
    // The most values that an event of the largest usual size can hold, in eight fields.
    let event = format!(r#"{{"p":[{}0]}}"#, "0,".repeat(32_000));
    let fields: Vec<String> = (0..8).map(|n| format!(r#""f{n}":{{"@path":"$.p"}}"#)).collect();
    let fields = mapping(&format!("{{{}}}", fields.join(",")));
    assert!(outcome(&fields, &event).unwrap() > 8 * 64_000);
    let text = format!(r#"{{"t":"{}"}}"#, "x".repeat(64_000));
    let replaced =
        r#"{"@replace":{"pattern":"x","replacement":"0123456789","value":{"@path":"$.t"}}}"#;
    assert!(outcome(&mapping(replaced), &text).unwrap() > 640_000);
    let decoded = r#"{"@json":{"mode":"decode","value":{"@path":"$.t"}}}"#;
    let list = format!(r#"{{"t":"[{}0]"}}"#, "0,".repeat(32_000));
    assert!(outcome(&mapping(decoded), &list).unwrap() > 64_000);
}

#[test]
fn a_long_key_over_many_values_is_stopped_before_it_is_written_for_each() {
    let key = "k".repeat(32_000);
    let members: Vec<String> = (0..3_000).map(|n| format!(r#""{n}":1"#)).collect();
    let event = format!(r#"{{"p":{{"{key}":{{{}}}}}}}"#, members.join(","));
    let flat = r#"{"@flatten":{"value":{"@path":"$.p"},"separator":"."}}"#;
    assert_eq!(outcome(&mapping(flat), &event), Err(Unresolved::TooLarge));
}

#[test]
fn a_huge_template_is_read_and_filled_in_one_pass() {
    let many = Value::from("{{a}} ".repeat(20_000)).to_json();
    let filled = mapping(&format!(r#"{{"@template":{many}}}"#));
    assert!(outcome(&filled, r#"{"a":"x"}"#).unwrap() > 40_000);
    let odd = Value::from("{{a}}{{{".repeat(20_000)).to_json();
    assert!(outcome(&mapping(&format!(r#"{{"@template":{odd}}}"#)), r#"{"a":"x"}"#).is_ok());
    let braces = Value::from("{".repeat(200_000)).to_json();
    let untouched = mapping(&format!(r#"{{"@template":{braces}}}"#));
    assert!(outcome(&untouched, r#"{"a":"x"}"#).unwrap() > 200_000);
}

#[test]
fn long_and_deep_triggers_are_refused_with_a_reason() {
    for (text, reason) in [
        ("(".repeat(5_000), "levels"),
        ("!".repeat(5_000), "levels"),
        (format!("{}type = \"a\"{}", "(".repeat(101), ")".repeat(101)), "levels"),
        (" ".repeat(20_000), "characters"),
        (vec!["type = \"a\""; 2_000].join(" or "), "characters"),
    ] {
        let error = Trigger::parse(&text).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_pattern_is_matched_in_one_pass() {
    let long = "a".repeat(60_000);
    let event =
        Value::parse(&format!(r#"{{"type":"track","event":"{long}"}}"#)).unwrap().into_owned();
    for (text, fires) in [
        ("match(event, \"*aaaaaaaaab\")", false),
        ("match(event, \"aaaaaaaaa*\")", true),
        ("contains(event, \"aaaaaaaaaaaaaaaaaaaab\")", false),
        ("!match(event, \"********b\")", true),
    ] {
        assert_eq!(Trigger::parse(text).unwrap().fires_on(&event), fires, "{text}");
    }
}

#[test]
fn large_updates_fold_as_small_ones_do_and_in_linear_time() {
    let update = |from: u32, count: u32| {
        let property = |n| (format!("p{n}").into(), Json::of(&(from + n)));
        let head = vec![("identity", Json::of("ada"))];
        let properties = (from..from + count).map(property).collect();
        Item::Fold { head, member: "properties", properties }
    };
    for count in [3, 30, 5_000] {
        let mut folded = update(0, count);
        for from in 1..200 {
            assert!(folded.fold(&update(from, count)));
        }
        let Item::Fold { properties, .. } = folded else { panic!("it stays an update") };
        // The last that set a property counts, at the place of the first.
        let found: Vec<String> = properties.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
        let last = |n: u32| n.min(199) + n;
        let expected: Vec<String> = (0..199 + count).map(|n| format!("p{n}={}", last(n))).collect();
        assert_eq!(found, expected, "{count}");
    }
}
