//! Colours, on a terminal only, and never where `NO_COLOR` is set.

use std::fmt::Display;
use std::io::IsTerminal;

use heapline_store::Outcome;

#[derive(Clone, Copy)]
pub(crate) struct Style {
    on: bool,
}

pub(crate) fn for_stdout() -> Style {
    Style { on: std::io::stdout().is_terminal() && colours_wanted() }
}

pub(crate) fn for_stderr() -> Style {
    Style { on: std::io::stderr().is_terminal() && colours_wanted() }
}

fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl Style {
    fn paint(self, code: &str, text: impl Display) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    pub(crate) fn bold(self, text: impl Display) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: impl Display) -> String {
        self.paint("2", text)
    }

    pub(crate) fn red(self, text: impl Display) -> String {
        self.paint("31", text)
    }

    pub(crate) fn green(self, text: impl Display) -> String {
        self.paint("32", text)
    }

    pub(crate) fn yellow(self, text: impl Display) -> String {
        self.paint("33", text)
    }

    /// The outcome's word, in its colour.
    pub(crate) fn outcome(self, word: &str) -> String {
        let outcome = Outcome::ALL.into_iter().find(|o| o.word() == word);
        match outcome {
            Some(Outcome::Delivered) => self.green(word),
            Some(Outcome::Failed | Outcome::Expired | Outcome::Refused) => self.red(word),
            Some(Outcome::Pending | Outcome::Held) => self.yellow(word),
            Some(Outcome::Filtered) | None => self.dim(word),
        }
    }
}
