//! The workspace of now, and every way to change it: a whole document, an edit, an old revision,
//! or a file that is followed.
//!
//! Whoever changes it names the revision that he has seen; all revisions are kept.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use heapline_action::datetime;
use heapline_action::destination::Fault;
use heapline_action::value::Value;
use heapline_store::{Note, Revision, Store};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::warn;
use utoipa::ToSchema;

use super::edit::{self, Edit, place};
use super::tokens::hex;
use super::{Actor, Problem, Role};
use crate::courier::Fleet;
use crate::ingest::{self, Ingest, SourceTable};
use crate::server::now;
use crate::workspace::{self, Answers, Format, SourceKind, Workspace};

/// The workspace of now, and the way to change it.
pub struct Workspaces {
    store: Arc<dyn Store>,
    fleet: Arc<Fleet>,
    ingest: Arc<Ingest>,
    origin: Origin,
    /// How long couriers may take to settle what is in flight.
    within: Duration,
    now: Arc<ArcSwap<Workspace>>,
    changing: Mutex<()>,
    /// When the file was written that was last looked at, and how long it was.
    seen: Mutex<Option<(SystemTime, u64)>>,
    hooks: RwLock<Vec<Hook>>,
}

type Hook = Box<dyn Fn(&Arc<Workspace>) + Send + Sync>;

/// Where the workspace is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In this file: it is followed, and nothing else changes the workspace.
    File(PathBuf),
    /// In the store.
    Store,
}

/// A workspace document.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Number of the revision; 0 if nothing was ever saved.
    pub revision: u64,
    /// `toml` or `json`.
    pub format: String,
    /// The text. A viewer sees `(key …)` in place of each write key.
    pub text: String,
    /// The file that it is kept in, if it is: then it can only be changed there.
    pub file: Option<String>,
}

/// What a document would do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Checked {
    /// What is wrong with it.
    pub faults: Vec<FaultView>,
    /// What is allowed, but should be known.
    pub warnings: Vec<FaultView>,
    /// The changes against the document of now, in the form of `diff -u`; empty if there are none.
    pub diff: String,
}

/// One thing wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FaultView {
    /// Place in the document, e.g. `integrations[0].settings.appId`.
    pub path: String,
    /// What was found and what was expected.
    pub message: String,
}

/// The workspace after a change.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// Number of the revision of now.
    pub revision: u64,
    /// False if the document already said that.
    pub changed: bool,
    /// What is allowed, but should be known.
    pub warnings: Vec<FaultView>,
}

/// One revision in the history.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RevisionInfo {
    /// Its number.
    pub revision: u64,
    /// When it was saved, RFC 3339.
    pub at: String,
    /// Who saved it.
    pub by: String,
}

/// What changed between two revisions.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RevisionDiff {
    /// The earlier one.
    pub from: u64,
    /// The later one.
    pub to: u64,
    /// The changes, in the form of `diff -u`.
    pub diff: String,
}

impl From<&Fault> for FaultView {
    fn from(fault: &Fault) -> FaultView {
        FaultView { path: fault.path.clone(), message: fault.message.clone() }
    }
}

impl Workspaces {
    /// Reads the workspace of `origin` and lets door and couriers work by it.
    pub fn open(
        store: Arc<dyn Store>,
        fleet: Arc<Fleet>,
        ingest: Arc<Ingest>,
        origin: Origin,
        within: Duration,
    ) -> Result<Workspaces, Problem> {
        let now = Arc::new(ArcSwap::from_pointee(Workspace::empty()));
        let this = Workspaces {
            store,
            fleet,
            ingest,
            origin,
            within,
            now,
            changing: Mutex::default(),
            seen: Mutex::default(),
            hooks: RwLock::default(),
        };
        match &this.origin {
            Origin::File(file) => {
                let missing = || format!("cannot read the workspace {}", file.display());
                this.follow()?.ok_or_else(|| Problem::Broken(missing()))?;
            }
            Origin::Store => {
                if let Some(Revision { number, document, .. }) = this.store.revision(None)? {
                    let format = Format::guess(&document);
                    let workspace =
                        workspace::parse(&document, format, number).map_err(Problem::Faulty)?;
                    this.take(workspace)?;
                } else {
                    this.take(Workspace::empty())?;
                }
            }
        }
        Ok(this)
    }

    /// The workspace of now.
    pub fn current(&self) -> Arc<Workspace> {
        self.now.load_full()
    }

    /// The same, for those who look often.
    pub fn shared(&self) -> Arc<ArcSwap<Workspace>> {
        self.now.clone()
    }

