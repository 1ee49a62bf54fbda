//! What the demo tells a new user: where everything is, what to try, where to look.

use std::path::{Path, PathBuf};

use super::backend::CHAT_PATH;
use super::ports::Ports;
use super::sample::{AGENTS, BackendPorts, ZONE_NAMES};

/// The server that `lbctl` speaks to if it is not told another.
const DEFAULT_SERVER: &str = "http://127.0.0.1:7400";
/// Columns of a terminal that nobody has made wider.
const COLUMNS: usize = 80;

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
        "Inlet on loopback, in one process: a control plane, two agents, their backends.\n"
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
            "zone={}   HTTP :{}   TCP :{}   admin :{}",
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
        format!("blue-1 :{blue_1}   blue-2 :{blue_2}   green :{green}   echo :{echo}"),
    ));
    lines.push(("manifest".to_owned(), facts.sample.display().to_string()));
    let width = lines.iter().map(|(what, _)| what.len()).max();
    let width = width.unwrap_or_default();
    let lines = lines
        .iter()
        .map(|(what, place)| format!("  {what:width$}   {place}\n"));
    format!(
        "Where everything is, on 127.0.0.1\n{}",
        lines.collect::<String>()
    )
}

fn requests(facts: &Facts) -> String {
    let [a, b] = facts
        .ports
        .http
        .map(|port| format!("http://127.0.0.1:{port}"));
    let tcp = facts.ports.tcp[0];
    let lines = [
        (format!("curl {a}/shop/1"), "group blue, in turn"),
        (format!("curl {b}/release"), "by weight, 3 to 1"),
        (
            format!("curl -H 'X-Preview: yes' {a}/shop/1"),
            "a header decides",
        ),
        (format!("curl -i {a}/old/page"), "a redirect"),
        (format!("curl {b}/hello"), "a fixed response"),
        (format!("curl -i {a}/nowhere"), "no rule matches"),
        (
            format!("curl telnet://127.0.0.1:{tcp}"),
            "TCP: type, it echoes",
        ),
        (
            format!("websocat ws://127.0.0.1:{}{CHAT_PATH}", facts.ports.http[1]),
            "a WebSocket",
        ),
    ];
    commands("Send requests", &lines)
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
    commands("Look around, in another terminal", &lines)
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
    commands("Change something, and watch the last line", &lines)
}

/// `lbctl`, with the server if it must be said.
fn command(facts: &Facts) -> String {
    match facts.server.as_str() {
        DEFAULT_SERVER => facts.lbctl.clone(),
        server => format!("{} --server {server}", facts.lbctl),
    }
}

/// A title, and commands with what they are for: beside them in one column, or above where there is no room.
fn commands(title: &str, lines: &[(String, &str)]) -> String {
    let longest = lines.iter().map(|(_, what)| what.len()).max();
    let room = COLUMNS - "    # ".len() - longest.unwrap_or_default();
    let fits = |command: &str| command.len() <= room;
    let beside = lines.iter().map(|(command, _)| command.len());
    let width = beside.filter(|width| *width <= room).max();
    let width = width.unwrap_or_default();
    let mut text = format!("{title}\n");
    for (command, what) in lines {
        text.push_str(&match *what {
            "" => format!("  {command}\n"),
            what if fits(command) => format!("  {command:width$}  # {what}\n"),
            what => format!("  # {what}:\n  {command}\n"),
        });
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
            "agent edge-b    zone=b   HTTP :12345   TCP :8091   admin :7491",
            "curl http://127.0.0.1:12345/release ",
            "target/release/lbctl get rules\n",
            "\n  # all of /release to green, in both zones at once:\n  \
             target/release/lbctl apply -f /tmp/inlet-demo-1/change.yaml --wait\n",
            "http://127.0.0.1:7490/metrics",
            "Ctrl-C",
        ] {
            assert!(text.contains(part), "{part}\n\n{text}");
        }
        assert!(!text.contains("--server"), "{text}");
    }

    #[test]
    fn it_fits_a_usual_terminal() {
        let usual = Facts {
            ports: Ports {
                http: [8080, 8081],
                ..facts(DEFAULT_SERVER).ports
            },
            backends: BackendPorts {
                blue_1: 39_965,
                blue_2: 40_899,
                green: 38_197,
                echo: 39_129,
            },
            ..facts(DEFAULT_SERVER)
        };
        let text = text(&usual);
        let wide: Vec<_> = text.lines().filter(|line| line.len() > COLUMNS).collect();
        assert!(wide.is_empty(), "{wide:#?}");
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
