//! Walks `heap/vectors/plan.jsonl`: what Heap makes of one checked payload.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use heapline_action::destination::{Cloud, Configured, Destination};
use heapline_action::plan::{Plan, PlanContext, Request};
use heapline_action::value::{Object, Value};
use heapline_destinations::heap::Heap;

fn cloud(settings: &Value<'_>) -> std::sync::Arc<dyn Cloud> {
    let mut all = Object::new();
    all.insert("appId", Value::from("11"));
    for (key, value) in settings.as_object().unwrap().iter() {
        all.insert(key, value.clone());
    }
    match Heap.configure(&all) {
        Ok(Configured::Cloud(cloud)) => cloud,
        Ok(Configured::Web(_)) => panic!("Heap is delivered by the server"),
        Err(faults) => panic!("{faults:?}"),
    }
}

/// What came out, in the form of the file.
fn outcome(
    cloud: &dyn Cloud,
    action_type: usize,
    payload: &Object<'_>,
    case: &Value<'_>,
) -> String {
    let context = PlanContext {
        source: "site",
        action: "a2",
        ordinal: usize::from(case.get("second").is_some()),
        linked_identity: case.get("linked").and_then(Value::as_text),
    };
    let plan = cloud.plan(action_type, payload, context);
    match plan {
        Plan::Refuse(refusal) => format!(r#"{{"refused":"{}"}}"#, refusal.code),
        Plan::Hold { anonymous_id } => format!(r#"{{"hold":"{anonymous_id}"}}"#),
        Plan::Send { steps, notices } => {
            let requests: Vec<String> = steps
                .iter()
                .map(|step| {
                    let endpoint = &cloud.endpoints()[usize::from(step.endpoint.0)];
                    let request = Request::of_step(step, endpoint);
                    let path = request.url.strip_prefix("https://heapanalytics.com/api").unwrap();
                    format!(r#"["{path}",{}]"#, request.json.as_str())
                })
                .collect();
            let codes: Vec<String> =
                notices.iter().map(|notice| format!(r#""{}""#, notice.code)).collect();
            let notices = match codes.is_empty() {
                true => String::new(),
                false => format!(r#","notices":[{}]"#, codes.join(",")),
            };
            format!(r#"{{"requests":[{}]{notices}}}"#, requests.join(","))
        }
    }
}

/// Text is compared, not values: the order of keys is part of the wire form.
#[test]
fn each_payload_becomes_what_the_file_says() {
    let mut failures = Vec::new();
    let mut cases = 0;
    for line in include_str!("../heap/vectors/plan.jsonl").lines() {
        let case = Value::parse(line).unwrap();
        let id = case.get("id").unwrap().as_text().unwrap();
        let cloud = cloud(case.get("settings").unwrap());
        let action_type = match case.get("action").unwrap().as_text().unwrap() {
            "trackEvent" => 0,
            "identifyUser" => 1,
            other => panic!("{id}: no action type {other}"),
        };
        let payload = case.get("payload").unwrap().as_object().unwrap();
        let expected = case.get("expect").unwrap().to_json();
        let found = outcome(cloud.as_ref(), action_type, payload, &case);
        if found != expected {
            failures.push(format!("{id}\n  expected {expected}\n  found    {found}"));
        }
        cases += 1;
    }
    assert!(cases > 50, "only {cases} cases");
    assert!(failures.is_empty(), "{} of {cases}:\n{}", failures.len(), failures.join("\n"));
}
