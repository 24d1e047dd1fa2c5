//! Cases by claim, from the files in `cases/`.

use heapline_action::destination::{Field, FieldKind, Format};
use heapline_action::trigger::Trigger;
use heapline_action::value::Value;
use heapline_action::{datetime, fields, integrations, mapping::Mapping};

use crate::{json, same, walk};

fn text<'v>(case: &'v Value<'_>, key: &str) -> &'v str {
    case.get(key).and_then(Value::as_text).unwrap()
}

fn texts(case: &Value<'_>, key: &str) -> Vec<String> {
    let items = case.get(key).and_then(Value::as_array).unwrap();
    items.iter().map(|item| item.as_text().unwrap().to_owned()).collect()
}

#[test]
fn triggers() {
    walk(include_str!("cases/triggers.jsonl"), "name", |case| {
        let trigger = Trigger::parse(text(case, "trigger")).map_err(|error| error.render())?;
        let event = case.get("event").unwrap();
        let wanted = *case.get("match").unwrap() == Value::Bool(true);
        let again = Trigger::parse(&trigger.to_string()).map_err(|error| error.render())?;
        same(&format!("{:?}", again.root()), &format!("{:?}", trigger.root()))?;
        same(&[trigger.fires_on(event), trigger.explain(event).holds], &[wanted; 2])
    });
}

#[test]
fn trigger_errors() {
    walk(include_str!("cases/trigger-errors.jsonl"), "name", |case| {
        let Err(error) = Trigger::parse(text(case, "trigger")) else {
            return Err("accepted".to_owned());
        };
        let wanted = format!(
            "{}:{} {}",
            json(case.get("line")),
            json(case.get("column")),
            text(case, "message")
        );
        same(&error.to_string(), &wanted)
    });
}

#[test]
fn trigger_warnings() {
    walk(include_str!("cases/trigger-warnings.jsonl"), "name", |case| {
        let trigger = Trigger::parse(text(case, "trigger")).map_err(|error| error.render())?;
        let found: Vec<String> = trigger.warnings().iter().map(ToString::to_string).collect();
        same(&found, &texts(case, "warnings"))
    });
}

#[test]
fn a_rendered_error_points_at_its_place() {
    let render = |text: &str| Trigger::parse(text).unwrap_err().render();
    assert_eq!(
        render("type = \"a\" and\r\n\tname = x\r\n"),
        "2:9 expected a value (text in quotes, number, true, false, null), found the word `x`; \
         did you mean `\"x\"`?\n  \tname = x\n  \t       ^"
    );
    let long = format!("type = \"{}\" AND {}", "a".repeat(100), "b".repeat(100));
    let lines: Vec<String> = render(&long).lines().map(str::to_owned).collect();
    let [_, excerpt, caret] = lines.as_slice() else { panic!("{lines:?}") };
    let below = excerpt.chars().skip(caret.chars().count() - 1).take(3).collect::<String>();
    assert_eq!(below, "AND", "{excerpt}\n{caret}");
    assert!(excerpt.ends_with('…') && excerpt.chars().count() < 110, "{excerpt}");
    let end = "type = ";
    assert_eq!(render(end).lines().last(), Some("         ^"));
}

#[test]
fn limits_of_triggers() {
    let nested = |n: usize| format!("{}type = \"a\"{}", "(".repeat(n), ")".repeat(n));
    assert!(Trigger::parse(&nested(100)).is_ok());
    let error = Trigger::parse(&nested(101)).unwrap_err();
    assert_eq!(error.to_string(), "1:101 expected at most 100 levels of nesting");
    let negated = |n: usize| format!("{}type = \"a\"{}", "!(".repeat(n), ")".repeat(n));
    assert!(Trigger::parse(&negated(100)).is_ok());
    assert!(Trigger::parse(&negated(101)).is_err());
    let bangs = |n: usize| format!("{}type = \"a\"", "!".repeat(n));
    assert!(Trigger::parse(&bangs(100)).is_ok());
    assert_eq!(Trigger::parse(&bangs(5_000)).unwrap_err().column, 101);
    let extreme = Trigger::parse(&bangs(100)).unwrap();
    assert_eq!(Trigger::parse(&extreme.to_string()).as_ref(), Ok(&extreme));
    let function = format!("{}!contains(event, \"a\"){}", "(".repeat(100), ")".repeat(100));
    assert!(Trigger::parse(&function).is_ok(), "a negated function is one condition");
    let chain = "(type = \"a\") and ".repeat(500);
    assert!(Trigger::parse(&format!("{chain}type = \"a\"")).is_ok(), "levels are given back");

    let long = |n: usize| format!("type = \"{}\"", "é".repeat(n - 9));
    assert!(Trigger::parse(&long(10_000)).is_ok());
    let error = Trigger::parse(&long(10_001)).unwrap_err();
    assert_eq!((error.line, error.column), (1, 10_001));
}

