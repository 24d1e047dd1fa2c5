//! Sources, integrations and actions as they are shown.

use heapline_action::datetime;
use heapline_action::destination::Configured;
use heapline_action::pipeline::Action;
use heapline_action::value::Value;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::workspaces::key_id;
use super::{Actor, Control, FaultView, Json, Origin, Problem, Role};
use crate::courier::{Trouble, TroubleKind};
use crate::workspace::{Answers, Integration, Source, Workspace};

/// The whole workspace.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// Number of the revision.
    pub revision: u64,
    /// The file that it is kept in, if it is: then it can only be changed there.
    pub file: Option<String>,
    /// Where events come from.
    pub sources: Vec<SourceView>,
    /// Where they go.
    pub integrations: Vec<IntegrationView>,
    /// What is allowed, but should be known.
    pub warnings: Vec<FaultView>,
}

/// Where events come from.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceView {
    /// Its id.
    pub id: String,
    /// For people.
    pub name: String,
    /// What sends, e.g. `node`.
    pub kind: String,
    /// Refuses events while false.
    pub enabled: bool,
    /// `strict` or `permissive`: what callers hear of bad events.
    pub answers: String,
    /// Any of these lets events in; the first is the latest.
    pub keys: Vec<KeyView>,
    /// Ids of the integrations that take its events.
    pub integrations: Vec<String>,
}

/// A write key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeyView {
    /// Names it without telling it.
    pub id: String,
    /// The key itself; not for viewers.
    pub key: Option<String>,
}

/// One configured destination.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntegrationView {
    /// Its id.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it delivers to: a slug of the catalog.
    pub destination: String,
    /// `cloud` or `web`: who delivers.
    pub mode: String,
    /// Keeps its place in the journal while false.
    pub enabled: bool,
    /// Ids of its sources.
    pub sources: Vec<String>,
    /// The settings as they were written.
    pub settings: Json,
    /// What it does with events, in order.
    pub actions: Vec<ActionView>,
    /// What keeps it from delivering now; empty if nothing does.
    #[serde(default)]
    pub troubles: Vec<TroubleView>,
}

/// Why what is ready for an endpoint of a destination isn't sent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TroubleView {
    /// Name of the endpoint.
    pub endpoint: String,
    /// `held`: it refuses everything, for what seems to be no fault of the events. `down`: it fails,
    /// or can't be reached.
    pub kind: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// When it is tried again, RFC 3339; not before, at least.
    pub next_try: String,
    /// HTTP status of its last answer; 0 if there was none.
    pub status: u16,
    /// The beginning of that answer, or why there was none.
    pub answer: String,
    /// What is the matter, in one sentence.
    pub reason: String,
    /// What to do about it; empty if waiting is all.
    pub next_step: String,
}

/// One action.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ActionView {
    /// Its id, unique in its integration.
    pub id: String,
    /// For people.
    pub name: String,
    /// Its type, e.g. `trackEvent`.
    pub action: String,
    /// Runs.
    pub enabled: bool,
    /// When it runs.
    pub trigger: String,
    /// What it says.
    pub mapping: Json,
}

impl TroubleView {
    /// True if all is refused, and events wait for somebody to do something.
    pub fn is_hold(&self) -> bool {
        self.kind == TroubleKind::Held.word()
    }
}

impl Control {
    /// The whole workspace.
    pub fn overview(&self, who: &Actor) -> Overview {
        let workspace = self.workspaces.current();
        Overview {
            revision: workspace.revision,
            file: match self.workspaces.origin() {
                Origin::File(file) => Some(file.display().to_string()),
                Origin::Store => None,
            },
            sources: workspace.sources.iter().map(|s| source(who, &workspace, s)).collect(),
            integrations: workspace.integrations.iter().map(|i| self.shown(i)).collect(),
            warnings: workspace.warnings.iter().map(FaultView::from).collect(),
        }
    }

    /// All sources.
    pub fn sources(&self, who: &Actor) -> Vec<SourceView> {
        let workspace = self.workspaces.current();
        workspace.sources.iter().map(|s| source(who, &workspace, s)).collect()
    }

    /// One source.
    pub fn source(&self, who: &Actor, id: &str) -> Result<SourceView, Problem> {
        let workspace = self.workspaces.current();
        Ok(source(who, &workspace, find_source(&workspace, id)?.1))
    }

    /// All integrations.
    pub fn integrations(&self) -> Vec<IntegrationView> {
        self.workspaces.current().integrations.iter().map(|i| self.shown(i)).collect()
    }

