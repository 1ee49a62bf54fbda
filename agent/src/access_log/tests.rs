//! Lines in both forms, and a log on real files.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::{Value, json};

use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

/// A forwarded request with everything that one has.
fn forwarded() -> Request<'static> {
    Request {
        kind: "http",
        listener: "shop/http",
        client: "10.0.0.7:40000".parse().unwrap(),
        local: "10.0.0.1:8080".parse().unwrap(),
        received_at_us: 1_530_570_180_000_001,
        finished_at_us: 1_530_570_180_186_641,
        target_group: Some("catalog"),
        target: Some("10.0.1.2:9001".parse().unwrap()),
        request_processing_us: Some(1_500),
        target_processing_us: Some(184_000),
        response_processing_us: Some(40),
        status: 200,
        target_status: Some(200),
        received_bytes: 120,
        sent_bytes: 1366,
        method: b"GET",
        host: b"shop.example.com",
        target_uri: b"/catalog/1?a=b",
        version: "HTTP/1.1",
        user_agent: Some(b"two \"words\""),
        trace_id: Some(b"Root=1-58337262-36d228ad5d99923122bbe354"),
        rule_priority: Some(10),
        action: Some("forward"),
        redirect_url: None,
        error_reason: None,
        fault: None,
        classification: None,
        classification_reason: None,
    }
}

/// A request whose head could not be read.
fn malformed() -> Request<'static> {
    Request {
        target_group: None,
        target: None,
        request_processing_us: None,
        target_processing_us: None,
        response_processing_us: None,
        status: 400,
        target_status: None,
        method: b"",
        host: b"",
        target_uri: b"",
        version: "",
        user_agent: None,
        trace_id: None,
        rule_priority: None,
        action: None,
        classification: Some("Severe"),
        classification_reason: Some("BadMethod"),
        ..forwarded()
    }
}

fn connection() -> Connection<'static> {
    Connection {
        listener: "edge/redis",
        client: "[fd00::7]:40000".parse().unwrap(),
        local: "[fd00::1]:6379".parse().unwrap(),
        received_at_us: 1_545_274_770_000_000,
        finished_at_us: 1_545_274_780_250_000,
        target_group: Some("redis"),
        target: Some("10.0.1.2:6379".parse().unwrap()),
        received_bytes: 98,
        sent_bytes: 246,
        end: "done",
    }
}

fn line(write: impl FnOnce(&mut Vec<u8>, &mut Stamps)) -> String {
    let mut out = Vec::new();
    write(&mut out, &mut Stamps::default());
    String::from_utf8(out).unwrap()
}

fn alb(request: &Request<'_>) -> String {
    line(|out, stamps| alb::request(out, stamps, request))
}

/// Splits at spaces outside of quotes, and keeps the quotes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        quoted ^= character == '"';
        match character {
            ' ' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().unwrap().push(character),
        }
    }
    fields
}

#[test]
fn a_request_in_json_has_its_facts_and_no_others() {
    let text = line(|out, stamps| json::request(out, stamps, &forwarded()));
    let expected = json!({
        "time": "2018-07-02T22:23:00.186641Z", "type": "http", "listener": "shop/http",
        "client": "10.0.0.7:40000", "local": "10.0.0.1:8080", "receivedTime": "2018-07-02T22:23:00.000001Z",
        "status": 200, "targetStatus": 200, "receivedBytes": 120, "sentBytes": 1366,
        "requestProcessingUs": 1500, "targetProcessingUs": 184_000, "responseProcessingUs": 40,
        "method": "GET", "host": "shop.example.com", "uri": "/catalog/1?a=b", "version": "HTTP/1.1",
        "userAgent": "two \"words\"", "traceId": "Root=1-58337262-36d228ad5d99923122bbe354",
        "rulePriority": 10, "action": "forward", "targetGroup": "catalog", "target": "10.0.1.2:9001",
    });
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    let text = line(|out, stamps| json::request(out, stamps, &malformed()));
    let expected = json!({
        "time": "2018-07-02T22:23:00.186641Z", "type": "http", "listener": "shop/http",
        "client": "10.0.0.7:40000", "local": "10.0.0.1:8080", "receivedTime": "2018-07-02T22:23:00.000001Z",
        "status": 400, "receivedBytes": 120, "sentBytes": 1366,
        "classification": "Severe", "classificationReason": "BadMethod",
    });
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
}

