//! What standard tools ask of a gRPC server.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic_reflection::pb::v1alpha::ServerReflectionRequest;
use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1alpha::server_reflection_response::MessageResponse;

use super::*;

/// The older protocol is what Python's tools speak; `tests/e2e/api.rs` asks by the newer one.
#[tokio::test]
async fn reflection_answers_by_its_older_protocol_too() {
    let server = Server::start().await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(server.channel.clone());
    let answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<_> = list.service.iter().map(|service| &*service.name).collect();
    for name in ["inlet.v1.Configuration", "inlet.v1.AgentDiscovery"] {
        assert!(names.contains(&name), "{names:?}");
    }
    server.running.shutdown().await;
}

#[tokio::test]
async fn what_is_not_there_says_so_to_browsers_and_to_grpc() {
    let server = Server::start().await;
    let grpc = "Content-Type: application/grpc\r\n";
    for (request, headers, status, contains) in [
        ("GET /readyz", "", "200", "ok"),
        ("GET /metrics", "", "200", "# EOF"),
        ("GET /redyz", "", "404", "/readyz"),
        ("GET /", "", "404", "/metrics"),
        ("POST /inlet.v1.Usage/Get", grpc, "200", "grpc-status: 12"),
    ] {
        let mut stream = TcpStream::connect(server.running.address).await.unwrap();
        let request =
            format!("{request} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = timeout(DEADLINE, stream.read_to_string(&mut answer));
        read.await.unwrap().unwrap();
        let head = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&head), "{request}: {answer}");
        assert!(answer.contains(contains), "{request}: {answer}");
    }
    server.running.shutdown().await;
}
