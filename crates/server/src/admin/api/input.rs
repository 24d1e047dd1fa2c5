//! Reading requests, with errors in the words of the API.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::control::Problem;

/// What was wrong with a part of a request, without the framework's own words before it.
fn said(place: &str, text: &str) -> Problem {
    const PREFIXES: [&str; 5] = [
        "Failed to deserialize query string: ",
        "Failed to deserialize the JSON body into the target type: ",
        "Failed to parse the request body as JSON: ",
        "Failed to buffer the request body: ",
        "Invalid URL: ",
    ];
    let short = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    Problem::Bad(format!("{place}: {short}"))
}

/// A JSON body.
pub(super) struct Input<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Input<T>, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(read)) => Ok(Input(read)),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(Problem::Bad("expected the header Content-Type: application/json".into()))
            }
            Err(e) => Err(said("the body", &e.body_text())),
        }
    }
}

/// A body that is any text.
pub(super) struct Text(pub(super) String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Text, Problem> {
        let read = String::from_request(request, state).await;
        match read {
            Ok(text) if text.trim().is_empty() => {
                Err(Problem::Bad("the body: expected a document, found nothing".into()))
            }
            Ok(text) => Ok(Text(text)),
            Err(e) => Err(said("the body", &e.body_text())),
        }
    }
}

/// Parameters in the path.
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Path<T>, Problem> {
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        read.map(|axum::extract::Path(read)| Path(read))
            .map_err(|e: PathRejection| said("the address", &e.body_text()))
    }
}

/// Query parameters.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Params<T>, Problem> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        read.map(|Query(read)| Params(read))
            .map_err(|e: QueryRejection| said("the query", &e.body_text()))
    }
}

/// The revision that a change was decided by.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Expected {
    /// Revision of the workspace that was seen; whatever is the latest, if left out.
    pub(super) revision: Option<u64>,
}
