//! Reading requests, with errors in the words of the API.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection, StringRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::control::Problem;

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
            Err(e) => Err(Problem::Bad(e.body_text())),
        }
    }
}

/// A body that is any text.
pub(super) struct Text(pub(super) String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Text, Problem> {
        let read = String::from_request(request, state).await;
        read.map(Text)
            .map_err(|e: StringRejection| Problem::Bad(format!("the body: {}", e.body_text())))
    }
}

/// Parameters in the path.
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Path<T>, Problem> {
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        read.map(|axum::extract::Path(read)| Path(read))
            .map_err(|e: PathRejection| Problem::Bad(format!("the address: {}", e.body_text())))
    }
}

/// Query parameters.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Params<T>, Problem> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        read.map(|Query(read)| Params(read))
            .map_err(|e: QueryRejection| Problem::Bad(e.body_text()))
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
