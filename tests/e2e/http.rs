//! HTTP/1.1 as curl and other ordinary clients use it.

use std::path::Path;

use inlet_tests::client::request;
use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::{documents, shop};
use inlet_tests::origin::{Gate, Reply, Seen};
use inlet_tests::ports::free_port;
use inlet_tests::{Connection, Origin, Output, World, client, need};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

/// A world with one agent that sends everything on the returned port to `origin`.
async fn serving(origin: &Origin) -> (World, u16) {
    let world = World::start(&["edge-1"]).await;
    let port = free_port();
    world.apply(&shop(port, &[origin.port])).await;
    (world, port)
}

/// Runs curl against the port; fails on a failed transfer.
async fn curl(folder: &Path, port: u16, path: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--max-time", "60"])
        .args(arguments)
        .current_dir(folder);
    command.arg(format!("http://127.0.0.1:{port}{path}"));
    Output::of(command).await.exits(0)
}

/// Answers with what was sent.
fn mirror(seen: &Seen) -> Reply {
    Reply::with(200, "", &seen.body)
}

#[tokio::test]
async fn curl_gets_posts_heads_and_keeps_its_connection() {
    if !need(&["curl"]) {
        return;
    }
    let origin = Origin::scripted("mirror", mirror).await;
    let (world, port) = serving(&origin).await;
    let folder = world.folder();

    let output = curl(
        folder,
        port,
        "/a",
        &[
            "--write-out",
            "%{num_connects} ",
            "--data",
            "hello",
            &format!("http://127.0.0.1:{port}/b"),
        ],
    )
    .await;
    assert_eq!(
        output.stdout, "hello1 hello0 ",
        "one connection for two requests"
    );
    let chunked = [
        "--header",
        "Transfer-Encoding: chunked",
        "--data",
        "hello chunks",
    ];
    assert_eq!(
        curl(folder, port, "/", &chunked).await.stdout,
        "hello chunks"
    );
    let head = curl(folder, port, "/", &["--head"]).await.stdout;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.to_lowercase().contains("content-length: 0"), "{head}");
    let http10 = curl(
        folder,
        port,
        "/",
        &[
            "--http1.0",
            "--data",
            "old",
            "--write-out",
            " %{http_version}",
        ],
    )
    .await
    .stdout;
    assert!(http10.starts_with("old"), "{http10}");
    let expect = [
        "--header",
        "Expect: 100-continue",
        "--data",
        "go on",
        "--write-out",
        " %{http_code}",
    ];
    assert_eq!(curl(folder, port, "/", &expect).await.stdout, "go on 200");
    for seen in origin.seen() {
        assert!(
            seen.head.contains(" HTTP/1.1\r\n"),
            "a target gets HTTP/1.1 only: {}",
            seen.head
        );
    }
}

#[tokio::test]
async fn big_bodies_go_through_unchanged_both_ways() {
    if !need(&["curl"]) {
        return;
    }
    let origin = Origin::scripted("mirror", mirror).await;
    let (world, port) = serving(&origin).await;
    let mut sent = vec![0; 20 << 20];
    fastrand::Rng::with_seed(7).fill(&mut sent);
    std::fs::write(world.folder().join("sent"), &sent).unwrap();

    for framing in [&[][..], &["--header", "Transfer-Encoding: chunked"]] {
        let arguments = [framing, &["--data-binary", "@sent", "--output", "got"]].concat();
        curl(world.folder(), port, "/", &arguments).await;
        let got = std::fs::read(world.folder().join("got")).unwrap();
        assert!(got == sent, "{} bytes came back, or others", got.len());
        assert!(origin.only_seen().body == sent);
    }
}

#[tokio::test]
async fn a_chunked_response_with_trailers_arrives_whole() {
    let origin = Origin::scripted("chunks", |_| {
        Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n")
    })
    .await;
    let (_world, port) = serving(&origin).await;
    let mut connection = Connection::open(port).await;
    for _ in 0..3 {
        assert_eq!(connection.get("/").await.expect(200).text(), "hello world");
    }
    // An HTTP/1.0 client knows no chunks: the end of the connection is the end of the body.
    let mut old = Connection::open(port).await;
    old.send("GET / HTTP/1.0\r\n\r\n").await;
    let text = String::from_utf8(old.rest().await.unwrap()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "hello world");
    assert_eq!(client::header(head, "transfer-encoding"), None);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::scripted("mirror", |seen| Reply::text(200, &seen.target)).await;
    let (_world, port) = serving(&origin).await;
    let mut connection = Connection::open(port).await;
    let requests: String = (0..20)
        .map(|number| format!("GET /{number} HTTP/1.1\r\nHost: a.b\r\n\r\n"))
        .collect();
    connection.send(requests).await;
    for number in 0..20 {
        assert_eq!(
            connection.response().await.expect(200).text(),
            format!("/{number}")
        );
    }
}

