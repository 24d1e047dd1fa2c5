//! Laws that hold for all inputs.

use std::borrow::Cow;

use heapline_action::mapping::Mapping;
use heapline_action::reads::Reads;
use heapline_action::trigger::{Condition, Expression, Order, Part, Path, Test, Trigger};
use heapline_action::value::{Number, Object, Value};
use heapline_action::{datetime, fields, integrations};
use proptest::prelude::*;

pub(crate) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

pub(crate) fn js_number(n: f64) -> String {
    Number::Float(n).to_text()
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec![
            "a", "b", "c", "list", "x y", "ключ", "5", "-a", "and", "a-b", "$v", "q\"k", "a/b", "length",
            "properties", "a,b", "0", "1", "@path", "__proto__",
        ])
        .prop_map(str::to_owned),
        1 => "[ab.é]{0,3}",
    ]
}

fn scalar() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-20_i64..20).prop_map(Value::from),
        prop::sample::select(vec![1e21, 0.5, 1e-7, 12345678901234567890.0])
            .prop_map(|n| Value::Number(Number::from(n))),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec!["", "x", "10", "true", "false", "null", "track", "{{a}}", "$.a"])
            .prop_map(Value::from),
        "[a-c*é ()!=,.😀\n{}\"\\\\]{0,5}".prop_map(Value::from),
        "\\PC{0,5}".prop_map(Value::from),
    ]
}

/// Any JSON value.
pub(crate) fn value() -> impl Strategy<Value = Value<'static>> {
    scalar().prop_recursive(4, 24, 4, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 0..4).prop_map(Value::Array),
            object(part).prop_map(Value::Object),
        ]
    })
}

fn object(part: impl Strategy<Value = Value<'static>>) -> impl Strategy<Value = Object<'static>> {
    prop::collection::vec((key(), part), 0..5)
        .prop_map(|members| members.into_iter().map(|(k, v)| (Cow::Owned(k), v)).collect())
}

/// An object with the members that events have, of any type.
pub(crate) fn event() -> impl Strategy<Value = Value<'static>> {
    let top = prop::sample::select(vec!["type", "event", "name", "userId", "integrations", "a"]);
    let nested = prop::sample::select(vec!["properties", "context", "traits"]);
    (
        prop::collection::vec((top, value()), 0..5),
        prop::collection::vec((nested, object(value())), 0..4),
    )
        .prop_map(|(scalars, objects)| {
            let objects = objects.into_iter().map(|(key, object)| (key, Value::Object(object)));
            let members = scalars.into_iter().chain(objects);
            Value::Object(members.map(|(key, value)| (Cow::Borrowed(key), value)).collect())
        })
}

