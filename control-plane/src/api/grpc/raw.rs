//! The server side of `AgentDiscovery`, written by hand for one reason: the parts of a snapshot are encoded once and
//! sent to many agents, while generated code encodes each message for each stream.
//!
//! Otherwise this is what the code generator writes for a service with one bidirectional method.

use std::convert::Infallible;
use std::sync::Arc;

use inlet_proto::v1::AgentMessage;
use prost::Message as _;
use prost::bytes::{BufMut as _, Bytes};
use tonic::body::Body as TonicBody;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{Body, BoxFuture, Context, Poll, Service, StdError, http};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};

use crate::api::grpc::discovery::Discovery;
use crate::api::outlet::Outflow;

const PATH: &str = "/inlet.v1.AgentDiscovery/Stream";
/// The largest message of an agent: a complete health report is the largest there is.
const MAX_AGENT_MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// The service.
#[derive(Clone)]
pub(crate) struct DiscoveryServer(Arc<Discovery>);

impl DiscoveryServer {
    /// Serves streams with this handler.
    pub(crate) fn new(discovery: Discovery) -> Self {
        Self(Arc::new(discovery))
    }
}

impl NamedService for DiscoveryServer {
    const NAME: &'static str = "inlet.v1.AgentDiscovery";
}

impl<B> Service<http::Request<B>> for DiscoveryServer
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<TonicBody>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        if request.uri().path() != PATH {
            let status = Status::unimplemented("inlet.v1.AgentDiscovery has one method, Stream");
            return Box::pin(async move { Ok(status.into_http()) });
        }
        let method = StreamMethod(Arc::clone(&self.0));
        Box::pin(async move {
            let limit = Some(MAX_AGENT_MESSAGE_BYTES);
            let mut grpc = Grpc::new(RawCodec).apply_max_message_size_config(limit, None);
            Ok(grpc.streaming(method, request).await)
        })
    }
}

struct StreamMethod(Arc<Discovery>);

impl StreamingService<AgentMessage> for StreamMethod {
    type Response = Bytes;
    type ResponseStream = Outflow<Bytes>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<AgentMessage>>) -> Self::Future {
        let outflow = self.0.open(request);
        Box::pin(async move { Ok(Response::new(outflow)) })
    }
}

/// Sends bytes that are a `ControlMessage`, receives `AgentMessage`s.
#[derive(Debug, Clone, Copy, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = AgentMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = AgentMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<AgentMessage>, Status> {
        AgentMessage::decode(buffer)
            .map(Some)
            .map_err(|error| Status::invalid_argument(format!("not an AgentMessage: {error}")))
    }
}
