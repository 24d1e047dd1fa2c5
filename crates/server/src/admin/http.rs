//! The admin API, `/api/v1`: what the command line and the console speak.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query as Params, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use heapline_store::{Seq, Store};
use serde::{Deserialize, Serialize};

use super::ask::{Ask, EventParams, RefusedParams};
use super::events::Revisions;
use super::problem::Problem;
use crate::courier::Fleet;
use crate::ingest::Ingest;
use crate::telemetry::Metrics;
use crate::workspace::{Secret, Workspace};

/// What the admin API works with.
pub struct Admin {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The workspace of now.
    pub workspace: Arc<ArcSwap<Workspace>>,
    /// The couriers.
    pub fleet: Arc<Fleet>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The door.
    pub ingest: Arc<Ingest>,
    /// Asked for as a bearer token.
    pub token: Secret,
    /// Past revisions.
    pub revisions: Revisions,
}

impl Admin {
    /// True if `given` is the token.
    pub(crate) fn is_token(&self, given: &str) -> bool {
        same(given.as_bytes(), self.token.reveal().as_bytes())
    }
}

/// The routes of the admin API, and `/metrics`, `/healthz`, `/readyz`, which ask for no token.
pub fn router(admin: Arc<Admin>) -> Router {
    let api = Router::new()
        .route("/events", get(list))
        .route("/events/{seq}", get(trace))
        .route("/refused", get(refused))
        .route("/integrations/{id}/page-reports", get(page_reports))
        .route("/integrations/{id}/skip", post(skip))
        .route_layer(from_fn_with_state(admin.clone(), authorize))
        .fallback(|| async { Problem::not_found("the admin API has no such address") });
    Router::new()
        .nest("/api/v1", api)
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(|| async { Problem::not_found("nothing lives at this address") })
        .with_state(admin)
}

async fn authorize(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let token = given.and_then(|v| v.strip_prefix("Bearer "));
    if token.is_some_and(|token| admin.is_token(token)) {
        return next.run(request).await;
    }
    let detail = "expected the header Authorization: Bearer with the token of admin.json in the \
                  data directory";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).into_response()
}

/// Equal, in a time that doesn't tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Runs a question to the store off the threads that serve.
async fn ask<T: Send + 'static>(
    admin: Arc<Admin>,
    question: impl FnOnce(&Admin) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let answer = tokio::task::spawn_blocking(move || question(&admin)).await;
    answer.unwrap_or_else(|e| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Err(Problem::new(status, "internal", format!("the search ended early: {e}")))
    })
}

/// Answers a question that can be asked of a data directory, too.
async fn answer(admin: Arc<Admin>, question: Ask) -> Result<Response, Problem> {
    let text = ask(admin, move |admin| {
        question.answer(&*admin.store, &admin.workspace.load(), &admin.revisions)
    });
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, text.await?).into_response())
}

async fn list(
    State(admin): State<Arc<Admin>>,
    params: Result<Params<EventParams>, QueryRejection>,
) -> Result<Response, Problem> {
    let Params(params) = params.map_err(|e| Problem::bad_request(e.body_text()))?;
    answer(admin, Ask::Events(Box::new(params))).await
}

async fn trace(
    State(admin): State<Arc<Admin>>,
    Path(seq): Path<String>,
) -> Result<Response, Problem> {
    let place = seq.parse().map_err(|_| {
        Problem::bad_request(format!("expected the place of an event, a number; found {seq:?}"))
    })?;
    answer(admin, Ask::Trace(place)).await
}

async fn refused(
    State(admin): State<Arc<Admin>>,
    params: Result<Params<RefusedParams>, QueryRejection>,
) -> Result<Response, Problem> {
    let Params(params) = params.map_err(|e| Problem::bad_request(e.body_text()))?;
    answer(admin, Ask::Refused(params)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    since: Option<String>,
}

async fn page_reports(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    params: Result<Params<Since>, QueryRejection>,
) -> Result<Response, Problem> {
    let Params(params) = params.map_err(|e| Problem::bad_request(e.body_text()))?;
    answer(admin, Ask::PageReports(id, params.since)).await
}

#[derive(Serialize)]
struct Skipped {
    integration: String,
    place: Seq,
}

async fn skip(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
) -> Result<Json<Skipped>, Problem> {
    let skipped = ask(admin, move |admin| {
        let workspace = admin.workspace.load();
        let integration = workspace
            .integration(&id)
            .ok_or_else(|| Problem::not_found(format!("no integration has the id {id:?}")))?;
        if integration.enabled {
            let detail = format!("disable {id:?} first: it can't skip while it delivers");
            return Err(Problem::new(StatusCode::CONFLICT, "integration_enabled", detail));
        }
        let place = admin.fleet.skip_ahead(&integration.id)?;
        Ok(Skipped { integration: id, place })
    });
    Ok(Json(skipped.await?))
}

async fn ready(State(admin): State<Arc<Admin>>) -> Response {
    if admin.fleet.is_sound() {
        "ready\n".into_response()
    } else {
        let body = "the ledger can't be written; see the log\n";
        (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let extent = admin.store.extent();
    admin.metrics.door(&admin.ingest.counters().snapshot());
    admin.metrics.journal(extent.bytes, extent.next - extent.first);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], admin.metrics.text()).into_response()
}
