//! Sources and their write keys.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::input::Expected;
use super::{Input, Params, Path, ProblemBody, run};
use crate::control::{
    Actor, Changed, Control, FreshKey, FreshSource, NewSource, Problem, SourceChange, SourceView,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list_sources, create_source))
        .routes(routes!(get_source, update_source, delete_source))
        .routes(routes!(rotate_key))
        .routes(routes!(delete_key))
}

/// All sources.
#[utoipa::path(get, path = "/sources", tag = "sources", responses((status = 200, body = [SourceView]), (status = "default", body = ProblemBody)))]
async fn list_sources(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
) -> Result<Json<Vec<SourceView>>, Problem> {
    run(control, move |control| Ok(control.sources(&who))).await
}

/// Make a source with a write key of its own.
#[utoipa::path(post, path = "/sources", tag = "sources", params(Expected), request_body = NewSource, responses((status = 200, body = FreshSource), (status = "default", body = ProblemBody)))]
async fn create_source(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Params(expected): Params<Expected>,
    Input(input): Input<NewSource>,
) -> Result<Json<FreshSource>, Problem> {
    run(control, move |control| control.create_source(&who, expected.revision, input)).await
}

/// One source.
#[utoipa::path(get, path = "/sources/{id}", tag = "sources", params(("id" = String, Path, description = "Id of the source")), responses((status = 200, body = SourceView), (status = "default", body = ProblemBody)))]
async fn get_source(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path(id): Path<String>,
) -> Result<Json<SourceView>, Problem> {
    run(control, move |control| control.source(&who, &id)).await
}

/// Change a source; what is left out stays.
#[utoipa::path(patch, path = "/sources/{id}", tag = "sources", params(("id" = String, Path, description = "Id of the source"), Expected), request_body = SourceChange, responses((status = 200, body = Changed), (status = "default", body = ProblemBody)))]
async fn update_source(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path(id): Path<String>,
    Params(expected): Params<Expected>,
    Input(input): Input<SourceChange>,
) -> Result<Json<Changed>, Problem> {
    run(control, move |control| control.update_source(&who, expected.revision, &id, input)).await
}

/// Take a source away, also from integrations.
#[utoipa::path(delete, path = "/sources/{id}", tag = "sources", params(("id" = String, Path, description = "Id of the source"), Expected), responses((status = 200, body = Changed), (status = "default", body = ProblemBody)))]
async fn delete_source(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path(id): Path<String>,
    Params(expected): Params<Expected>,
) -> Result<Json<Changed>, Problem> {
    run(control, move |control| control.delete_source(&who, expected.revision, &id)).await
}

/// Make a further write key; the earlier ones work until they are deleted.
#[utoipa::path(post, path = "/sources/{id}/keys", tag = "sources", params(("id" = String, Path, description = "Id of the source"), Expected), responses((status = 200, body = FreshKey), (status = "default", body = ProblemBody)))]
async fn rotate_key(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path(id): Path<String>,
    Params(expected): Params<Expected>,
) -> Result<Json<FreshKey>, Problem> {
    run(control, move |control| control.rotate_key(&who, expected.revision, &id)).await
}

/// Delete a write key.
#[utoipa::path(delete, path = "/sources/{id}/keys/{key}", tag = "sources", params(("id" = String, Path, description = "Id of the source"), ("key" = String, Path, description = "Id of the key"), Expected), responses((status = 200, body = Changed), (status = "default", body = ProblemBody)))]
async fn delete_key(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path((id, key)): Path<(String, String)>,
    Params(expected): Params<Expected>,
) -> Result<Json<Changed>, Problem> {
    run(control, move |control| control.delete_key(&who, expected.revision, &id, &key)).await
}
