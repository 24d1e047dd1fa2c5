//! The law of equality with the reference: a tree of its conditions, printed by its generator,
//! means to us what the tree means to it.
//!
//! Trees, generator and evaluation are written here from their description, not from our parser.

use heapline_action::trigger::Trigger;
use heapline_action::value::Value;
use proptest::prelude::*;

use crate::laws::{config, event, js_number};

#[derive(Clone, Debug)]
enum Tree {
    Group(&'static str, Vec<Tree>),
    Condition(Kind, Test),
}

#[derive(Clone, Debug)]
enum Kind {
    Type,
    Event,
    Name,
    UserId,
    Inside(&'static str, String),
}

#[derive(Clone, Debug)]
enum Test {
    TextIs(bool, String),
    /// Plain equality with a number, on the kinds that compare as text.
    PlainNumber(bool, f64),
    /// Plain equality with a boolean, on the kinds that compare as text.
    PlainBoolean(bool),
    /// Plain inequality with a boolean.
    NotBoolean(bool),
    IsBoolean(bool),
    NumberIs(bool, f64),
    Exists(bool),
    Order(&'static str, f64),
    Contains(bool, String),
    Starts(bool, String),
    Ends(bool, String),
}

impl Kind {
    fn path(&self) -> String {
        match self {
            Kind::Type => "type".to_owned(),
            Kind::Event => "event".to_owned(),
            Kind::Name => "name".to_owned(),
            Kind::UserId => "userId".to_owned(),
            Kind::Inside(object, name) => format!("{object}.{name}"),
        }
    }
}

/// The generator: text of a tree.
fn generate(tree: &Tree) -> String {
    let text = generate_part(tree);
    let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) else {
        return text;
    };
    if inner.contains(['(', ')']) { text } else { inner.to_owned() }
}

fn generate_part(tree: &Tree) -> String {
    match tree {
        Tree::Group(operator, parts) => {
            let part = |part: &Tree| match part {
                Tree::Group(..) => format!("({})", generate_part(part)),
                Tree::Condition(..) => generate_part(part),
            };
            parts.iter().map(part).collect::<Vec<_>>().join(&format!(" {operator} "))
        }
        Tree::Condition(kind, test) => {
            let path = escape(&kind.path());
            let not = |positive: bool| if positive { "" } else { "!" };
            match test {
                Test::TextIs(is, text) => format!("{path} {}= \"{text}\"", not(*is)),
                Test::PlainNumber(is, n) | Test::NumberIs(is, n) => {
                    format!("{path} {}= {}", not(*is), js_number(*n))
                }
                Test::PlainBoolean(b) | Test::IsBoolean(b) => format!("{path} = {b}"),
                Test::NotBoolean(b) => format!("{path} != {b}"),
                Test::Exists(true) => format!("{path} != null"),
                Test::Exists(false) => format!("{path} = null"),
                Test::Order(operator, n) => format!("{path} {operator} {}", js_number(*n)),
                Test::Contains(is, text) => format!("{}contains({path}, \"{text}\")", not(*is)),
                Test::Starts(is, text) => format!("{}match({path}, \"{text}*\")", not(*is)),
                Test::Ends(is, text) => format!("{}match({path}, \"*{text}\")", not(*is)),
            }
        }
    }
}

fn escape(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    path.chars().map(|c| if plain(c) { c.to_string() } else { format!("\\{c}") }).collect()
}

fn validate(tree: &Tree, event: &Value<'_>) -> bool {
    match tree {
        Tree::Group("and", parts) => parts.iter().all(|part| validate(part, event)),
        Tree::Group(_, parts) => parts.iter().any(|part| validate(part, event)),
        Tree::Condition(kind, test) => passes(test, get(event, &kind.path()).as_ref()),
    }
}

/// The reference's `get`, own members only.
fn get<'e>(event: &Value<'e>, path: &str) -> Option<Value<'e>> {
    let mut value = event.clone();
    for key in path.split(['.', '[', ']']).filter(|key| !key.is_empty()) {
        if value.is_falsy() {
            return Some(value);
        }
        let index = key.parse::<usize>().ok().filter(|index| index.to_string() == key);
        value = match (value, index) {
            (Value::Object(object), _) => object.get(key)?.clone(),
            (Value::Array(items), Some(index)) => items.get(index)?.clone(),
            (Value::Array(items), None) if key == "length" => Value::from(items.len() as i64),
            (Value::Text(text), Some(index)) => {
                let unit = text.encode_utf16().nth(index)?;
                Value::from(String::from_utf16_lossy(&[unit]))
            }
            (Value::Text(text), None) if key == "length" => {
                Value::from(text.encode_utf16().count() as i64)
            }
            _ => return None,
        };
    }
    Some(value)
}

fn passes(test: &Test, value: Option<&Value<'_>>) -> bool {
    let number = match value {
        Some(Value::Number(n)) => Some(n.as_f64()),
        _ => None,
    };
    let text = match value {
        Some(Value::Text(text)) => Some(&**text),
        _ => None,
    };
    match test {
        Test::TextIs(is, wanted) => (text == Some(wanted)) == *is,
        Test::PlainNumber(is, n) => (text == Some(js_number(*n).as_str())) == *is,
        Test::PlainBoolean(b) => text == Some(b.to_string().as_str()),
        Test::NotBoolean(b) => text != Some(b.to_string().as_str()),
        Test::IsBoolean(b) => value == Some(&Value::Bool(*b)),
        Test::NumberIs(true, n) => number.is_some_and(|number| number == *n),
        Test::NumberIs(false, n) => number.is_some_and(|number| number != *n),
        Test::Exists(is) => value.is_some_and(|value| *value != Value::Null) == *is,
        Test::Order(operator, n) => number.is_some_and(|number| match *operator {
            "<" => number < *n,
            "<=" => number <= *n,
            ">" => number > *n,
            ">=" => number >= *n,
            other => panic!("no operator {other}"),
        }),
        Test::Contains(is, wanted) => text.is_some_and(|text| text.contains(wanted) == *is),
        Test::Starts(is, wanted) => text.is_some_and(|text| text.starts_with(wanted) == *is),
        Test::Ends(is, wanted) => text.is_some_and(|text| text.ends_with(wanted) == *is),
    }
}

