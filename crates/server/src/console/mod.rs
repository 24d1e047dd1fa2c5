//! The console: pages rendered here, over the same operations as the admin API.
//!
//! Pages are HTML first. Forms post and redirect; the script only makes them livelier.

mod actions;
mod assets;
mod backlog;
mod chart;
mod clients;
mod conditions;
mod data_in;
mod directory;
mod door;
mod draft;
mod editor;
mod events;
mod fields;
mod form;
mod gauges;
mod home;
mod integration;
mod letters;
mod live;
mod mapping;
mod needs;
mod oops;
mod overview;
mod page_reports;
mod preview;
mod rates;
mod replay;
mod session;
mod settings;
mod shell;
mod sources;
mod trace;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::watch;

use crate::control::{Control, Problem};
use oops::Oops;
use session::Sessions;

/// What the pages work with.
pub struct Console {
    control: Arc<Control>,
    sessions: Sessions,
    /// The address by which clients reach the server, if somebody said it.
    public: Option<String>,
    /// True once the server stops: live streams end.
    stopping: watch::Receiver<bool>,
}

impl Console {
    /// The console over `control`, of a server that clients reach at `public`.
    pub fn new(
        control: Arc<Control>,
        public: Option<String>,
        stopping: watch::Receiver<bool>,
    ) -> anyhow::Result<Console> {
        let sessions = Sessions::open(control.store.clone())?;
        Ok(Console { control, sessions, public, stopping })
    }

    /// A path that lets its first visitor in, once.
    pub fn sign_in_path(&self) -> anyhow::Result<String> {
        Ok(format!("/sign-in?code={}", self.sessions.one_time_code()?))
    }
}

/// The routes of the console, which answers at all addresses that nobody else has.
pub fn router(console: Arc<Console>) -> Router {
    let pages = Router::new()
        .route("/", get(home::page))
        .route("/live/home", get(home::live))
        .route("/events", get(events::page))
        .route("/live/events", get(events::live))
        .route("/events/{seq}", get(trace::page))
        .route("/live/events/{seq}", get(trace::live))
        .merge(sources())
        .merge(integrations())
        .merge(settings())
        .route("/sign-out", post(door::sign_out))
        .route_layer(from_fn(door::guard));
    Router::new()
        .merge(pages)
        .route("/sign-in", get(door::page).post(door::sign_in))
        .route("/theme", post(shell::choose_theme))
        .fallback(oops::nowhere)
        .layer(from_fn(door::same_origin))
        .layer(from_fn_with_state(console.clone(), oops::dress))
        .layer(from_fn_with_state(console.clone(), door::recognize))
        .route("/assets/{name}", get(assets::serve))
        .layer(from_fn(secure))
        .with_state(console)
}

fn sources() -> Router<Arc<Console>> {
    Router::new()
        .route("/sources", get(sources::list))
        .route("/sources/new", get(sources::new_page).post(sources::create))
        .route("/sources/{id}", get(sources::page).post(sources::save))
        .route("/live/sources/{id}", get(data_in::live))
        .route("/sources/{id}/keys", post(sources::add_key))
        .route("/sources/{id}/keys/{key}/delete", post(sources::delete_key))
        .route("/sources/{id}/delete", post(sources::delete))
}

fn integrations() -> Router<Arc<Console>> {
    Router::new()
        .route("/directory", get(directory::catalog))
        .route("/directory/{slug}", get(directory::enable_page).post(directory::enable))
        .route("/directory/{slug}/check", post(directory::check))
        .route("/integrations", get(integration::list))
        .route("/integrations/{id}", get(overview::page))
        .route("/live/integrations/{id}", get(overview::live))
        .route("/integrations/{id}/test", post(overview::test))
        .route("/integrations/{id}/actions", get(actions::page))
        .route("/integrations/{id}/actions/{action}", get(editor::page).post(editor::post))
        .route("/integrations/{id}/actions/{action}/check", post(editor::check))
        .route("/integrations/{id}/actions/{action}/change", post(actions::change))
        .route("/integrations/{id}/order", post(actions::order))
        .route("/integrations/{id}/data-out", get(integration::data_out))
        .route("/integrations/{id}/dead-letters", get(letters::page))
        .route("/integrations/{id}/replay", get(replay::page).post(replay::start))
        .route("/integrations/{id}/replays/{replay}", post(replay::steer))
        .route("/live/integrations/{id}/dead-letters", get(letters::live))
        .route(
            "/integrations/{id}/settings",
            get(integration::settings).post(integration::save_settings),
        )
        .route("/integrations/{id}/skip", post(integration::skip))
        .route("/integrations/{id}/delete", post(integration::delete))
}

fn settings() -> Router<Arc<Console>> {
    Router::new()
        .route("/settings", get(settings::workspace).post(settings::put_workspace))
        .route("/settings/history", get(settings::history))
        .route("/settings/history/{number}", get(settings::revision))
        .route("/settings/history/{number}/restore", post(settings::restore))
        .route("/settings/tokens", get(settings::tokens).post(settings::make_token))
        .route("/settings/tokens/{id}/revoke", post(settings::revoke_token))
        .route("/settings/audit", get(settings::audit))
}

/// Runs an operation off the threads that serve.
async fn work<T: Send + 'static>(
    operation: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Oops> {
    Ok(tokio::task::spawn_blocking(operation).await??)
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