#[test]
fn an_explanation_judges_every_part() {
    let text = "type = \"page\" or !(properties.price > 5) and contains(event, 'x')";
    let trigger = Trigger::parse(text).unwrap();
    let event = Value::parse(r#"{"type":"track","properties":{"price":10}}"#).unwrap();
    let explanation = trigger.explain(&event);
    let mut lines = Vec::new();
    list(&explanation, 0, &mut lines);
    let wanted = [
        r#"0 false type = "page" or !(properties.price > 5) and contains(event, "x")"#,
        r#"1 false type = "page": "track""#,
        r#"1 false !(properties.price > 5) and contains(event, "x")"#,
        "2 false !(properties.price > 5)",
        "3 true properties.price > 5: 10",
        r#"2 false contains(event, "x"): nothing"#,
    ];
    assert_eq!(lines, wanted);

    fn list(part: &heapline_action::trigger::Explanation, depth: usize, lines: &mut Vec<String>) {
        let found = if part.parts.is_empty() {
            format!(": {}", part.found.as_deref().unwrap_or("nothing"))
        } else {
            String::new()
        };
        lines.push(format!("{depth} {} {}{found}", part.holds, part.text));
        for part in &part.parts {
            list(part, depth + 1, lines);
        }
    }
}

#[test]
fn mappings() {
    walk(include_str!("cases/mappings.jsonl"), "name", |case| {
        let document = case.get("mapping").unwrap();
        let mapping = Mapping::parse(document).map_err(|faults| format!("{faults:?}"))?;
        let event = case.get("event").unwrap();
        let found = mapping.resolve_value(event).map_err(|why| why.to_string())?;
        same(&json(found.as_ref()), &json(case.get("payload")))?;
        same(mapping.to_value(), document)
    });
}

#[test]
fn mapping_faults() {
    walk(include_str!("cases/mapping-faults.jsonl"), "name", |case| {
        let faults = Mapping::parse(case.get("mapping").unwrap()).err().unwrap_or_default();
        let found: Vec<[&str; 2]> = faults.iter().map(|f| [f.path.as_str(), &f.message]).collect();
        same(&serde_json::to_string(&found).unwrap(), &json(case.get("faults")))
    });
}

#[test]
fn dates() {
    walk(include_str!("cases/dates.jsonl"), "name", |case| {
        let moment = datetime::read(case.get("value").unwrap());
        let found = moment.map_or(Value::Null, |moment| Value::from(datetime::print(moment)));
        same(&found.to_json(), &json(case.get("date")))
    });
}

#[test]
fn integrations_object() {
    let heap = ["Heap Cloud (Actions)", "Heap", "Heap Cloud", "actions-heap-cloud"];
    let web = ["heap-web", "Heap (Web)", "Heap Web (Actions)", "actions-heap-web"];
    let named = |names: &[&str], action: &str| -> Vec<String> {
        names.iter().map(|name| format!("{name} {action}")).collect()
    };
    walk(include_str!("cases/integrations.jsonl"), "name", |case| {
        let event = case.get("event").unwrap();
        let verdict = |names: &[&str], action| {
            let key = integrations::switched_off(event, names, &named(names, action));
            key.map_or(Value::Null, Value::from).to_json()
        };
        let found = [
            verdict(&heap, "trackEvent"),
            verdict(&web, "trackEvent"),
            verdict(&web, "identifyUser"),
        ];
        let wanted = ["heap", "web track", "web identify"].map(|key| json(case.get(key)));
        same(&found, &wanted)
    });
}

const PLAIN: Field = Field {
    key: "",
    label: "",
    description: "",
    kind: FieldKind::String,
    required: false,
    allow_null: false,
    multiple: false,
    choices: &[],
    format: None,
    default: None,
};

pub(crate) const FIELDS: &[Field] = &[
    Field { key: "must", required: true, ..PLAIN },
    Field { key: "text", kind: FieldKind::Text, ..PLAIN },
    Field { key: "nullable", allow_null: true, ..PLAIN },
    Field { key: "number", kind: FieldKind::Number, ..PLAIN },
    Field { key: "integer", kind: FieldKind::Integer, ..PLAIN },
    Field { key: "boolean", kind: FieldKind::Boolean, ..PLAIN },
    Field { key: "when", kind: FieldKind::Datetime, ..PLAIN },
    Field { key: "object", kind: FieldKind::Object, ..PLAIN },
    Field { key: "many", multiple: true, ..PLAIN },
    Field { key: "choice", choices: &["a", "b"], ..PLAIN },
    Field { key: "email", format: Some(Format::Email), ..PLAIN },
];

#[test]
fn field_checks() {
    walk(include_str!("cases/fields.jsonl"), "name", |case| {
        let payload = case.get("payload").and_then(Value::as_object).unwrap().clone();
        match fields::check(FIELDS, payload) {
            Ok(payload) => same(&Value::Object(payload).to_json(), &json(case.get("result"))),
            Err(faults) if case.get("faults").is_none() => Err(format!("{faults:?}")),
            Err(faults) => {
                let found: Vec<String> = faults.iter().map(ToString::to_string).collect();
                same(&found, &texts(case, "faults"))
            }
        }
    });
}
