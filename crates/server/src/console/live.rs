//! Streams of server-sent events that keep a part of a page as it is now.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::watch;

/// How often a part is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Sends what `draw` gives whenever that has changed, once a second at most, until the server
/// stops or the page is left. `draw` may block.
pub(super) fn stream(
    stopping: watch::Receiver<bool>,
    draw: impl Fn() -> String + Send + Sync + 'static,
) -> Response {
    struct State<D> {
        draw: Arc<D>,
        stopping: watch::Receiver<bool>,
        ticks: tokio::time::Interval,
        sent: Option<String>,
    }
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let state = State { draw: Arc::new(draw), stopping, ticks, sent: None };
    let events = stream::unfold(state, |mut state| async move {
        loop {
            tokio::select! {
                _ = state.ticks.tick() => {}
                _ = state.stopping.wait_for(|stop| *stop) => return None,
            }
            let draw = state.draw.clone();
            let drawn = tokio::task::spawn_blocking(move || draw()).await.ok()?;
            if state.sent.as_ref() != Some(&drawn) {
                let event = Event::default().data(&drawn);
                state.sent = Some(drawn);
                return Some((Ok::<_, Infallible>(event), state));
            }
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}
