//! Actions of an integration.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::input::Expected;
use super::{Input, Params, Path, ProblemBody, run};
use crate::control::{ActionChange, ActionView, Actor, Changed, Control, NewAction, Problem};

/// An action that was just made.
#[derive(Serialize, ToSchema)]
struct FreshAction {
    /// The workspace after it.
    #[serde(flatten)]
    changed: Changed,
    /// Id of the action.
    id: String,
}

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(create_action))
        .routes(routes!(order_actions))
        .routes(routes!(get_action, update_action, delete_action))
        .routes(routes!(duplicate_action))
}

/// Make an action of a type, at the end.
#[utoipa::path(post, path = "/integrations/{integration}/actions", tag = "actions", params(("integration" = String, Path, description = "Id of the integration"), Expected), request_body = NewAction, responses((status = 200, body = FreshAction), (status = "default", body = ProblemBody)))]
async fn create_action(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path(integration): Path<String>,
    Params(expected): Params<Expected>,
    Input(input): Input<NewAction>,
) -> Result<Json<FreshAction>, Problem> {
    run(control, move |control| {
        let (changed, id) = control.create_action(&who, expected.revision, &integration, input)?;
        Ok(FreshAction { changed, id })
    })
    .await
}

/// Put the actions in the order of these ids.
#[utoipa::path(put, path = "/integrations/{integration}/actions/order", tag = "actions", params(("integration" = String, Path, description = "Id of the integration"), Expected), request_body = Vec<String>, responses((status = 200, body = Changed), (status = "default", body = ProblemBody)))]
async fn order_actions(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path(integration): Path<String>,
    Params(expected): Params<Expected>,
    Input(input): Input<Vec<String>>,
) -> Result<Json<Changed>, Problem> {
    run(control, move |control| {
        control.order_actions(&who, expected.revision, &integration, &input)
    })
    .await
}

/// One action.
#[utoipa::path(get, path = "/integrations/{integration}/actions/{id}", tag = "actions", params(("integration" = String, Path, description = "Id of the integration"), ("id" = String, Path, description = "Id of the action")), responses((status = 200, body = ActionView), (status = "default", body = ProblemBody)))]
async fn get_action(
    State(control): State<Arc<Control>>,
    Path((integration, id)): Path<(String, String)>,
) -> Result<Json<ActionView>, Problem> {
    run(control, move |control| control.action(&integration, &id)).await
}

/// Change an action; what is left out stays.
#[utoipa::path(patch, path = "/integrations/{integration}/actions/{id}", tag = "actions", params(("integration" = String, Path, description = "Id of the integration"), ("id" = String, Path, description = "Id of the action"), Expected), request_body = ActionChange, responses((status = 200, body = Changed), (status = "default", body = ProblemBody)))]
async fn update_action(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path((integration, id)): Path<(String, String)>,
    Params(expected): Params<Expected>,
    Input(input): Input<ActionChange>,
) -> Result<Json<Changed>, Problem> {
    run(control, move |control| {
        control.update_action(&who, expected.revision, &integration, &id, input)
    })
    .await
}

/// Take an action away.
#[utoipa::path(delete, path = "/integrations/{integration}/actions/{id}", tag = "actions", params(("integration" = String, Path, description = "Id of the integration"), ("id" = String, Path, description = "Id of the action"), Expected), responses((status = 200, body = Changed), (status = "default", body = ProblemBody)))]
async fn delete_action(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path((integration, id)): Path<(String, String)>,
    Params(expected): Params<Expected>,
) -> Result<Json<Changed>, Problem> {
    run(control, move |control| control.delete_action(&who, expected.revision, &integration, &id))
        .await
}

/// Copy an action, switched off, to the place after it.
#[utoipa::path(post, path = "/integrations/{integration}/actions/{id}/duplicate", tag = "actions", params(("integration" = String, Path, description = "Id of the integration"), ("id" = String, Path, description = "Id of the action"), Expected), responses((status = 200, body = FreshAction), (status = "default", body = ProblemBody)))]
async fn duplicate_action(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path((integration, id)): Path<(String, String)>,
    Params(expected): Params<Expected>,
) -> Result<Json<FreshAction>, Problem> {
    run(control, move |control| {
        let (changed, id) = control.duplicate_action(&who, expected.revision, &integration, &id)?;
        Ok(FreshAction { changed, id })
    })
    .await
}
