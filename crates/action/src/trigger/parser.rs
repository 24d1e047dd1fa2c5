//! From the text of a trigger to its tree.

use crate::path::Key;
use crate::value::Number;

use super::error::{Place, TriggerError, TriggerWarning};
use super::lexer::{Lexer, Operator, Token, Word};
use super::tree::{Condition, Expression, Order, Part, Path, Test};

/// Most characters of a trigger.
const MAX_CHARACTERS: usize = 10_000;

/// Deepest nesting of parentheses and `!`; both together count once.
const MAX_LEVELS: usize = 100;

/// Fields that some call has at the top, or that the server adds.
const TOP_LEVEL: &[&str] = &[
    "anonymousId",
    "category",
    "channel",
    "context",
    "event",
    "groupId",
    "integrations",
    "messageId",
    "name",
    "originalTimestamp",
    "previousId",
    "properties",
    "receivedAt",
    "relationshipAttributes",
    "sentAt",
    "timestamp",
    "traits",
    "type",
    "userId",
    "version",
    "writeKey",
];

/// Top-level fields that compare as texts also with `true` and `false`.
const TEXTS: &[&str] = &["type", "event", "name"];

/// Top-level fields that are objects: alone they can only be there or not.
const OBJECTS: &[&str] = &["context", "integrations", "properties", "traits"];

/// A literal as it was written.
enum Literal {
    Text(String),
    Number(f64, String),
    Boolean(bool),
    Null,
}

pub(super) fn parse(
    text: &str,
    escapes: bool,
) -> Result<(Expression, Vec<TriggerWarning>), TriggerError> {
    let length = text.chars().count();
    if length > MAX_CHARACTERS {
        let message =
            format!("expected at most {MAX_CHARACTERS} characters, found {length}; shorten it");
        return Err(TriggerError::new(text, Place(MAX_CHARACTERS), message));
    }
    let lexer = Lexer::new(text, escapes);
    let mut parser = Parser { text, lexer, opened: Vec::new(), levels: 0, warnings: Vec::new() };
    let root = parser.or()?;
    match parser.lexer.next()? {
        (_, Token::End) => Ok((root, parser.warnings)),
        (place, found) => Err(parser.expected_connective(place, &found)),
    }
}

struct Parser<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
    /// Places of the parentheses that are open.
    opened: Vec<Place>,
    levels: usize,
    warnings: Vec<TriggerWarning>,
}

