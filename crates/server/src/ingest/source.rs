//! The sources as the door sees them: which write key belongs to whom.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// How a source's clients are told of refused input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answers {
    /// By status and message.
    #[default]
    Strict,
    /// With 200 and `{}`, unless the request says `X-Strict-Mode: 1`.
    Permissive,
}

/// A source as the door needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its id.
    pub id: Arc<str>,
    /// True for pages (kind `javascript`): the server fills in `context.ip`.
    pub web: bool,
    /// A disabled source's calls are refused.
    pub enabled: bool,
    /// How refusals are told.
    pub answers: Answers,
}

/// Write key to source. Immutable: a changed workspace makes a new one.
#[derive(Clone, Default)]
pub struct SourceTable {
    by_key: HashMap<Box<str>, Arc<Source>>,
}

impl SourceTable {
    /// A source may have several keys. Of two sources with one key the later wins.
    pub fn new(keys: impl IntoIterator<Item = (Box<str>, Arc<Source>)>) -> Self {
        SourceTable { by_key: keys.into_iter().collect() }
    }

    /// The source of a write key.
    pub fn by_key(&self, key: &str) -> Option<&Arc<Source>> {
        self.by_key.get(key)
    }
}

// Write keys are secrets: none may end up in a log.
impl fmt::Debug for SourceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceTable({} write keys)", self.by_key.len())
    }
}