#[test]
fn a_connection_in_json_says_how_it_ended() {
    let text = line(|out, stamps| json::connection(out, stamps, &connection()));
    let expected = json!({
        "time": "2018-12-20T02:59:40.250000Z", "type": "tcp", "listener": "edge/redis",
        "client": "[fd00::7]:40000", "local": "[fd00::1]:6379", "receivedTime": "2018-12-20T02:59:30.000000Z",
        "receivedBytes": 98, "sentBytes": 246, "targetGroup": "redis", "target": "10.0.1.2:6379", "end": "done",
    });
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
}

#[test]
fn the_alb_form_has_34_fields_in_the_order_of_the_specification() {
    let cases = [
        (
            forwarded(),
            "http 2018-07-02T22:23:00.186641Z app/shop/http 10.0.0.7:40000 10.0.1.2:9001 0.001 0.184 0.000 200 200 \
             120 1366 \"GET http://shop.example.com:8080/catalog/1?a=b HTTP/1.1\" \"two \\x22words\\x22\" - - catalog \
             \"Root=1-58337262-36d228ad5d99923122bbe354\" \"-\" \"-\" 10 2018-07-02T22:23:00.000001Z \"forward\" \"-\" \
             \"-\" \"10.0.1.2:9001\" \"200\" \"-\" \"-\" - \"-\" \"-\" \"-\" 10.0.0.1",
        ),
        (
            malformed(),
            "http 2018-07-02T22:23:00.186641Z app/shop/http 10.0.0.7:40000 - -1 -1 -1 400 - \
             120 1366 \"- http://10.0.0.1:8080- -\" \"-\" - - - \
             \"-\" \"-\" \"-\" - 2018-07-02T22:23:00.000001Z \"-\" \"-\" \
             \"-\" \"-\" \"-\" \"Severe\" \"BadMethod\" - \"-\" \"-\" \"-\" 10.0.0.1",
        ),
    ];
    for (request, expected) in cases {
        let line = alb(&request);
        assert_eq!(line, expected);
        assert_eq!(fields(&line).len(), 34);
    }
}

#[test]
fn the_request_field_always_has_host_and_port() {
    let cases: [(&[u8], &[u8], &str); 7] = [
        (b"a.example", b"/x", "GET http://a.example:8080/x HTTP/1.1"),
        (b"a.example:81", b"/x", "GET http://a.example:81/x HTTP/1.1"),
        (b"[fd00::1]", b"/", "GET http://[fd00::1]:8080/ HTTP/1.1"),
        (b"[fd00::1]:81", b"/", "GET http://[fd00::1]:81/ HTTP/1.1"),
        (b"", b"/", "GET http://10.0.0.1:8080/ HTTP/1.1"),
        (
            b"a",
            b"http://b.example/x",
            "GET http://b.example/x HTTP/1.1",
        ),
        (b"a", b"*", "GET http://a:8080* HTTP/1.1"),
    ];
    for (host, target_uri, expected) in cases {
        let request = Request {
            host,
            target_uri,
            ..forwarded()
        };
        assert_eq!(fields(&alb(&request))[12], format!("\"{expected}\""));
    }
}

#[test]
fn a_connection_has_the_fields_of_a_network_load_balancer_and_three_of_ours() {
    let text = line(|out, stamps| alb::connection(out, stamps, &connection()));
    assert_eq!(
        text,
        "tcp 2.0 2018-12-20T02:59:40 net/edge redis [fd00::7]:40000 [fd00::1]:6379 10250 - 98 246 \
         - - - - - - - - - - 2018-12-20T02:59:30 10.0.1.2:6379 redis done"
    );
    assert_eq!(fields(&text).len(), 22 + 3);
}

#[test]
fn whatever_clients_send_is_one_line_of_bounded_length() {
    let nasty = b"\"\r\n\\ \xff\x00".repeat(40_000);
    let request = Request {
        method: &nasty,
        host: &nasty,
        target_uri: &nasty,
        user_agent: Some(&nasty),
        trace_id: Some(&nasty),
        redirect_url: Some(&nasty),
        ..forwarded()
    };
    let text = line(|out, stamps| json::request(out, stamps, &request));
    let record: Value = serde_json::from_str(&text).unwrap();
    assert!(!text.contains('\n') && text.len() < 600_000);
    let user_agent = String::from_utf8_lossy(&nasty[..8192]);
    assert_eq!(record["userAgent"], user_agent.as_ref());
    let text = alb(&request);
    assert!(!text.contains('\n') && text.len() < 600_000);
    assert_eq!(fields(&text).len(), 34);
}

fn open(path: &Path, format: AccessLogFormat) -> Log {
    let path = path.to_owned();
    start(Some(&AccessLog { path, format })).unwrap()
}

/// The shop's log in a folder of its own, in JSON.
fn in_folder() -> (tempfile::TempDir, PathBuf, Log) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = open(&path, AccessLogFormat::Json);
    (folder, path, log)
}

