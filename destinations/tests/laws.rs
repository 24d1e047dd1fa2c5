//! Laws of Heap's requests for any event.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use heapline_action::destination::{Cloud, Configured};
use heapline_action::plan::{Item, Plan, PlanContext, Step};
use heapline_action::value::{Number, Object, Value};
use heapline_destinations::find;
use proptest::prelude::*;
use std::sync::Arc;

fn cloud((api, nested): (&str, &str)) -> Arc<dyn Cloud> {
    let json = format!(r#"{{"appId":"11","api":"{api}","nested":"{nested}"}}"#);
    let settings = Value::parse(&json).unwrap();
    match find("heap").unwrap().configure(settings.as_object().unwrap()) {
        Ok(Configured::Cloud(cloud)) => cloud,
        _ => panic!("{json} configures Heap"),
    }
}

/// A value of `api` and one of `nested`.
fn any_form() -> impl Strategy<Value = (&'static str, &'static str)> {
    let apis = prop::sample::select(vec!["public", "partner"]);
    (apis, prop::sample::select(vec!["flatten", "index", "stringify", "drop"]))
}

fn any_value() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e30..1e30).prop_map(|n: f64| Value::Number(Number::from(n))),
        "\\PC{0,8}".prop_map(Value::from),
        (1_000_usize..1_100).prop_map(|n| Value::from("x😀".repeat(n / 3))),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((any_key(), inner), 0..6).prop_map(|members| {
                Value::Object(members.into_iter().map(|(k, v)| (k.into(), v)).collect())
            }),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[abc.]{0,3}",
        1 => prop::sample::select(vec!["id".to_owned(), "Email".to_owned(), "__proto__".to_owned()]),
        1 => (500_usize..1_100).prop_map(|n| "k".repeat(n)),
    ]
}

fn any_object() -> impl Strategy<Value = Value<'static>> {
    prop::collection::vec((any_key(), any_value()), 0..8).prop_map(|members| {
        Value::Object(members.into_iter().map(|(k, v)| (k.into(), v)).collect())
    })
}

fn payload(user: &str, properties: Value<'static>, traits: Value<'static>) -> Object<'static> {
    let mut payload = Object::new();
    payload.insert("message_id", Value::from("message-1"));
    payload.insert("identity", Value::from(user.to_owned()));
    payload.insert("event", Value::from("E"));
    payload.insert("properties", properties);
    payload.insert("traits", traits);
    payload
}

fn steps(cloud: &dyn Cloud, payload: &Object<'_>) -> Vec<Step> {
    let context = PlanContext { source: "site", action: "a", ordinal: 0, linked_identity: None };
    match cloud.plan(0, payload, context) {
        Plan::Send { steps, .. } => steps,
        other => panic!("{other:?}"),
    }
}

/// The objects of properties in a step.
fn properties(step: &Step) -> Value<'static> {
    let item = match &step.item {
        Item::Append(json) => json.value().into_owned(),
        Item::Fold { .. } => {
            Value::parse(&serde_json::to_string(&step.item).unwrap()).unwrap().into_owned()
        }
    };
    let names = ["properties", "custom_properties"];
    names.into_iter().find_map(|name| item.get(name)).unwrap().clone()
}

/// Flattens by plain recursion, for comparison.
fn flat(nested: &str, prefix: &str, value: &Value<'_>, out: &mut Vec<(String, Value<'static>)>) {
    let members: Vec<(String, &Value<'_>)> = match value {
        Value::Object(object) => object.iter().map(|(key, v)| (key.to_owned(), v)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(n, v)| (n.to_string(), v)).collect(),
        scalar => return out.push((prefix.to_owned(), scalar.clone().into_owned())),
    };
    for (key, value) in members {
        let key = format!("{prefix}{key}");
        let deeper = format!("{key}.");
        match (value, nested) {
            (Value::Object(_), "flatten" | "index") | (Value::Array(_), "index") => {
                flat(nested, &deeper, value, out);
            }
            (Value::Object(_) | Value::Array(_), "drop") => {}
            (Value::Object(_) | Value::Array(_), _) => out.push((key, value.to_json().into())),
            (scalar, _) => out.push((key, scalar.clone().into_owned())),
        }
    }
}

