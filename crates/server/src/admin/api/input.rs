//! Reading requests, with errors in the words of the API.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
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
