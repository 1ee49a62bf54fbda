//! Rules: all six conditions, in the order of their priorities.

use inlet_tests::client::request;
use inlet_tests::manifest::{application, documents, fixed, listener, rule};
use inlet_tests::ports::free_port;
use inlet_tests::{World, client};

/// A listener whose rules answer with their own names; the default says `default`. Rules are (name, conditions), by priority.
async fn ruled(rules: &[(&str, &str)]) -> (World, u16) {
    let world = World::start(&["edge-1"]).await;
    let port = free_port();
    let mut all = vec![
        application("shop"),
        listener("shop/http", "HTTP", port, &fixed(200, "default")),
    ];
    for (priority, (name, conditions)) in (1..).zip(rules) {
        all.push(rule(
            &format!("shop/http/{name}"),
            priority,
            conditions,
            &fixed(200, name),
        ));
    }
    world.apply(&documents(&all)).await;
    (world, port)
}

/// Each request (method, path, further header lines) is answered by the rule that is named first.
async fn decided(port: u16, cases: &[(&str, &str, &str, &str)]) {
    for (rule, method, path, headers) in cases {
        let response = request(port, method, path, headers, b"").await.expect(200);
        assert_eq!(response.text(), *rule, "{method} {path} {headers:?}");
    }
}

#[tokio::test]
async fn host_headers_match_without_case_port_or_apex() {
    let (_world, port) = ruled(&[
        ("exact", r#"{hostHeader: {values: ["shop.example.com"]}}"#),
        (
            "wild",
            r#"{hostHeader: {values: ["*.example.com", "b?t.example.org"]}}"#,
        ),
    ])
    .await;
    decided(
        port,
        &[
            ("exact", "GET", "/", "Host: SHOP.example.com:8080\r\n"),
            ("wild", "GET", "/", "Host: a.b.example.com\r\n"),
            ("wild", "GET", "/", "Host: bat.example.org\r\n"),
            ("default", "GET", "/", "Host: example.com\r\n"),
            ("default", "GET", "/", "Host: boat.example.org\r\n"),
        ],
    )
    .await;
}

#[tokio::test]
async fn paths_match_with_case_and_without_the_query() {
    let (_world, port) = ruled(&[
        ("exact", r#"{pathPattern: {values: ["/cart"]}}"#),
        (
            "prefix",
            r#"{pathPattern: {values: ["/img/*", "/static/*"]}}"#,
        ),
        ("suffix", r#"{pathPattern: {values: ["*.gif"]}}"#),
        ("one", r#"{pathPattern: {values: ["/v?/x"]}}"#),
    ])
    .await;
    decided(
        port,
        &[
            ("exact", "GET", "/cart?item=1", ""),
            ("default", "GET", "/Cart", ""),
            ("default", "GET", "/cart/", ""),
            ("prefix", "GET", "/img/a/b.gif", ""),
            ("prefix", "GET", "/static/", ""),
            ("suffix", "GET", "/a/b/c.gif", ""),
            ("default", "GET", "/a?b=c.gif", ""),
            ("one", "GET", "/v2/x", ""),
            ("default", "GET", "/v22/x", ""),
        ],
    )
    .await;
}

#[tokio::test]
async fn headers_methods_and_queries_match() {
    let (_world, port) = ruled(&[
        (
            "header",
            r#"{httpHeader: {name: X-Client, values: ["legacy*", "*old*"]}}"#,
        ),
        ("method", "{httpRequestMethod: {values: [PUT, PURGE]}}"),
        (
            "pair",
            r#"{queryString: {values: [{key: version, value: "1"}]}}"#,
        ),
        ("any", r#"{queryString: {values: [{value: "beta*"}]}}"#),
    ])
    .await;
    decided(
        port,
        &[
            ("header", "GET", "/", "x-client: LEGACY-7\r\n"),
            (
                "header",
                "GET",
                "/",
                "X-Client: new\r\nX-Client: very old one\r\n",
            ),
            ("default", "GET", "/", "X-Client: new\r\n"),
            ("method", "PUT", "/", ""),
            ("method", "PURGE", "/", ""),
            ("default", "POST", "/", ""),
            ("pair", "GET", "/?a=b&VERSION=1", ""),
            ("default", "GET", "/?version=12", ""),
            ("any", "GET", "/?x=beta2", ""),
            ("default", "GET", "/?beta=x", ""),
        ],
    )
    .await;
}

#[tokio::test]
async fn source_addresses_match_the_peer_and_never_a_header() {
    let (_world, port) = ruled(&[
        (
            "elsewhere",
            r#"{sourceIp: {values: ["10.0.0.0/8", "::1/128"]}}"#,
        ),
        ("loopback", r#"{sourceIp: {values: ["127.0.0.0/8"]}}"#),
    ])
    .await;
    decided(
        port,
        &[("loopback", "GET", "/", "X-Forwarded-For: 10.1.1.1\r\n")],
    )
    .await;
}

#[tokio::test]
async fn all_conditions_must_hold_and_the_lowest_priority_is_first() {
    let world = World::start(&["edge-1"]).await;
    let port = free_port();
    let path = r#"{pathPattern: {values: ["/a*"]}}"#;
    let with = |priorities: [u32; 2]| {
        documents(&[
            application("shop"),
            listener("shop/http", "HTTP", port, &fixed(200, "default")),
            rule("shop/http/wide", priorities[0], path, &fixed(200, "wide")),
            rule(
                "shop/http/narrow",
                priorities[1],
                &format!("{path}, {{httpRequestMethod: {{values: [POST]}}}}"),
                &fixed(200, "narrow"),
            ),
        ])
    };
    world.apply(&with([20, 10])).await;
    decided(
        port,
        &[
            ("narrow", "POST", "/a", ""),
            ("wide", "GET", "/a", ""),
            ("default", "POST", "/b", ""),
        ],
    )
    .await;
    // Two priorities change places within one change.
    world.apply(&with([10, 20])).await;
    decided(port, &[("wide", "POST", "/a", "")]).await;
    assert_eq!(client::get(port, "/b").await.text(), "default");
}
