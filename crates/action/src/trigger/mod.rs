//! Triggers: conditions on an event, parsed once.

mod error;
mod explain;
mod lexer;
mod parser;
mod tree;

use std::fmt;

use crate::reads::Reads;
use crate::value::Value;

pub use error::{TriggerError, TriggerWarning};
pub use explain::Explanation;
pub use tree::{Condition, Expression, Order, Part, Path, Test};

/// A parsed trigger.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    root: Expression,
    warnings: Vec<TriggerWarning>,
}

impl Trigger {
    /// Parses `text`, of at most 10,000 characters and 100 levels of nesting.
    pub fn parse(text: &str) -> Result<Trigger, TriggerError> {
        let (root, warnings) = parser::parse(text, true)?;
        Ok(Trigger { root, warnings })
    }

    /// Parses a text that Segment's editor has written: as [`Trigger::parse`], but a backslash in a
    /// text in quotes is itself, since that editor escapes nothing there. Print the trigger to get
    /// a text for [`Trigger::parse`].
    pub fn import(text: &str) -> Result<Trigger, TriggerError> {
        let (root, warnings) = parser::parse(text, false)?;
        Ok(Trigger { root, warnings })
    }

    /// True if the trigger fires on `event`.
    pub fn fires_on(&self, event: &Value<'_>) -> bool {
        self.root.holds(event)
    }

    /// Adds the parts of events that it looks at.
    pub fn reads(&self, reads: &mut Reads) {
        self.root.reads(reads);
    }

    /// Why it fires on `event` or doesn't.
    pub fn explain(&self, event: &Value<'_>) -> Explanation {
        explain::explain(&self.root, event)
    }

    /// The conditions as a tree.
    pub fn root(&self) -> &Expression {
        &self.root
    }

    /// What is allowed but seldom meant, in the order of the text.
    pub fn warnings(&self) -> &[TriggerWarning] {
        &self.warnings
    }
}

/// Writes the canonical text, which parses to the same tree.
impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.fmt(f)
    }
}
