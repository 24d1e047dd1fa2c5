//! The workspace: sources, integrations and actions, checked and ready to work by.
//!
//! A document (TOML or JSON) is read into [`Workspace`] once; whoever holds a `Workspace` holds
//! something that can't be wrong. All faults of a document are told at once, each with its path.

mod document;
mod fallback;
mod read;

use std::fmt;
use std::sync::Arc;

use heapline_action::destination::{Configured, Destination, Fault};
use heapline_action::pipeline::Action;
use heapline_action::reads::Reads;
use heapline_action::value::{Object, Value};

pub(crate) use document::fits;
pub use document::{Format, MAX_ACTIONS, parse, value};

/// A whole configuration at one revision.
#[derive(Clone)]
pub struct Workspace {
    /// 0 for one that was never saved.
    pub revision: u64,
    /// Where events come from.
    pub sources: Vec<Arc<Source>>,
    /// Where they go.
    pub integrations: Vec<Arc<Integration>>,
    /// Allowed, but a careful operator should know.
    pub warnings: Vec<Fault>,
    /// The document as it was written.
    pub text: Arc<str>,
    /// What the document says.
    pub document: Value<'static>,
}

/// Where events come from.
#[derive(Debug)]
pub struct Source {
    /// Unique; names it in documents, ledger and metrics.
    pub id: Arc<str>,
    /// For people.
    pub name: String,
    /// What sends.
    pub kind: SourceKind,
    /// Any of these lets events in.
    pub write_keys: Vec<Secret>,
    /// Refuses events while false.
    pub enabled: bool,
    /// What callers hear of bad events.
    pub answers: Answers,
}

/// One configured destination.
pub struct Integration {
    /// Unique; names it in documents, ledger and metrics.
    pub id: Arc<str>,
    /// For people.
    pub name: String,
    /// What it delivers to.
    pub destination: &'static dyn Destination,
    /// The destination with its settings.
    pub configured: Configured,
    /// The settings as they were written.
    pub settings: Object<'static>,
    /// Keeps its place in the journal while false.
    pub enabled: bool,
    /// Ids of the sources whose events it takes.
    pub sources: Vec<Arc<str>>,
    /// What it does with them, in order.
    pub actions: Vec<Action>,
    /// The parts of events that they look at.
    pub reads: Reads,
    /// For an integration of pages: the one by which the server delivers what the page couldn't.
    pub fallback: Option<Arc<Integration>>,
    /// True for such a one. The page has decided already that the event may go.
    pub for_pages: bool,
    /// Equal for two integrations that were written alike.
    pub fingerprint: String,
}

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A page with a JavaScript client.
    JavaScript,
    /// A server library, a mobile client, a file, or plain HTTP; by its name in documents.
    Other(&'static str),
}

impl SourceKind {
    /// All names in documents.
    pub const NAMES: [&'static str; 11] = [
        "javascript",
        "http",
        "node",
        "python",
        "go",
        "ios",
        "android",
        "reactnative",
        "expo",
        "flutter",
        "file",
    ];

    /// The kind of a name.
    pub fn of(name: &str) -> Option<SourceKind> {
        let name = Self::NAMES.into_iter().find(|n| *n == name)?;
        Some(if name == "javascript" { Self::JavaScript } else { Self::Other(name) })
    }

    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            SourceKind::JavaScript => "javascript",
            SourceKind::Other(name) => name,
        }
    }
}

/// What callers hear of events that are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// What was wrong.
    Strict,
    /// 200, as the hosted services do; the refusal is recorded all the same.
    Permissive,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Box<str>);

impl Secret {
    /// Keeps `text`.
    pub fn new(text: &str) -> Secret {
        Secret(text.into())
    }

    /// The text itself: to compare, or to hand to who asked for it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Integration {
    /// True if it takes events of the source `id`.
    pub fn takes(&self, source: &str) -> bool {
        self.sources.iter().any(|s| &**s == source)
    }
}

impl Workspace {
    /// A workspace without sources and integrations.
    pub fn empty() -> Workspace {
        Workspace {
            revision: 0,
            sources: vec![],
            integrations: vec![],
            warnings: vec![],
            text: "".into(),
            document: Value::Object(Object::new()),
        }
    }

    /// The integration `id`.
    pub fn integration(&self, id: &str) -> Option<&Arc<Integration>> {
        self.integrations.iter().find(|i| &*i.id == id)
    }

    /// The source `id`.
    pub fn source(&self, id: &str) -> Option<&Arc<Source>> {
        self.sources.iter().find(|s| &*s.id == id)
    }
}
