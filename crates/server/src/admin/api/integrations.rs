//! Integrations: made, changed, tested, previewed.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::input::Expected;
use super::{Input, Params, Path, ProblemBody, run};
use crate::control::{
    ActionPreview, Actor, Changed, Control, IntegrationChange, IntegrationView, LimitView,
    NewIntegration, PreviewRequest, Problem, Tested,
};

/// What to test with.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct TestInput {
    /// The event; one that is marked as a test if left out.
    #[schema(value_type = crate::control::Json, required = false)]
    event: Option<crate::control::Json>,
}

/// Where an integration goes on.
#[derive(Serialize, ToSchema)]
struct Skipped {
    /// Its id.
    integration: String,
    /// Its place in the journal.
    place: u64,
}

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list_integrations, create_integration))
        .routes(routes!(get_integration, update_integration, delete_integration))
        .routes(routes!(test_integration))
        .routes(routes!(get_limits))
        .routes(routes!(skip))
        .routes(routes!(preview))
}

/// All integrations.
#[utoipa::path(get, path = "/integrations", tag = "integrations", responses((status = 200, body = [IntegrationView]), (status = "default", body = ProblemBody)))]
async fn list_integrations(
    State(control): State<Arc<Control>>,
) -> Result<Json<Vec<IntegrationView>>, Problem> {
    run(control, move |control| Ok(control.integrations())).await
}

/// Make an integration with its destination's presets.
#[utoipa::path(post, path = "/integrations", tag = "integrations", params(Expected), request_body = NewIntegration, responses((status = 200, body = Changed), (status = "default", body = ProblemBody)))]
async fn create_integration(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Params(expected): Params<Expected>,
    Input(input): Input<NewIntegration>,
) -> Result<Json<Changed>, Problem> {
    run(control, move |control| control.create_integration(&who, expected.revision, input)).await
}

/// One integration.
#[utoipa::path(get, path = "/integrations/{id}", tag = "integrations", params(("id" = String, Path, description = "Id of the integration")), responses((status = 200, body = IntegrationView), (status = "default", body = ProblemBody)))]
async fn get_integration(
    State(control): State<Arc<Control>>,
    Path(id): Path<String>,
) -> Result<Json<IntegrationView>, Problem> {
    run(control, move |control| control.integration(&id)).await
}

/// Change an integration; what is left out stays.
#[utoipa::path(patch, path = "/integrations/{id}", tag = "integrations", params(("id" = String, Path, description = "Id of the integration"), Expected), request_body = IntegrationChange, responses((status = 200, body = Changed), (status = "default", body = ProblemBody)))]
async fn update_integration(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path(id): Path<String>,
    Params(expected): Params<Expected>,
    Input(input): Input<IntegrationChange>,
) -> Result<Json<Changed>, Problem> {
    run(control, move |control| control.update_integration(&who, expected.revision, &id, input))
        .await
}

/// Take an integration away.
#[utoipa::path(delete, path = "/integrations/{id}", tag = "integrations", params(("id" = String, Path, description = "Id of the integration"), Expected), responses((status = 200, body = Changed), (status = "default", body = ProblemBody)))]
async fn delete_integration(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path(id): Path<String>,
    Params(expected): Params<Expected>,
) -> Result<Json<Changed>, Problem> {
    run(control, move |control| control.delete_integration(&who, expected.revision, &id)).await
}

/// Send one marked event, and show the answer.
#[utoipa::path(post, path = "/integrations/{id}/test", tag = "integrations", params(("id" = String, Path, description = "Id of the integration")), request_body = TestInput, responses((status = 200, body = Tested), (status = "default", body = ProblemBody)))]
async fn test_integration(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path(id): Path<String>,
    Input(input): Input<TestInput>,
) -> Result<Json<Tested>, Problem> {
    control.test_integration(&who, &id, input.event).await.map(Json)
}

/// The rates that the destination allows, and how much of them is used.
#[utoipa::path(get, path = "/integrations/{id}/limits", tag = "integrations", params(("id" = String, Path, description = "Id of the integration")), responses((status = 200, body = [LimitView]), (status = "default", body = ProblemBody)))]
async fn get_limits(
    State(control): State<Arc<Control>>,
    Path(id): Path<String>,
) -> Result<Json<Vec<LimitView>>, Problem> {
    run(control, move |control| control.limits(&id)).await
}

/// Let a disabled integration go on at the end of the journal.
#[utoipa::path(post, path = "/integrations/{id}/skip", tag = "integrations", params(("id" = String, Path, description = "Id of the integration")), responses((status = 200, body = Skipped), (status = "default", body = ProblemBody)))]
async fn skip(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path(id): Path<String>,
) -> Result<Json<Skipped>, Problem> {
    run(control, move |control| {
        let place = control.skip_ahead(&who, &id)?;
        Ok(Skipped { integration: id, place })
    })
    .await
}

/// What events would become, by the actions of now or by one that is not saved yet.
#[utoipa::path(post, path = "/preview", tag = "integrations", request_body = PreviewRequest, responses((status = 200, body = [ActionPreview]), (status = "default", body = ProblemBody)))]
async fn preview(
    State(control): State<Arc<Control>>,
    Input(input): Input<PreviewRequest>,
) -> Result<Json<Vec<ActionPreview>>, Problem> {
    run(control, move |control| control.preview(&input)).await
}
