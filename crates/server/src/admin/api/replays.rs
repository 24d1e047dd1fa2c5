//! Dead letters, and what brings them and others on their way once more.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Input, Params, Path, ProblemBody, run};
use crate::control::{
    Actor, Control, Counted, DeadLetterParams, DeadLetters, Problem, Replay, ReplayState, Selection,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(get_dead_letters))
        .routes(routes!(list_replays, start_replay))
        .routes(routes!(count_replay))
        .routes(routes!(get_replay, steer_replay))
}

/// Dead letters by reason, the most frequent first.
#[utoipa::path(get, path = "/dead-letters", tag = "replays", params(DeadLetterParams),
    responses((status = 200, body = [DeadLetters]), (status = "default", body = ProblemBody)))]
async fn get_dead_letters(
    State(control): State<Arc<Control>>,
    Params(params): Params<DeadLetterParams>,
) -> Result<Json<Vec<DeadLetters>>, Problem> {
    run(control, move |control| control.dead_letters(&params)).await
}

/// All replays, the latest first.
#[utoipa::path(get, path = "/replays", tag = "replays", responses(
    (status = 200, body = [Replay]), (status = "default", body = ProblemBody)))]
async fn list_replays(State(control): State<Arc<Control>>) -> Json<Vec<Replay>> {
    Json(control.replays())
}

/// How many events a selection has; sends nothing.
#[utoipa::path(post, path = "/replays/count", tag = "replays", request_body = Selection,
    responses((status = 200, body = Counted), (status = "default", body = ProblemBody)))]
async fn count_replay(
    State(control): State<Arc<Control>>,
    Input(selection): Input<Selection>,
) -> Result<Json<Counted>, Problem> {
    run(control, move |control| control.count_replay(&selection)).await
}

/// Deliver the selected events once more, by the rules of now.
#[utoipa::path(post, path = "/replays", tag = "replays", request_body = Selection,
    responses((status = 200, body = Replay), (status = "default", body = ProblemBody)))]
async fn start_replay(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Input(selection): Input<Selection>,
) -> Result<Json<Replay>, Problem> {
    let again = control.clone();
    run(control, move |_| again.start_replay(&who, selection)).await
}

/// One replay, and how far it has come.
#[utoipa::path(get, path = "/replays/{id}", tag = "replays",
    params(("id" = String, Path, description = "Id of the replay")),
    responses((status = 200, body = Replay), (status = "default", body = ProblemBody)))]
async fn get_replay(
    State(control): State<Arc<Control>>,
    Path(id): Path<String>,
) -> Result<Json<Replay>, Problem> {
    control.replay(&id).map(Json)
}

/// What to do with a replay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Steering {
    /// `paused`, `running` or `canceled`.
    state: ReplayState,
}

/// Let a replay pause, go on, or end.
#[utoipa::path(patch, path = "/replays/{id}", tag = "replays", request_body = Steering,
    params(("id" = String, Path, description = "Id of the replay")),
    responses((status = 200, body = Replay), (status = "default", body = ProblemBody)))]
async fn steer_replay(
    State(control): State<Arc<Control>>,
    Extension(who): Extension<Actor>,
    Path(id): Path<String>,
    Input(steering): Input<Steering>,
) -> Result<Json<Replay>, Problem> {
    let again = control.clone();
    run(control, move |_| again.steer_replay(&who, &id, steering.state)).await
}
