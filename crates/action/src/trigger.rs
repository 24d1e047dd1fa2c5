//! Triggers: conditions on an event, parsed once.

use crate::value::Value;

/// A parsed trigger.
#[derive(Clone, Debug)]
pub struct Trigger {}

/// Why a text is no trigger, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What was found and what was expected, as one clause.
    pub message: String,
}

impl Trigger {
    /// Parses `text`.
    pub fn parse(text: &str) -> Result<Trigger, TriggerError> {
        let _ = text;
        todo!()
    }

    /// True if the trigger fires on `event`.
    pub fn fires_on(&self, event: &Value<'_>) -> bool {
        let _ = event;
        todo!()
    }
}
