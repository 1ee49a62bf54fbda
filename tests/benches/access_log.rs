//! What a line of the access log costs, by form: `cargo bench -p inlet-tests --bench access_log`.

use std::hint::black_box;

use inlet_agent::access_log::{Formatter, Request};
use inlet_agent::config::AccessLogFormat;
use inlet_tests::timing::bench;

fn main() {
    println!("access log, ns per line");
    let plain = request();
    let odd = Request {
        target_uri: "/caf\u{e9}?q=\"a\\b\"\t".as_bytes(),
        user_agent: Some("Mozilla/5.0 (\u{1f600}) \"x\"".as_bytes()),
        ..request()
    };
    for (form, format) in [
        ("json", AccessLogFormat::Json),
        ("alb", AccessLogFormat::Alb),
    ] {
        for (name, request) in [("plain", &plain), ("with escapes", &odd)] {
            let (mut formatter, mut out) = (Formatter::new(format), Vec::new());
            bench(&format!("{form}, {name}"), || {
                out.clear();
                formatter.request(&mut out, black_box(request));
                black_box(&out);
            });
        }
    }
}

fn request() -> Request<'static> {
    let address = |text: &str| text.parse().expect("an address");
    Request {
        kind: "http",
        listener: "shop/http",
        client: address("192.0.2.7:4711"),
        local: address("198.51.100.1:8080"),
        received_at_us: 1_790_000_000_123_456,
        finished_at_us: 1_790_000_000_124_567,
        target_group: Some("catalog"),
        target: Some(address("10.0.0.1:9001")),
        request_processing_us: Some(40),
        target_processing_us: Some(900),
        response_processing_us: Some(30),
        status: 200,
        target_status: Some(200),
        received_bytes: 412,
        sent_bytes: 1290,
        method: b"GET",
        host: b"shop.example.com:8080",
        target_uri: b"/catalog/shoes?size=43",
        version: "HTTP/1.1",
        user_agent: Some(b"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"),
        trace_id: Some(b"Root=1-6ab1d580-0bd862e3fe1be46a99427279"),
        rule_priority: Some(10),
        action: Some("forward"),
        redirect_url: None,
        error_reason: None,
        fault: None,
        classification: None,
        classification_reason: None,
    }
}
