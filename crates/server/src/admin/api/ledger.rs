//! Events, and what became of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Params, Path, ProblemBody, run};
use crate::admin::events::{List, Trace};
use crate::admin::page_reports::PageReports;
use crate::admin::{EventParams, Refused, RefusedParams};
use crate::control::{Control, Problem};
use crate::web::Policy;

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list_events))
        .routes(routes!(trace_event))
        .routes(routes!(list_refused))
        .routes(routes!(get_page_reports))
        .routes(routes!(get_page_policy))
}

/// Events that match, newest first.
#[utoipa::path(get, path = "/events", tag = "events", params(EventParams), responses((status = 200, body = List), (status = "default", body = ProblemBody)))]
async fn list_events(
    State(control): State<Arc<Control>>,
    Params(params): Params<EventParams>,
) -> Result<Json<List>, Problem> {
    run(control, move |control| control.events(&params)).await
}

/// The whole way of one event.
#[utoipa::path(get, path = "/events/{seq}", tag = "events", params(("seq" = String, Path, description = "Place of the event in the journal")), responses((status = 200, body = Trace), (status = "default", body = ProblemBody)))]
async fn trace_event(
    State(control): State<Arc<Control>>,
    Path(seq): Path<String>,
) -> Result<Json<Trace>, Problem> {
    let seq = seq.parse().map_err(|_| {
        Problem::Bad(format!("expected the place of an event, a number; found {seq:?}"))
    })?;
    run(control, move |control| control.trace(seq)).await
}

/// What was turned away at the door, newest first.
#[utoipa::path(get, path = "/refused", tag = "events", params(RefusedParams), responses((status = 200, body = [Refused]), (status = "default", body = ProblemBody)))]
async fn list_refused(
    State(control): State<Arc<Control>>,
    Params(params): Params<RefusedParams>,
) -> Result<Json<Vec<Refused>>, Problem> {
    run(control, move |control| control.refused(&params)).await
}

/// Since when.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Since {
    /// Reported at or after this moment; a day ago if left out.
    since: Option<String>,
}

/// What the pages with an integration of pages report, summed up.
///
/// In how many the destination's script ran, was blocked or failed, in all, by browser and by hour;
/// what became of events; the latest failures. All of it is the pages' word. Of successes pages
/// report a sample, which `loadedInAll` and `inAll` make up for.
#[utoipa::path(get, path = "/integrations/{id}/page-reports", tag = "events",
    params(("id" = String, Path, description = "Id of the integration"), Since),
    responses((status = 200, body = PageReports), (status = "default", body = ProblemBody)))]
async fn get_page_reports(
    State(control): State<Arc<Control>>,
    Path(id): Path<String>,
    Params(params): Params<Since>,
) -> Result<Json<PageReports>, Problem> {
    run(control, move |control| control.page_reports(&id, params.since.as_deref())).await
}

/// What a page's content security policy must allow for an integration of pages.
#[utoipa::path(get, path = "/integrations/{id}/page-policy", tag = "integrations",
    params(("id" = String, Path, description = "Id of the integration")),
    responses((status = 200, body = Policy), (status = "default", body = ProblemBody)))]
async fn get_page_policy(
    State(control): State<Arc<Control>>,
    Path(id): Path<String>,
) -> Result<Json<Policy>, Problem> {
    Ok(Json(control.page_policy(&id)?))
}
