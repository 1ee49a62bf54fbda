//! Flags as given ([`Flags`]) -> what the agent is started with ([`Config`]), or what is wrong with them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use inlet_proto::name::is_name;

/// Most worker threads that may be asked for.
const MAX_WORKERS: usize = 1024;

/// Where the kernel keeps the host's name, the default of `--name`.
const HOSTNAME_FILE: &str = "/proc/sys/kernel/hostname";

/// The command line, as typed.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "inlet-agent",
    version,
    about = "Forwards traffic on an edge host, as the control plane says"
)]
pub struct Flags {
    /// The control plane
    #[arg(long, value_name = "URL")]
    pub control_plane: String,
    /// This agent's name, unique in the fleet [default: the host's name]
    #[arg(long)]
    pub name: Option<String>,
    /// A label for placement; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<String>,
    /// Where the last snapshot is kept
    #[arg(long, value_name = "FOLDER", default_value = "./inlet-agent")]
    pub data_dir: PathBuf,
    /// Where /healthz, /readyz, /metrics and /config are served
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7490", value_parser = address)]
    pub admin: SocketAddr,
    /// Threads that carry traffic [default: one per core that this process may use]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// How long connections may go on after SIGTERM
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub drain_timeout: Duration,
    /// Write an access log to a file, or to stdout with `-`
    #[arg(long, value_name = "FILE|-")]
    pub access_log: Option<PathBuf>,
    /// Form of the access log
    #[arg(long, value_name = "FORM", default_value = "json")]
    pub access_log_format: AccessLogFormat,
    /// Form of the log on stderr
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub log_format: LogFormat,
    /// Speak plaintext to a control plane that is not on this host
    #[arg(long)]
    pub insecure: bool,
    /// Join a fleet that asks for it (not supported yet)
    #[arg(long, value_name = "TOKEN")]
    pub join_token: Option<String>,
}

/// Form of the access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AccessLogFormat {
    /// A JSON object a line.
    #[default]
    Json,
    /// The 34 fields of an Application Load Balancer.
    Alb,
}

/// Form of the agent's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// What the agent is started with: checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// URL of the control plane.
    pub control_plane: String,
    /// Name of this agent.
    pub name: String,
    /// Labels for placement.
    pub labels: BTreeMap<String, String>,
    /// Where the last snapshot is kept; made if it is not there.
    pub data_dir: PathBuf,
    /// Where the admin pages are served; port 0 = any free one.
    pub admin: SocketAddr,
    /// Worker threads, 1..=1024.
    pub workers: usize,
    /// How long connections may go on when the agent ends.
    pub drain_timeout: Duration,
    /// None = no access log.
    pub access_log: Option<AccessLog>,
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// A file; `-` = stdout.
    pub path: PathBuf,
    /// Its form.
    pub format: AccessLogFormat,
}

/// What is wrong with the flags; each names the flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// Not a URL of a control plane.
    #[error("--control-plane {0}: not a URL such as http://127.0.0.1:7400")]
    ControlPlane(String),
    /// TLS.
    #[error("--control-plane {0}: https is not supported yet")]
    Https(String),
    /// Plaintext off this host.
    #[error("--control-plane {0}: plaintext to another host needs --insecure")]
    Plaintext(String),
    /// Not a name.
    #[error(
        "--name '{0}': a name has 1 to 63 characters of a-z, 0-9, '-' and '.', and a letter or digit at both ends"
    )]
    Name(String),
    /// The host's name cannot be the agent's.
    #[error("this host's name '{0}' cannot be the agent's: give one with --name")]
    HostName(String),
    /// Not `key=value`.
    #[error("--label '{0}': expected KEY=VALUE")]
    Label(String),
    /// One key twice.
    #[error("--label '{0}' is given twice")]
    LabelTwice(String),
    /// None or far too many.
    #[error("--workers {0}: expected 1 to {MAX_WORKERS}")]
    Workers(usize),
    /// A later feature.
    #[error("--join-token is not supported yet")]
    JoinToken,
}

