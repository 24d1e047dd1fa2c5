//! Walks the vectors of each destination through the whole pipeline.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use heapline_action::destination::{Call, Destination, Start};
use heapline_action::pipeline;
use heapline_action::value::{Object, Value};
use heapline_destinations::{Evaluation, actions, evaluate, find, start};

/// Collects what differs from the file, and fails with all of it.
#[derive(Default)]
struct Walk {
    cases: usize,
    failures: Vec<String>,
}

impl Walk {
    fn check(&mut self, case: &Value<'_>, expected: &Value<'_>, found: &Value<'_>) {
        self.cases += 1;
        let id = case.get("id").and_then(Value::as_text).unwrap();
        if expected != found {
            let (expected, found) = (expected.to_json(), found.to_json());
            self.failures.push(format!("{id}\n  expected {expected}\n  found    {found}"));
        }
    }

    fn end(self, cases: usize) {
        let first: Vec<_> = self.failures.iter().take(10).cloned().collect();
        let failed = self.failures.len();
        assert!(failed == 0, "{failed} of {}:\n{}", self.cases, first.join("\n"));
        assert_eq!(self.cases, cases, "cases of the file");
    }
}

fn lines(text: &str) -> impl Iterator<Item = Value<'_>> {
    text.lines().map(|line| Value::parse(line).unwrap())
}

fn object<'a, const N: usize>(members: [(&'static str, Value<'a>); N]) -> Value<'a> {
    let mut object = Object::new();
    for (key, value) in members {
        object.insert(key, value);
    }
    Value::Object(object)
}

fn call(call: Call) -> Value<'static> {
    object([("method", Value::from(call.method)), ("args", Value::Array(call.args))])
}

fn started(start: Start, with_stubs: bool) -> Value<'static> {
    let mut init = Object::new();
    init.insert("script", Value::from(start.script));
    init.insert("config", Value::Object(start.config));
    if with_stubs {
        let stubs = start.stubs.iter().map(|stub| Value::from(*stub)).collect();
        init.insert("stubs", Value::Array(stubs));
    }
    Value::Object(init)
}

/// The evaluation as the files write it.
fn written(evaluation: Evaluation) -> Value<'static> {
    match evaluation {
        Evaluation::Requests(requests) => {
            let requests = requests.into_iter().map(|request| {
                object([
                    ("method", Value::from(request.method)),
                    ("url", Value::from(request.url.clone())),
                    ("json", request.json.value().into_owned()),
                ])
            });
            object([("requests", Value::Array(requests.collect()))])
        }
        Evaluation::Calls(calls) => {
            object([("calls", Value::Array(calls.into_iter().map(call).collect()))])
        }
        Evaluation::Refused(_) => object([("refused", Value::from(true))]),
        Evaluation::Held { anonymous_id } => object([("held", Value::from(anonymous_id))]),
    }
}

fn run(destination: &dyn Destination, case: &Value<'_>) -> Value<'static> {
    let settings = case.get("settings").unwrap();
    match evaluate(destination, settings, case.get("actions"), case.get("event").unwrap(), "site") {
        Ok(evaluation) => written(evaluation),
        Err(problems) => Value::from(format!("{problems:?}")),
    }
}

/// The case with only what its actions look at of the event.
fn only_what_is_read(case: &Value<'_>) -> Value<'static> {
    let definition = find("heap").unwrap().definition();
    let actions = actions(definition, case.get("actions")).unwrap();
    let event = case.get("event").unwrap().to_json();
    let event = Value::parse_part(&event, &pipeline::reads(&actions)).unwrap().into_owned();
    let mut case = case.clone().into_owned();
    let Value::Object(members) = &mut case else { panic!("a case is an object") };
    members.insert("event", event);
    case
}

#[test]
fn heap_sends_the_same_of_what_its_actions_read() {
    let heap = find("heap").unwrap();
    let mut walk = Walk::default();
    for case in lines(include_str!("../heap/vectors/heap.jsonl")) {
        walk.check(&case, &run(heap, &case), &run(heap, &only_what_is_read(&case)));
    }
    walk.end(576);
}

#[test]
fn heap_sends_what_its_vectors_say() {
    let mut walk = Walk::default();
    for case in lines(include_str!("../heap/vectors/heap.jsonl")) {
        let expected = match case.get("requests") {
            Some(requests) => object([("requests", requests.clone())]),
            None => object([("refused", case.get("refused").unwrap().clone())]),
        };
        walk.check(&case, &expected, &run(find("heap").unwrap(), &case));
    }
    walk.end(576);
}

#[test]
fn heap_web_calls_what_its_vectors_say() {
    let web = find("heap-web").unwrap();
    let mut walk = Walk::default();
    for case in lines(include_str!("../heap_web/vectors/heap-web.jsonl")) {
        let (expected, found) = match (case.get("calls"), case.get("init")) {
            (Some(calls), None) => (object([("calls", calls.clone())]), run(web, &case)),
            (None, Some(init)) => {
                let found = start(web, case.get("settings").unwrap()).unwrap();
                (init.clone(), started(found, init.get("stubs").is_some()))
            }
            _ => panic!("a case has either calls or init"),
        };
        walk.check(&case, &expected, &found);
    }
    walk.end(598);
}

#[test]
fn both_do_what_the_public_page_says() {
    let mut walk = Walk::default();
    let settings = object([("appId", Value::from("11"))]);
    for case in lines(include_str!("../heap/vectors/seed.jsonl")) {
        let text = |key: &str| case.get(key).and_then(Value::as_text).unwrap();
        let slug = if text("entry") == "web" { "heap-web" } else { "heap" };
        let destination = find(slug).unwrap();
        let definition = destination.definition();
        let evaluated = || {
            let event = case.get("event").unwrap();
            evaluate(destination, &settings, None, event, "site").unwrap()
        };
        match text("kind") {
            "trigger" => {
                let preset = definition.presets.iter().find(|p| p.action_type == text("action"));
                let expected = case.get("trigger").unwrap();
                walk.check(&case, expected, &Value::from(preset.unwrap().trigger));
            }
            "actions" => {
                let presets = actions(definition, None).unwrap();
                let run = presets
                    .iter()
                    .filter(|action| action.trigger.fires_on(case.get("event").unwrap()))
                    .map(|action| Value::from(definition.action_types[action.action_type].slug));
                walk.check(&case, case.get("run").unwrap(), &Value::Array(run.collect()));
            }
            "user-id" => {
                let accepted = matches!(evaluated(), Evaluation::Requests(all) if !all.is_empty());
                walk.check(&case, case.get("accepted").unwrap(), &Value::from(accepted));
            }
            "flatten" => {
                let properties = match evaluated() {
                    Evaluation::Requests(requests) => {
                        let json = requests[0].json.value().into_owned();
                        let event = json.get("events").unwrap().as_array().unwrap()[0].clone();
                        event.get("properties").unwrap().clone()
                    }
                    Evaluation::Calls(mut calls) => {
                        let mut properties = calls.remove(0).args.remove(1);
                        if let Value::Object(object) = &mut properties {
                            object.remove("segment_library");
                        }
                        properties
                    }
                    other => panic!("{other:?}"),
                };
                walk.check(&case, case.get("properties").unwrap(), &properties.into_owned());
            }
            other => panic!("no kind {other}"),
        }
    }
    walk.end(23);
}
