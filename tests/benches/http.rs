//! What HTTP/1.1 heads and chunks cost: `cargo bench -p inlet-tests --bench http`.
//!
//! Each line is one operation on bytes that are in the cache, in nanoseconds, the best of several rounds.

use std::hint::black_box;
use std::mem::MaybeUninit;

use inlet_agent::http::chunked::Scanner;
use inlet_agent::http::forward::{Surroundings, write};
use inlet_agent::http::head::HEADERS_MAX;
use inlet_agent::http::request::{Head, Request, Rules};
use inlet_agent::http::respond::Persistence;
use inlet_agent::http::response::Response;
use inlet_agent::http::trace::Seed;
use inlet_agent::table::XForwardedFor;
use inlet_tests::timing::bench;

/// Bytes of data in the chunked bodies.
const BODY_BYTES: usize = 64 * 1024;

const RULES: Rules = Rules {
    drop_invalid_header_fields: false,
};

fn main() {
    println!("HTTP/1.1, ns per operation");
    for (name, head) in requests() {
        requests_of(name, head.as_bytes());
    }
    for (name, head) in responses() {
        responses_of(name, head.as_bytes());
    }
    for chunk in [16, 1024, 16 * 1024] {
        let body = chunked(chunk);
        let name = format!("chunk scan, 64 KiB in chunks of {chunk}");
        bench(&name, || {
            let mut scanner = Scanner::default();
            let taken = scanner.scan(black_box(&body), |data| {
                black_box(data);
            });
            black_box(taken.expect("it is well-formed"));
        });
    }
}

fn requests() -> [(&'static str, String); 4] {
    let browser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0\r\n\
        Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
        Accept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://shop.example.com/catalog/\r\n\
        Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\nUpgrade-Insecure-Requests: 1\r\n\
        Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nPriority: u=0, i\r\n";
    [
        ("smallest", "GET / HTTP/1.1\r\nHost: a:8080\r\n\r\n".to_owned()),
        ("browser", format!("GET /catalog/shoes?size=43 HTTP/1.1\r\nHost: shop.example.com:8080\r\n{browser}\r\n")),
        (
            "browser, to be rewritten",
            format!("GET /catalog/shoes?size=43 HTTP/1.1\r\nHost: Shop.Example.com\r\nConnection: keep-alive\r\n{browser}X-Forwarded-For: 192.0.2.1\r\n\r\n"),
        ),
        (
            "upload",
            "POST /upload HTTP/1.1\r\nHost: shop.example.com:8080\r\nUser-Agent: curl/8.9.1\r\nAccept: */*\r\n\
             Content-Type: application/json\r\nContent-Length: 12345\r\n\r\n"
                .to_owned(),
        ),
    ]
}

fn responses() -> [(&'static str, String); 3] {
    let page = "Server: nginx/1.27.1\r\nDate: Tue, 24 Nov 2026 17:00:00 GMT\r\nContent-Type: text/html; charset=utf-8\r\n\
        ETag: \"66f1a2b3-400\"\r\nCache-Control: max-age=60\r\nVary: Accept-Encoding\r\n";
    [
        (
            "page",
            format!("HTTP/1.1 200 OK\r\n{page}Content-Length: 1024\r\n\r\n"),
        ),
        (
            "page, to be rewritten",
            format!(
                "HTTP/1.1 200 OK\r\n{page}Connection: keep-alive\r\nKeep-Alive: timeout=60\r\nContent-Length: 1024\r\n\r\n"
            ),
        ),
        (
            "page, chunked",
            format!("HTTP/1.1 200 OK\r\n{page}Transfer-Encoding: chunked\r\n\r\n"),
        ),
    ]
}

fn requests_of(name: &str, bytes: &[u8]) {
    bench(&format!("request head, parse, {name}"), || {
        with_head(black_box(bytes), |head| {
            black_box(head.length());
        });
    });
    bench(&format!("request head, parse and judge, {name}"), || {
        with_head(black_box(bytes), |head| {
            black_box(judged(head));
        });
    });
    let around = Surroundings {
        peer: "192.0.2.7:4711".parse().expect("an address"),
        local: "198.51.100.1:8080".parse().expect("an address"),
        listener_port: 8080,
        preserve_host_header: false,
        x_forwarded_for: XForwardedFor::Append { client_port: false },
        seed: Seed {
            unix_seconds: 1_790_000_000,
            random: [2, 3],
        },
    };
    let mut out = Vec::new();
    with_head(bytes, |head| {
        let request = judged(head);
        bench(&format!("head for the target, {name}"), || {
            out.clear();
            black_box(write(&mut out, black_box(head), &request, &around));
        });
    });
}

fn with_head(bytes: &[u8], look: impl FnOnce(&Head<'_>)) {
    let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let head = Head::parse(bytes, &mut room);
    look(&head.expect("it is well-formed").expect("it is whole"));
}

fn judged<'a>(head: &Head<'a>) -> Request<'a> {
    head.judge(RULES).expect("it is well-formed")
}

fn responses_of(name: &str, bytes: &[u8]) {
    let mut out = Vec::new();
    bench(
        &format!("response head, as the client gets it, {name}"),
        || {
            let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
            let response = Response::parse(black_box(bytes), &mut room, false);
            let response = response.expect("it is well-formed").expect("it is whole");
            let coding = response.coding(true);
            if !response.goes_on_unchanged(coding, Persistence::Default) {
                out.clear();
                response.write(&mut out, coding, Persistence::Default);
            }
            black_box(&out);
        },
    );
}

fn chunked(chunk: usize) -> Vec<u8> {
    let data = "d".repeat(chunk);
    let mut body = format!("{chunk:x}\r\n{data}\r\n").repeat(BODY_BYTES / chunk);
    body.push_str("0\r\n\r\n");
    body.into_bytes()
}
