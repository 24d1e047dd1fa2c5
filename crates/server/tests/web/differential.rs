//! The page's plugin against the server's planning, on odd events: both must come to the same.
//!
//! The cases come from a seed, so that each run has the same; `HEAPLINE_SEED` and `HEAPLINE_CASES`
//! choose others. The plugin is the built one; `cargo xtask setup` builds it.

mod odd;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use heapline_action::destination::{Configured, Destination, Web};
use heapline_action::pipeline::{Action, Verdict, consider};
use heapline_action::plan::Filter;
use heapline_action::value::{Object, Value, mend_surrogates};
use serde_json::json;

use odd::Odd;

fn destination() -> &'static dyn Destination {
    heapline_destinations::find("heap-web").unwrap()
}

struct Case {
    settings: String,
    actions: String,
    event: String,
}

impl Case {
    fn of(odd: &mut Odd) -> Case {
        Case { settings: odd.settings(), actions: odd.actions(), event: odd.event() }
    }

    /// What the page is given, and what the server expects it to do; both as JSON.
    fn both(&self) -> (String, serde_json::Value) {
        let settings = Value::parse(&self.settings).unwrap();
        let Configured::Web(web) = destination()
            .configure(settings.as_object().unwrap())
            .unwrap_or_else(|f| panic!("{f:?}"))
        else {
            panic!("the page delivers")
        };
        let actions = Value::parse(&self.actions).unwrap();
        let actions = heapline_destinations::actions(destination().definition(), Some(&actions))
            .unwrap_or_else(|problems| panic!("{problems:?}"));
        let event = Value::parse_deep(&self.event, 4_000).unwrap().into_page();
        let mut page = web.page_settings();
        let list = actions.iter().map(|action| Value::Object(web.page_action(action)));
        page.insert("subscriptions", Value::Array(list.collect()));
        let mut given = Object::new();
        given.insert("settings", Value::Object(page));
        let given = Value::Object(given).to_json();
        // The event as it came: the page parses it itself.
        let given = format!("{},\"event\":{}}}", given.strip_suffix('}').unwrap(), self.event);
        (given, expected(&*web, &actions, &event))
    }
}

/// What the plugin must say of each action, and the calls.
fn expected(web: &dyn Web, actions: &[Action], event: &Value<'_>) -> serde_json::Value {
    let definition = destination().definition();
    let mut said = serde_json::Map::new();
    let mut calls = Vec::new();
    for action_type in 0..definition.action_types.len() {
        for action in actions.iter().filter(|action| action.action_type == action_type) {
            let verdict = match consider(definition, web.consent_categories(), action, event) {
                Verdict::Filtered(Filter::Disabled) => continue,
                Verdict::Filtered(Filter::Integrations(_)) => ("skipped", "integrations"),
                Verdict::Filtered(Filter::Consent(_)) => ("skipped", "consent"),
                Verdict::Filtered(Filter::Trigger) => ("skipped", "trigger"),
                Verdict::Refused(_) => ("failed", "invalid_payload"),
                Verdict::Taken(payload) => match web.calls(action_type, &payload) {
                    Err(refusal) => ("failed", refusal.code),
                    Ok(made) if made.is_empty() => ("skipped", "nothing_to_send"),
                    Ok(made) => {
                        for call in made {
                            let mut whole = vec![json!(call.method)];
                            let arguments = call.args.iter();
                            let read = |v: &Value<'_>| serde_json::from_str(&v.to_json()).unwrap();
                            whole.extend(arguments.map(read));
                            calls.push(json!(whole));
                        }
                        ("sent", "")
                    }
                },
            };
            said.insert(action.id.clone(), json!([verdict.0, verdict.1]));
        }
    }
    json!({ "actions": said, "calls": calls })
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

#[test]
fn the_page_and_the_server_decide_alike_on_odd_events() {
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../destinations/heap_web/plugin");
    assert!(plugin.join("dist/heap-web.mjs").exists(), "run `cargo xtask setup` first");
    let mut odd = Odd::new(number("HEAPLINE_SEED", 1));
    let cases: Vec<Case> =
        (0..number("HEAPLINE_CASES", 5_000)).map(|_| Case::of(&mut odd)).collect();
    let (given, expected): (Vec<_>, Vec<_>) = cases.iter().map(Case::both).unzip();
    let mut page = Command::new("node")
        .arg("test/differential.mjs")
        .current_dir(&plugin)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = page.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        for line in given {
            writeln!(input, "{line}").unwrap();
        }
    });
    let output = page.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    // Half a character, which JavaScript can hold, is what the server makes of one.
    let read = |line: &str| {
        let mended = mend_surrogates(line);
        serde_json::from_str(mended.as_deref().unwrap_or(line)).unwrap()
    };
    let told: Vec<serde_json::Value> = told.lines().map(read).collect();
    assert_eq!(told.len(), cases.len());
    let (mut differ, mut sent) = (0, 0);
    for ((case, expected), told) in cases.iter().zip(&expected).zip(&told) {
        sent += usize::from(!told["calls"].as_array().unwrap().is_empty());
        if told != expected {
            differ += 1;
            if differ <= 5 {
                let (settings, actions, event) = (&case.settings, &case.actions, &case.event);
                eprintln!(
                    "settings {settings}\nactions {actions}\nevent {event}\n\
                     server {expected}\npage   {told}\n"
                );
            }
        }
    }
    assert_eq!(differ, 0, "of {} cases", cases.len());
    assert!(sent > cases.len() / 10, "only {sent} of {} cases make a call", cases.len());
}
