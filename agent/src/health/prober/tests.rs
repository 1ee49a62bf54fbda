//! Probes over loopback sockets, against targets that answer anything but properly.

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::table::Probe;

/// Longer than any answer takes.
const LONG: Duration = Duration::from_secs(20);
/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(100);

const FAILED: Outcome = Outcome::Failed(Reason::FailedHealthChecks);
const TIMEOUT: Outcome = Outcome::Failed(Reason::Timeout);

/// What a target does after it has read a request.
enum Manner {
    Says(Vec<u8>),
    SaysAndStays(Vec<u8>),
    Resets,
}

fn question(address: SocketAddr, timeout: Duration) -> Question {
    let probe = Probe::Http {
        path: "/health?x=1".into(),
        matcher: [(200, 299), (404, 404)].into(),
    };
    Question {
        address,
        probe,
        host_port: None,
        timeout,
    }
}

/// A target for one connection; yields what it was asked.
async fn target(manner: Manner) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        match manner {
            Manner::Says(answer) => drop(stream.write_all(&answer).await),
            Manner::SaysAndStays(answer) => {
                drop(stream.write_all(&answer).await);
                // Until the prober hangs up.
                while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
            }
            Manner::Resets => {
                socket2::SockRef::from(&stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
            }
        }
        String::from_utf8(request).unwrap()
    });
    (address, serving)
}

fn says(answer: &str) -> Manner {
    Manner::Says(answer.as_bytes().to_vec())
}

fn stays(answer: &str) -> Manner {
    Manner::SaysAndStays(answer.as_bytes().to_vec())
}

fn status(status: u16) -> Outcome {
    Outcome::Failed(Reason::ResponseCodeMismatch { status })
}

/// A case, what the target does, the time it is given, what comes of it.
type Case = (&'static str, Manner, Duration, Outcome);

async fn probe_each(cases: impl IntoIterator<Item = Case>) {
    for (what, manner, timeout, expected) in cases {
        let (address, serving) = target(manner).await;
        let started = Instant::now();
        assert_eq!(probe(&question(address, timeout)).await, expected, "{what}");
        assert!(started.elapsed() < LONG / 2, "{what}");
        serving.await.unwrap();
    }
}

#[tokio::test]
async fn a_good_answer_passes_however_it_comes() {
    let big_body = "x".repeat(4 * BODY_BYTES);
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    probe_each([
        (
            "a plain answer",
            says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            LONG,
            Outcome::Passed,
        ),
        (
            "another status of the matcher",
            says("HTTP/1.1 404 Not Found\r\n\r\n"),
            LONG,
            Outcome::Passed,
        ),
        (
            "HTTP/1.0",
            says("HTTP/1.0 204 No Content\r\n\r\n"),
            LONG,
            Outcome::Passed,
        ),
        (
            "interim answers first",
            says(&format!("{interim}HTTP/1.1 200 OK\r\n\r\n")),
            LONG,
            Outcome::Passed,
        ),
        (
            "a body that never ends",
            stays("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
            LONG,
            Outcome::Passed,
        ),
        (
            "a big body",
            says(&format!("HTTP/1.1 200 OK\r\n\r\n{big_body}")),
            LONG,
            Outcome::Passed,
        ),
        (
            "a connection that is kept",
            stays("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            LONG,
            Outcome::Passed,
        ),
    ])
    .await;
}

#[tokio::test]
async fn every_other_way_to_answer_has_its_reason() {
    let many_headers = "A: b\r\n".repeat(HEADERS + 1);
    let long_header = format!("A: {}\r\n", "b".repeat(HEAD_BYTES));
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let endless_interim = interim.repeat(2 * HEAD_BYTES / interim.len());
    probe_each([
        (
            "nothing but interim answers",
            says(&endless_interim),
            LONG,
            FAILED,
        ),
        (
            "a wrong status",
            says("HTTP/1.1 503 Unavailable\r\n\r\n"),
            LONG,
            status(503),
        ),
        (
            "a redirect is not followed",
            says("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"),
            LONG,
            status(302),
        ),
        (
            "an upgrade that nobody asked for",
            says("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
            LONG,
            status(101),
        ),
        (
            "garbage",
            says("220 mail.example.com ESMTP\r\n"),
            LONG,
            FAILED,
        ),
        (
            "a status that is none",
            says("HTTP/1.1 007 Bond\r\n\r\n"),
            LONG,
            FAILED,
        ),
        ("closed without a word", says(""), LONG, FAILED),
        (
            "closed within the head",
            says("HTTP/1.1 200 OK\r\nServer: "),
            LONG,
            FAILED,
        ),
        ("reset", Manner::Resets, LONG, FAILED),
        (
            "too many headers",
            says(&format!("HTTP/1.1 200 OK\r\n{many_headers}\r\n")),
            LONG,
            FAILED,
        ),
        (
            "too long a head",
            says(&format!("HTTP/1.1 200 OK\r\n{long_header}\r\n")),
            LONG,
            FAILED,
        ),
        ("silence", stays(""), SHORT, TIMEOUT),
        (
            "half a head, then silence",
            stays("HTTP/1.1 200 OK\r\nServer: "),
            SHORT,
            TIMEOUT,
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_request_is_that_of_an_application_load_balancer() {
    let (address, serving) = target(says("HTTP/1.1 200 OK\r\n\r\n")).await;
    probe(&question(address, LONG)).await;
    let expected = format!(
        "GET /health?x=1 HTTP/1.1\r\nHost: {address}\r\nUser-Agent: ELB-HealthChecker/2.0\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(serving.await.unwrap(), expected);
}

#[test]
fn host_is_the_target_or_below_http_the_load_balancer() {
    let local = "10.0.0.9:4711".parse().unwrap();
    let cases = [
        ("10.0.0.1:8080", None, "10.0.0.1:8080"),
        ("10.0.0.1:80", None, "10.0.0.1"),
        ("[fd00::1]:80", None, "[fd00::1]"),
        ("[fd00::1]:443", None, "[fd00::1]:443"),
        ("10.0.0.1:8080", Some(6379), "10.0.0.9:6379"),
        ("10.0.0.1:8080", Some(80), "10.0.0.9"),
    ];
    for (address, host_port, expected) in cases {
        let question = Question {
            host_port,
            ..question(address.parse().unwrap(), LONG)
        };
        assert_eq!(host(&question, local), expected);
    }
}

#[tokio::test]
async fn a_handshake_is_all_that_a_tcp_check_wants() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut question = Question {
        probe: Probe::Tcp,
        ..question(listener.local_addr().unwrap(), LONG)
    };
    assert_eq!(probe(&question).await, Outcome::Passed);
    drop(listener);
    assert_eq!(probe(&question).await, FAILED);
    // An address of the documentation: this host has no way there, or nobody answers.
    question.address = "192.0.2.1:9".parse().unwrap();
    question.timeout = SHORT;
    assert!(matches!(probe(&question).await, Outcome::Failed(_)));
}

#[test]
fn what_this_host_lacks_is_not_the_targets_fault() {
    let cases = [
        (Errno::MFILE, true),
        (Errno::ADDRNOTAVAIL, true),
        (Errno::CONNREFUSED, false),
        (Errno::HOSTUNREACH, false),
    ];
    for (errno, ours) in cases {
        assert_eq!(is_ours(&errno.into()), ours, "{errno:?}");
    }
}
