//! A trigger as a tree of conditions, what each is true of, and how it is written.

use std::borrow::Cow;
use std::fmt;

use crate::path::{self, Key};
use crate::reads::Reads;
use crate::value::{Number, Value};

use super::lexer::is_name_part;

/// A trigger or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// True if all parts are. At least two.
    And(Vec<Expression>),
    /// True if one part is. At least two.
    Or(Vec<Expression>),
    /// The opposite.
    Not(Box<Expression>),
    /// One condition.
    Condition(Condition),
}

/// A test of the value at one path.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Where the value is.
    pub path: Path,
    /// What it has to be.
    pub test: Test,
}

/// What the value at a path has to be. The tests are what a comparison means, not how it was
/// written: `userId = 10` is [`Test::TextIs`] `10`, since ids compare as texts.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// This text.
    TextIs(String),
    /// Anything but this text: also absent, null, and other types.
    TextIsNot(String),
    /// A number equal to this one.
    NumberIs(f64),
    /// A number other than this one. False for absent and other types.
    NumberIsNot(f64),
    /// This boolean.
    BooleanIs(bool),
    /// Absent or null.
    Absent,
    /// Present and not null.
    Present,
    /// A number in this relation to another. `NaN` is in none.
    Order(Order, f64),
    /// A text with this one in this place.
    Matches(Part, String),
    /// A text without this one in this place. False for absent and other types.
    MatchesNot(Part, String),
}

/// How a number relates to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

/// Where a text is looked for in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Anywhere: `contains(path, "x")`.
    Inside,
    /// At the start: `match(path, "x*")`.
    Start,
    /// At the end: `match(path, "*x")`.
    End,
}

/// A path into an event: at least one key, none empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(pub(super) Box<[Key]>);

impl Path {
    /// The path of `keys`; `None` if there are none or one of them is empty, or if the first holds
    /// a bracket, which the language cannot say.
    pub fn new<'k>(keys: impl IntoIterator<Item = &'k str>) -> Option<Path> {
        let keys: Box<[Key]> = keys.into_iter().map(Key::new).collect();
        let first = keys.first()?.name();
        let unspeakable = first.contains(['[', ']']) || keys.iter().any(|k| k.name().is_empty());
        (!unspeakable).then_some(Path(keys))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(Key::name)
    }

    /// The value in `event`, `None` if there is none. A falsy value on the way is the result;
    /// `length` and indexes of texts and lists count as members.
    pub fn find<'v, 'e>(&self, event: &'v Value<'e>) -> Option<Cow<'v, Value<'e>>> {
        path::lookup(event, &self.0)
    }
}

impl Expression {
    /// True if it holds for `event`. Stops as soon as the result is known.
    pub fn holds(&self, event: &Value<'_>) -> bool {
        match self {
            Expression::And(parts) => parts.iter().all(|part| part.holds(event)),
            Expression::Or(parts) => parts.iter().any(|part| part.holds(event)),
            Expression::Not(part) => !part.holds(event),
            Expression::Condition(condition) => condition.holds(event),
        }
    }

    pub(super) fn reads(&self, reads: &mut Reads) {
        match self {
            Expression::And(parts) | Expression::Or(parts) => {
                parts.iter().for_each(|part| part.reads(reads));
            }
            Expression::Not(part) => part.reads(reads),
            Expression::Condition(condition) => reads.add(&condition.path.0),
        }
    }
}

impl Condition {
    /// True if the value at the path passes the test.
    pub fn holds(&self, event: &Value<'_>) -> bool {
        self.test.passes(self.path.find(event).as_deref())
    }
}

impl Test {
    /// True if `value` passes; `None` is an absent value.
    pub fn passes(&self, value: Option<&Value<'_>>) -> bool {
        let text = value.and_then(Value::as_text);
        let number = match value {
            Some(Value::Number(number)) => Some(number.as_f64()),
            _ => None,
        };
        match self {
            Test::TextIs(wanted) => text == Some(wanted),
            Test::TextIsNot(unwanted) => text != Some(unwanted),
            Test::NumberIs(wanted) => number == Some(*wanted),
            Test::NumberIsNot(unwanted) => number.is_some_and(|number| number != *unwanted),
            Test::BooleanIs(wanted) => value == Some(&Value::Bool(*wanted)),
            Test::Absent => matches!(value, None | Some(Value::Null)),
            Test::Present => !matches!(value, None | Some(Value::Null)),
            Test::Order(order, limit) => number.is_some_and(|number| order.holds(number, *limit)),
            Test::Matches(part, wanted) => text.is_some_and(|text| part.holds(text, wanted)),
            Test::MatchesNot(part, wanted) => text.is_some_and(|text| !part.holds(text, wanted)),
        }
    }
}

