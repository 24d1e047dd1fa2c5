//! What operators see and change: one function for each operation, used alike by the admin API,
//! the console and tests.
//!
//! Whoever changes something is named by an [`Actor`]; each change is in the log.

mod actions;
mod audit;
mod catalog;
mod dead_letters;
pub mod edit;
mod events;
mod integrations;
mod json;
mod limits;
mod preview;
mod problem;
mod replays;
mod sources;
mod statistics;
mod tail;
mod tokens;
mod views;
mod workspaces;

use std::sync::Arc;

use heapline_store::Store;

pub use actions::{ActionChange, NewAction};
pub use audit::AuditEntry;
pub use catalog::{ActionForm, CatalogEntry, FieldForm, PresetForm, SettingForm};
pub use dead_letters::{DeadLetterParams, DeadLetters};
pub use integrations::{IntegrationChange, NewIntegration, Tested, TestedRequest};
pub use json::Json;
pub use limits::{LimitView, UsedPoint};
pub(crate) use preview::explain;
pub use preview::{
    ActionPreview, CallPreview, Draft, EventChoice, PreviewRequest, RequestPreview, TriggerPart,
};
pub use problem::Problem;
pub use replays::{Counted, Replay, ReplayState, Replays, Selection};
pub use sources::{FreshKey, FreshSource, NewSource, SourceChange};
pub use statistics::{
    ActionStatistics, DoorPoint, IntegrationPoint, IntegrationStatistics, SourceStatistics,
    StatisticsParams, StatisticsView,
};
pub use tail::{Reported, TailItem, TailParams};
pub use tokens::{FreshToken, TokenInfo, Tokens, hash as token_hash};
pub use views::{ActionView, IntegrationView, KeyView, Overview, SourceView, TroubleView};
pub use workspaces::{
    Changed, Checked, Document, FaultView, Origin, RevisionDiff, RevisionInfo, Workspaces,
};

use crate::admin::Revisions;
use crate::courier::Fleet;
use crate::ingest::Ingest;
use crate::telemetry::Metrics;
use crate::web::Web;

/// All operations; one for the program.
pub struct Control {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The workspace of now, and the way to change it.
    pub workspaces: Workspaces,
    /// The couriers.
    pub fleet: Arc<Fleet>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The door.
    pub ingest: Arc<Ingest>,
    /// Who may come in.
    pub tokens: Tokens,
    /// Past revisions.
    pub revisions: Revisions,
    /// Replays, those under way and those before.
    pub replays: Replays,
    /// What pages are given.
    pub web: Arc<Web>,
    /// True once the server stops: streams and replays end.
    pub stopping: tokio::sync::watch::Receiver<bool>,
}

impl Control {
    /// True once the server stops.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Its name in the log and in revisions.
    pub name: String,
    /// How far it may go.
    pub role: Role,
}

/// How far somebody may go. Each may do what those before may.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything but secrets.
    Viewer,
    /// Changes the workspace, sees write keys, replays.
    Editor,
    /// Makes and revokes tokens.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Editor, Role::Admin];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Editor => "editor",
            Role::Admin => "admin",
        }
    }
}

impl Actor {
    /// `name` with `role`.
    pub fn new(name: impl Into<String>, role: Role) -> Actor {
        Actor { name: name.into(), role }
    }

    /// Fails unless it may do what `role` may.
    pub fn must_be(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let (name, has, needs) = (&self.name, self.role.word(), role.word());
        Err(Problem::Forbidden(format!("{name:?} is a {has}; this takes a token of role {needs}")))
    }
}
