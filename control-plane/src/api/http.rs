//! The plain HTTP routes beside gRPC: `/metrics`, `/healthz`, `/readyz`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

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
