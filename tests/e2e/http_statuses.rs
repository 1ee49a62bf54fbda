//! The statuses that the load balancer makes itself, with their causes (specification: application load balancer, 12).

use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::{application, documents, forward, group, listener, shop};
use inlet_tests::origin::{Gate, Reply};
use inlet_tests::ports::free_port;
use inlet_tests::{Connection, Origin, World, client};

/// What a connection answers to these bytes; it must close afterwards unless the answer is a good one.
async fn status(port: u16, bytes: &str) -> u16 {
    let mut connection = Connection::open(port).await;
    connection.send(bytes).await;
    let response = connection.response().await;
    if response.status >= 400 {
        // A reset is as good as an end: the peer did not read all that was sent.
        let _ = connection.rest().await;
    }
    response.status
}

#[tokio::test]
async fn a_request_that_is_wrong_gets_the_status_that_says_why_and_never_reaches_a_target() {
    let world = World::start(&["edge-1"]).await;
    let origin = Origin::named("catalog").await;
    let port = free_port();
    world.apply(&shop(port, &[origin.port])).await;

    let long = |count| "x".repeat(count);
    let addresses = vec!["10.0.0.1"; 31].join(", ");
    let cases: &[(u16, String)] = &[
        (400, "GET / HTTP/1.1\r\n\r\n".into()),
        (
            400,
            "GET / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 1x\r\n\r\n".into(),
        ),
        (
            400,
            "GET / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".into(),
        ),
        (
            400,
            "GET / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked, chunked\r\n\r\n".into(),
        ),
        (400, "GET / HTTP/1.1\r\nHost: a.b\r\nX: a\0b\r\n\r\n".into()),
        (400, "G(T / HTTP/1.1\r\nHost: a.b\r\n\r\n".into()),
        (
            400,
            format!(
                "GET / HTTP/1.1\r\nHost: a.b\r\nX: {}\r\n\r\n",
                long(17 << 10)
            ),
        ),
        (
            400,
            format!(
                "GET / HTTP/1.1\r\nHost: a.b\r\n{}\r\n",
                format!("X: {}\r\n", long(13 << 10)).repeat(5)
            ),
        ),
        (
            400,
            "POST / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".into(),
        ),
        (405, "TRACE / HTTP/1.1\r\nHost: a.b\r\n\r\n".into()),
        (405, "CONNECT a.b:80 HTTP/1.1\r\nHost: a.b\r\n\r\n".into()),
        (
            414,
            format!("GET /{} HTTP/1.1\r\nHost: a.b\r\n\r\n", long(17 << 10)),
        ),
        (
            463,
            format!("GET / HTTP/1.1\r\nHost: a.b\r\nX-Forwarded-For: {addresses}\r\n\r\n"),
        ),
        (
            501,
            "POST / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: gzip\r\n\r\n".into(),
        ),
        (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()),
    ];
    for (expected, bytes) in cases {
        assert_eq!(
            status(port, bytes).await,
            *expected,
            "{:?}",
            bytes.chars().take(80).collect::<String>()
        );
    }
    // The one with a bad chunk may have been begun: nothing whole arrives of it.
    assert!(
        origin.seen().is_empty(),
        "a refused request reached the target"
    );
    client::get(port, "/").await.expect(200);
}

#[tokio::test]
async fn a_target_that_answers_wrongly_or_not_gets_502() {
    let world = World::start(&["edge-1"]).await;
    let port = free_port();
    let origin = Origin::scripted("broken", |seen| match seen.target.as_str() {
        "/nonsense" => Reply::raw("nonsense\r\n\r\n").then_close(),
        "/silent" => Reply::raw("").then_close(),
        "/reset" => Reply::raw("").then_reset(),
        "/twice" => {
            Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
                .then_close()
        }
        "/huge" => Reply::raw(format!(
            "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n",
            "x".repeat(33 << 10)
        ))
        .then_close(),
        _ => Reply::text(200, "well"),
    })
    .await;
    world.apply(&shop(port, &[origin.port])).await;
    for path in ["/nonsense", "/silent", "/reset", "/twice", "/huge"] {
        assert_eq!(client::get(port, path).await.status, 502, "{path}");
    }
    client::get(port, "/well").await.expect(200);
}

#[tokio::test]
async fn nobody_there_is_503_nobody_answering_502_and_nobody_in_time_504() {
    let world = World::start(&["edge-1"]).await;
    let gate = Gate::closed();
    let held = gate.clone();
    let slow = Origin::scripted("slow", move |_| Reply::text(200, "late").after(&held)).await;
    let [empty, refused, late, cut] = [free_port(), free_port(), free_port(), free_port()];
    let impatient = application("shop") + "application: {idleTimeout: 1s}\n";
    let cutting = Origin::scripted("cut", |_| {
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").then_close()
    })
    .await;
    world
        .apply(&documents(&[
            impatient,
            group("empty", &[]),
            group("refused", &[free_port()]),
            group("slow", &[slow.port]),
            group("cut", &[cutting.port]),
            listener("shop/empty", "HTTP", empty, &forward("empty")),
            listener("shop/refused", "HTTP", refused, &forward("refused")),
            listener("shop/late", "HTTP", late, &forward("slow")),
            listener("shop/cut", "HTTP", cut, &forward("cut")),
        ]))
        .await;
    client::get(empty, "/").await.expect(503);
    client::get(refused, "/").await.expect(502);
    client::get(late, "/").await.expect(504);
    // A body cut short is passed on as cut short, never as a whole one.
    assert!(client::try_get(cut, "/").await.is_none());
    gate.open();
    eventually("the slow one answers in time", seconds(10), async || {
        client::try_get(late, "/")
            .await
            .filter(|response| response.status == 200)
    })
    .await;
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_request_gets_408_and_an_idle_one_is_closed_silently() {
    let world = World::start(&["edge-1"]).await;
    let origin = Origin::named("catalog").await;
    let port = free_port();
    let address = "addresses: [127.0.0.1]\n";
    world
        .apply(&shop(port, &[origin.port]).replacen(
            address,
            &format!("{address}application: {{idleTimeout: 1s}}\n"),
            1,
        ))
        .await;

    let mut head = Connection::open(port).await;
    head.send("GET / HTTP/1.1\r\nHost:").await;
    let mut body = Connection::open(port).await;
    body.send("POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 10\r\n\r\nhalf")
        .await;
    let mut idle = Connection::open(port).await;
    idle.get("/").await.expect(200);
    head.response().await.expect(408);
    body.response().await.expect(408);
    assert!(idle.rest().await.unwrap().is_empty());
}
