//! The admin address against clients that do not behave.

use hyper::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::discovery::Viewer;
use crate::live::Registry;

const DEADLINE: Duration = Duration::from_secs(30);

async fn admin() -> (Admin, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (Admin::start(listener, pages()), address)
}

fn pages() -> Pages {
    Pages::new(
        Arc::new(Registry::new(1)),
        Viewer::of_nothing(),
        Arc::default(),
    )
}

/// Sends bytes and reads until the server closes.
async fn send(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is as good as an end.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    timeout(DEADLINE, exchange).await.expect("an end in time")
}

#[tokio::test]
async fn pages_are_told_by_path_and_method() {
    let pages = pages();
    for (method, path, status) in [
        (Method::GET, "/healthz", 200),
        (Method::HEAD, "/healthz", 200),
        (Method::GET, "/readyz", 503),
        (Method::GET, "/metrics", 200),
        // Nobody is there to answer.
        (Method::GET, "/config", 503),
        (Method::POST, "/healthz", 405),
        (Method::DELETE, "/config", 405),
        (Method::GET, "/", 404),
        (Method::POST, "/none", 404),
        (Method::GET, "/healthz/", 404),
    ] {
        let answer = pages.answer(&method, path).await;
        assert_eq!(answer.status(), status, "{method} {path}");
    }
}

#[tokio::test]
async fn heads_are_bounded_and_garbage_is_refused() {
    let (admin, address) = admin().await;
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(2 * MAX_HEAD_BYTES));
    let many = format!(
        "GET /healthz HTTP/1.1\r\n{}\r\n",
        "a: b\r\n".repeat(MAX_HEADERS + 1)
    );
    for (bytes, status) in [
        (long.as_str(), "HTTP/1.1 4"),
        (&many, "HTTP/1.1 431"),
        ("\x16\x03\x01 hello\r\n\r\n", "HTTP/1.1 400"),
        (
            "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200",
        ),
    ] {
        let answer = send(address, bytes.as_bytes()).await;
        assert!(answer.starts_with(status), "{answer}");
    }
    admin.stop().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut() {
    let (admin, address) = admin().await;
    let started = tokio::time::Instant::now();
    send(address, b"GET /healthz HTTP/1.1\r\n").await;
    assert!(started.elapsed() >= HEAD_TIMEOUT);
    admin.stop().await;
}

#[tokio::test]
async fn the_end_waits_for_nobody_who_is_idle() {
    let (admin, address) = admin().await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 1];
    idle.read_exact(&mut first).await.unwrap();
    timeout(DEADLINE, admin.stop()).await.expect("an end");
    let mut rest = Vec::new();
    let _ = timeout(DEADLINE, idle.read_to_end(&mut rest))
        .await
        .expect("closed");
    assert!(TcpStream::connect(address).await.is_err());
}
