//! Questions that can be asked over HTTP or of a data directory alike.

use heapline_action::datetime;
use heapline_action::value::Value;
use heapline_store::{Outcome, Query, Seq, Store};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::events::{self, Revisions};
use super::page_reports::{self, PageReports};
use crate::control::Problem;
use crate::workspace::{self, Workspace};

/// Most events in one page.
const PAGE: usize = 500;

/// From when on pages' reports are summed if nobody says.
const DAY: i64 = 24 * 3_600_000;

/// A question.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Which events?
    Events(Box<EventParams>),
    /// What became of this one?
    Trace(Seq),
    /// What was turned away at the door?
    Refused(RefusedParams),
    /// What do the pages with this integration report, from this moment on?
    PageReports(String, Option<String>),
}

/// Conditions on events, as query parameters; all that are given must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct EventParams {
    /// Exact message id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Exact user id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Exact anonymous id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymous_id: Option<String>,
    /// Id of a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Event name, or type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Id of an integration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration: Option<String>,
    /// Outcome of some delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Code of some delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Received at or after this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Received before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Only places below this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<u64>)]
    pub before: Option<Seq>,
    /// At most so many; 50 if left out, 500 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Conditions on refused input, as query parameters.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct RefusedParams {
    /// Id of a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// At most so many; 50 if left out, 500 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Input that was turned away at the door.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Refused {
    /// When it arrived, RFC 3339.
    pub at: String,
    /// Id of the source; empty if the key was unknown.
    pub source: String,
    /// Short fixed name of the reason.
    pub code: String,
    /// What the caller was told.
    pub message: String,
    /// The beginning of what came.
    pub excerpt: String,
}

impl Ask {
    /// Its address below `/api/v1`.
    pub fn path_and_query(&self) -> String {
        fn query(params: &impl Serialize) -> String {
            serde_urlencoded::to_string(params).expect("parameters are texts and numbers")
        }
        match self {
            Ask::Events(params) => format!("/events?{}", query(params)),
            Ask::Trace(seq) => format!("/events/{seq}"),
            Ask::Refused(params) => format!("/refused?{}", query(params)),
            Ask::PageReports(integration, since) => {
                let since: Vec<_> = since.iter().map(|since| ("since", since)).collect();
                format!("/integrations/{integration}/page-reports?{}", query(&since))
            }
        }
    }

    /// The answer as JSON text.
    pub(super) fn answer(
        &self,
        store: &dyn Store,
        now: &Workspace,
        revisions: &Revisions,
    ) -> Result<String, Problem> {
        Ok(match self {
            Ask::Events(params) => print(&events::list(store, now, &params.query()?)?),
            Ask::Trace(seq) => {
                let trace = events::trace(store, now, revisions, *seq)?;
                let missing = || Problem::Missing(format!("the journal has no event {seq}"));
                print(&trace.ok_or_else(missing)?)
            }
            Ask::Refused(params) => print(&refused(store, params)?),
            Ask::PageReports(id, since) => print(&page_reports(store, now, id, since.as_deref())?),
        })
    }
}

/// Refused input, newest first.
pub fn refused(store: &dyn Store, params: &RefusedParams) -> Result<Vec<Refused>, Problem> {
    let limit = params.limit.unwrap_or(50).min(PAGE);
    let rejected = store.rejected(params.source.as_deref(), limit)?;
    let refused = rejected.into_iter().map(|r| Refused {
        at: datetime::print(r.at),
        source: r.source.into(),
        code: r.code.into(),
        message: r.message.into(),
        excerpt: r.excerpt.into(),
    });
    Ok(refused.collect())
}

/// What pages reported for an integration of pages, since a moment or for a day.
pub fn page_reports(
    store: &dyn Store,
    now: &Workspace,
    id: &str,
    since: Option<&str>,
) -> Result<PageReports, Problem> {
    let since = match since {
        Some(text) => moment("since", text)?,
        None => crate::server::now() - DAY,
    };
    let missing = |what| Problem::Missing(format!("{what} the id {id:?}"));
    let integration = now.integration(id).ok_or_else(|| missing("no integration has"))?;
    let reports = page_reports::reports(store, integration, since)?;
    reports.ok_or_else(|| missing("no integration of pages has"))
}

fn print(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).expect("answers are plain data")
}

/// Answers from a data directory that no server uses.
pub fn answer_locally(store: &dyn Store, ask: &Ask) -> anyhow::Result<String> {
    let now = match store.revision(None)? {
        None => Workspace::empty(),
        Some(revision) => {
            let format = workspace::Format::guess(&revision.document);
            workspace::parse(&revision.document, format, revision.number)
                .unwrap_or_else(|_| Workspace::empty())
        }
    };
    ask.answer(store, &now, &Revisions::default()).map_err(Into::into)
}

impl EventParams {
    /// The question to the store.
    pub fn query(&self) -> Result<Query, Problem> {
        let this = self.clone();
        Ok(Query {
            message_id: this.message_id,
            user_id: this.user_id,
            anonymous_id: this.anonymous_id,
            source: this.source,
            event: this.event,
            integration: this.integration,
            outcome: this.outcome.as_deref().map(outcome).transpose()?,
            code: this.code,
            since: this.since.as_deref().map(|text| moment("since", text)).transpose()?,
            until: this.until.as_deref().map(|text| moment("until", text)).transpose()?,
            before: this.before,
            from: None,
            limit: this.limit.unwrap_or(50).min(PAGE),
        })
    }
}

fn outcome(word: &str) -> Result<Outcome, Problem> {
    Outcome::ALL.into_iter().find(|o| o.word() == word).ok_or_else(|| {
        let words: Vec<&str> = Outcome::ALL.iter().map(|o| o.word()).collect();
        let expected = words.join(", ");
        Problem::Bad(format!("outcome: expected one of {expected}; found {word:?}"))
    })
}

fn moment(key: &str, text: &str) -> Result<i64, Problem> {
    datetime::read(&Value::from(text)).ok_or_else(|| {
        let expected = "expected a moment such as 2026-03-10T22:21:56Z";
        Problem::Bad(format!("{key}: {expected}, found {text:?}"))
    })
}
