//! What a page shows when there is nothing to show: what went wrong, and a way on.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::assets;
use crate::control::Problem;

/// Why there is no page.
#[derive(Debug)]
pub(super) struct Oops {
    status: StatusCode,
    detail: String,
}

#[derive(Template)]
#[template(path = "oops.html")]
struct Page {
    css: String,
    title: &'static str,
    detail: String,
}

impl Oops {
    /// There is no such thing.
    pub(super) fn missing(detail: impl Into<String>) -> Oops {
        Oops { status: StatusCode::NOT_FOUND, detail: detail.into() }
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
        let status = match &problem {
            Problem::Bad(_) | Problem::Faulty(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Problem::Missing(_) => StatusCode::NOT_FOUND,
            Problem::Moved(_) | Problem::Conflict(_, _) => StatusCode::CONFLICT,
            Problem::ReadOnly(_) | Problem::Forbidden(_) => StatusCode::FORBIDDEN,
            Problem::Store(_) | Problem::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Oops { status, detail: sentence(&problem.to_string()) }
    }
}

/// A clause as a sentence.
pub(super) fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let Some(first) = letters.next() else { return String::new() };
    let end = if clause.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}

impl IntoResponse for Oops {
    fn into_response(self) -> Response {
        let title = match self.status {
            StatusCode::NOT_FOUND => "There is no such page",
            status if status.is_client_error() => "That can't be done",
            _ => "Something broke",
        };
        let css = assets::address("console.css").unwrap_or_default();
        let page = Page { css, title, detail: self.detail };
        (self.status, Html(super::shell::text(&page))).into_response()
    }
}
