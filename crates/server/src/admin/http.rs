//! The admin API over HTTP: who may come in, and what everything has in common.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa::openapi::RefOr;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use super::api;
use super::problem::{PROBLEM, ProblemBody, unauthorized, wrong_method};
use crate::control::{Control, Problem, Role};

/// The description that the routes are added to.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Heapline admin API",
        description = "What operators see and change. Errors are application/problem+json. A \
                       change takes the revision that it was decided by as `revision`; if the \
                       workspace has moved on, it is refused with 409 and the revision of now."
    ),
    components(schemas(ProblemBody)),
    security(("token" = []))
)]
struct Description;

/// The routes of the admin API, and `/metrics`, `/healthz`, `/readyz`, which ask for no token.
pub fn router(control: Arc<Control>) -> Router {
    let (api, description) = described().split_for_parts();
    let description = Json(finish(description));
    let api = api
        .route_layer(from_fn_with_state(control.clone(), authorize))
        .route("/openapi.json", get(move || async move { description }))
        .fallback(|| async { Problem::Missing("the admin API has no such address".into()) })
        .method_not_allowed_fallback(|method: Method| async move { wrong_method(&method) });
    Router::new()
        .nest("/api/v1", api)
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(control)
}

/// The OpenAPI document, from the routes themselves.
pub fn openapi() -> utoipa::openapi::OpenApi {
    finish(described().split_for_parts().1)
}

fn described() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::with_openapi(Description::openapi()).merge(api::routes())
}

/// How far a caller may have to go. That the operations themselves ask once more doesn't make this
/// superfluous: whoever may not do something isn't told what is wrong with it.
fn least_role(method: &Method, path: &str) -> Role {
    let asks_only = [Method::GET, Method::HEAD].contains(method)
        || ["/preview", "/workspace/check", "/replays/count"].contains(&path);
    match path {
        _ if path == "/tokens" || path.starts_with("/tokens/") => Role::Admin,
        _ if asks_only => Role::Viewer,
        _ => Role::Editor,
    }
}

fn finish(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in [
            (Method::GET, &mut item.get),
            (Method::PUT, &mut item.put),
            (Method::POST, &mut item.post),
            (Method::DELETE, &mut item.delete),
            (Method::PATCH, &mut item.patch),
        ] {
            let Some(operation) = operation else { continue };
            let needs = format!("Takes a token of role `{}`.", least_role(&method, path).word());
            let told = operation.description.take().filter(|told| !told.is_empty());
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response
                    && !status.starts_with('2')
                    && let Some(body) = response.content.shift_remove("application/json")
                {
                    response.content.insert(PROBLEM.to_owned(), body);
                }
            }
            operation.description =
                Some(told.map_or(needs.clone(), |told| format!("{told} {needs}")));
        }
    }
    document.servers = Some(vec![utoipa::openapi::Server::new("/api/v1")]);
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(scheme));
    document
}

async fn authorize(
    State(control): State<Arc<Control>>,
    mut request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let token = given.and_then(|v| v.strip_prefix("Bearer "));
    match token.and_then(|token| control.tokens.actor(token.trim())) {
        Some(actor) => {
            let least = least_role(request.method(), request.uri().path());
            if let Err(problem) = actor.must_be(least) {
                return problem.into_response();
            }
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        None => unauthorized(),
    }
}

async fn ready(State(control): State<Arc<Control>>) -> Response {
    if control.fleet.is_sound() {
        "ready\n".into_response()
    } else {
        let body = "the ledger can't be written; see the log\n";
        (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
    }
}

async fn metrics(State(control): State<Arc<Control>>) -> Response {
    let extent = control.store.extent();
    control.metrics.door(&control.ingest.counters().snapshot());
    control.metrics.journal(extent.bytes, extent.next - extent.first);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], control.metrics.text()).into_response()
}
