//! Edits of documents: comments stay, and TOML means what the same edits make of the plain value.

use heapline_action::value::{Object, Value};
use heapline_server::control::edit::{Edit, Step, apply, edit_value};
use heapline_server::workspace::{Format, value};
use proptest::prelude::*;

const DOCUMENT: &str = r#"# The head.
sources = [{ id = "a", writeKeys = ["k"] }, { id = "b" }] # inline

[[integrations]]
id = "one" # its id
sources = ["a"]
[integrations.settings] # a table
appId = "11"
[[integrations.actions]]
name = "first"
mapping = { event = { "@path" = "$.event" } }
# Before the second.
[[integrations.actions]]
name = "second"
[integrations.actions.mapping]
event = "x"

[[integrations]]
id = "two"
settings.appId = "12"
"#;

fn some_value() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é☕\n]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::vec(("[a-z$@. ]{1,4}", inner), 0..3).prop_map(|members| {
                let mut object = Object::new();
                members.into_iter().for_each(|(key, value)| object.insert(key, value));
                Value::Object(object)
            }),
        ]
    })
}

fn some_place() -> impl Strategy<Value = Vec<Step>> {
    const KEYS: [&str; 8] =
        ["sources", "integrations", "actions", "id", "mapping", "settings", "name", "new"];
    let step = prop_oneof![
        2 => proptest::sample::select(&KEYS[..]).prop_map(Step::from),
        1 => (0..3_usize).prop_map(Step::from),
    ];
    let known = proptest::sample::select(vec![
        vec![],
        vec![Step::from("integrations"), Step::from(0)],
        vec![Step::from("integrations"), Step::from(1)],
        vec![Step::from("sources"), Step::from(0)],
        vec![Step::from("integrations"), Step::from(0), Step::from("actions"), Step::from(1)],
    ]);
    (known, proptest::collection::vec(step, 1..3)).prop_map(|(known, more)| [known, more].concat())
}

fn some_edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (some_place(), some_value()).prop_map(|(place, value)| Edit::Set(place, value)),
        some_place().prop_map(Edit::Remove),
        (some_place(), 0..4_usize, some_value())
            .prop_map(|(place, at, value)| Edit::Insert(place, at, value)),
        (some_place(), 0..3_usize, 0..3_usize)
            .prop_map(|(place, from, to)| Edit::Move(place, from, to)),
    ]
}

proptest! {
    #[test]
    fn an_edited_document_says_what_the_edited_value_is(
        edits in proptest::collection::vec(some_edit(), 1..4)
    ) {
        let mut text = DOCUMENT.to_owned();
        for edit in edits {
            let before = value(&text, Format::Toml).unwrap();
            let Ok(edited) = apply(&text, Format::Toml, std::slice::from_ref(&edit)) else {
                continue;
            };
            let mut wanted = before.clone();
            prop_assert!(edit_value(&mut wanted, &edit).is_ok(), "{edit:?} of {text}");
            let says = value(&edited, Format::Toml);
            prop_assert!(says.is_ok(), "{edit:?} of\n{text}\ngave\n{edited}");
            prop_assert_eq!(says.unwrap(), wanted, "{:?} of\n{}\ngave\n{}", edit, text, &edited);
            text = edited;
        }
    }
}

#[test]
fn comments_stay_where_they_were() {
    let place = |steps: &[&str]| -> Vec<Step> {
        steps
            .iter()
            .map(|step| step.parse::<usize>().map_or(Step::from(*step), Step::from))
            .collect()
    };
    let edits = [
        Edit::Set(place(&["integrations", "0", "id"]), Value::from("uno")),
        Edit::Set(place(&["integrations", "0", "settings", "appId"]), Value::from("13")),
        Edit::Move(place(&["integrations", "0", "actions"]), 1, 0),
    ];
    let text = apply(DOCUMENT, Format::Toml, &edits).unwrap();
    for kept in ["# The head.", "# inline", "id = \"uno\" # its id", "# a table"] {
        assert!(text.contains(kept), "{kept} in\n{text}");
    }
    let second = "# Before the second.\n[[integrations.actions]]\nname = \"second\"";
    assert!(text.contains(second), "{text}");
}