/// Flushes until the file satisfies `wanted`.
async fn written(path: &Path, writer: &Writer, wanted: impl Fn(&str) -> bool) {
    let start = Instant::now();
    loop {
        writer.flush_old();
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if wanted(&text) {
            return;
        }
        assert!(start.elapsed() < DEADLINE, "{} bytes", text.len());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn without_a_flag_nothing_is_written() {
    let log = start(None).unwrap();
    let writer = log.writer(0);
    assert!(!writer.enabled() && !Writer::default().enabled());
    writer.request(&forwarded());
    writer.flush_old();
    assert_eq!(log.dropped(), 0);
    log.shutdown().await;
}

#[tokio::test]
async fn every_line_of_every_worker_is_in_the_file_at_the_end() {
    let (_folder, path, log) = in_folder();
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let writer = log.writer(worker);
            std::thread::spawn(move || {
                assert!(writer.enabled());
                for status in 0..1000 {
                    writer.request(&Request {
                        status,
                        ..forwarded()
                    });
                    if status % 300 == 0 {
                        writer.flush_old();
                    }
                }
                writer.connection(&connection());
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(log.dropped(), 0);
    log.shutdown().await;
    let text = std::fs::read_to_string(&path).unwrap();
    let mut statuses = [0; 1000];
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if let Some(status) = record["status"].as_u64() {
            statuses[usize::try_from(status).unwrap()] += 1;
        }
    }
    assert_eq!(statuses, [4; 1000]);
    assert_eq!(text.lines().count(), 4004);

    // Started again, it goes on where it was.
    let log = open(&path, AccessLogFormat::Alb);
    log.writer(0).request(&forwarded());
    log.shutdown().await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 4005);
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_left_and_a_new_one_begun() {
    let (folder, path, log) = in_folder();
    let writer = log.writer(0);
    writer.request(&forwarded());
    written(&path, &writer, |text| text.lines().count() == 1).await;
    let moved = folder.path().join("access.log.1");
    std::fs::rename(&path, &moved).unwrap();
    // Noticed within a second, by itself.
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < DEADLINE);
        writer.request(&forwarded());
        writer.flush_old();
        tokio::task::yield_now().await;
    }
    // Asked to, it looks at once.
    std::fs::remove_file(&path).unwrap();
    log.reopen();
    writer.request(&forwarded());
    written(&path, &writer, |text| text.ends_with('\n')).await;
    drop(writer);
    log.shutdown().await;
}

#[tokio::test]
async fn a_full_disk_costs_lines_which_are_counted_and_nobody_waits() {
    let log = open(Path::new("/dev/full"), AccessLogFormat::Json);
    let writer = log.writer(0);
    let start = Instant::now();
    let mut written = 0;
    while log.dropped() == 0 {
        assert!(start.elapsed() < DEADLINE);
        writer.request(&forwarded());
        written += 1;
    }
    // What the buffers hold was not dropped yet.
    assert!(written * 500 > queue::CHUNKS * CHUNK_BYTES / 2, "{written}");
    drop(writer);
    let shared = Arc::clone(&log.0.as_ref().unwrap().shared);
    log.shutdown().await;
    assert_eq!(shared.dropped.load(Ordering::Relaxed), written as u64);
}

#[test]
fn a_line_is_not_torn_when_the_disk_is_full_for_a_while() {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    rustix::io::ioctl_fionbio(&write, true).unwrap();
    let text = "a line of the log\n".repeat(6000);
    let shared = Arc::<Shared>::default();
    shared.queue.offer_last(text.clone().into_bytes());
    let sink = Sink::stream(write);
    let of_thread = Arc::clone(&shared);
    let thread = std::thread::spawn(move || sink.run(&of_thread));
    // A pipe holds less than that: the writer is refused in the middle of a line, unless it is read from early.
    let mut read = std::fs::File::from(read);
    let mut got = vec![0; text.len()];
    read.read_exact(&mut got).unwrap();
    assert!(got == text.as_bytes());
    shared.queue.close();
    thread.join().unwrap();
    assert_eq!(shared.dropped.load(Ordering::Relaxed), 0);
}

#[test]
fn a_closed_stdout_ends_nothing() {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    drop(read);
    let shared = Arc::<Shared>::default();
    shared.queue.offer_last(b"one\ntwo\n".to_vec());
    shared.queue.close();
    Sink::stream(write).run(&shared);
    assert_eq!(shared.dropped.load(Ordering::Relaxed), 2);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_at_the_start() {
    let path = PathBuf::from("/nowhere/access.log");
    let format = AccessLogFormat::Json;
    let error = start(Some(&AccessLog { path, format })).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
