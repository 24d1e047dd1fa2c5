//! A local Heap: its HTTP interface with its rules, limits and silences, faults on order, and a
//! look inside. Written from the documentation alone; nothing here knows who is being judged.

mod answer;
mod calls;
mod clock;
mod control;
mod deletion;
mod deletion_calls;
mod door;
mod effects;
mod faults;
mod filter;
mod ids;
mod inspect;
mod items;
mod json;
mod log;
mod overview;
mod page;
mod people;
mod properties;
mod rates;
mod ring;
mod schema;
mod state;
mod switches;
mod web;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

pub use clock::{Millis, TimeSource, system_time};
pub use overview::Summary;

use state::State;

/// An environment that the sandbox knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The environment id: digits.
    pub id: String,
    /// The key that the deletion calls take; any, if absent.
    #[serde(default)]
    pub api_key: Option<String>,
    /// The account: the id of its Main Production environment; the environment's own, if absent.
    #[serde(default)]
    pub account: Option<String>,
}

/// How a sandbox is set up. Lists keep the newest and drop the rest; counts stay exact.
#[derive(Clone)]
pub struct Options {
    /// The environments that exist. Empty: every app id of digits does.
    pub apps: Vec<App>,
    /// The seed of event ids and tokens.
    pub seed: u64,
    /// The clock.
    pub time: TimeSource,
    /// How many requests are kept.
    pub keep_requests: usize,
    /// How many bytes of request bodies are kept, over all requests; 0 keeps none.
    pub keep_body_bytes: usize,
    /// How many events are kept.
    pub keep_events: usize,
    /// How many silent effects are kept.
    pub keep_effects: usize,
    /// How many calls reported by pages are kept.
    pub keep_web_calls: usize,
    /// How many idempotency keys an environment remembers; all, if absent (about 30 bytes each).
    pub keep_keys: Option<usize>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            apps: Vec::new(),
            seed: 0,
            time: system_time(),
            keep_requests: 20_000,
            keep_body_bytes: 128 << 20,
            keep_events: 200_000,
            keep_effects: 50_000,
            keep_web_calls: 20_000,
            keep_keys: None,
        }
    }
}

/// A sandbox. Clones share its state.
#[derive(Clone)]
pub struct Sandbox {
    state: Arc<Mutex<State>>,
}

impl Sandbox {
    /// A sandbox with nothing in it, in profile `documented`.
    pub fn new(options: Options) -> Sandbox {
        Sandbox { state: Arc::new(Mutex::new(State::new(options))) }
    }

    /// Heap's endpoints, and `/_sandbox/` for control and inspection.
    pub fn router(&self) -> Router {
        let inside = Router::new()
            .route("/", get(page::page))
            .route("/style.css", get(page::style))
            .route("/summary", get(overview::summary))
            .route("/requests", get(inspect::requests))
            .route("/events", get(inspect::events))
            .route("/users", get(inspect::users))
            .route("/users/{key}", get(inspect::user))
            .route("/accounts", get(inspect::accounts))
            .route("/effects", get(inspect::effects))
            .route(
                "/web-calls",
                get(inspect::web_calls)
                    .post(control::post_web_call)
                    .options(control::web_call_preflight),
            )
            .route("/switches", get(control::switches).put(control::put_switches))
            .route("/profile", get(control::profile).put(control::put_profile))
            .route("/apps", get(control::apps).put(control::put_apps))
            .route(
                "/faults",
                get(control::faults).post(control::post_faults).delete(control::delete_faults),
            )
            .route("/clock", get(control::clock).post(control::post_clock))
            .route("/reset", post(control::reset))
            .fallback(control::unknown);
        Router::new()
            .nest("/_sandbox", inside)
            .route("/_sandbox/", get(page::page))
            .fallback(door::answer)
            .with_state(self.clone())
    }

    /// Exact counts, cheaply.
    pub fn summary(&self) -> Summary {
        self.lock().summary()
    }

    /// Back to the beginning: nothing stored, no faults, profile `documented`, the clock as given.
    pub fn reset(&self) {
        self.lock().reset();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a sandbox until `shutdown` is done.
///
/// # Errors
///
/// Those of the listener.
pub async fn serve(
    listener: TcpListener,
    sandbox: Sandbox,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, sandbox.router()).with_graceful_shutdown(shutdown).await
}
