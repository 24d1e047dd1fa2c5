//! The workspace as a whole, its history, and the catalog.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Params, Path, ProblemBody, Text, run};
use crate::control::{
    Actor, CatalogEntry, Changed, Checked, Control, Document, Overview, Problem, RevisionDiff,
    RevisionInfo,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(get_overview))
        .routes(routes!(get_workspace, put_workspace))
        .routes(routes!(check_workspace))
        .routes(routes!(get_history))
        .routes(routes!(get_revision))
        .routes(routes!(get_diff))
        .routes(routes!(restore_revision))
        .routes(routes!(get_catalog))
        .routes(routes!(get_catalog_entry))
}

/// The revision that a change must have seen.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Seen {
    /// Revision of the workspace that was seen; 0 if there was none.
    revision: u64,
}

/// Two revisions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FromTo {
    /// The earlier one; 0 is the empty document.
    from: u64,
    /// The later one.
    to: u64,
}

/// Sources, integrations and actions.
#[utoipa::path(get, path = "/overview", tag = "workspace", responses(
    (status = 200, body = Overview), (status = "default", body = ProblemBody)))]
async fn get_overview(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
) -> Json<Overview> {
    Json(control.overview(&who))
}

/// The document of now.
#[utoipa::path(get, path = "/workspace", tag = "workspace", responses(
    (status = 200, body = Document), (status = "default", body = ProblemBody)))]
async fn get_workspace(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
) -> Json<Document> {
    Json(control.workspaces.document(&who))
}

/// Make a document the workspace.
#[utoipa::path(put, path = "/workspace", tag = "workspace", params(Seen),
    request_body(content = String, content_type = "text/plain", description = "TOML or JSON"),
    responses((status = 200, body = Changed), (status = 409, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = "default", body = ProblemBody)))]
async fn put_workspace(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Params(seen): Params<Seen>,
    Text(text): Text,
) -> Result<Json<Changed>, Problem> {
    run(control, move |control| control.workspaces.put(&who, &text, seen.revision)).await
}

/// What a document would do, were it put.
#[utoipa::path(post, path = "/workspace/check", tag = "workspace",
    request_body(content = String, content_type = "text/plain", description = "TOML or JSON"),
    responses((status = 200, body = Checked), (status = "default", body = ProblemBody)))]
async fn check_workspace(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Text(text): Text,
) -> Result<Json<Checked>, Problem> {
    run(control, move |control| Ok(control.workspaces.check(&who, &text))).await
}

/// All revisions, newest first.
#[utoipa::path(get, path = "/workspace/history", tag = "workspace", responses(
    (status = 200, body = [RevisionInfo]), (status = "default", body = ProblemBody)))]
async fn get_history(
    State(control): State<Arc<Control>>,
) -> Result<Json<Vec<RevisionInfo>>, Problem> {
    run(control, |control| control.workspaces.history()).await
}

/// The document of a revision.
#[utoipa::path(get, path = "/workspace/history/{number}", tag = "workspace",
    params(("number" = u64, Path, description = "Number of the revision")),
    responses((status = 200, body = Document), (status = "default", body = ProblemBody)))]
async fn get_revision(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path(number): Path<u64>,
) -> Result<Json<Document>, Problem> {
    run(control, move |control| control.workspaces.revision(&who, number)).await
}

/// What changed between two revisions.
#[utoipa::path(get, path = "/workspace/diff", tag = "workspace", params(FromTo), responses(
    (status = 200, body = RevisionDiff), (status = "default", body = ProblemBody)))]
async fn get_diff(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Params(FromTo { from, to }): Params<FromTo>,
) -> Result<Json<RevisionDiff>, Problem> {
    run(control, move |control| control.workspaces.diff(&who, from, to)).await
}

/// Make an old revision's document the workspace again, as a new revision.
#[utoipa::path(post, path = "/workspace/history/{number}/restore", tag = "workspace",
    params(("number" = u64, Path, description = "Number of the revision"), Seen),
    responses((status = 200, body = Changed), (status = 409, body = ProblemBody),
        (status = "default", body = ProblemBody)))]
async fn restore_revision(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path(number): Path<u64>,
    Params(seen): Params<Seen>,
) -> Result<Json<Changed>, Problem> {
    run(control, move |control| control.workspaces.restore(&who, number, seen.revision)).await
}

/// Every destination, with its form.
#[utoipa::path(get, path = "/catalog", tag = "catalog", responses(
    (status = 200, body = [CatalogEntry]), (status = "default", body = ProblemBody)))]
async fn get_catalog(State(control): State<Arc<Control>>) -> Json<Vec<CatalogEntry>> {
    Json(control.catalog())
}

/// One destination.
#[utoipa::path(get, path = "/catalog/{slug}", tag = "catalog",
    params(("slug" = String, Path, description = "Name of the destination in documents")),
    responses((status = 200, body = CatalogEntry), (status = "default", body = ProblemBody)))]
async fn get_catalog_entry(
    State(control): State<Arc<Control>>,
    Path(slug): Path<String>,
) -> Result<Json<CatalogEntry>, Problem> {
    control.catalog_entry(&slug).map(Json)
}