impl Parser<'_> {
    fn or(&mut self) -> Result<Expression, TriggerError> {
        let mut parts = vec![self.and()?];
        while self.takes_word("or")? {
            parts.push(self.and()?);
        }
        Ok(one_or(parts, Expression::Or))
    }

    fn and(&mut self) -> Result<Expression, TriggerError> {
        let mut parts = vec![self.unary()?];
        while self.takes_word("and")? {
            parts.push(self.unary()?);
        }
        Ok(one_or(parts, Expression::And))
    }

    fn takes_word(&mut self, keyword: &str) -> Result<bool, TriggerError> {
        let found = matches!(self.lexer.peek()?, (_, Token::Word(word)) if word.is(keyword));
        if found {
            self.lexer.next()?;
        }
        Ok(found)
    }

    /// `{ "!" } primary`. A `!` right before a function is part of the condition.
    fn unary(&mut self) -> Result<Expression, TriggerError> {
        let (place, token) = self.lexer.next()?;
        match token {
            Token::Bang => {
                let (_, token) = self.lexer.peek()?;
                let written_function = matches!(token, Token::Word(word) if is_function(word));
                // A parenthesis counts for both, and a function nests nothing.
                let counts = *token != Token::Open && !written_function;
                if counts {
                    self.enter(place)?;
                }
                let part = self.unary()?;
                if counts {
                    self.levels -= 1;
                }
                Ok(match part {
                    Expression::Condition(Condition { path, test: Test::Matches(part, text) })
                        if written_function =>
                    {
                        let test = Test::MatchesNot(part, text);
                        Expression::Condition(Condition { path, test })
                    }
                    part => Expression::Not(Box::new(part)),
                })
            }
            Token::Open => {
                self.enter(place)?;
                self.opened.push(place);
                let inner = self.or()?;
                match self.lexer.next()? {
                    (_, Token::Close) => {}
                    (place, found) => return Err(self.expected_connective(place, &found)),
                }
                self.opened.pop();
                self.levels -= 1;
                Ok(inner)
            }
            Token::Word(word) if !word.is_keyword() => {
                let open = matches!(self.lexer.peek()?, (_, Token::Open));
                let condition = if open && is_function(&word) {
                    self.function(word.text == "match")?
                } else {
                    self.comparison(place, word)?
                };
                Ok(Expression::Condition(condition))
            }
            found => {
                let hint = match found {
                    Token::Text(_) | Token::Number { .. } => "; the path stands on the left",
                    _ => "",
                };
                Err(self.lexer.fail(place, format!("expected a condition, found {found}{hint}")))
            }
        }
    }

    fn enter(&mut self, place: Place) -> Result<(), TriggerError> {
        self.levels += 1;
        if self.levels > MAX_LEVELS {
            let message = format!("expected at most {MAX_LEVELS} levels of nesting");
            return Err(self.lexer.fail(place, message));
        }
        Ok(())
    }

    /// What follows `contains` or `match`, from the parenthesis on.
    fn function(&mut self, pattern: bool) -> Result<Condition, TriggerError> {
        self.lexer.next()?;
        let (place, token) = self.lexer.next()?;
        let word = match token {
            Token::Word(word) if !word.is_keyword() => word,
            found => {
                let message = format!("expected a path such as `properties.price`, found {found}");
                return Err(self.lexer.fail(place, message));
            }
        };
        let path = self.path(place, word)?;
        if is_bare_object(&path) {
            let message = format!("`{path}` is an object: expected a path to a text in it");
            return Err(self.lexer.fail(place, message));
        }
        self.expect(&Token::Comma)?;
        let (place, literal) = self.literal()?;
        let text = match literal {
            Literal::Text(text) => text,
            Literal::Number(_, text) => text,
            Literal::Boolean(b) => b.to_string(),
            Literal::Null if pattern => "null".to_owned(),
            Literal::Null => {
                let message = format!(
                    "`null` counts as its text here; for an absent value write `{path} = null`."
                );
                self.warn(place, message);
                "null".to_owned()
            }
        };
        let test =
            if pattern { self.pattern(place, text)? } else { Test::Matches(Part::Inside, text) };
        self.expect(&Token::Close)?;
        Ok(Condition { path, test })
    }

    /// A star at the end means *starts with*, also if there is one at the start.
    fn pattern(&mut self, place: Place, text: String) -> Result<Test, TriggerError> {
        if let Some(start) = text.strip_suffix('*') {
            if start.starts_with('*') {
                let inner = start.trim_matches('*');
                let message = format!(
                    "The pattern \"{text}\" means: starts with \"{start}\", the star included. \
                     For a text with \"{inner}\" inside write contains(…, \"{inner}\")."
                );
                self.warn(place, message);
            }
            return Ok(Test::Matches(Part::Start, start.to_owned()));
        }
        if let Some(end) = text.strip_prefix('*') {
            return Ok(Test::Matches(Part::End, end.to_owned()));
        }
        let message = format!(
            "expected a pattern that starts or ends with `*`, found \"{text}\"; \
             for a text inside another use `contains`"
        );
        Err(self.lexer.fail(place, message))
    }

    fn comparison(&mut self, start: Place, word: Word) -> Result<Condition, TriggerError> {
        let path = self.path(start, word)?;
        let (place, token) = self.lexer.next()?;
        let operator = match token {
            Token::Operator(operator) => operator,
            found => {
                let hint = match found {
                    Token::Open => "; the only functions are `contains` and `match`",
                    _ => "",
                };
                let message =
                    format!("expected an operator (=, !=, <, <=, >, >=), found {found}{hint}");
                return Err(self.lexer.fail(place, message));
            }
        };
        let bare = is_bare_object(&path);
        if bare && !matches!(operator, Operator::Is | Operator::IsNot) {
            return Err(self.lexer.fail(place, bare_object(&path, &Token::Operator(operator))));
        }
        if bare {
            let (place, found) = self.lexer.peek()?;
            if !matches!(found, Token::Word(word) if word.is("null")) {
                let message = bare_object(&path, found);
                return Err(self.lexer.fail(place, message));
            }
        }
        let (place, literal) = self.literal()?;
        let test = match operator {
            Operator::Is => equal(&path, literal),
            Operator::IsNot => self.different(start, &path, literal),
            Operator::Less => self.order(place, Order::Less, literal)?,
            Operator::AtMost => self.order(place, Order::AtMost, literal)?,
            Operator::More => self.order(place, Order::More, literal)?,
            Operator::AtLeast => self.order(place, Order::AtLeast, literal)?,
        };
        Ok(Condition { path, test })
    }

    fn different(&mut self, start: Place, path: &Path, literal: Literal) -> Test {
        match literal {
            Literal::Text(text) => Test::TextIsNot(text),
            Literal::Number(n, _) if path.keys().len() > 1 => Test::NumberIsNot(n),
            Literal::Number(_, text) => Test::TextIsNot(text),
            Literal::Boolean(b) => {
                if !is_text(path) {
                    let message = format!(
                        "`{path} != {b}` compares with the text \"{b}\", so it is true even for \
                         the boolean; write `!({path} = {b})`."
                    );
                    self.warn(start, message);
                }
                Test::TextIsNot(b.to_string())
            }
            Literal::Null => Test::Present,
        }
    }

    fn order(&self, place: Place, order: Order, literal: Literal) -> Result<Test, TriggerError> {
        let found = match literal {
            Literal::Number(n, _) => return Ok(Test::Order(order, n)),
            Literal::Text(text) => match number_in_text(&text) {
                Some(n) => return Ok(Test::Order(order, n)),
                None => format!("the text \"{text}\""),
            },
            Literal::Boolean(b) => format!("`{b}`"),
            Literal::Null => "`null`".to_owned(),
        };
        Err(self.lexer.fail(place, format!("expected a number, found {found}")))
    }

    /// The path that starts with `word`, which is already taken.
    fn path(&mut self, start: Place, word: Word) -> Result<Path, TriggerError> {
        let mut keys = word.keys;
        loop {
            match self.lexer.peek()? {
                (_, Token::Dot) => {
                    self.lexer.next()?;
                    if let Some(segment) = self.lexer.segment()? {
                        keys.extend(segment.keys);
                    }
                }
                (_, Token::OpenBracket) => {
                    self.lexer.next()?;
                    keys.push(self.bracketed()?);
                    self.expect(&Token::CloseBracket)?;
                    if let (_, Token::Word(word)) = self.lexer.peek()?
                        && word.starts_with_bracket()
                    {
                        keys.extend(word.keys.iter().cloned());
                        self.lexer.next()?;
                    }
                }
                _ => break,
            }
        }
        let Some(first) = keys.first() else {
            return Err(self.lexer.fail(start, "expected a name, found only separators"));
        };
        if !TOP_LEVEL.contains(&first.as_str()) {
            let message = format!(
                "No call has a field `{first}` at the top; custom fields are in `properties`, \
                 `traits` or `context`."
            );
            self.warn(start, message);
        }
        Ok(Path(keys.into_iter().map(Key::new).collect()))
    }

    fn bracketed(&mut self) -> Result<String, TriggerError> {
        match self.lexer.next()? {
            (_, Token::Number { text, plain: true, .. }) => Ok(text),
            (place, Token::Text(text)) if text.is_empty() => {
                Err(self.lexer.fail(place, "expected a key, found an empty text"))
            }
            (_, Token::Text(text)) => Ok(text),
            (place, found) => {
                let message = format!("expected an index or a key in quotes, found {found}");
                Err(self.lexer.fail(place, message))
            }
        }
    }

    fn literal(&mut self) -> Result<(Place, Literal), TriggerError> {
        let (place, token) = self.lexer.next()?;
        let literal = match token {
            Token::Text(text) => Literal::Text(text),
            Token::Number { value, text, .. } => Literal::Number(value, number_text(value, &text)),
            Token::Word(ref word) if word.is("true") => Literal::Boolean(true),
            Token::Word(ref word) if word.is("false") => Literal::Boolean(false),
            Token::Word(ref word) if word.is("null") => Literal::Null,
            Token::Word(ref word) if word.is("NaN") => Literal::Number(f64::NAN, "NaN".to_owned()),
            Token::Word(ref word) if word.is("Infinity") => {
                Literal::Number(f64::INFINITY, "Infinity".to_owned())
            }
            found => {
                let mut message = format!(
                    "expected a value (text in quotes, number, true, false, null), found {found}"
                );
                if let Token::Word(word) = &found
                    && !word.is_keyword()
                {
                    message.push_str(&format!("; did you mean `\"{}\"`?", word.text));
                }
                return Err(self.lexer.fail(place, message));
            }
        };
        Ok((place, literal))
    }

    fn expect(&mut self, wanted: &Token) -> Result<(), TriggerError> {
        let (place, found) = self.lexer.next()?;
        if found == *wanted {
            return Ok(());
        }
        Err(self.lexer.fail(place, format!("expected {wanted}, found {found}")))
    }

    fn expected_connective(&self, place: Place, found: &Token) -> TriggerError {
        let mut message = match (self.opened.last(), found) {
            (None, _) => format!("expected `and`, `or` or the end, found {found}"),
            (Some(opened), Token::End) => {
                let (line, column) = opened.line_and_column(self.text);
                format!("expected `)`, found {found}; opened at {line}:{column}")
            }
            (Some(_), _) => format!("expected `and`, `or` or `)`, found {found}"),
        };
        if let Token::Word(word) = found
            && ["and", "or"].contains(&word.text.to_lowercase().as_str())
        {
            message = message.replace("the word ", "");
            message.push_str("; keywords are lower-case");
        }
        self.lexer.fail(place, message)
    }

    fn warn(&mut self, place: Place, message: String) {
        let (line, column) = place.line_and_column(self.text);
        self.warnings.push(TriggerWarning { line, column, message });
    }
}

