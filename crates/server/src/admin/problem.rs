//! Errors of the admin API: `application/problem+json` (RFC 9457).

use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::control::{FaultView, Problem};

/// Media type of errors.
pub(super) const PROBLEM: &str = "application/problem+json";

/// An error for the caller.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProblemBody {
    /// The HTTP status.
    status: u16,
    /// The status in words.
    title: String,
    /// Fixed name of the error.
    code: String,
    /// What was wrong, in one sentence.
    detail: String,
    /// Everything wrong with a document.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<FaultView>,
    /// The workspace's revision of now, where another one was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

/// The caller isn't known.
pub(super) fn unauthorized() -> Response {
    let detail = "expected the header Authorization: Bearer with a token that isn't revoked; the \
                  one of admin.json in the data directory always works";
    respond(StatusCode::UNAUTHORIZED, "unauthorized", detail.to_owned(), Vec::new(), None)
}

/// The address is there, but not for this method.
pub(super) fn wrong_method(method: &Method) -> Response {
    let detail = format!("the admin API has this address, but not for {method}");
    respond(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail, Vec::new(), None)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (faults, revision) = match &self {
            Problem::Faulty(faults) => (faults.iter().map(FaultView::from).collect(), None),
            Problem::Moved(revision) => (Vec::new(), Some(*revision)),
            _ => (Vec::new(), None),
        };
        respond(self.status(), self.code(), self.to_string(), faults, revision)
    }
}

fn respond(
    status: StatusCode,
    code: &str,
    detail: String,
    faults: Vec<FaultView>,
    revision: Option<u64>,
) -> Response {
    let title = status.canonical_reason().unwrap_or("Error").to_owned();
    let code = code.to_owned();
    let body = ProblemBody { status: status.as_u16(), title, code, detail, faults, revision };
    let text = serde_json::to_string(&body).expect("a problem is plain data");
    (status, [(header::CONTENT_TYPE, PROBLEM)], text).into_response()
}