impl Flags {
    /// Checks what parsing alone does not.
    pub fn check(self) -> Result<Config, FlagError> {
        if self.join_token.is_some() {
            return Err(FlagError::JoinToken);
        }
        check_control_plane(
            &self.control_plane,
            Plaintext {
                allowed: self.insecure,
            },
        )?;
        Ok(Config {
            control_plane: self.control_plane,
            name: self.name.map_or_else(host_name, check_name)?,
            labels: labels(&self.labels)?,
            data_dir: self.data_dir,
            admin: self.admin,
            workers: workers(self.workers)?,
            drain_timeout: self.drain_timeout,
            access_log: self.access_log.map(|path| AccessLog {
                path,
                format: self.access_log_format,
            }),
        })
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:7490".to_owned())
}

/// Whether plaintext may leave the host.
#[derive(Debug, Clone, Copy)]
struct Plaintext {
    allowed: bool,
}

fn check_control_plane(url: &str, plaintext: Plaintext) -> Result<(), FlagError> {
    if url.starts_with("https://") {
        return Err(FlagError::Https(url.to_owned()));
    }
    let bad = || FlagError::ControlPlane(url.to_owned());
    let authority = url
        .strip_prefix("http://")
        .ok_or_else(bad)?
        .trim_end_matches('/');
    let (host, port) = authority.rsplit_once(':').ok_or_else(bad)?;
    let host_is_plain = !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
    if !host_is_plain || port.parse::<u16>().is_err() {
        return Err(bad());
    }
    match is_loopback(host) || plaintext.allowed {
        true => Ok(()),
        false => Err(FlagError::Plaintext(url.to_owned())),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

fn check_name(name: String) -> Result<String, FlagError> {
    if is_name(&name) {
        Ok(name)
    } else {
        Err(FlagError::Name(name))
    }
}

fn host_name() -> Result<String, FlagError> {
    let name = std::fs::read_to_string(HOSTNAME_FILE).unwrap_or_default();
    let name = name.trim().to_ascii_lowercase();
    if is_name(&name) {
        Ok(name)
    } else {
        Err(FlagError::HostName(name))
    }
}

fn labels(given: &[String]) -> Result<BTreeMap<String, String>, FlagError> {
    let mut labels = BTreeMap::new();
    for label in given {
        let (key, value) = label
            .split_once('=')
            .ok_or_else(|| FlagError::Label(label.clone()))?;
        if key.is_empty() {
            return Err(FlagError::Label(label.clone()));
        }
        if labels.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(FlagError::LabelTwice(key.to_owned()));
        }
    }
    Ok(labels)
}

fn workers(given: Option<usize>) -> Result<usize, FlagError> {
    match given {
        Some(workers) if (1..=MAX_WORKERS).contains(&workers) => Ok(workers),
        Some(workers) => Err(FlagError::Workers(workers)),
        None => Ok(available_workers()),
    }
}

/// One per core that this process may use: its affinity mask and quota are respected.
pub fn available_workers() -> usize {
    std::thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(MAX_WORKERS)
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = inlet_proto::duration::parse(text).map_err(|error| error.to_string())?;
    Duration::try_from(parsed).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str]) -> Result<Config, String> {
        let command = [
            "inlet-agent",
            "--control-plane",
            "http://127.0.0.1:7400",
            "--name",
            "edge-1",
        ];
        let flags = Flags::try_parse_from(command.iter().chain(arguments))
            .map_err(|error| error.to_string())?;
        flags.check().map_err(|error| error.to_string())
    }

    #[test]
    fn flags_have_the_defaults_that_the_manual_says() {
        let config = check(&["--label", "zone=a", "--label", "rack="]).unwrap();
        assert_eq!(
            config.labels,
            [("rack", ""), ("zone", "a")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into()
        );
        assert_eq!(config.data_dir, PathBuf::from("./inlet-agent"));
        assert_eq!(config.admin, "127.0.0.1:7490".parse().unwrap());
        assert_eq!(config.drain_timeout, Duration::from_secs(30));
        assert_eq!(
            (config.workers, config.access_log),
            (available_workers(), None)
        );
    }

    #[test]
    fn wrong_flags_are_named_with_what_would_be_right() {
        let cases: &[(&[&str], &str)] = &[
            (&["--label", "zone"], "--label 'zone': expected KEY=VALUE"),
            (&["--label", "=a"], "--label '=a': expected KEY=VALUE"),
            (
                &["--label", "z=a", "--label", "z=b"],
                "--label 'z' is given twice",
            ),
            (&["--workers", "0"], "--workers 0: expected 1 to 1024"),
            (&["--join-token", "x"], "--join-token is not supported yet"),
            (&["--drain-timeout", "30"], "30 has no unit"),
            (
                &["--admin", "nowhere"],
                "invalid value 'nowhere' for '--admin",
            ),
            (&["--take-over"], "unexpected argument '--take-over'"),
            (&["--log-format", "xml"], "[possible values: text, json]"),
        ];
        for (arguments, expected) in cases {
            let error = check(arguments).unwrap_err();
            assert!(error.contains(expected), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn plaintext_stays_on_this_host_unless_told_otherwise() {
        let no = Plaintext { allowed: false };
        for url in [
            "http://127.0.0.1:7400",
            "http://localhost:7400/",
            "http://[::1]:7400",
        ] {
            assert_eq!(check_control_plane(url, no), Ok(()), "{url}");
        }
        let far = "http://plane.example.com:7400";
        assert_eq!(
            check_control_plane(far, no),
            Err(FlagError::Plaintext(far.to_owned()))
        );
        assert_eq!(
            check_control_plane(far, Plaintext { allowed: true }),
            Ok(())
        );
        for url in [
            "127.0.0.1:7400",
            "http://",
            "http://127.0.0.1",
            "http://:7400",
            "http://a/b:80",
            "ftp://a:1",
        ] {
            assert_eq!(
                check_control_plane(url, no),
                Err(FlagError::ControlPlane(url.to_owned())),
                "{url}"
            );
        }
        assert!(matches!(
            check_control_plane("https://a:1", no),
            Err(FlagError::Https(_))
        ));
    }

    #[test]
    fn a_name_is_a_name() {
        assert!(check_name("edge-1.fra".to_owned()).is_ok());
        assert!(check_name("Edge".to_owned()).is_err());
    }
}
