//! What the demo tells a new user: where everything is, what to try, where to look.

use std::path::{Path, PathBuf};

use super::backend::CHAT_PATH;
use super::ports::Ports;
use super::sample::{AGENTS, BackendPorts, ZONE_NAMES};

/// The server that `lbctl` speaks to if it is not told another.
const DEFAULT_SERVER: &str = "http://127.0.0.1:7400";
/// First columns that others are aligned to, in characters at most.
const WIDE: usize = 60;

/// What differs from one demo to the next.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// URL of the control plane.
    pub(super) server: String,
    /// Who listens where.
    pub(super) ports: Ports,
    /// The sample backends.
    pub(super) backends: BackendPorts,
    /// The manifest in force.
    pub(super) sample: PathBuf,
    /// The manifest to try.
    pub(super) change: PathBuf,
    /// How to call `lbctl`.
    pub(super) lbctl: String,
}

/// How to call this program again: relative to the current folder if it is in there.
pub(super) fn lbctl() -> String {
    let program = std::env::current_exe().ok();
    let here = std::env::current_dir().ok();
    match (program, here) {
        (Some(program), Some(here)) => callable(&program, &here),
        _ => "lbctl".to_owned(),
    }
}

fn callable(program: &Path, here: &Path) -> String {
    let path = program.strip_prefix(here).unwrap_or(program);
    let prefix = if path.components().count() == 1 {
        "./"
    } else {
        ""
    };
    format!("{prefix}{}", path.display())
}

/// The whole text.
pub(super) fn text(facts: &Facts) -> String {
    [
        "Inlet: a control plane, two agents and their backends, in this process, on loopback.\n"
            .to_owned(),
        places(facts),
        requests(facts),
        looks(facts),
        changes(facts),
        "Ctrl-C ends all of it and leaves nothing behind.\n".to_owned(),
    ]
    .join("\n")
}

fn places(facts: &Facts) -> String {
    let Facts {
        ports, backends, ..
    } = facts;
    let mut lines = vec![(
        "control plane".to_owned(),
        format!("{}   gRPC, /metrics, /readyz", facts.server),
    )];
    for (index, agent) in AGENTS.iter().enumerate() {
        let place = format!(
            "zone={}   HTTP 127.0.0.1:{}   TCP 127.0.0.1:{}   admin http://127.0.0.1:{}",
            ZONE_NAMES[index], ports.http[index], ports.tcp[index], ports.admin[index]
        );
        lines.push((format!("agent {agent}"), place));
    }
    let BackendPorts {
        blue_1,
        blue_2,
        green,
        echo,
    } = backends;
    lines.push((
        "backends".to_owned(),
        format!("blue-1 :{blue_1}   blue-2 :{blue_2}   green :{green} (WebSocket too)   echo :{echo} (TCP)"),
    ));
    lines.push(("manifest".to_owned(), facts.sample.display().to_string()));
    section("Where everything is", &lines, "   ")
}

fn requests(facts: &Facts) -> String {
    let [a, b] = facts
        .ports
        .http
        .map(|port| format!("http://127.0.0.1:{port}"));
    let tcp = facts.ports.tcp[0];
    let lines = [
        (
            format!("curl {a}/shop/1"),
            "group blue, its targets in turn; shows what reaches them",
        ),
        (format!("curl {b}/release"), "by weight: 3 blue to 1 green"),
        (
            format!("curl -H 'X-Preview: yes' {a}/shop/1"),
            "a header decides: green",
        ),
        (format!("curl -i {a}/old/page"), "a redirect"),
        (format!("curl {b}/hello"), "a fixed response"),
        (
            format!("curl -i {a}/nowhere"),
            "no rule: the listener's default",
        ),
        (
            format!("curl telnet://127.0.0.1:{tcp}"),
            "the TCP listener: type, and it comes back",
        ),
        (
            format!("websocat ws://127.0.0.1:{}{CHAT_PATH}", facts.ports.http[1]),
            "a WebSocket, if websocat is here",
        ),
    ];
    section("Send requests", &lines, "  # ")
}