/// What Heap is sent of `from`, told once more: its rules one after the other over the whole.
fn expected(
    (api, nested): (&str, &str),
    users: bool,
    mark: &[(&str, &str)],
    from: &Value<'_>,
) -> Value<'static> {
    let mut members: Vec<(String, Value<'static>)> =
        mark.iter().map(|(k, v)| ((*k).to_owned(), Value::from((*v).to_owned()))).collect();
    flat(nested, "", from, &mut members);
    let units = |text: &str| text.encode_utf16().count();
    members.retain(|(key, _)| !key.is_empty() && units(key) <= 1_023);
    members.retain(|(key, _)| !(users && key.to_lowercase() == "id"));
    let typed = members.into_iter().map(|(key, value)| {
        let value = match (value, api, users) {
            (Value::Text(text), ..) => {
                let mut text = text.into_owned();
                while units(&text) > 1_023 {
                    text.pop();
                }
                Value::from(text)
            }
            (Value::Bool(b), "public", _) => Value::from(b.to_string()),
            (Value::Number(n), "partner", false) => Value::from(n.to_text()),
            (Value::Bool(b), "partner", false) => Value::from(b.to_string()),
            (Value::Null, "partner", false) => Value::from("null"),
            (other, ..) => other,
        };
        (key, value)
    });
    let mut sent = Object::new();
    for (key, value) in typed {
        sent.insert(key, value);
    }
    sent.retain(|_, value| api == "partner" || *value != Value::Null);
    Value::Object(sent)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn properties_are_what_a_plain_reading_of_the_rules_gives(
        form in any_form(), event in any_object(), traits in any_object(), anonymous in any::<bool>(),
    ) {
        let mut payload = payload("u1", event.clone(), traits.clone());
        if anonymous {
            payload.insert("anonymous_id", Value::from("a1"));
        }
        let public = form.0 == "public";
        let mark = [("segment_library", "cloud-mode-destination")];
        let of_event = expected(form, false, if public { &[] } else { &mark }, &event);
        let known: &[_] = if public && anonymous { &[("anonymous_id", "a1")] } else { &[] };
        let of_user = expected(form, true, known, &traits);
        let updates = usize::from(of_user.as_object().is_some_and(|members| !members.is_empty()));
        let found: Vec<Value<'_>> = steps(&*cloud(form), &payload).iter().map(properties).collect();
        let wanted: Vec<Value<'_>> =
            [of_user, of_event].into_iter().skip(1 - updates).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn what_is_sent_is_flat_and_inside_the_limits(
        form in any_form(), event in any_object(), traits in any_object(),
    ) {
        let cloud = cloud(form);
        let payload = payload("u1", event, traits);
        let units = |text: &str| text.encode_utf16().count();
        for step in steps(&*cloud, &payload) {
            let users = step.endpoint.0 == 1;
            let partner = cloud.endpoints()[0].url.contains("integrations");
            for (key, value) in properties(&step).as_object().unwrap().iter() {
                prop_assert!((1..=1_023).contains(&units(key)), "{key}");
                prop_assert!(!(users && key.eq_ignore_ascii_case("id")));
                match value {
                    Value::Text(text) => prop_assert!(units(text) <= 1_023),
                    Value::Number(_) => prop_assert!(users || !partner),
                    Value::Bool(_) | Value::Null => prop_assert!(users && partner),
                    Value::Array(_) | Value::Object(_) => prop_assert!(false, "{key} is nested"),
                }
            }
        }
    }

    #[test]
    fn a_plan_is_a_function_of_its_arguments(
        form in any_form(), event in any_object(), traits in any_object(),
    ) {
        let cloud = cloud(form);
        let payload = payload("u1", event, traits);
        prop_assert_eq!(steps(&*cloud, &payload), steps(&*cloud, &payload));
    }

    #[test]
    fn a_merged_body_holds_each_item_as_it_is(
        form in any_form(), events in prop::collection::vec((any_object(), any_object()), 1..6),
    ) {
        let cloud = cloud(form);
        let all: Vec<Step> = events
            .into_iter()
            .enumerate()
            .flat_map(|(n, (event, traits))| {
                steps(&*cloud, &payload(&format!("u{n}"), event, traits))
            })
            .collect();
        for (id, endpoint) in cloud.endpoints().iter().enumerate() {
            let own: Vec<&Item> =
                all.iter().filter(|s| usize::from(s.endpoint.0) == id).map(|s| &s.item).collect();
            let body = String::from_utf8(endpoint.body(own.iter().copied())).unwrap();
            let body = Value::parse(&body).unwrap();
            let items = body.get(endpoint.items).unwrap().as_array().unwrap();
            prop_assert_eq!(items.len(), own.len());
            for (item, own) in items.iter().zip(own) {
                let alone = String::from_utf8(endpoint.body([own])).unwrap();
                let alone = Value::parse(&alone).unwrap();
                prop_assert_eq!(&alone.get(endpoint.items).unwrap().as_array().unwrap()[0], item);
            }
            for (key, value) in &endpoint.envelope {
                prop_assert_eq!(body.get(key), Some(&value.value()));
            }
        }
    }

    #[test]
    fn of_two_updates_of_one_user_the_later_wins(
        form in any_form(), first in any_object(), second in any_object(), third in any_object(),
    ) {
        let cloud = cloud(form);
        let update = |traits: Value<'static>| {
            let steps = steps(&*cloud, &payload("u1", Value::Object(Object::new()), traits));
            steps.into_iter().find(|step| step.endpoint.0 == 1)
        };
        let updates: Vec<Step> = [first, second, third].into_iter().filter_map(update).collect();
        let Some((head, rest)) = updates.split_first() else { return Ok(()) };
        let mut folded = head.item.clone();
        let mut expected = properties(head).as_object().unwrap().clone();
        for step in rest {
            prop_assert!(folded.fold(&step.item));
            for (key, value) in properties(step).as_object().unwrap().clone() {
                expected.insert(key, value);
            }
        }
        let folded = Step { item: folded, ..head.clone() };
        prop_assert_eq!(properties(&folded), Value::Object(expected));
    }
}
