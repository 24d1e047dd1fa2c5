//! The tokens of a trigger, read one at a time so that the first fault in the text is the one told.

use std::fmt;

use super::error::{Place, TriggerError};

/// What the parser expects where it asks for a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Anything but the segment of a path.
    Plain,
    /// The segment of a path after a dot, which may start with a digit or `-`.
    Segment,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    End,
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Dot,
    Comma,
    Bang,
    Operator(Operator),
    /// A run of name characters and escapes.
    Word(Word),
    Text(String),
    /// Digits without sign, fraction or exponent keep their text: they may index a list.
    Number {
        value: f64,
        text: String,
        plain: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Is,
    IsNot,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// A word and the keys that it stands for. Escaped brackets separate keys, since the reference's
/// generator writes `list[0]` as `list\[0\]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) keys: Vec<String>,
    pub(super) escaped: bool,
}

impl Word {
    pub(super) fn is(&self, keyword: &str) -> bool {
        !self.escaped && self.text == keyword
    }

    /// True of `\[0\]`, which goes on with a path as `[0]` does.
    pub(super) fn starts_with_bracket(&self) -> bool {
        self.text.starts_with("\\[") || self.text.starts_with("\\]")
    }

    pub(super) fn is_keyword(&self) -> bool {
        ["and", "or", "true", "false", "null"].iter().any(|keyword| self.is(keyword))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::End => f.write_str("the end"),
            Token::Open => f.write_str("`(`"),
            Token::Close => f.write_str("`)`"),
            Token::OpenBracket => f.write_str("`[`"),
            Token::CloseBracket => f.write_str("`]`"),
            Token::Dot => f.write_str("`.`"),
            Token::Comma => f.write_str("`,`"),
            Token::Bang => f.write_str("`!`"),
            Token::Operator(operator) => write!(f, "`{operator}`"),
            Token::Word(word) if word.is_keyword() => write!(f, "`{}`", word.text),
            Token::Word(word) => write!(f, "the word `{}`", word.text),
            Token::Text(text) => write!(f, "the text \"{}\"", shortened(text)),
            Token::Number { text, .. } => write!(f, "the number {text}"),
        }
    }
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 40;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operator::Is => "=",
            Operator::IsNot => "!=",
            Operator::Less => "<",
            Operator::AtMost => "<=",
            Operator::More => ">",
            Operator::AtLeast => ">=",
        })
    }
}

/// Reads tokens from a text; remembers one token ahead.
pub(super) struct Lexer<'t> {
    text: &'t str,
    chars: Vec<char>,
    at: usize,
    ahead: Option<(Place, Token)>,
    escapes: bool,
}

