//! Every path through one agent: each rule, the default, WebSocket, TCP.

use hyper::body::Bytes;

use super::super::client::{self, ClientError};
use super::super::ports::Ports;
use super::super::sample::{AGENTS, ZONE_NAMES};
use super::super::traffic::RELEASE;
use super::judge::{self, Finding, Tally, Wanted};
use super::table::Row;
use super::{Report, Sides};

/// Requests to a group of two targets: in turn, so both answer.
const TURNS: usize = 10;
/// Requests to two groups by weight. At 3 to 1 a group is missed by chance once in 10^12 checks.
const BY_WEIGHT: usize = 100;
/// Bytes of a request's body.
const BODY_BYTES: usize = 1024 * 1024;
/// Bytes through the TCP listener: more than sockets buffer.
const TCP_BYTES: usize = 512 * 1024;

/// One agent, and where it serves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Zone {
    /// `a`.
    pub(super) name: &'static str,
    /// `edge-a`.
    pub(super) agent: &'static str,
    /// Port of its HTTP listener.
    pub(super) http: u16,
    /// Port of its TCP listener.
    pub(super) tcp: u16,
    /// Port of its admin pages.
    pub(super) admin: u16,
}

impl Zone {
    /// Both, in order.
    pub(super) fn both(ports: &Ports) -> [Self; 2] {
        std::array::from_fn(|index| Self {
            name: ZONE_NAMES[index],
            agent: AGENTS[index],
            http: ports.http[index],
            tcp: ports.tcp[index],
            admin: ports.admin[index],
        })
    }

    fn row(&self, what: &str, expected: impl Into<String>, (got, ok): Finding) -> Row {
        Row {
            what: format!("{}: {what}", self.agent),
            expected: expected.into(),
            got,
            ok,
        }
    }
}

/// Takes every path of the sample through one agent.
pub(super) async fn all(zone: &Zone, report: &mut Report) {
    admin(zone, report).await;
    turns(zone, report).await;
    forwarded(zone, report).await;
    body(zone, report).await;
    preview(zone, report).await;
    release(zone, Sides::Both, report).await;
    answered_by_the_listener(zone, report).await;
    chat(zone, report).await;
    tcp(zone, report).await;
}

async fn admin(zone: &Zone, report: &mut Report) {
    report.begin(format!("{}: admin pages", zone.agent));
    let ready = client::get(zone.admin, "/readyz", &[]).await;
    let wanted = Wanted {
        status: 200,
        header: None,
        text: "",
    };
    report.add(zone.row("admin /readyz", "200", wanted.judge(&ready)));
    let config = client::get(zone.admin, "/config", &[]).await;
    let finding = only_its_own(zone, &config);
    let expected = format!("zone {} only", zone.name);
    report.add(zone.row("admin /config", expected, finding));
}

/// The agent has what is placed in its zone and nothing of the other.
fn only_its_own(zone: &Zone, config: &Result<client::Answer, ClientError>) -> Finding {
    let config = match config {
        Ok(config) => config,
        Err(error) => return (error.to_string(), false),
    };
    let has = |zone: &&&str| config.text.contains(&format!("shop-{zone}"));
    let zones: Vec<_> = ZONE_NAMES.iter().filter(has).copied().collect();
    (
        format!("zone {} only", zones.join(" and ")),
        zones == [zone.name],
    )
}

async fn turns(zone: &Zone, report: &mut Report) {
    report.begin(format!("{}: /shop/1", zone.agent));
    let tally = tally(zone, "/shop/1", &[], TURNS).await;
    let both = tally.judge(|tally| tally.is_from(&["blue-1", "blue-2"]));
    report.add(zone.row(&format!("{TURNS} x GET /shop/1"), "blue-1 and blue-2", both));
}

async fn forwarded(zone: &Zone, report: &mut Report) {
    report.begin(format!("{}: forwarded headers", zone.agent));
    let answer = client::get(zone.http, "/shop/1?a=b", &[]).await;
    let wanted = [
        ("x-forwarded-for", "127.0.0.1".to_owned()),
        ("x-forwarded-port", zone.http.to_string()),
        ("x-forwarded-proto", "http".to_owned()),
    ];
    let finding = judge::arrived(&answer, &wanted);
    report.add(zone.row("X-Forwarded-*", judge::describe(&wanted), finding));
    let trace = [("x-amzn-trace-id", "Root=1-…".to_owned())];
    let finding = judge::arrived(&answer, &trace);
    report.add(zone.row("X-Amzn-Trace-Id", judge::describe(&trace), finding));
}

