//! What operators see: metrics with a bounded number of series, and an access log in two forms.

use inlet_tests::client::request;
use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::{application, documents, fixed, forward, group, listener, rule};
use inlet_tests::ports::free_port;
use inlet_tests::{Origin, World, client};
use serde_json::Value;

/// Serves `/catalog` from an origin and 404 for the rest, with an access log in this form; returns its path too.
async fn logged(format: &str, origin: &Origin) -> (World, u16, std::path::PathBuf) {
    let mut world = World::start(&[]).await;
    let path = world.folder().join("access.log");
    world.add_agent(
        "edge-1",
        &[
            "--access-log",
            path.to_str().unwrap(),
            "--access-log-format",
            format,
        ],
    );
    world.connected("edge-1").await;
    let port = free_port();
    let path_rule = rule(
        "shop/http/catalog",
        10,
        "{pathPattern: {values: [\"/catalog*\"]}}",
        &forward("catalog"),
    );
    let default = listener("shop/http", "HTTP", port, &fixed(404, "none"));
    world
        .apply(&documents(&[
            application("shop"),
            group("catalog", &[origin.port]),
            default,
            path_rule,
        ]))
        .await;
    (world, port, path)
}

/// Waits for this many lines of the access log; those of `/catalog` first, as each worker has its own turn to write.
async fn lines(path: &std::path::Path, count: usize) -> Vec<String> {
    eventually("the access log is written", seconds(15), async || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_by_key(|line| !line.contains("/catalog"));
        (lines.len() >= count && text.ends_with('\n')).then_some(lines)
    })
    .await
}

#[tokio::test]
async fn every_request_is_one_line_of_json() {
    let origin = Origin::named("catalog").await;
    let (_world, port, path) = logged("json", &origin).await;
    let agent = "User-Agent: quote \" backslash \\ tab \t é\r\n";
    request(port, "POST", "/catalog?x=\"y\"", agent, b"hello")
        .await
        .expect(200);
    client::get(port, "/none").await.expect(404);
    let lines = lines(&path, 2).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    let records: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let text = records[0].to_string();
    for fact in [
        "shop",
        "catalog",
        "POST",
        "/catalog",
        &format!("127.0.0.1:{}", origin.port),
        "Root=1-",
    ] {
        assert!(text.contains(fact), "'{fact}' is not in {text}");
    }
    assert!(records[1].to_string().contains("404"), "{}", records[1]);
}

#[tokio::test]
async fn sighup_begins_a_new_access_log_and_loses_no_line() {
    let origin = Origin::named("catalog").await;
    let (mut world, port, path) = logged("json", &origin).await;
    client::get(port, "/catalog/before").await.expect(200);
    lines(&path, 1).await;
    let moved = path.with_extension("log.1");
    std::fs::rename(&path, &moved).unwrap();
    world.agent("edge-1").process().hang_up();
    client::get(port, "/catalog/after").await.expect(200);
    let (old, new) = (lines(&moved, 1).await, lines(&path, 1).await);
    assert!(
        old.len() == 1 && old[0].contains("/catalog/before"),
        "{old:?}"
    );
    assert!(
        new.len() == 1 && new[0].contains("/catalog/after"),
        "{new:?}"
    );
}

#[tokio::test]
async fn the_alb_form_has_its_34_fields() {
    let origin = Origin::named("catalog").await;
    let (_world, port, path) = logged("alb", &origin).await;
    request(
        port,
        "GET",
        "/catalog/1?a=b",
        "User-Agent: two \"words\"\r\n",
        b"",
    )
    .await
    .expect(200);
    request(port, "GET", "/none", "", b"").await.expect(404);
    let lines = lines(&path, 2).await;
    let fields = fields(&lines[0]);
    assert_eq!(fields.len(), 34, "{}", lines[0]);
    assert_eq!(fields[0], "http");
    assert!(
        fields[1].ends_with('Z') && fields[1].len() == "2018-07-02T22:23:00.186641Z".len(),
        "{}",
        fields[1]
    );
    assert!(fields[3].starts_with("127.0.0.1:"));
    assert_eq!(fields[4], format!("127.0.0.1:{}", origin.port));
    assert_eq!((fields[8].as_str(), fields[9].as_str()), ("200", "200"));
    assert_eq!(
        fields[12],
        format!("GET http://shop.example.com:{port}/catalog/1?a=b HTTP/1.1")
    );
    assert_eq!(fields[20], "10");
    assert_eq!(fields[22], "forward");
    let default = self::fields(&lines[1]);
    assert_eq!(
        (
            default.len(),
            default[4].as_str(),
            default[8].as_str(),
            default[9].as_str()
        ),
        (34, "-", "404", "-")
    );
    assert_eq!(
        (default[20].as_str(), default[22].as_str()),
        ("0", "fixed-response")
    );
}

/// Splits at spaces outside of quotes; the quotes go.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for character in line.chars() {
        match character {
            '"' if !escaped => quoted = !quoted,
            ' ' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().unwrap().push(character),
        }
        escaped = character == '\\' && !escaped;
    }
    fields
}

#[tokio::test]
async fn metrics_count_requests_and_do_not_grow_with_what_clients_send() {
    let origin = Origin::named("catalog").await;
    let (mut world, port, _) = logged("json", &origin).await;
    for number in 0..20 {
        client::get(port, &format!("/catalog/{number}"))
            .await
            .expect(200);
    }
    let names = async |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    let agent = world.agent("edge-1");
    let before = agent.page("/metrics").await.1;
    assert!(before.contains("inlet_agent_"), "{before}");
    for number in 0..100 {
        let headers = format!("Host: host-{number}.example.com\r\nX-{number}: {number}\r\n");
        request(
            port,
            "GET",
            &format!("/catalog/{number}?{number}={number}"),
            &headers,
            b"",
        )
        .await
        .expect(200);
    }
    let after = agent.page("/metrics").await.1;
    assert_eq!(names(&before).await, names(&after).await, "{after}");

    let plane = client::get(world.control_plane.port(), "/metrics")
        .await
        .expect(200)
        .text();
    assert!(plane.contains("inlet_control_plane_"), "{plane}");
    for path in ["/healthz", "/readyz"] {
        client::get(world.control_plane.port(), path)
            .await
            .expect(200);
        assert_eq!(world.agent("edge-1").page(path).await.0, 200);
    }
}
