//! What a page shows when there is nothing to show: what went wrong, and a way on.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};

use super::Console;
use super::shell::{Section, Shell, Visit, text};
use crate::control::Problem;

/// Why there is no page.
#[derive(Clone, Debug)]
pub(super) struct Oops {
    status: StatusCode,
    detail: String,
}

#[derive(Template)]
#[template(path = "oops.html")]
struct Page {
    shell: Shell,
    detail: String,
}

/// For somebody who isn't signed in.
#[derive(Template)]
#[template(path = "oops-bare.html")]
struct Bare {
    shell: Shell,
    detail: String,
}

impl Oops {
    /// There is no such thing.
    pub(super) fn missing(detail: impl Into<String>) -> Oops {
        Oops { status: StatusCode::NOT_FOUND, detail: detail.into() }
    }

    fn page(self, console: &Console, visit: &Visit) -> Response {
        let title = match self.status {
            StatusCode::NOT_FOUND => "There is no such page",
            status if status.is_client_error() => "That can't be done",
            _ => "Something broke",
        };
        let detail = self.detail;
        let page = match visit.is_known() {
            true => text(&Page { shell: visit.shell(console, Section::Nowhere, title), detail }),
            false => text(&Bare { shell: visit.bare(title), detail }),
        };
        (self.status, Html(page)).into_response()
    }
}

impl IntoResponse for Oops {
    /// An answer for [`dress`] to make a page of.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Makes a page of what went wrong, in the look of the visit.
pub(super) async fn dress(
    State(console): State<Arc<Console>>,
    visit: Visit,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Oops>() {
        Some(oops) => oops.page(&console, &visit),
        None => response,
    }
}

/// Answers at addresses where nothing is: people with a page, programs with a problem.
pub(super) async fn nowhere(headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    match accepts.is_some_and(|kinds| kinds.contains("text/html")) {
        true => Oops::missing("Nothing lives at this address.").into_response(),
        false => Problem::Missing("nothing lives at this address".into()).into_response(),
    }
}

impl From<anyhow::Error> for Oops {
    fn from(e: anyhow::Error) -> Oops {
        Oops { status: StatusCode::INTERNAL_SERVER_ERROR, detail: format!("{e:#}") }
    }
}

impl From<tokio::task::JoinError> for Oops {
    fn from(e: tokio::task::JoinError) -> Oops {
        let detail = format!("The page ended early: {e}");
        Oops { status: StatusCode::INTERNAL_SERVER_ERROR, detail }
    }
}

impl From<Problem> for Oops {
    fn from(problem: Problem) -> Oops {
        let detail = match &problem {
            Problem::Moved(number) => {
                format!("{} Go back, reload the page, and decide again.", moved(*number))
            }
            other => sentence(&other.to_string()),
        };
        Oops { status: problem.status(), detail }
    }
}

/// Says that somebody else was faster.
pub(super) fn moved(number: u64) -> String {
    format!("Somebody has changed the workspace meanwhile; it is at revision {number} now.")
}

/// A clause as a sentence.
pub(super) fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let Some(first) = letters.next() else { return String::new() };
    let end = if clause.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}