fn looks(facts: &Facts) -> String {
    let lbctl = command(facts);
    let [admin, _] = facts.ports.admin;
    let lines = [
        (format!("{lbctl} get rules"), ""),
        (format!("{lbctl} target health blue"), ""),
        (format!("{lbctl} agent list"), ""),
        (format!("{lbctl} history"), ""),
        (
            format!("curl http://127.0.0.1:{admin}/metrics"),
            "or /config, /readyz",
        ),
    ];
    section("Look around, in another terminal", &lines, "  # ")
}

fn changes(facts: &Facts) -> String {
    let lbctl = command(facts);
    let change = facts.change.display();
    let lines = [
        (format!("{lbctl} diff -f {change}"), "what it would change"),
        (
            format!("{lbctl} apply -f {change} --wait"),
            "all of /release to green, in both zones at once",
        ),
        (format!("{lbctl} rollback 1"), "and back"),
        (
            format!(
                "{lbctl} target remove blue 127.0.0.1:{}",
                facts.backends.blue_1
            ),
            "drains it",
        ),
    ];
    section("Change something, and watch the last line", &lines, "  # ")
}

/// `lbctl`, with the server if it must be said.
fn command(facts: &Facts) -> String {
    match facts.server.as_str() {
        DEFAULT_SERVER => facts.lbctl.clone(),
        server => format!("{} --server {server}", facts.lbctl),
    }
}

/// A title, and lines of two columns. A first column wider than most pushes its second.
fn section<R: AsRef<str>>(title: &str, lines: &[(String, R)], separator: &str) -> String {
    let widths = lines.iter().map(|(left, _)| left.chars().count());
    let width = widths
        .filter(|width| *width <= WIDE)
        .max()
        .unwrap_or_default();
    let mut text = format!("{title}\n");
    for (left, right) in lines {
        let line = match right.as_ref() {
            "" => format!("  {left}\n"),
            right => format!("  {left:width$}{separator}{right}\n"),
        };
        text.push_str(&line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(server: &str) -> Facts {
        Facts {
            server: server.to_owned(),
            ports: Ports {
                control_plane: 7400,
                admin: [7490, 7491],
                http: [8080, 12345],
                tcp: [8090, 8091],
            },
            backends: BackendPorts {
                blue_1: 9001,
                blue_2: 9002,
                green: 9003,
                echo: 9004,
            },
            sample: "/tmp/inlet-demo-1/sample.yaml".into(),
            change: "/tmp/inlet-demo-1/change.yaml".into(),
            lbctl: "target/release/lbctl".to_owned(),
        }
    }

    #[test]
    fn what_is_printed_is_what_is_real() {
        let text = text(&facts(DEFAULT_SERVER));
        for part in [
            "http://127.0.0.1:7400",
            "agent edge-b    zone=b   HTTP 127.0.0.1:12345   TCP 127.0.0.1:8091   admin http://127.0.0.1:7491",
            "curl http://127.0.0.1:12345/release ",
            "target/release/lbctl get rules\n",
            "target/release/lbctl apply -f /tmp/inlet-demo-1/change.yaml --wait ",
            "http://127.0.0.1:7490/metrics",
            "Ctrl-C",
        ] {
            assert!(text.contains(part), "{part}\n\n{text}");
        }
        assert!(!text.contains("--server"), "{text}");
    }

    #[test]
    fn another_port_of_the_control_plane_is_said_in_every_command() {
        let text = text(&facts("http://127.0.0.1:17400"));
        let commands = text
            .lines()
            .filter(|line| line.starts_with("  target/release/lbctl"));
        let told: Vec<_> = commands
            .map(|line| line.contains("lbctl --server http://127.0.0.1:17400 "))
            .collect();
        assert_eq!(told, [true; 8]);
    }

    #[test]
    fn the_program_is_called_as_from_here() {
        for (program, expected) in [
            ("/src/inlet/target/release/lbctl", "target/release/lbctl"),
            ("/src/inlet/lbctl", "./lbctl"),
            ("/usr/bin/lbctl", "/usr/bin/lbctl"),
        ] {
            assert_eq!(
                callable(Path::new(program), Path::new("/src/inlet")),
                expected
            );
        }
    }
}