async fn body(zone: &Zone, report: &mut Report) {
    report.begin(format!("{}: POST", zone.agent));
    let body = Bytes::from(vec![b'x'; BODY_BYTES]);
    let answer = client::request("POST", zone.http, "/shop/1", &[], body).await;
    let wanted = format!("{BODY_BYTES} bytes received");
    let finding = match &answer {
        Ok(answer) => {
            let last = answer.text.lines().last().unwrap_or_default();
            (last.to_owned(), answer.status == 200 && last == wanted)
        }
        Err(error) => (error.to_string(), false),
    };
    report.add(zone.row("POST /shop/1, 1 MiB", wanted.clone(), finding));
}

async fn preview(zone: &Zone, report: &mut Report) {
    report.begin(format!("{}: X-Preview", zone.agent));
    let tally = tally(zone, "/shop/1", &[("X-Preview", "yes")], TURNS).await;
    let green = tally.judge(|tally| tally.is_from(&["green"]));
    report.add(zone.row(
        &format!("{TURNS} x GET /shop/1, X-Preview: yes"),
        "green",
        green,
    ));
}

/// The path that two groups share by weight.
pub(super) async fn release(zone: &Zone, sides: Sides, report: &mut Report) {
    report.begin(format!("{}: {RELEASE}", zone.agent));
    let tally = tally(zone, RELEASE, &[], BY_WEIGHT).await;
    let what = format!("{BY_WEIGHT} x GET {RELEASE}");
    let row = match sides {
        // Both sides are there, the heavier one is the bigger one: the exact share is chance.
        Sides::Both => zone.row(
            &what,
            "3 blue to 1 green",
            tally.judge(|tally| {
                let blue = tally.of("blue-1") + tally.of("blue-2");
                blue > tally.of("green") && tally.is_from(&["blue-1", "blue-2", "green"])
            }),
        ),
        Sides::Green => {
            let green = tally.judge(|tally| tally.is_from(&["green"]));
            zone.row(&what, format!("{BY_WEIGHT} green"), green)
        }
    };
    report.add(row);
}

async fn answered_by_the_listener(zone: &Zone, report: &mut Report) {
    let hello = format!("hello from zone {}", zone.name);
    let shop = format!("http://127.0.0.1:{}/shop/?a=b", zone.http);
    let cases = [
        ("/old/page?a=b", 301, Some(("location", shop)), ""),
        ("/hello", 200, None, hello.as_str()),
        ("/nowhere", 404, None, "no such page"),
    ];
    for (path, status, header, text) in cases {
        report.begin(format!("{}: {path}", zone.agent));
        let wanted = Wanted {
            status,
            header,
            text,
        };
        let finding = wanted.judge(&client::get(zone.http, path, &[]).await);
        report.add(zone.row(&format!("GET {path}"), wanted.describe(), finding));
    }
}

async fn chat(zone: &Zone, report: &mut Report) {
    report.begin(format!("{}: WebSocket", zone.agent));
    let finding = match client::chat(zone.http, "is anybody there?").await {
        Ok(echo) => {
            let ok = echo == "is anybody there?";
            (
                if ok {
                    "the message back".to_owned()
                } else {
                    echo
                },
                ok,
            )
        }
        Err(error) => (error.to_string(), false),
    };
    report.add(zone.row("WebSocket /chat", "the message back", finding));
}

async fn tcp(zone: &Zone, report: &mut Report) {
    report.begin(format!("{}: TCP", zone.agent));
    let bytes: Vec<u8> = (0..TCP_BYTES).map(|at| (at % 251) as u8).collect();
    let finding = match client::say(zone.tcp, &bytes).await {
        Ok(echo) if echo == bytes => (format!("{} bytes back", echo.len()), true),
        Ok(echo) => (format!("{} bytes back, not the same", echo.len()), false),
        Err(error) => (error.to_string(), false),
    };
    report.add(zone.row(
        "TCP, half-closed",
        format!("{TCP_BYTES} bytes back"),
        finding,
    ));
}

async fn tally(zone: &Zone, path: &str, headers: &[(&str, &str)], count: usize) -> Tally {
    let mut tally = Tally::default();
    for _ in 0..count {
        tally.count(&client::get(zone.http, path, headers).await);
    }
    tally
}
