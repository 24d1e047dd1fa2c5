//! The ledger and the refused input, as questions.

use heapline_store::Seq;

use super::{Control, Problem};
use crate::admin::events::{List, Trace, list, trace};
use crate::admin::page_reports::PageReports;
use crate::admin::{EventParams, Refused, RefusedParams, page_reports, refused};
use crate::web::Policy;

impl Control {
    /// Events that match, newest first.
    pub fn events(&self, params: &EventParams) -> Result<List, Problem> {
        Ok(list(&*self.store, &self.workspaces.current(), &params.query()?)?)
    }

    /// The whole way of the event at `seq`.
    pub fn trace(&self, seq: Seq) -> Result<Trace, Problem> {
        let trace = trace(&*self.store, &self.workspaces.current(), &self.revisions, seq)?;
        trace.ok_or_else(|| Problem::Missing(format!("the journal has no event {seq}")))
    }

    /// What was turned away at the door, newest first.
    pub fn refused(&self, params: &RefusedParams) -> Result<Vec<Refused>, Problem> {
        refused(&*self.store, params)
    }

    /// What pages reported for an integration of pages, since a moment or for a day.
    pub fn page_reports(&self, id: &str, since: Option<&str>) -> Result<PageReports, Problem> {
        page_reports(&*self.store, &self.workspaces.current(), id, since)
    }

    /// What a page's content security policy must allow for an integration of pages.
    pub fn page_policy(&self, id: &str) -> Result<Policy, Problem> {
        let workspace = self.workspaces.current();
        let policy = workspace.integration(id).and_then(|found| self.web.policy(found));
        policy.ok_or_else(|| Problem::Missing(format!("no integration of pages has the id {id:?}")))
    }
}
