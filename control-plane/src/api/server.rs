//! The one port: accepts connections and serves every route on each, HTTP/2 and HTTP/1.1 alike.
//!
//! Dead peers are noticed by pings, so that an agent whose host vanished does not stay connected for ever.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::transport::Server;

use crate::api::accept::connections;
use crate::api::auth::{Anyone, Gate};
use crate::api::{Shared, grpc, http};

/// A connection without traffic is asked for a sign of life this often.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// A connection that does not answer a ping within this is closed.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests under way on one connection.
const MAX_STREAMS_PER_CONNECTION: u32 = 1024;
/// Bytes of headers of one request.
const MAX_HEADER_BYTES: u32 = 32 * 1024;

/// Why the port cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The descriptors that reflection answers with cannot be read.
    #[error("the descriptors of the API cannot be read: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Serving failed.
    #[error(transparent)]
    Transport(#[from] tonic::transport::Error),
}

/// Serves `listener` until the shutdown begins and the requests under way are done.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) -> Result<(), ServeError> {
    let gate = Gate(Arc::new(Anyone));
    let (routes, reporter) = grpc::services(&shared, gate).await?;
    let router = routes
        .into_axum_router()
        .merge(http::routes(Arc::clone(&shared)))
        .fallback(http::nowhere);
    let shutdown = shared.shutdown.clone();
    let stop = async move {
        shutdown.cancelled().await;
        grpc::stop_serving(&reporter).await;
    };
    Server::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .add_routes(router.into())
        .serve_with_incoming_shutdown(connections(listener), stop)
        .await?;
    Ok(())
}
