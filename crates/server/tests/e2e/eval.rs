//! `heapline eval`: one line in, one line out, however the lines look.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use heapline_action::value::{Object, Value};

use crate::support::child::{HEAPLINE, heapline_with};

const FILES: [(Option<&str>, &str); 4] = [
    (None, include_str!("../../../action/vectors/trigger.jsonl")),
    (None, include_str!("../../../action/vectors/mapping.jsonl")),
    (Some("heap"), include_str!("../../../../destinations/heap/vectors/heap.jsonl")),
    (Some("heap-web"), include_str!("../../../../destinations/heap_web/vectors/heap-web.jsonl")),
];

/// The question of a case: the case itself without its answer.
fn question(case: &Value<'_>, destination: Option<&'static str>) -> String {
    let answers = ["id", "match", "payload", "error", "requests", "refused", "calls", "source"];
    let mut question = Object::new();
    if let Some(destination) = destination {
        question.insert("destination", Value::from(destination));
    }
    for (key, value) in case.as_object().unwrap().iter() {
        match key {
            "init" => question.insert("init", Value::Bool(true)),
            key if answers.contains(&key) => continue,
            key => question.insert(key.to_owned(), value.clone()),
        };
    }
    Value::Object(question).to_json()
}

/// What is wrong with the answer, if anything is.
fn differs(case: &Value<'_>, answer: &Value<'_>) -> Option<String> {
    let (key, expected) = ["match", "payload", "error", "requests", "refused", "calls", "init"]
        .iter()
        .find_map(|key| Some((*key, case.get(key)?)))
        .unwrap();
    let only = answer.as_object().unwrap().len() == 1;
    let good = match (key, answer.get(key)) {
        (_, None) => false,
        ("refused", Some(found)) => found.as_text().is_some_and(|why| !why.is_empty()),
        ("error", Some(found)) => {
            let place = |key| expected.get(key).is_none_or(|place| found.get(key) == Some(place));
            let said = found.get("message").and_then(Value::as_text);
            said.is_some_and(|why| !why.is_empty()) && place("line") && place("column")
        }
        ("init", Some(found)) => expected
            .as_object()
            .unwrap()
            .iter()
            .all(|(key, expected)| found.get(key) == Some(expected)),
        (_, Some(found)) => found == expected,
    };
    let id = case.get("id").and_then(Value::as_text).unwrap();
    (!(good && only)).then(|| {
        format!("{id}\n  expected {key}: {}\n  found {}", expected.to_json(), answer.to_json())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_answers_all_vectors_in_order() {
    let cases: Vec<(Option<&'static str>, Value<'_>)> = FILES
        .iter()
        .flat_map(|(slug, text)| text.lines().map(|line| (*slug, Value::parse(line).unwrap())))
        .collect();
    let input: String = cases.iter().map(|(slug, case)| question(case, *slug) + "\n").collect();
    let ran = heapline_with(&["eval"], &input).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let answers: Vec<&str> = ran.out.lines().collect();
    assert_eq!(answers.len(), cases.len());
    assert!(cases.len() > 2600, "{}", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .zip(answers)
        .filter_map(|((_, case), answer)| differs(case, &Value::parse(answer).unwrap()))
        .collect();
    let some: Vec<String> = wrong.iter().take(10).cloned().collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), some.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_line_has_its_error_and_the_next_line_its_answer() {
    let good = r#"{"trigger":"type = \"track\"","event":{"type":"track"}}"#;
    let bad = [
        "",
        "nonsense",
        "[]",
        "{}",
        r#"{"trigger":5,"event":{}}"#,
        r#"{"trigger":"type =","event":{}}"#,
        r#"{"mapping":{"a":{"@nonsense":1}},"event":{}}"#,
        r#"{"destination":"nowhere","event":{}}"#,
        r#"{"destination":"heap","settings":{},"event":{}}"#,
        r#"{"destination":"heap","settings":{"appId":"1"},"actions":[{"action":"x"}],"event":{}}"#,
        r#"{"destination":"heap","settings":{"appId":"1"},"init":true}"#,
    ];
    let input: String = bad.iter().map(|line| format!("{line}\n{good}\n")).collect();
    let ran = heapline_with(&["eval"], &input).await;
    let answers: Vec<Value<'_>> = ran.out.lines().map(|l| Value::parse(l).unwrap()).collect();
    assert_eq!(answers.len(), bad.len() * 2, "{}", ran.out);
    for (line, answers) in bad.iter().zip(answers.chunks(2)) {
        let [error, answer] = answers else { panic!("two answers each") };
        let message = error.get("error").and_then(|e| e.get("message")).and_then(Value::as_text);
        assert!(message.is_some_and(|m| !m.is_empty()), "{line}: {}", error.to_json());
        assert_eq!(answer.get("match"), Some(&Value::Bool(true)), "after {line}");
    }
}

#[test]
fn whoever_waits_for_each_answer_before_the_next_question_gets_it() {
    let mut child = Command::new(HEAPLINE)
        .arg("eval")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for number in 0..100 {
        let line = format!(
            "{{\"mapping\":{{\"n\":{{\"@path\":\"$.n\"}}}},\"event\":{{\"n\":{number}}}}}\n"
        );
        input.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        output.read_line(&mut answer).unwrap();
        assert_eq!(answer, format!("{{\"payload\":{{\"n\":{number}}}}}\n"));
    }
    // A last line without its end is a line, too.
    input.write_all(br#"{"trigger":"type = \"x\"","event":{}}"#).unwrap();
    drop(input);
    let mut answer = String::new();
    output.read_line(&mut answer).unwrap();
    assert_eq!(answer, "{\"match\":false}\n");
    assert!(child.wait().unwrap().success());
}

/// Were any of this quadratic, it would take hours.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_levels_and_keys_are_answered() {
    let levels = 100_000;
    let deep = format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let keys: Vec<String> = (0..levels).map(|n| format!("\"k{n}\":{n}")).collect();
    let wide = format!("{{{}}}", keys.join(","));
    let event = |properties: &str| {
        format!(
            r#"{{"type":"track","event":"E","userId":"u","messageId":"message-1","properties":{properties}}}"#
        )
    };
    let mut input = String::new();
    for event in [event(&deep), event(&wide)] {
        input += &format!("{{\"trigger\":\"type = \\\"track\\\"\",\"event\":{event}}}\n");
        input += &format!(
            "{{\"mapping\":{{\"p\":{{\"@path\":\"$.properties\"}}}},\"event\":{event}}}\n"
        );
        input += &format!(
            "{{\"destination\":\"heap\",\"settings\":{{\"appId\":\"11\"}},\"event\":{event}}}\n"
        );
    }
    let ran = heapline_with(&["eval"], &input).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let answers: Vec<&str> = ran.out.lines().collect();
    assert_eq!(answers.len(), 6);
    assert_eq!((answers[0], answers[3]), ("{\"match\":true}", "{\"match\":true}"));
    assert_eq!(answers[1], format!("{{\"payload\":{{\"p\":{deep}}}}}"));
    assert_eq!(answers[4], format!("{{\"payload\":{{\"p\":{wide}}}}}"));
    for answer in [answers[2], answers[5]] {
        let start: String = answer.chars().take(120).collect();
        let told = answer.starts_with("{\"requests\":[") || answer.starts_with("{\"refused\":");
        assert!(told, "{start}");
    }
}
