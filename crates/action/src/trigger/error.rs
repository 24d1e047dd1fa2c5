//! Why a text is no trigger, and where.

use std::fmt;

/// Index of a character in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) usize);

impl Place {
    /// Line and column from 1, counted in characters. LF ends a line.
    pub(super) fn line_and_column(self, text: &str) -> (usize, usize) {
        text.chars().take(self.0).fold((1, 1), |(line, column), c| match c {
            '\n' => (line + 1, 1),
            _ => (line, column + 1),
        })
    }
}

/// Why a text is no trigger, and where.
///
/// The place is that of the first character of the offending token; at the end of the text, the
/// one after the last character; for a text without a closing quote, the opening quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerError {
    /// Line, from 1. LF and CRLF end a line.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What was found and what was expected, as one clause.
    pub message: String,
    /// The line of the text, without its end.
    pub source_line: String,
}

impl TriggerError {
    pub(super) fn new(text: &str, place: Place, message: String) -> TriggerError {
        let (line, column) = place.line_and_column(text);
        let source_line = text.split('\n').nth(line - 1).unwrap_or_default();
        let source_line = source_line.strip_suffix('\r').unwrap_or(source_line).to_owned();
        TriggerError { line, column, message, source_line }
    }

    /// The message, and below it the line with a caret under the place. Of a long line only the
    /// part around the place is shown.
    pub fn render(&self) -> String {
        const BEFORE: usize = 60;
        const AFTER: usize = 40;
        let skipped = self.column.saturating_sub(1 + BEFORE);
        let shown = || self.source_line.chars().skip(skipped);
        let before = self.column - 1 - skipped;
        let head = if skipped > 0 { "…" } else { "" };
        let tail = if shown().nth(before + AFTER).is_some() { "…" } else { "" };
        let excerpt: String = shown().take(before + AFTER).collect();
        let blanks: String = head
            .chars()
            .chain(shown().take(before))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let missing = before.saturating_sub(shown().take(before).count());
        let padding = " ".repeat(missing);
        format!("{self}\n  {head}{excerpt}{tail}\n  {blanks}{padding}^")
    }
}

impl fmt::Display for TriggerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for TriggerError {}

/// Something that is allowed in a trigger but seldom meant, told when saving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerWarning {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// One plain sentence.
    pub message: String,
}

impl fmt::Display for TriggerWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}", self.line, self.column, self.message)
    }
}