    /// Where it is kept.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Calls `hook` with each new workspace once door and couriers work by it.
    pub fn on_change(&self, hook: impl Fn(&Arc<Workspace>) + Send + Sync + 'static) {
        self.hooks.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(hook));
    }

    /// The document of now.
    pub fn document(&self, who: &Actor) -> Document {
        let current = self.current();
        self.shown(who, current.revision, &current.text)
    }

    /// The document of a revision.
    pub fn revision(&self, who: &Actor, number: u64) -> Result<Document, Problem> {
        let revision = self.past(number)?;
        Ok(self.shown(who, number, &revision.document))
    }

    /// All revisions, newest first.
    pub fn history(&self) -> Result<Vec<RevisionInfo>, Problem> {
        let info = |revision: Revision| RevisionInfo {
            revision: revision.number,
            at: datetime::print(revision.at),
            by: revision.by.into(),
        };
        Ok(self.store.revisions()?.into_iter().map(info).collect())
    }

    /// What changed from the revision `from` to `to`; 0 is the empty document.
    pub fn diff(&self, who: &Actor, from: u64, to: u64) -> Result<RevisionDiff, Problem> {
        let text = |number| match number {
            0 => Ok(String::new()),
            number => self.revision(who, number).map(|document| document.text),
        };
        let diff = unified(&text(from)?, &text(to)?, from, to);
        Ok(RevisionDiff { from, to, diff })
    }

    /// What a document would do, were it put.
    pub fn check(&self, who: &Actor, text: &str) -> Checked {
        let current = self.current();
        let parsed = workspace::parse(text, Format::guess(text), current.revision + 1);
        let list = |faults: &[Fault]| faults.iter().map(FaultView::from).collect();
        let diff = unified(
            &self.shown(who, current.revision, &current.text).text,
            &self.shown(who, current.revision + 1, text).text,
            current.revision,
            current.revision + 1,
        );
        match parsed {
            Ok(workspace) => {
                Checked { faults: Vec::new(), warnings: list(&workspace.warnings), diff }
            }
            Err(faults) => Checked { faults: list(&faults), warnings: Vec::new(), diff },
        }
    }

    /// Makes `text` the workspace, if `expected` is the revision of now.
    pub fn put(&self, who: &Actor, text: &str, expected: u64) -> Result<Changed, Problem> {
        self.change(who, Some(expected), |_| Ok((text.to_owned(), "put the workspace".into(), ())))
            .map(|(changed, ())| changed)
    }

    /// Makes an old revision's document the workspace again, as a new revision.
    pub fn restore(&self, who: &Actor, number: u64, expected: u64) -> Result<Changed, Problem> {
        let text = self.past(number)?.document.into_string();
        let what = format!("restored revision {number} of the workspace");
        self.change(who, Some(expected), |_| Ok((text, what, ()))).map(|(changed, ())| changed)
    }

    /// Edits the document. `decide` is given the workspace of now, and gives the edits, what they
    /// do for the log, and what the caller wants to know beside. Without `expected` the revision of
    /// now is meant, whatever it is.
    pub fn edit<T>(
        &self,
        who: &Actor,
        expected: Option<u64>,
        decide: impl FnOnce(&Workspace) -> Result<(Vec<Edit>, String, T), Problem>,
    ) -> Result<(Changed, T), Problem> {
        self.change(who, expected, |current| {
            let (edits, what, told) = decide(current)?;
            Ok((edit::apply(&current.text, Format::guess(&current.text), &edits)?, what, told))
        })
    }

    /// The same where the caller wants to know nothing beside.
    pub fn apply(
        &self,
        who: &Actor,
        expected: Option<u64>,
        decide: impl FnOnce(&Workspace) -> Result<(Vec<Edit>, String), Problem>,
    ) -> Result<Changed, Problem> {
        let decide = |now: &Workspace| decide(now).map(|(edits, what)| (edits, what, ()));
        self.edit(who, expected, decide).map(|(changed, ())| changed)
    }

    /// Takes the workspace file if it has been written since it was last looked at. Gives the
    /// revision that came of it.
    pub fn follow(&self) -> Result<Option<u64>, Problem> {
        let Origin::File(file) = &self.origin else { return Ok(None) };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = std::fs::metadata(file).ok().and_then(|m| Some((m.modified().ok()?, m.len())));
        if stamp == *seen {
            return Ok(None);
        }
        *seen = stamp;
        let text = std::fs::read_to_string(file).map_err(|e| {
            Problem::Broken(format!("cannot read the workspace {}: {e}", file.display()))
        })?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = self.store.revision(None)?;
        let number = latest.as_ref().map_or(0, |revision| revision.number);
        let same = latest.is_some_and(|revision| *revision.document == *text);
        let mut workspace =
            workspace::parse(&text, Format::guess(&text), number).map_err(Problem::Faulty)?;
        if !same {
            let by = format!("file {}", file.display());
            workspace.revision = self.store.save_revision(number, now(), &by, &text)?;
            self.note(&by, "changed the workspace file", workspace.revision)?;
        }
        let revision = workspace.revision;
        self.take(workspace)?;
        Ok(Some(revision))
    }

    fn change<T>(
        &self,
        who: &Actor,
        expected: Option<u64>,
        decide: impl FnOnce(&Workspace) -> Result<(String, String, T), Problem>,
    ) -> Result<(Changed, T), Problem> {
        who.must_be(Role::Editor)?;
        if let Origin::File(file) = &self.origin {
            return Err(Problem::ReadOnly(file.display().to_string()));
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current();
        if expected.is_some_and(|expected| expected != current.revision) {
            return Err(Problem::Moved(current.revision));
        }
        let (text, what, told) = decide(&current)?;
        let next = current.revision + 1;
        let workspace =
            workspace::parse(&text, Format::guess(&text), next).map_err(Problem::Faulty)?;
        let warnings = workspace.warnings.iter().map(FaultView::from).collect();
        if text == *current.text {
            let changed = Changed { revision: current.revision, changed: false, warnings };
            return Ok((changed, told));
        }
        let revision = self.store.save_revision(current.revision, now(), &who.name, &text)?;
        self.note(&who.name, &what, revision)?;
        self.take(workspace)?;
        Ok((Changed { revision, changed: true, warnings }, told))
    }

    fn note(&self, who: &str, what: &str, revision: u64) -> Result<(), Problem> {
        let (who, what) = (who.into(), what.into());
        Ok(self.store.note(&Note { at: now(), who, what, revision: Some(revision) })?)
    }

    /// Lets door and couriers work by `workspace`.
    fn take(&self, workspace: Workspace) -> Result<(), Problem> {
        for warning in &workspace.warnings {
            warn!(path = warning.path, "{}", warning.message);
        }
        if workspace.sources.is_empty() {
            warn!("the workspace has no source: no event gets in");
        }
        let workspace = Arc::new(workspace);
        self.ingest.set_sources(source_table(&workspace));
        self.fleet
            .apply(&workspace, self.within)
            .map_err(|e| Problem::Broken(format!("the couriers can't be started: {e:#}")))?;
        self.now.store(workspace.clone());
        for hook in &*self.hooks.read().unwrap_or_else(PoisonError::into_inner) {
            hook(&workspace);
        }
        Ok(())
    }

    fn past(&self, number: u64) -> Result<Revision, Problem> {
        let revision = self.store.revision(Some(number))?;
        let missing = || Problem::Missing(format!("the workspace has no revision {number}"));
        revision.ok_or_else(missing)
    }

    fn shown(&self, who: &Actor, revision: u64, text: &str) -> Document {
        let text = if who.role >= Role::Editor { text.to_owned() } else { without_keys(text) };
        let format = match Format::guess(&text) {
            Format::Toml => "toml",
            Format::Json => "json",
        };
        let file = match &self.origin {
            Origin::File(file) => Some(file.display().to_string()),
            Origin::Store => None,
        };
        Document { revision, format: format.to_owned(), text, file }
    }
}

