//! Tokens and the log of changes.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Input, Params, Path, ProblemBody, run};
use crate::control::{Actor, AuditEntry, Control, FreshToken, Problem, Role, TokenInfo};

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// For people, and in the log.
    name: String,
    /// How far it goes.
    role: Role,
}

/// Which part of the log.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditParams {
    /// Only entries below this number.
    before: Option<u64>,
    /// At most so many; 100 if left out, 500 at most.
    limit: Option<usize>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list_tokens, create_token))
        .routes(routes!(revoke_token))
        .routes(routes!(get_audit))
}

/// All tokens, without their secrets.
#[utoipa::path(get, path = "/tokens", tag = "tokens", responses((status = 200, body = [TokenInfo]), (status = "default", body = ProblemBody)))]
async fn list_tokens(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
) -> Result<Json<Vec<TokenInfo>>, Problem> {
    run(control, move |control| control.tokens(&who)).await
}

/// Make a token. Its secret is shown this once.
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = NewToken, responses((status = 200, body = FreshToken), (status = "default", body = ProblemBody)))]
async fn create_token(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Input(input): Input<NewToken>,
) -> Result<Json<FreshToken>, Problem> {
    run(control, move |control| control.create_token(&who, &input.name, input.role)).await
}

/// Revoke a token, at once and for good.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens", params(("id" = String, Path, description = "Id of the token")), responses((status = 200, body = TokenInfo), (status = "default", body = ProblemBody)))]
async fn revoke_token(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path(id): Path<String>,
) -> Result<Json<TokenInfo>, Problem> {
    run(control, move |control| control.revoke_token(&who, &id)).await
}

/// Who changed what, newest first.
#[utoipa::path(get, path = "/audit", tag = "tokens", params(AuditParams), responses((status = 200, body = [AuditEntry]), (status = "default", body = ProblemBody)))]
async fn get_audit(
    State(control): State<Arc<Control>>,
    Params(params): Params<AuditParams>,
) -> Result<Json<Vec<AuditEntry>>, Problem> {
    run(control, move |control| control.audit(params.before, params.limit.unwrap_or(100).min(500)))
        .await
}
