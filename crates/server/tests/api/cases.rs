//! Walks the files of `cases/`, each a list of steps, named as the claim it checks.
//!
//! A step: `do` (method and address below `/api/v1`, or a whole address; with `door` one of the
//! server's own addresses), `as` (a saved token; that of admin.json if left out), `json` or `text` to send,
//! `status`, `has` (the answer has all of this; a list is of the same length), `lacks` (texts that
//! aren't in the answer), `save` (names for places of the answer, used as `<name>` later on),
//! `until` (asked again until it holds).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use crate::world::World;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    r#do: String,
    r#as: Option<String>,
    json: Option<Value>,
    text: Option<String>,
    status: u16,
    has: Option<Value>,
    #[serde(default)]
    lacks: Vec<String>,
    #[serde(default)]
    save: BTreeMap<String, String>,
    #[serde(default)]
    until: bool,
    #[serde(default)]
    door: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_holds() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/cases");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let wanted = std::env::var("CASE").ok();
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if wanted.as_ref().is_some_and(|wanted| !name.contains(wanted)) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let steps: Vec<Step> =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut world = World::start().await;
        walk(&name, &mut world, steps).await;
        world.stop().await;
    }
}

async fn walk(name: &str, world: &mut World, steps: Vec<Step>) {
    let client = reqwest::Client::new();
    let mut saved: BTreeMap<String, String> = BTreeMap::new();
    saved.insert("sandbox".into(), world.sandbox_url.clone());
    saved.insert("admin".into(), world.token.clone());
    for (number, step) in steps.iter().enumerate() {
        let place = format!("{name}, step {} ({})", number + 1, step.r#do);
        if step.r#do == "restart" {
            world.restart().await;
            continue;
        }
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let (status, text) = ask(&client, world, step, &saved).await;
            let wrong = judge(step, status, &text, &saved);
            match wrong {
                None => {
                    save(&place, step, &text, &mut saved);
                    break;
                }
                Some(_) if step.until && Instant::now() < end => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Some(wrong) => panic!("{place}: {wrong}\nanswered {status} {text}"),
            }
        }
    }
}

fn fill(text: &str, saved: &BTreeMap<String, String>) -> String {
    let put =
        |text: String, (name, value): (&String, &String)| text.replace(&format!("<{name}>"), value);
    saved.iter().fold(text.to_owned(), put)
}

async fn ask(
    client: &reqwest::Client,
    world: &World,
    step: &Step,
    saved: &BTreeMap<String, String>,
) -> (u16, String) {
    let filled = fill(&step.r#do, saved);
    let (method, path) = filled.split_once(' ').unwrap();
    let base = if step.door { "" } else { "/api/v1" };
    let url = match path.starts_with("http") {
        true => path.to_owned(),
        false => format!("{}{base}{path}", world.url),
    };
    let mut request = client.request(method.parse().unwrap(), url);
    let token = step.r#as.as_deref().unwrap_or("<admin>");
    let token = fill(token, saved);
    if let Some((user, _)) = token.split_once(':') {
        request = request.basic_auth(user, Some(""));
    } else if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if let Some(json) = &step.json {
        request =
            request.header("content-type", "application/json").body(fill(&json.to_string(), saved));
    }
    if let Some(text) = &step.text {
        request = request.body(fill(text, saved));
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned());
    if status >= 400 && !step.door && !path.starts_with("http") {
        assert_eq!(kind.as_deref(), Some("application/problem+json"));
    }
    (status, response.text().await.unwrap())
}

fn judge(step: &Step, status: u16, text: &str, saved: &BTreeMap<String, String>) -> Option<String> {
    if status != step.status {
        return Some(format!("expected status {}", step.status));
    }
    if let Some(word) = step.lacks.iter().find(|word| text.contains(&fill(word, saved))) {
        return Some(format!("expected no {word:?}"));
    }
    let has = step.has.as_ref()?;
    let has: Value = serde_json::from_str(&fill(&has.to_string(), saved)).unwrap();
    let answer: Value = serde_json::from_str(text).unwrap_or(Value::String(text.to_owned()));
    differs(&has, &answer, "$")
}

/// Where `answer` doesn't have what `has` says. A text `~x` is one that has x in it.
fn differs(has: &Value, answer: &Value, at: &str) -> Option<String> {
    match (has, answer) {
        (Value::Object(has), Value::Object(answer)) => has.iter().find_map(|(key, has)| {
            let found = answer.get(key).unwrap_or(&Value::Null);
            differs(has, found, &format!("{at}.{key}"))
        }),
        (Value::Array(has), Value::Array(answer)) if has.len() == answer.len() => has
            .iter()
            .zip(answer)
            .enumerate()
            .find_map(|(n, (has, answer))| differs(has, answer, &format!("{at}[{n}]"))),
        (Value::String(has), Value::String(answer))
            if has.strip_prefix('~').is_some_and(|part| answer.contains(part)) =>
        {
            None
        }
        (has, answer) if has == answer => None,
        (has, answer) => Some(format!("at {at} expected {has}, found {answer}")),
    }
}

fn save(place: &str, step: &Step, text: &str, saved: &mut BTreeMap<String, String>) {
    if step.save.is_empty() {
        return;
    }
    let answer: Value = serde_json::from_str(text).unwrap();
    for (name, pointer) in &step.save {
        let value = answer.pointer(pointer);
        let value = value.unwrap_or_else(|| panic!("{place}: nothing at {pointer} of {text}"));
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        saved.insert(name.clone(), text);
    }
}