    /// One integration.
    pub fn integration(&self, id: &str) -> Result<IntegrationView, Problem> {
        let workspace = self.workspaces.current();
        Ok(self.shown(find_integration(&workspace, id)?.1))
    }

    /// What keeps an integration from delivering now.
    pub fn troubles(&self, integration: &Integration) -> Vec<TroubleView> {
        let Configured::Cloud(cloud) = &integration.configured else { return Vec::new() };
        let title = integration.destination.definition().title;
        let view = |trouble: Trouble| TroubleView {
            reason: trouble.sentence(title),
            next_step: match trouble.kind {
                TroubleKind::Held => cloud.remedy(),
                TroubleKind::Down => String::new(),
            },
            endpoint: trouble.endpoint.to_string(),
            kind: trouble.kind.word().to_owned(),
            since: datetime::print(trouble.since),
            next_try: datetime::print(trouble.next_try),
            status: trouble.status,
            answer: trouble.answer,
        };
        self.fleet.troubles(&integration.id).into_iter().map(view).collect()
    }

    fn shown(&self, integration: &Integration) -> IntegrationView {
        IntegrationView { troubles: self.troubles(integration), ..view(integration) }
    }

    /// One action.
    pub fn action(&self, integration: &str, id: &str) -> Result<ActionView, Problem> {
        let workspace = self.workspaces.current();
        let (_, integration) = find_integration(&workspace, integration)?;
        Ok(action(integration, find_action(integration, id)?.1))
    }
}

/// A source and its index.
pub(super) fn find_source<'w>(
    workspace: &'w Workspace,
    id: &str,
) -> Result<(usize, &'w Source), Problem> {
    let found = workspace.sources.iter().enumerate().find(|(_, source)| &*source.id == id);
    let missing = || Problem::Missing(format!("no source has the id {id:?}"));
    found.map(|(at, source)| (at, &**source)).ok_or_else(missing)
}

/// An integration and its index.
pub(super) fn find_integration<'w>(
    workspace: &'w Workspace,
    id: &str,
) -> Result<(usize, &'w Integration), Problem> {
    let found = workspace.integrations.iter().enumerate().find(|(_, i)| &*i.id == id);
    let missing = || Problem::Missing(format!("no integration has the id {id:?}"));
    found.map(|(at, integration)| (at, &**integration)).ok_or_else(missing)
}

/// An action and its index.
pub(super) fn find_action<'i>(
    integration: &'i Integration,
    id: &str,
) -> Result<(usize, &'i Action), Problem> {
    let found = integration.actions.iter().enumerate().find(|(_, action)| action.id == id);
    let missing =
        || Problem::Missing(format!("{:?} has no action with the id {id:?}", &*integration.id));
    found.ok_or_else(missing)
}

fn source(who: &Actor, workspace: &Workspace, source: &Source) -> SourceView {
    let key = |key: &str| KeyView {
        id: key_id(key),
        key: (who.role >= Role::Editor).then(|| key.to_owned()),
    };
    let takes = workspace.integrations.iter().filter(|i| i.takes(&source.id));
    SourceView {
        id: source.id.to_string(),
        name: source.name.clone(),
        kind: source.kind.name().to_owned(),
        enabled: source.enabled,
        answers: match source.answers {
            Answers::Strict => "strict",
            Answers::Permissive => "permissive",
        }
        .to_owned(),
        keys: source.write_keys.iter().map(|k| key(k.reveal())).collect(),
        integrations: takes.map(|i| i.id.to_string()).collect(),
    }
}

fn view(integration: &Integration) -> IntegrationView {
    IntegrationView {
        id: integration.id.to_string(),
        name: integration.name.clone(),
        destination: integration.destination.definition().slug.to_owned(),
        mode: match integration.configured {
            Configured::Cloud(_) => "cloud",
            Configured::Web(_) => "web",
        }
        .to_owned(),
        enabled: integration.enabled,
        sources: integration.sources.iter().map(ToString::to_string).collect(),
        settings: Json(Value::Object(integration.settings.clone())),
        actions: integration.actions.iter().map(|a| action(integration, a)).collect(),
        troubles: Vec::new(),
    }
}

pub(super) fn action(integration: &Integration, action: &Action) -> ActionView {
    let form = integration.destination.definition().action_types.get(action.action_type);
    ActionView {
        id: action.id.clone(),
        name: action.name.clone(),
        action: form.map_or("", |form| form.slug).to_owned(),
        enabled: action.enabled,
        trigger: action.trigger_text.clone(),
        mapping: Json(action.mapping.to_value().clone()),
    }
}
