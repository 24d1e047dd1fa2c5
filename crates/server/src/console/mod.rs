//! The console: pages rendered here, over the same operations as the admin API.
//!
//! Pages are HTML first. Forms post and redirect; the script only makes them livelier.

mod assets;
mod door;
mod events;
mod fields;
mod home;
mod live;
mod oops;
mod session;
mod shell;
mod trace;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::watch;

use crate::control::Control;
use session::Sessions;

/// What the pages work with.
pub struct Console {
    admin: Arc<Control>,
    sessions: Sessions,
    /// The workspace file, if that is where the configuration lives.
    file: Option<PathBuf>,
    /// True once the server stops: live streams end.
    stopping: watch::Receiver<bool>,
}

impl Console {
    /// The console over `admin`. `file` is the workspace file, if there is one.
    pub fn new(
        admin: Arc<Control>,
        file: Option<PathBuf>,
        stopping: watch::Receiver<bool>,
    ) -> Console {
        Console { admin, sessions: Sessions::default(), file, stopping }
    }

    /// A path that lets its first visitor in, once.
    pub fn sign_in_path(&self) -> anyhow::Result<String> {
        Ok(format!("/sign-in?code={}", self.sessions.one_time_code()?))
    }
}

/// The routes of the console.
pub fn router(console: Arc<Console>) -> Router {
    let pages = Router::new()
        .route("/", get(home::page))
        .route("/live/home", get(home::live))
        .route("/events", get(events::page))
        .route("/live/events", get(events::live))
        .route("/events/{seq}", get(trace::page))
        .route("/sign-out", post(door::sign_out))
        .route_layer(from_fn_with_state(console.clone(), door::guard));
    Router::new()
        .merge(pages)
        .route("/sign-in", get(door::page).post(door::sign_in))
        .route("/theme", post(shell::choose_theme))
        .layer(from_fn(door::same_origin))
        .route("/assets/{name}", get(assets::serve))
        .layer(from_fn(secure))
        .with_state(console)
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
