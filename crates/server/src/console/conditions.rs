//! A trigger as conditions in groups: drawn from its tree, read back from a posted form, changed by
//! the form's buttons.
//!
//! A form's fields come in the order of the page, so they are a list of tokens: `group` opens a
//! group, `end` closes it, and `path`, `test`, `value` are one condition.

use heapline_action::trigger::{Condition, Expression, Order, Part, Path, Test, Trigger};

use super::fields::Fields;

/// A condition or a group of them, as the visitor has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Group { how: How, parts: Vec<Node> },
    Condition(Row),
}

/// How many parts of a group must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    All,
    Any,
    None,
}

/// One condition, as the visitor has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) path: String,
    pub(super) test: String,
    pub(super) value: String,
    /// What is wrong with it; empty if nothing is.
    pub(super) fault: String,
}

/// The tests: word in the form, words for people, whether a value is asked for.
pub(super) const TESTS: [(&str, &str, bool); 18] = [
    ("is", "is", true),
    ("is-not", "is not", true),
    ("contains", "contains", true),
    ("starts", "starts with", true),
    ("ends", "ends with", true),
    ("contains-not", "doesn't contain", true),
    ("starts-not", "doesn't start with", true),
    ("ends-not", "doesn't end with", true),
    ("present", "has a value", false),
    ("absent", "has no value", false),
    ("true", "is true", false),
    ("false", "is false", false),
    ("number", "is the number", true),
    ("number-not", "is a number other than", true),
    ("less", "is less than", true),
    ("at-most", "is at most", true),
    ("more", "is more than", true),
    ("at-least", "is at least", true),
];

impl How {
    pub(super) fn word(self) -> &'static str {
        match self {
            How::All => "all",
            How::Any => "any",
            How::None => "none",
        }
    }

    fn of(word: &str) -> How {
        match word {
            "any" => How::Any,
            "none" => How::None,
            _ => How::All,
        }
    }
}

impl Node {
    /// The outermost group of a trigger.
    pub(super) fn of(trigger: &Trigger) -> Node {
        match node(trigger.root()) {
            group @ Node::Group { .. } => group,
            condition @ Node::Condition(_) => Node::Group { how: How::All, parts: vec![condition] },
        }
    }

    /// The group that a posted form describes, after the button `edit` was pressed, if one was.
    pub(super) fn read(fields: &Fields) -> Node {
        let mut tokens = fields.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let first = tokens.find(|(name, _)| *name == "group");
        let mut root = group(How::of(first.map_or("all", |(_, how)| how)), &mut tokens);
        if let Some((what, at)) = fields.text("edit").split_once('@') {
            let at: Option<Vec<usize>> = at.split('.').skip(1).map(|n| n.parse().ok()).collect();
            root.edit(what, &at.unwrap_or_default());
        }
        root
    }

    fn edit(&mut self, what: &str, at: &[usize]) {
        let Node::Group { parts, .. } = self else { return };
        match (at, what) {
            ([], "condition") => parts.push(Node::Condition(Row::new())),
            ([], "group") => parts.push(Node::Group {
                how: How::Any,
                parts: vec![Node::Condition(Row::new()), Node::Condition(Row::new())],
            }),
            ([], _) => {}
            ([only], "remove") => {
                if *only < parts.len() {
                    parts.remove(*only);
                }
            }
            ([first, rest @ ..], _) => {
                if let Some(part) = parts.get_mut(*first) {
                    part.edit(what, rest);
                }
            }
        }
    }

    /// The trigger that it says. `None` if something is wrong, which is then told at its place.
    pub(super) fn trigger(&mut self) -> Option<String> {
        self.expression().map(|expression| expression.to_string())
    }

    fn expression(&mut self) -> Option<Expression> {
        match self {
            Node::Condition(row) => match row.condition() {
                Ok(condition) => {
                    row.fault.clear();
                    Some(Expression::Condition(condition))
                }
                Err(fault) => {
                    row.fault = fault;
                    None
                }
            },
            Node::Group { how, parts } => {
                // All are looked at, so that all faults are told.
                let all: Vec<Option<Expression>> = parts.iter_mut().map(Node::expression).collect();
                let mut all: Vec<Expression> = all.into_iter().collect::<Option<_>>()?;
                let one = if all.len() == 1 { all.pop() } else { None };
                match (how, one) {
                    (_, None) if all.is_empty() => None,
                    (How::All | How::Any, Some(only)) => Some(only),
                    (How::None, Some(only)) => Some(Expression::Not(Box::new(only))),
                    (How::All, None) => Some(Expression::And(all)),
                    (How::Any, None) => Some(Expression::Or(all)),
                    (How::None, None) => Some(Expression::Not(Box::new(Expression::Or(all)))),
                }
            }
        }
    }
}

