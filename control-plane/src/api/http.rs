//! The plain HTTP routes beside gRPC: `/metrics`, `/healthz`, `/readyz`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tonic::Status;

use crate::api::Shared;

/// The content type of the Prometheus text form that prometheus-client writes.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The routes.
pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(shared)
}

/// What no route has. gRPC answers every mistake with 200 and a status of its own, which a probe of a misspelt
/// `/readyz` would take for good news.
pub(crate) async fn nowhere(request: Request) -> Response {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        return Status::unimplemented("there is no such service").into_http();
    }
    let text = "there is nothing here: try /metrics, /healthz or /readyz, or gRPC\n";
    (StatusCode::NOT_FOUND, text).into_response()
}

async fn metrics(Extract(shared): Extract<Arc<Shared>>) -> impl IntoResponse {
    let text = shared
        .metrics
        .text(&shared.writer.state(), shared.fleet.census());
    ([(header::CONTENT_TYPE, METRICS_TYPE)], text)
}

/// Whether requests should be sent here: not any more once the shutdown has begun.
async fn ready(Extract(shared): Extract<Arc<Shared>>) -> impl IntoResponse {
    if shared.shutdown.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
    }
    (StatusCode::OK, "ok\n")
}
