//! Files that are made from the code and kept, so that a change of them is seen.
//!
//! `golden/catalog.json`: what the catalog says of each destination.
//! `../heap_web/vectors/trigger-trees.jsonl`: the tree of each trigger of the engine's vectors, for
//! the tests of the page's plugin.
//! `../heap_web/vectors/mapping-forms.jsonl`: likewise the form of each mapping.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use heapline_action::destination::{ActionType, Configured, Definition, Field, Setting};
use heapline_action::mapping::Mapping;
use heapline_action::pipeline::Action;
use heapline_action::trigger::Trigger;
use heapline_action::value::{Object, Value};
use heapline_destinations::{catalog, find, heap_web};

/// Compares, and leaves the new text where it can be copied from.
#[expect(clippy::disallowed_methods, reason = "a changed file is written for the reader to copy")]
fn compare(name: &str, kept: &str, made: &str) {
    if kept != made {
        let place = format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(&place, made).unwrap();
        panic!("{name} is out of date; if the change is wanted, copy {place} over it");
    }
}

#[test]
fn the_catalog_says_what_it_said() {
    let all = catalog().iter().map(|destination| definition(destination.definition())).collect();
    let made = pretty(&Value::Array(all), 0) + "\n";
    compare("catalog.json", include_str!("golden/catalog.json"), &made);
}

#[test]
fn the_page_has_the_tree_of_each_trigger() {
    let mut made = String::new();
    for line in include_str!("../../crates/action/vectors/trigger.jsonl").lines() {
        let case = Value::parse(line).unwrap();
        let text = case.get("trigger").and_then(Value::as_text).unwrap();
        let Ok(trigger) = Trigger::parse(text) else {
            assert!(case.get("error").is_some(), "{text} doesn't parse");
            continue;
        };
        let id = case.get("id").unwrap().clone().into_owned();
        let tree = object([("id", id), ("test", heap_web::tree::of(&trigger))]);
        made.push_str(&tree.to_json());
        made.push('\n');
    }
    let kept = include_str!("../heap_web/vectors/trigger-trees.jsonl");
    compare("trigger-trees.jsonl", kept, &made);
}

#[test]
fn the_page_has_the_form_of_each_mapping() {
    let mut made = String::new();
    for line in include_str!("../../crates/action/vectors/mapping.jsonl").lines() {
        let case = Value::parse(line).unwrap();
        let Ok(mapping) = Mapping::parse(case.get("mapping").unwrap()) else {
            assert!(case.get("error").is_some(), "{line} doesn't parse");
            continue;
        };
        let id = case.get("id").unwrap().clone().into_owned();
        made.push_str(&object([("id", id), ("form", mapping.form())]).to_json());
        made.push('\n');
    }
    let kept = include_str!("../heap_web/vectors/mapping-forms.jsonl");
    compare("mapping-forms.jsonl", kept, &made);
}

#[test]
fn the_page_is_given_an_action_with_its_tree_and_form() {
    let settings = Value::parse(r#"{"appId":"1"}"#).unwrap();
    let web = find("heap-web").unwrap();
    let Ok(Configured::Web(page)) = web.configure(settings.as_object().unwrap()) else {
        panic!("the settings are sound");
    };
    let mapping = Value::parse(r#"{"userId":{"@path":"$.userId"}}"#).unwrap();
    let action = Action {
        id: "identify".to_owned(),
        name: "Identify User".to_owned(),
        action_type: 1,
        enabled: true,
        trigger: Trigger::parse("type = 'identify'").unwrap(),
        trigger_text: "type = 'identify'".to_owned(),
        mapping: Mapping::parse(&mapping).unwrap(),
        names: Vec::new(),
    };
    assert_eq!(
        Value::Object(page.page_action(&action)).to_json(),
        concat!(
            r#"{"id":"identify","partnerAction":"identifyUser","name":"Identify User","#,
            r#""enabled":true,"subscribe":"type = 'identify'","test":["=","type","identify"],"#,
            r#""mapping":{"userId":["get","userId"]}}"#
        )
    );
}

fn object<const N: usize>(members: [(&'static str, Value<'static>); N]) -> Value<'static> {
    let mut object = Object::new();
    for (key, value) in members {
        object.insert(key, value);
    }
    Value::Object(object)
}

fn texts(texts: &'static [&'static str]) -> Value<'static> {
    Value::Array(texts.iter().map(|text| Value::from(*text)).collect())
}

fn json(text: Option<&'static str>) -> Value<'static> {
    text.map_or(Value::Null, |text| Value::parse(text).unwrap())
}

fn definition(d: &'static Definition) -> Value<'static> {
    let presets = d.presets.iter().map(|p| {
        object([
            ("name", Value::from(p.name)),
            ("action", Value::from(p.action_type)),
            ("trigger", Value::from(p.trigger)),
        ])
    });
    object([
        ("slug", Value::from(d.slug)),
        ("title", Value::from(d.title)),
        ("description", Value::from(d.description)),
        ("mode", Value::from(d.mode.word())),
        ("webSources", Value::from(d.web_sources)),
        ("apiSources", Value::from(d.api_sources)),
        ("calls", texts(d.calls)),
        ("names", texts(d.names)),
        ("settings", Value::Array(d.settings.iter().map(setting).collect())),
        ("actionTypes", Value::Array(d.action_types.iter().map(action_type).collect())),
        ("presets", Value::Array(presets.collect())),
    ])
}

fn setting(s: &'static Setting) -> Value<'static> {
    object([
        ("key", Value::from(s.key)),
        ("label", Value::from(s.label)),
        ("help", Value::from(s.help)),
        ("kind", Value::from(format!("{:?}", s.kind))),
        ("required", Value::from(s.required)),
        ("default", json(s.default)),
    ])
}

fn action_type(a: &'static ActionType) -> Value<'static> {
    object([
        ("slug", Value::from(a.slug)),
        ("title", Value::from(a.title)),
        ("description", Value::from(a.description)),
        ("fields", Value::Array(a.fields.iter().map(field).collect())),
    ])
}

fn field(f: &'static Field) -> Value<'static> {
    object([
        ("key", Value::from(f.key)),
        ("label", Value::from(f.label)),
        ("description", Value::from(f.description)),
        ("kind", Value::from(format!("{:?}", f.kind))),
        ("required", Value::from(f.required)),
        ("allowNull", Value::from(f.allow_null)),
        ("multiple", Value::from(f.multiple)),
        ("choices", texts(f.choices)),
        ("format", f.format.map_or(Value::Null, |format| Value::from(format!("{format:?}")))),
        ("default", json(f.default)),
    ])
}

/// JSON with a line for each member of an object and each object of a list.
fn pretty(value: &Value<'_>, level: usize) -> String {
    let pad = "  ".repeat(level + 1);
    let end = "  ".repeat(level);
    match value {
        Value::Object(object) if !object.is_empty() => {
            let members: Vec<String> = object
                .iter()
                .map(|(key, v)| {
                    format!("{pad}{}: {}", Value::from(key).to_json(), pretty(v, level + 1))
                })
                .collect();
            format!("{{\n{}\n{end}}}", members.join(",\n"))
        }
        Value::Array(items) if items.iter().any(|item| item.as_object().is_some()) => {
            let items: Vec<String> =
                items.iter().map(|item| format!("{pad}{}", pretty(item, level + 1))).collect();
            format!("[\n{}\n{end}]", items.join(",\n"))
        }
        other => other.to_json(),
    }
}