impl Row {
    fn new() -> Row {
        Row { test: "is".into(), ..Row::default() }
    }

    fn condition(&self) -> Result<Condition, String> {
        let path = path(self.path.trim())?;
        let text = || self.value.clone();
        let number = || {
            let number: Option<f64> = self.value.trim().parse().ok();
            number.filter(|n| n.is_finite()).ok_or_else(|| "Expected a number.".to_owned())
        };
        let test = match self.test.as_str() {
            "is" => Test::TextIs(text()),
            "is-not" => Test::TextIsNot(text()),
            "contains" => Test::Matches(Part::Inside, text()),
            "starts" => Test::Matches(Part::Start, text()),
            "ends" => Test::Matches(Part::End, text()),
            "contains-not" => Test::MatchesNot(Part::Inside, text()),
            "starts-not" => Test::MatchesNot(Part::Start, text()),
            "ends-not" => Test::MatchesNot(Part::End, text()),
            "present" => Test::Present,
            "absent" => Test::Absent,
            "true" => Test::BooleanIs(true),
            "false" => Test::BooleanIs(false),
            "number" => Test::NumberIs(number()?),
            "number-not" => Test::NumberIsNot(number()?),
            "less" => Test::Order(Order::Less, number()?),
            "at-most" => Test::Order(Order::AtMost, number()?),
            "more" => Test::Order(Order::More, number()?),
            "at-least" => Test::Order(Order::AtLeast, number()?),
            other => return Err(format!("Nothing is called {other:?}.")),
        };
        let condition = Condition { path, test };
        // A few conditions can be thought but not written, such as an id compared with a number.
        let written = Trigger::parse(&condition.to_string()).map_err(|e| e.message)?;
        match written.root() {
            Expression::Condition(read) if *read == condition => Ok(condition),
            Expression::Condition(_)
            | Expression::And(_)
            | Expression::Or(_)
            | Expression::Not(_) => Err("This field can't be compared so; it is a text.".into()),
        }
    }
}

fn path(text: &str) -> Result<Path, String> {
    if text.is_empty() {
        return Err("Which field? For example properties.plan".into());
    }
    let wrong = |_| format!("{text:?} is no path; expected one such as properties.plan");
    let trigger = Trigger::parse(&format!("{text} != null")).map_err(wrong)?;
    match trigger.root() {
        Expression::Condition(condition) => Ok(condition.path.clone()),
        Expression::And(_) | Expression::Or(_) | Expression::Not(_) => {
            Err(format!("{text:?} is no path; expected one such as properties.plan"))
        }
    }
}

fn group<'f>(how: How, tokens: &mut impl Iterator<Item = (&'f str, &'f str)>) -> Node {
    let mut parts = Vec::new();
    let mut row = Row::default();
    while let Some((name, value)) = tokens.next() {
        match name {
            "group" => parts.push(group(How::of(value), tokens)),
            "end" => break,
            "path" => row.path = value.to_owned(),
            "test" => row.test = value.to_owned(),
            "value" => {
                row.value = value.to_owned();
                parts.push(Node::Condition(std::mem::take(&mut row)));
            }
            _ => {}
        }
    }
    Node::Group { how, parts }
}

fn node(expression: &Expression) -> Node {
    let all = |parts: &[Expression]| parts.iter().map(node).collect();
    match expression {
        Expression::And(parts) => Node::Group { how: How::All, parts: all(parts) },
        Expression::Or(parts) => Node::Group { how: How::Any, parts: all(parts) },
        Expression::Not(part) => match &**part {
            Expression::Or(parts) => Node::Group { how: How::None, parts: all(parts) },
            other => Node::Group { how: How::None, parts: vec![node(other)] },
        },
        Expression::Condition(condition) => {
            let (test, value) = words(&condition.test);
            let (path, fault) = (condition.path.to_string(), String::new());
            Node::Condition(Row { path, test: test.into(), value, fault })
        }
    }
}

