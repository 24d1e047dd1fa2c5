//! Statistics, and streams of what happens (server-sent events).

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Params, Path, ProblemBody, run};
use crate::admin::events::Summary;
use crate::control::{Control, Problem, StatisticsParams, StatisticsView, TailItem, TailParams};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(get_statistics))
        .routes(routes!(tail))
        .routes(routes!(first_event))
}

/// What door and integrations did, by minute or hour.
#[utoipa::path(get, path = "/statistics", tag = "statistics", params(StatisticsParams),
    responses((status = 200, body = StatisticsView), (status = "default", body = ProblemBody)))]
async fn get_statistics(
    State(control): State<Arc<Control>>,
    Params(params): Params<StatisticsParams>,
) -> Result<Json<StatisticsView>, Problem> {
    run(control, move |control| control.statistics(&params)).await
}

/// What is accepted, what settles and what pages report, as it happens: one server-sent event each.
/// A slow listener gets `missed` with a count.
#[utoipa::path(get, path = "/tail", tag = "events", params(TailParams), responses(
    (status = 200, body = TailItem, content_type = "text/event-stream"),
    (status = "default", body = ProblemBody)))]
async fn tail(
    State(control): State<Arc<Control>>,
    Params(params): Params<TailParams>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let hears = control.tail(params)?;
    let items = stream::unfold(hears, async |mut hears| {
        let item = hears.recv().await?;
        Some((Ok(told(&item)), hears))
    });
    Ok(Sse::new(items).keep_alive(KeepAlive::default()))
}

/// Waits for the first event of a source: comments while there is none, then the event, then the
/// end.
#[utoipa::path(get, path = "/sources/{id}/first-event", tag = "sources",
    params(("id" = String, Path, description = "Id of the source")), responses(
    (status = 200, body = Summary, content_type = "text/event-stream"),
    (status = "default", body = ProblemBody)))]
async fn first_event(
    State(control): State<Arc<Control>>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    control.source(&crate::control::Actor::new("", crate::control::Role::Viewer), &id)?;
    let items = stream::unfold(Some((control, id)), async |waits| {
        let (control, id) = waits?;
        let first = control.first_event(&id).await.ok()??;
        Some((Ok(told(&TailItem::Accepted(first))), None))
    });
    Ok(Sse::new(items).keep_alive(KeepAlive::default()))
}

fn told(item: &TailItem) -> Event {
    let kind = match item {
        TailItem::Accepted(_) => "accepted",
        TailItem::Settled(_) => "settled",
        TailItem::Reported(_) => "reported",
        TailItem::Missed { .. } => "missed",
    };
    let text = serde_json::to_string(item).expect("what happens is plain data");
    Event::default().event(kind).data(text)
}