/// A mapping, some of it wrong.
fn mapping() -> impl Strategy<Value = Value<'static>> {
    let path = prop_oneof![
        prop::sample::select(vec![
            "$",
            "$.a",
            "$.properties",
            "a.b",
            "$.list[0].a",
            "$['a.b']",
            ""
        ])
        .prop_map(str::to_owned),
        "[$ab.\\[\\]'\"0é]{0,8}",
    ];
    let template = prop_oneof!["[ab{}$. é]{0,12}", Just("{{a}}{{{b}}}".to_owned())];
    let leaf = prop_oneof![
        3 => path.prop_map(|path| directive("@path", Value::from(path))),
        1 => template.prop_map(|text| directive("@template", Value::from(text))),
        2 => scalar(),
    ];
    let part = leaf.prop_recursive(4, 24, 4, |part| {
        let two = (part.clone(), part.clone());
        let options = |pairs: Vec<(&'static str, Value<'static>)>| {
            Value::Object(pairs.into_iter().map(|(k, v)| (Cow::Borrowed(k), v)).collect())
        };
        let named = move |name: &'static str, pairs| directive(name, options(pairs));
        prop_oneof![
            object(part.clone()).prop_map(Value::Object),
            prop::collection::vec(part.clone(), 0..3).prop_map(Value::Array),
            two.clone().prop_map(move |(a, b)| named(
                "@if",
                vec![("exists", a.clone()), ("then", a), ("else", b)]
            )),
            two.clone().prop_map(move |(a, b)| named("@if", vec![("blank", a), ("then", b)])),
            two.clone().prop_map(|(a, b)| directive("@arrayPath", Value::Array(vec![a, b]))),
            part.clone().prop_map(move |a| named(
                "@case",
                vec![("operator", "upper".into()), ("value", a)]
            )),
            part.clone().prop_map(move |a| named(
                "@replace",
                vec![
                    ("pattern", "a".into()),
                    ("replacement", "$&".into()),
                    ("ignorecase", true.into()),
                    ("value", a),
                ]
            )),
            part.clone().prop_map(|a| directive("@literal", a)),
            part.clone().prop_map(|a| directive("@excludeWhenNull", a)),
            part.clone()
                .prop_map(move |a| named("@json", vec![("mode", "encode".into()), ("value", a)])),
            part.clone()
                .prop_map(move |a| named("@json", vec![("mode", "decode".into()), ("value", a)])),
            part.clone().prop_map(move |a| named(
                "@flatten",
                vec![("value", a), ("separator", ".".into())]
            )),
            two.clone().prop_map(move |(a, b)| named(
                "@merge",
                vec![("objects", Value::Array(vec![a, b])), ("direction", "left".into()),]
            )),
            two.prop_map(move |(a, b)| named("@transform", vec![("apply", a), ("mapping", b)])),
        ]
    });
    object(part).prop_map(Value::Object)
}

fn directive(name: &'static str, options: Value<'static>) -> Value<'static> {
    let mut object = Object::new();
    object.insert(name, options);
    Value::Object(object)
}

fn finite_or_not() -> impl Strategy<Value = f64> {
    let odd =
        prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e21, 1e-7, 0.1]);
    prop_oneof![odd, any::<f64>(), (-9_i32..9).prop_map(f64::from)].prop_map(|n| n + 0.0)
}