fn equal(path: &Path, literal: Literal) -> Test {
    match literal {
        Literal::Text(text) => Test::TextIs(text),
        Literal::Number(n, _) if path.keys().len() > 1 => Test::NumberIs(n),
        Literal::Number(_, text) => Test::TextIs(text),
        Literal::Boolean(b) if is_text(path) => Test::TextIs(b.to_string()),
        Literal::Boolean(b) => Test::BooleanIs(b),
        Literal::Null => Test::Absent,
    }
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.len() {
        1 => parts.remove(0),
        _ => many(parts),
    }
}

fn is_function(word: &Word) -> bool {
    word.is("contains") || word.is("match")
}

fn is_text(path: &Path) -> bool {
    path.keys().len() == 1 && path.keys().all(|key| TEXTS.contains(&key))
}

fn is_bare_object(path: &Path) -> bool {
    path.keys().len() == 1 && path.keys().all(|key| OBJECTS.contains(&key))
}

fn bare_object(path: &Path, found: &Token) -> String {
    format!(
        "`{path}` is an object: it can only be compared with `null`, found {found}; \
         a member is `{path}.name`"
    )
}

/// The text that ids and names compare with: JavaScript's of the number, but whole numbers beyond
/// 2^53 keep their digits.
fn number_text(n: f64, written: &str) -> String {
    written.parse().map_or(Number::from(n), Number::Int).to_text()
}

/// A number in quotes, as in `price > "5"`: decimal, blanks around allowed.
fn number_in_text(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let starts_well = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !starts_well && digits != "Infinity" {
        return None;
    }
    text.parse::<f64>().ok().map(|n| n + 0.0)
}