/// Texts without the documented exceptions: quotes and backslashes, which the generator doesn't
/// escape.
fn plain_text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["x", "10", "true", "null", "track", "a and b", "(", ")", "it's"])
            .prop_map(str::to_owned),
        "[a-c*é ()!=,.😀\n]{0,4}",
    ]
}

/// Not ending in a star: `*a*` is the text of *starts with* `*a`.
fn ending() -> impl Strategy<Value = String> {
    plain_text().prop_filter("a star at the end", |text| !text.ends_with('*'))
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        prop::sample::select(vec![
            0.0,
            1.0,
            2.0,
            10.0,
            -3.0,
            0.5,
            1e21,
            1e-7,
            12345678901234567890.0
        ]),
        prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
        any::<f64>(),
        (-20_i32..20).prop_map(f64::from),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    let name = prop_oneof![
        prop::sample::select(vec![
            "a",
            "b",
            "a.b",
            "list[0]",
            "list[1].a",
            "a.length",
            "list.length",
            "x y",
            "ключ",
            "a..b",
            "5",
            "-a",
            "and",
            "a-b",
            "$v",
            "q\"k",
            "a/b",
            "list[9]",
            "properties",
            "a.b.c",
            "a,b",
            ".",
        ])
        .prop_map(str::to_owned),
        "[ab.\\[\\]01é$ -]{1,6}",
    ];
    let inside = prop::sample::select(vec!["properties", "context", "traits"]);
    prop_oneof![
        1 => Just(Kind::Type),
        1 => Just(Kind::Event),
        1 => Just(Kind::Name),
        1 => Just(Kind::UserId),
        4 => (inside, name)
            .prop_filter("separators alone", |(_, name)| !name.chars().all(|c| ".[]".contains(c)))
            .prop_map(|(object, name)| Kind::Inside(object, name)),
    ]
}

fn condition() -> impl Strategy<Value = Tree> {
    let test = |kind: &Kind| {
        let text = matches!(kind, Kind::Type | Kind::Event | Kind::Name);
        let single = text || matches!(kind, Kind::UserId);
        let order = prop::sample::select(vec!["<", "<=", ">", ">="]);
        let equality = if single {
            (any::<bool>(), number()).prop_map(|(is, n)| Test::PlainNumber(is, n)).boxed()
        } else {
            (any::<bool>(), number()).prop_map(|(is, n)| Test::NumberIs(is, n)).boxed()
        };
        let boolean = if text {
            any::<bool>().prop_map(Test::PlainBoolean).boxed()
        } else {
            any::<bool>().prop_map(Test::IsBoolean).boxed()
        };
        prop_oneof![
            3 => (any::<bool>(), plain_text()).prop_map(|(is, text)| Test::TextIs(is, text)),
            2 => equality,
            1 => boolean,
            1 => any::<bool>().prop_map(Test::NotBoolean),
            1 => any::<bool>().prop_map(Test::Exists),
            2 => (order, number()).prop_map(|(order, n)| Test::Order(order, n)),
            1 => (any::<bool>(), plain_text()).prop_map(|(is, text)| Test::Contains(is, text)),
            1 => (any::<bool>(), plain_text()).prop_map(|(is, text)| Test::Starts(is, text)),
            1 => (any::<bool>(), ending()).prop_map(|(is, text)| Test::Ends(is, text)),
        ]
    };
    kind()
        .prop_flat_map(move |kind| (Just(kind.clone()), test(&kind)))
        .prop_map(|(kind, test)| Tree::Condition(kind, test))
}

fn tree() -> impl Strategy<Value = Tree> {
    condition().prop_recursive(4, 24, 4, |part| {
        (prop::sample::select(vec!["and", "or"]), prop::collection::vec(part, 1..4))
            .prop_map(|(operator, parts)| Tree::Group(operator, parts))
    })
}

proptest! {
    #![proptest_config(config(4_000))]

    #[test]
    fn a_generated_text_means_its_tree(tree in tree(), events in prop::collection::vec(event(), 4)) {
        let text = generate(&tree);
        let trigger = Trigger::parse(&text).map_err(|e| TestCaseError::fail(e.render()))?;
        for event in events {
            prop_assert_eq!(
                trigger.fires_on(&event), validate(&tree, &event),
                "{} on {}", text, event.to_json()
            );
        }
    }

    #[test]
    fn an_imported_text_means_its_tree_even_with_backslashes(
        values in prop::collection::vec("[a\\\\n']{1,4}", 1..4), event in event(),
    ) {
        let path = || Kind::Inside("properties", "a".to_owned());
        let part = |text: &String| Tree::Condition(path(), Test::TextIs(true, text.clone()));
        let tree = Tree::Group("or", values.iter().map(part).collect());
        let trigger = Trigger::import(&generate(&tree)).unwrap();
        prop_assert_eq!(&Trigger::parse(&trigger.to_string()).unwrap(), &trigger);
        prop_assert_eq!(trigger.fires_on(&event), validate(&tree, &event));
        for value in values {
            let json = format!(r#"{{"properties":{{"a":{}}}}}"#, Value::from(value).to_json());
            prop_assert!(trigger.fires_on(&Value::parse(&json).unwrap()));
        }
    }
}
