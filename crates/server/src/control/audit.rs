//! The log of changes: who did what, when.

use heapline_action::datetime;
use heapline_store::Note;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Actor, Control, Problem};
use crate::server::now;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Its number; grows with time.
    pub number: u64,
    /// When, RFC 3339.
    pub at: String,
    /// Who.
    pub who: String,
    /// What was done.
    pub what: String,
    /// The revision of the workspace that it made, if any.
    pub revision: Option<u64>,
}

impl Control {
    /// The log of changes, newest first, below the number `before`.
    pub fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>, Problem> {
        let notes = self.store.notes(before, limit)?;
        let entry = |(number, note): (u64, Note)| AuditEntry {
            number,
            at: datetime::print(note.at),
            who: note.who.into(),
            what: note.what.into(),
            revision: note.revision,
        };
        Ok(notes.into_iter().map(entry).collect())
    }

    /// Adds to the log.
    pub(super) fn log(&self, who: &Actor, what: impl Into<String>) -> Result<(), Problem> {
        let what = what.into().into_boxed_str();
        let note = Note { at: now(), who: who.name.as_str().into(), what, revision: None };
        Ok(self.store.note(&note)?)
    }
}