impl<'t> Lexer<'t> {
    /// Without `escapes`, a backslash in a text in quotes is itself.
    pub(super) fn new(text: &'t str, escapes: bool) -> Lexer<'t> {
        Lexer { text, chars: text.chars().collect(), at: 0, ahead: None, escapes }
    }

    /// The next token and the place of its first character, without taking it.
    pub(super) fn peek(&mut self) -> Result<(Place, &Token), TriggerError> {
        let (place, token) = match self.ahead.take() {
            Some(ahead) => ahead,
            None => self.read(Mode::Plain)?,
        };
        let (place, token) = &*self.ahead.insert((place, token));
        Ok((*place, token))
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> Result<(Place, Token), TriggerError> {
        match self.ahead.take() {
            Some(ahead) => Ok(ahead),
            None => self.read(Mode::Plain),
        }
    }

    /// Takes the segment of a path, if one follows. Must not be called after [`Lexer::peek`]
    /// without taking what it saw.
    pub(super) fn segment(&mut self) -> Result<Option<Word>, TriggerError> {
        let before = self.at;
        self.skip_blanks();
        match self.char() {
            Some(c) if is_name_start(c) || is_name_part(c) => {
                let (_, token) = self.read(Mode::Segment)?;
                match token {
                    Token::Word(word) => Ok(Some(word)),
                    _ => unreachable!("a segment is read as a word"),
                }
            }
            _ => {
                self.at = before;
                Ok(None)
            }
        }
    }

    pub(super) fn fail(&self, place: Place, message: impl Into<String>) -> TriggerError {
        TriggerError::new(self.text, place, message.into())
    }

    fn char(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn char_after(&self, distance: usize) -> Option<char> {
        self.chars.get(self.at + distance).copied()
    }

    fn skip_blanks(&mut self) {
        while self.char().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    fn read(&mut self, mode: Mode) -> Result<(Place, Token), TriggerError> {
        self.skip_blanks();
        let place = Place(self.at);
        let Some(c) = self.char() else { return Ok((place, Token::End)) };
        if mode == Mode::Segment {
            return Ok((place, Token::Word(self.word()?)));
        }
        let token = match c {
            '(' => self.one(Token::Open),
            ')' => self.one(Token::Close),
            '[' => self.one(Token::OpenBracket),
            ']' => self.one(Token::CloseBracket),
            '.' => self.one(Token::Dot),
            ',' => self.one(Token::Comma),
            '=' => self.one(Token::Operator(Operator::Is)),
            '!' => self.one_or_equal(Token::Bang, Operator::IsNot),
            '<' => self.one_or_equal(Token::Operator(Operator::Less), Operator::AtMost),
            '>' => self.one_or_equal(Token::Operator(Operator::More), Operator::AtLeast),
            '"' | '\'' => self.quoted(c, place)?,
            _ if is_name_start(c) => Token::Word(self.word()?),
            '0'..='9' => self.number(),
            '+' | '-' if self.char_after(1).is_some_and(|c| c.is_ascii_digit()) => self.number(),
            '-' if self.infinity_follows() => {
                self.at += "-Infinity".len();
                let text = "-Infinity".to_owned();
                Token::Number { value: f64::NEG_INFINITY, text, plain: false }
            }
            _ => return Err(self.fail(place, unknown_character(c, self.char_after(1)))),
        };
        Ok((place, token))
    }

    fn one(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    fn one_or_equal(&mut self, alone: Token, with_equal: Operator) -> Token {
        self.at += 1;
        if self.char() != Some('=') {
            return alone;
        }
        self.at += 1;
        Token::Operator(with_equal)
    }

    fn quoted(&mut self, quote: char, place: Place) -> Result<Token, TriggerError> {
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.char() {
            self.at += 1;
            if c == quote {
                return Ok(Token::Text(text));
            }
            let escaped = match self.char() {
                Some(next) if self.escapes && c == '\\' && (next == quote || next == '\\') => {
                    Some(next)
                }
                _ => None,
            };
            if escaped.is_some() {
                self.at += 1;
            }
            text.push(escaped.unwrap_or(c));
        }
        Err(self.fail(place, "text without a closing quote"))
    }

    fn number(&mut self) -> Token {
        let start = self.at;
        if matches!(self.char(), Some('+' | '-')) {
            self.at += 1;
        }
        let mut plain = self.at == start;
        self.digits();
        let digit_after = |lexer: &Self, distance| {
            lexer.char_after(distance).is_some_and(|c: char| c.is_ascii_digit())
        };
        if self.char() == Some('.') && digit_after(self, 1) {
            plain = false;
            self.at += 1;
            self.digits();
        }
        if matches!(self.char(), Some('e' | 'E')) {
            let sign = usize::from(matches!(self.char_after(1), Some('+' | '-')));
            if digit_after(self, 1 + sign) {
                plain = false;
                self.at += 1 + sign;
                self.digits();
            }
        }
        let text: String = self.chars.iter().skip(start).take(self.at - start).collect();
        let value: f64 = text.parse().expect("digits, fraction and exponent are a number to Rust");
        // Adding zero turns -0 into 0.
        Token::Number { value: value + 0.0, text, plain }
    }

    fn digits(&mut self) {
        while self.char().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn infinity_follows(&self) -> bool {
        let rest = self.chars.iter().skip(self.at + 1);
        let word: String = rest.copied().take_while(|&c| is_name_part(c)).take(9).collect();
        word == "Infinity"
    }

    fn word(&mut self) -> Result<Word, TriggerError> {
        let start = self.at;
        let (mut keys, mut key, mut escaped) = (Vec::new(), String::new(), false);
        while let Some(c) = self.char() {
            if c == '\\' {
                escaped = true;
                match self.char_after(1) {
                    Some('[' | ']') => keys.push(std::mem::take(&mut key)),
                    Some(next) => key.push(next),
                    None => {
                        let message = "expected a character after `\\`, found the end";
                        return Err(self.fail(Place(self.at), message));
                    }
                }
                self.at += 2;
            } else if is_name_part(c) {
                key.push(c);
                self.at += 1;
            } else {
                break;
            }
        }
        keys.push(key);
        keys.retain(|key| !key.is_empty());
        let text = self.chars.iter().skip(start).take(self.at - start).collect();
        Ok(Word { text, keys, escaped })
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{FEFF}'
}

pub(super) fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '\\'
}

pub(super) fn is_name_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

fn unknown_character(c: char, next: Option<char>) -> String {
    let hint = match (c, next) {
        ('&', Some('&')) => "; did you mean `and`?",
        ('|', Some('|')) => "; did you mean `or`?",
        ('“' | '”' | '„' | '‘' | '’' | '«' | '»', _) => {
            "; texts stand in straight quotes"
        }
        _ if !c.is_whitespace() && !c.is_control() => "; in a path it needs a `\\` before it",
        _ => "",
    };
    format!("unexpected character `{}`{hint}", c.escape_debug())
}