impl Order {
    fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Order::Less => a < b,
            Order::AtMost => a <= b,
            Order::More => a > b,
            Order::AtLeast => a >= b,
        }
    }
}

impl Part {
    fn holds(self, text: &str, wanted: &str) -> bool {
        match self {
            Part::Inside => text.contains(wanted),
            Part::Start => text.starts_with(wanted),
            Part::End => text.ends_with(wanted),
        }
    }
}

/// Writes a text that parses to the same tree.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, word) = match self {
            Expression::And(parts) => (parts, " and "),
            Expression::Or(parts) => (parts, " or "),
            Expression::Not(part) => {
                return match &**part {
                    Expression::Not(_) => write!(f, "!{part}"),
                    Expression::And(_) | Expression::Or(_) | Expression::Condition(_) => {
                        write!(f, "!({part})")
                    }
                };
            }
            Expression::Condition(condition) => return condition.fmt(f),
        };
        for (at, part) in parts.iter().enumerate() {
            let before = if at == 0 { "" } else { word };
            match (self, part) {
                (Expression::Or(_), Expression::And(_)) => write!(f, "{before}{part}")?,
                _ => write_part(f, before, part)?,
            }
        }
        Ok(())
    }
}

fn write_part(f: &mut fmt::Formatter<'_>, before: &str, part: &Expression) -> fmt::Result {
    match part {
        Expression::And(_) | Expression::Or(_) => write!(f, "{before}({part})"),
        Expression::Not(_) | Expression::Condition(_) => write!(f, "{before}{part}"),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.test {
            Test::TextIs(text) => write!(f, "{path} = {}", Quoted(text)),
            Test::TextIsNot(text) => write!(f, "{path} != {}", Quoted(text)),
            Test::NumberIs(n) => write!(f, "{path} = {}", number_text(*n)),
            Test::NumberIsNot(n) => write!(f, "{path} != {}", number_text(*n)),
            Test::BooleanIs(b) => write!(f, "{path} = {b}"),
            Test::Absent => write!(f, "{path} = null"),
            Test::Present => write!(f, "{path} != null"),
            Test::Order(order, n) => write!(f, "{path} {order} {}", number_text(*n)),
            Test::Matches(part, text) => part.write(f, path, text),
            Test::MatchesNot(part, text) => {
                f.write_str("!")?;
                part.write(f, path, text)
            }
        }
    }
}

impl Part {
    fn write(self, f: &mut fmt::Formatter<'_>, path: &Path, text: &str) -> fmt::Result {
        match self {
            Part::Inside => write!(f, "contains({path}, {})", Quoted(text)),
            Part::Start => write!(f, "match({path}, {})", Quoted(&format!("{text}*"))),
            Part::End => write!(f, "match({path}, {})", Quoted(&format!("*{text}"))),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Order::Less => "<",
            Order::AtMost => "<=",
            Order::More => ">",
            Order::AtLeast => ">=",
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, key) in self.0.iter().enumerate() {
            let name = key.name();
            if at > 0 && name.bytes().all(|b| b.is_ascii_digit()) {
                write!(f, "[{name}]")?;
                continue;
            }
            if at > 0 && name.contains(['.', '[', ']']) {
                write!(f, "[{}]", Quoted(name))?;
                continue;
            }
            if at > 0 {
                f.write_str(".")?;
            }
            let keyword = at == 0 && ["and", "or", "true", "false", "null"].contains(&name);
            for (place, c) in name.chars().enumerate() {
                let starts_badly = at == 0 && place == 0 && !(c.is_alphabetic() || c == '_');
                if starts_badly || !is_name_part(c) || (keyword && place == 0) {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// A text in double quotes, escaped.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            if c == '"' || c == '\\' {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

fn number_text(n: f64) -> String {
    Number::from(n).to_text()
}