/// A tree as the parser can give it.
fn expression() -> impl Strategy<Value = Expression> {
    let first = prop_oneof![
        prop::sample::select(vec![
            "event",
            "properties",
            "and",
            "null",
            "contains",
            "match",
            "a.b",
            "é"
        ])
        .prop_map(str::to_owned),
        "[a-z0-9.\\- \"\\\\é]{1,4}",
    ];
    let rest = prop_oneof!["[a-z0-9.\\[\\] \"'\\\\é-]{1,4}", "[0-9]{1,3}"];
    let path = (first, prop::collection::vec(rest, 0..3)).prop_map(|(first, rest)| {
        Path::new([&*first].into_iter().chain(rest.iter().map(String::as_str))).unwrap()
    });
    let text = || prop_oneof!["[a-c*\"'\\\\ é\n]{0,4}", "\\PC{0,4}"];
    let order = prop::sample::select(vec![Order::Less, Order::AtMost, Order::More, Order::AtLeast]);
    let matched = || {
        prop_oneof![
            text().prop_map(|text| (Part::Inside, text)),
            text().prop_map(|text| (Part::Start, text)),
            "[a-c* ]{0,3}[a-c]".prop_map(|text| (Part::End, text)),
        ]
    };
    let test = prop_oneof![
        text().prop_map(Test::TextIs),
        text().prop_map(Test::TextIsNot),
        finite_or_not().prop_map(Test::NumberIs),
        finite_or_not().prop_map(Test::NumberIsNot),
        any::<bool>().prop_map(Test::BooleanIs),
        Just(Test::Absent),
        Just(Test::Present),
        (order, finite_or_not()).prop_map(|(order, n)| Test::Order(order, n)),
        matched().prop_map(|(part, text)| Test::Matches(part, text)),
        matched().prop_map(|(part, text)| Test::MatchesNot(part, text)),
    ];
    let condition = (path, test).prop_filter_map("not said in the language", |(path, test)| {
        // Of single keys, numbers compare as texts, and booleans, too, where only texts are;
        // objects alone are only there or not.
        let keys: Vec<&str> = path.keys().collect();
        let sayable = match (&*keys, &test) {
            (["properties"], test) => matches!(test, Test::Absent | Test::Present),
            ([_], Test::NumberIs(_) | Test::NumberIsNot(_)) => false,
            (["event"], Test::BooleanIs(_)) => false,
            _ => true,
        };
        sayable.then_some(Expression::Condition(Condition { path, test }))
    });
    condition.prop_recursive(5, 32, 4, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 2..4).prop_map(Expression::And),
            prop::collection::vec(part.clone(), 2..4).prop_map(Expression::Or),
            part.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

/// Where blanks stand between tokens of a printed trigger, counted in characters.
fn blanks_between_tokens(text: &str) -> Vec<usize> {
    let (mut quoted, mut escaped, mut blanks) = (false, false, Vec::new());
    for (at, c) in text.chars().enumerate() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ' ' if !quoted => blanks.push(at),
            _ => {}
        }
    }
    blanks
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn a_printed_trigger_parses_to_the_same_tree(tree in expression()) {
        let text = tree.to_string();
        let parsed = Trigger::parse(&text).map_err(|e| TestCaseError::fail(e.render()))?;
        // By their debug form, in which NaN equals itself.
        prop_assert_eq!(format!("{:?}", parsed.root()), format!("{tree:?}"), "{}", text);
    }

    #[test]
    fn a_trigger_and_its_explanation_agree(tree in expression(), event in event()) {
        let trigger = Trigger::parse(&tree.to_string()).unwrap();
        let explanation = trigger.explain(&event);
        prop_assert_eq!(explanation.holds, trigger.fires_on(&event));
        prop_assert_eq!(explanation.text, tree.to_string());
    }

    #[test]
    fn triggers_judge_anything(tree in expression(), event in value()) {
        Trigger::parse(&tree.to_string()).unwrap().fires_on(&event);
    }

    #[test]
    fn an_error_is_told_at_the_first_token_that_cannot_be(tree in expression(), at in any::<u16>()) {
        let text = tree.to_string();
        let blanks = blanks_between_tokens(&text);
        let Some(&blank) = blanks.get(usize::from(at) % blanks.len().max(1)) else {
            return Ok(());
        };
        let head: String = text.chars().take(blank + 1).collect();
        let tail: String = text.chars().skip(blank + 1).collect();
        let end = (head.matches('\n').count() + 1, head.split('\n').next_back().unwrap().chars().count() + 1);
        let place = |text: &str| Trigger::parse(text).err().map(|error| (error.line, error.column));
        prop_assert_eq!(place(&format!("{head}# {tail}")), Some(end));
        prop_assert!(place(&head).is_none_or(|place| place == end), "{head}");
    }

    #[test]
    fn any_text_is_a_trigger_or_an_error_with_a_place(text in prop_oneof![
        "\\PC{0,40}",
        "(and|or|not|!|\\(|\\)|=|!=|<|<=|type|event|properties\\.|\\.|\\[0\\]|\\[|\"a\"|'|\"|5|-|null|true|contains\\(|match\\(|,| |\n|\r\n|\\\\){0,16}",
    ]) {
        match Trigger::parse(&text) {
            Ok(trigger) => prop_assert_eq!(Trigger::parse(&trigger.to_string()).unwrap().to_string(), trigger.to_string()),
            Err(error) => {
                let lines: Vec<&str> = text.split('\n').collect();
                let line = lines.get(error.line - 1);
                prop_assert!(line.is_some(), "{}", error);
                let length = line.map_or(0, |line| line.chars().count());
                prop_assert!((1..=length + 1).contains(&error.column), "{}", error);
                prop_assert!(error.render().ends_with('^'));
            }
        }
    }

    #[test]
    fn a_mapping_resolves_anything(document in mapping(), event in value()) {
        let before = (document.clone(), event.clone());
        let Ok(mapping) = Mapping::parse(&document) else { return Ok(()) };
        let first = mapping.resolve_value(&event);
        prop_assert_eq!(&first, &mapping.resolve_value(&event));
        if let Ok(Some(payload)) = &first {
            let text = payload.to_json();
            prop_assert_eq!(Value::parse(&text).unwrap().to_json(), text);
        }
        prop_assert_eq!(mapping.to_value(), &before.0);
        prop_assert_eq!(&event, &before.1);
    }

    #[test]
    fn a_mapping_and_a_trigger_need_only_what_they_say_they_read(
        document in mapping(),
        tree in expression(),
        event in event(),
    ) {
        let Ok(mapping) = Mapping::parse(&document) else { return Ok(()) };
        let trigger = Trigger::parse(&tree.to_string()).unwrap();
        let mut reads = Reads::nothing();
        mapping.reads(&mut reads);
        trigger.reads(&mut reads);
        let text = event.to_json();
        let (whole, part) = (Value::parse(&text).unwrap(), Value::parse_part(&text, &reads).unwrap());
        prop_assert_eq!(mapping.resolve_value(&part), mapping.resolve_value(&whole));
        prop_assert_eq!(trigger.fires_on(&part), trigger.fires_on(&whole));
    }

    #[test]
    fn any_value_is_a_mapping_or_a_list_of_faults(document in value()) {
        match Mapping::parse(&document) {
            Ok(mapping) => prop_assert_eq!(mapping.to_value(), &document),
            Err(faults) => prop_assert!(!faults.is_empty()),
        }
    }

    #[test]
    fn a_mapping_without_directives_is_itself(document in object(value()), event in event()) {
        let json = Value::Object(document).to_json();
        prop_assume!(!json.contains("\"@path\""));
        let document = Value::parse(&json).unwrap();
        let mapping = Mapping::parse(&document).unwrap();
        let payload = mapping.resolve_value(&event).unwrap();
        prop_assert_eq!(payload.unwrap().to_json(), json);
    }

    #[test]
    fn values_survive_their_json(value in value()) {
        let text = value.to_json();
        prop_assert_eq!(&Value::parse(&text).unwrap(), &value);
        prop_assert_eq!(value.clone().into_owned(), value);
    }

    #[test]
    fn printed_dates_read_back(moment in prop_oneof![
        -62_167_219_200_000_i64..=253_402_300_799_999,
        -62_167_219_200_000_i64..=-62_167_132_800_000,
        253_402_214_400_000_i64..=253_402_300_799_999,
        -86_400_000_i64..=86_400_000,
    ]) {
        let text = datetime::print(moment);
        prop_assert_eq!(text.len(), 24);
        prop_assert_eq!(datetime::read_text(&text), Some(moment));
    }

    #[test]
    fn any_text_is_a_date_or_not(text in prop_oneof![
        "\\PC{0,30}",
        "[0-9]{4}-?[0-9]{2}-?[0-9]{2}([T ][0-9]{2}:?[0-9]{2}(:?[0-9]{2}([.,][0-9]{1,5})?)?)?(Z|[+-][0-9:]{2,5})?",
    ]) {
        if let Some(moment) = datetime::read_text(&text) {
            prop_assert_eq!(datetime::read_text(&datetime::print(moment)), Some(moment));
        }
    }

    #[test]
    fn the_integrations_object_may_be_anything(event in event()) {
        let key = integrations::switched_off(&event, &["a", "x y"], &["a-b".to_owned()]);
        if let Some(key) = key {
            let found = event.get("integrations").and_then(|object| object.get(&key));
            prop_assert_eq!(found, Some(&Value::Bool(false)));
        }
    }

    #[test]
    fn a_checked_payload_passes_unchanged(payload in object(value())) {
        let fields = crate::cases::FIELDS;
        if let Ok(checked) = fields::check(fields, payload) {
            let again = fields::check(fields, checked.clone());
            prop_assert_eq!(again, Ok(checked));
        }
    }
}