#[tokio::test]
async fn a_target_learns_who_asked_and_what_for() {
    let origin = Origin::named("catalog").await;
    let (_world, port) = serving(&origin).await;
    let headers = "Host: Shop.Example.com\r\nX-Forwarded-For: 10.1.1.1, 10.2.2.2\r\nX-Forwarded-Proto: gopher\r\nKeep-Alive: 5\r\nX-Mine: a  b\r\n";
    request(port, "GET", "/a?b=%20c", headers, b"")
        .await
        .expect(200);
    let seen = origin.only_seen();
    assert!(
        seen.head.starts_with("GET /a?b=%20c HTTP/1.1\r\n"),
        "{}",
        seen.head
    );
    assert_eq!(seen.headers("host"), [format!("shop.example.com:{port}")]);
    assert_eq!(
        seen.headers("x-forwarded-for").join(", "),
        "10.1.1.1, 10.2.2.2, 127.0.0.1"
    );
    assert_eq!(seen.headers("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.headers("x-forwarded-port"), [port.to_string()]);
    assert_eq!(seen.headers("x-mine"), ["a  b"]);
    assert_eq!(seen.header("keep-alive"), None);
    let trace = seen.header("x-amzn-trace-id").expect("a trace id");
    assert!(
        trace.starts_with("Root=1-")
            && trace.len() == "Root=1-12345678-123456789012345678901234".len(),
        "{trace}"
    );

    request(
        port,
        "GET",
        "/",
        "X-Amzn-Trace-Id: Root=1-5;CalledFrom=app\r\n",
        b"",
    )
    .await
    .expect(200);
    let seen = origin.only_seen();
    let trace = seen.header("x-amzn-trace-id").unwrap();
    assert!(
        trace.starts_with("Self=1-") && trace.ends_with(";Root=1-5;CalledFrom=app"),
        "{trace}"
    );
}

#[tokio::test]
async fn the_attributes_of_a_load_balancer_change_what_a_target_sees() {
    let origin = Origin::named("catalog").await;
    let (world, port) = serving(&origin).await;
    let with = |attributes: &str| {
        let address = "addresses: [127.0.0.1]\n";
        shop(port, &[origin.port]).replacen(
            address,
            &format!("{address}application: {{{attributes}}}\n"),
            1,
        )
    };
    world.apply(&with("preserveHostHeader: true, dropInvalidHeaderFields: true, xForwardedFor: {mode: REMOVE}")).await;
    request(
        port,
        "GET",
        "/",
        "Host: Shop.Example.com\r\nX-Forwarded-For: 10.1.1.1\r\nbad_name: 1\r\n",
        b"",
    )
    .await
    .expect(200);
    let seen = origin.only_seen();
    assert_eq!(seen.headers("host"), ["Shop.Example.com"]);
    assert_eq!(
        (seen.header("x-forwarded-for"), seen.header("bad_name")),
        (None, None)
    );

    world
        .apply(&with("xForwardedFor: {clientPort: true}"))
        .await;
    request(port, "GET", "/", "bad_name: 1\r\n", b"")
        .await
        .expect(200);
    let seen = origin.only_seen();
    assert!(
        seen.header("x-forwarded-for")
            .unwrap()
            .starts_with("127.0.0.1:"),
        "{}",
        seen.head
    );
    assert_eq!(seen.header("bad_name"), Some("1"));
    world
        .apply(&documents(&[with("xForwardedFor: {mode: PRESERVE}")]))
        .await;
    request(port, "GET", "/", "X-Forwarded-For: 10.1.1.1\r\n", b"")
        .await
        .expect(200);
    assert_eq!(origin.only_seen().headers("x-forwarded-for"), ["10.1.1.1"]);
}

#[tokio::test]
async fn what_reaches_a_target_is_canonical() {
    let origin = Origin::scripted("mirror", mirror).await;
    let (_world, port) = serving(&origin).await;
    let mut connection = Connection::open(port).await;
    // Both framings: Transfer-Encoding wins, Content-Length goes, both connections end (specification, 4.1).
    connection.send("POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await;
    assert_eq!(connection.response().await.expect(200).text(), "hello");
    assert!(connection.rest().await.unwrap().is_empty());
    let seen = origin.only_seen();
    assert_eq!(
        (
            seen.header("content-length"),
            seen.headers("transfer-encoding")
        ),
        (None, vec!["chunked"])
    );
    assert_eq!(seen.headers("host").len(), 1);
}

#[tokio::test]
async fn a_response_that_comes_before_the_request_ends_is_passed_on() {
    let hasty = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = World::start(&["edge-1"]).await;
    let port = free_port();
    world
        .apply(&shop(port, &[hasty.local_addr().unwrap().port()]))
        .await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = hasty.accept().await {
            tokio::spawn(refuse_early(stream));
        }
    });
    let mut connection = Connection::open(port).await;
    connection
        .send("POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 1000000\r\n\r\nbegin")
        .await;
    assert_eq!(connection.response().await.expect(413).text(), "no!");
    // What is still missing of the request can no longer be told from a next one: the connection ends.
    let _ = connection.rest().await;
}

/// Answers as soon as anything comes, and keeps the connection: the answer alone must end the exchange.
async fn refuse_early(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 4096]).await;
    let _ = stream
        .write_all(b"HTTP/1.1 413 Too Much\r\nContent-Length: 3\r\n\r\nno!")
        .await;
    while stream
        .read(&mut [0; 4096])
        .await
        .is_ok_and(|count| count > 0)
    {}
}

#[tokio::test]
async fn a_pooled_connection_that_the_target_closed_costs_no_request() {
    let origin = Origin::scripted("closing", |_| Reply::text(200, "once").then_close()).await;
    let (_world, port) = serving(&origin).await;
    let mut connection = Connection::open(port).await;
    for _ in 0..50 {
        connection.get("/").await.expect(200);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_request_at_the_target() {
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::scripted("slow", move |_| Reply::text(200, "late").after(&held)).await;
    let (mut world, port) = serving(&origin).await;
    let mut connection = Connection::open(port).await;
    connection.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n").await;
    eventually("the target has the request", seconds(10), async || {
        (!origin.seen().is_empty()).then_some(())
    })
    .await;
    drop(connection);
    let agent = world.agent("edge-1");
    eventually("the request is counted as 460", seconds(10), async || {
        let (_, metrics) = agent.page("/metrics").await;
        metrics
            .lines()
            .any(|line| {
                line.starts_with("inlet_agent_") && line.contains("460") && !line.ends_with(" 0")
            })
            .then_some(())
    })
    .await;
    gate.open();
}