fn words(test: &Test) -> (&'static str, String) {
    let number = |n: &f64| heapline_action::value::Number::from(*n).to_text();
    match test {
        Test::TextIs(text) => ("is", text.clone()),
        Test::TextIsNot(text) => ("is-not", text.clone()),
        Test::Matches(Part::Inside, text) => ("contains", text.clone()),
        Test::Matches(Part::Start, text) => ("starts", text.clone()),
        Test::Matches(Part::End, text) => ("ends", text.clone()),
        Test::MatchesNot(Part::Inside, text) => ("contains-not", text.clone()),
        Test::MatchesNot(Part::Start, text) => ("starts-not", text.clone()),
        Test::MatchesNot(Part::End, text) => ("ends-not", text.clone()),
        Test::Present => ("present", String::new()),
        Test::Absent => ("absent", String::new()),
        Test::BooleanIs(true) => ("true", String::new()),
        Test::BooleanIs(false) => ("false", String::new()),
        Test::NumberIs(n) => ("number", number(n)),
        Test::NumberIsNot(n) => ("number-not", number(n)),
        Test::Order(Order::Less, n) => ("less", number(n)),
        Test::Order(Order::AtMost, n) => ("at-most", number(n)),
        Test::Order(Order::More, n) => ("more", number(n)),
        Test::Order(Order::AtLeast, n) => ("at-least", number(n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a browser would post of the conditions.
    fn posted(node: &Node, fields: &mut Vec<(String, String)>) {
        let mut push = |name: &str, value: &str| fields.push((name.to_owned(), value.to_owned()));
        match node {
            Node::Group { how, parts } => {
                push("group", how.word());
                parts.iter().for_each(|part| posted(part, fields));
                fields.push(("end".into(), String::new()));
            }
            Node::Condition(row) => {
                push("path", &row.path);
                push("test", &row.test);
                push("value", &row.value);
            }
        }
    }

    fn read(node: &Node, edit: &str) -> Node {
        let mut fields = vec![("edit".to_owned(), edit.to_owned())];
        posted(node, &mut fields);
        Node::read(&Fields(fields))
    }

    #[test]
    fn conditions_and_text_say_the_same() {
        for text in [
            r#"type = "track""#,
            r#"type = "track" or type = "page" or type = "screen""#,
            r#"type = "track" and (event = "A" or event = "B") and properties.total > 10"#,
            r#"!(type = "track")"#,
            r#"!(type = "track" or type = "page")"#,
            r#"!(type = "track" and userId != null)"#,
            r#"contains(event, "a \"b\"") and !match(event, "c*") and match(context.page.url, "*d")"#,
            r#"properties.on = true and properties.n != 3 and userId = "10" and traits.x = null"#,
            r#"properties["a.b"] = "x" and properties.list[0] >= 1.5"#,
        ] {
            let trigger = Trigger::parse(text).unwrap();
            let mut node = read(&Node::of(&trigger), "");
            let again = Trigger::parse(&node.trigger().unwrap()).unwrap();
            let same = |a: &Trigger| Node::of(a);
            assert_eq!(same(&again), same(&trigger), "{text}");
        }
    }

    #[test]
    fn buttons_add_and_remove_at_their_place() {
        let trigger = Trigger::parse(r#"type = "track" and (event = "A" or event = "B")"#).unwrap();
        let node = Node::of(&trigger);
        let text = |edit: &str| {
            let mut edited = read(&node, edit);
            (edited.trigger(), edited)
        };
        assert_eq!(text("remove@.0").0.unwrap(), r#"event = "A" or event = "B""#);
        assert_eq!(text("remove@.1.0").0.unwrap(), r#"type = "track" and event = "B""#);
        let (said, mut added) = text("condition@.1");
        assert_eq!(said, None, "an empty condition says nothing yet");
        added.edit("remove", &[1, 2]);
        assert_eq!(added, {
            let mut n = node.clone();
            n.trigger();
            n
        });
        assert!(matches!(text("group@").1, Node::Group { parts, .. } if parts.len() == 3));
        assert_eq!(text("remove@.7").1, node);
        assert_eq!(text("remove@.x").1, node);
    }

    #[test]
    fn a_fault_stands_at_its_condition() {
        let row = |path: &str, test: &str, value: &str| {
            let mut node = Node::Condition(Row {
                path: path.into(),
                test: test.into(),
                value: value.into(),
                fault: String::new(),
            });
            let said = node.trigger();
            let Node::Condition(row) = node else { panic!() };
            (said, row.fault)
        };
        assert!(row("", "is", "x").1.contains("Which field"));
        assert!(row("a b", "is", "x").1.contains("is no path"));
        assert!(row("properties.n", "less", "ten").1.contains("a number"));
        assert!(row("a = 1 or b", "is", "x").1.contains("is no path"));
        assert_eq!(row("properties.n", "less", "10").0.unwrap(), "properties.n < 10");
    }
}