/// Names a write key without telling it.
pub(super) fn key_id(key: &str) -> String {
    hex(&Sha256::digest(key.as_bytes())).chars().take(8).collect()
}

/// The document with a name in place of each write key. What can't be read isn't shown at all.
fn without_keys(text: &str) -> String {
    let format = Format::guess(text);
    let Ok(value) = workspace::value(text, format) else { return String::new() };
    let sources = value.get("sources").and_then(Value::as_array).unwrap_or_default();
    let mut edits = Vec::new();
    for (source, value) in sources.iter().enumerate() {
        let keys = value.get("writeKeys").and_then(Value::as_array).unwrap_or_default();
        for (at, key) in keys.iter().enumerate() {
            let name = format!("(key {})", key_id(key.as_text().unwrap_or_default()));
            let place = place!["sources", source, "writeKeys", at];
            edits.push(Edit::Set(place, Value::from(name)));
        }
    }
    edit::apply(text, format, &edits).unwrap_or_default()
}

fn unified(old: &str, new: &str, from: u64, to: u64) -> String {
    if old == new {
        return String::new();
    }
    similar::TextDiff::from_lines(old, new)
        .unified_diff()
        .header(&format!("revision {from}"), &format!("revision {to}"))
        .to_string()
}

fn source_table(workspace: &Workspace) -> Arc<SourceTable> {
    let keys = workspace.sources.iter().flat_map(|source| {
        let door = Arc::new(ingest::Source {
            id: source.id.clone(),
            web: source.kind == SourceKind::JavaScript,
            enabled: source.enabled,
            answers: match source.answers {
                Answers::Strict => ingest::Answers::Strict,
                Answers::Permissive => ingest::Answers::Permissive,
            },
        });
        source.write_keys.iter().map(move |key| (key.reveal().into(), door.clone()))
    });
    Arc::new(SourceTable::new(keys))
}
