//! The handlers of the admin API: each reads its request and calls [`Control`].

mod actions;
mod input;
mod integrations;
mod ledger;
mod live;
mod replays;
mod sources;
mod tokens;
mod workspace;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use super::problem::ProblemBody;
use crate::control::{Control, Problem};
use input::{Input, Params, Path, Text};

/// All routes with their descriptions.
pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .merge(workspace::routes())
        .merge(sources::routes())
        .merge(integrations::routes())
        .merge(actions::routes())
        .merge(ledger::routes())
        .merge(replays::routes())
        .merge(live::routes())
        .merge(tokens::routes())
}

/// Works off the threads that serve: operations ask the disk, and may wait for couriers.
async fn run<T: Send + 'static>(
    control: Arc<Control>,
    work: impl FnOnce(&Control) -> Result<T, Problem> + Send + 'static,
) -> Result<axum::Json<T>, Problem> {
    let done = tokio::task::spawn_blocking(move || work(&control)).await;
    let ended = |e| Err(Problem::Broken(format!("the operation ended early: {e}")));
    done.unwrap_or_else(ended).map(axum::Json)
}
