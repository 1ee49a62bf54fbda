//! Flags as given ([`Flags`]) -> what the control plane is started with ([`Config`]), or what is wrong with them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// The command line, as typed.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "inlet-control-plane",
    version,
    about = "Keeps Inlet's configuration and brings it to the agents"
)]
pub struct Flags {
    /// Where gRPC, /metrics, /healthz and /readyz are served
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7400", value_parser = address)]
    pub listen: SocketAddr,
    /// Where the configuration is kept
    #[arg(long, value_name = "FOLDER", default_value = "./inlet-data")]
    pub data_dir: PathBuf,
    /// In what the configuration is kept
    #[arg(long, value_name = "STORE", default_value = "sled")]
    pub store: StoreFlag,
    /// Addresses of etcd (not supported yet)
    #[arg(long, value_name = "URL,...", value_delimiter = ',')]
    pub etcd: Vec<String>,
    /// Plaintext and no authentication; on a loopback address only
    #[arg(long)]
    pub insecure: bool,
    /// Form of the log on stderr
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub log_format: LogFormat,
}

/// The stores that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StoreFlag {
    /// A database in the data folder.
    Sled,
    /// A database on other hosts (not supported yet).
    Etcd,
}

/// Form of the control plane's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:7400".to_owned())
}

/// What the control plane is started with: checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where it listens, plaintext; a loopback address. Port 0 = any free one.
    pub listen: SocketAddr,
    /// Where the configuration is kept.
    pub store: StoreConfig,
}

/// Where the configuration is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// In memory, gone at the end: for tests and `lbctl demo`.
    Memory,
    /// In this folder, which is made if it is not there.
    Sled(PathBuf),
}

/// What is wrong with the flags; each names the flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// A later feature.
    #[error("--store etcd is not supported yet: leave it out to use sled")]
    Etcd,
    /// Etcd's addresses for another store.
    #[error("--etcd is of use with --store etcd only, which is not supported yet")]
    EtcdAddresses,
    /// A later feature.
    #[error(
        "TLS is not supported yet: add --insecure, on a loopback address such as 127.0.0.1:7400"
    )]
    Tls,
    /// Plaintext for everybody.
    #[error(
        "--insecure is refused on {0}, which is not a loopback address: anybody could change the configuration; \
         use --listen 127.0.0.1:7400 or the like"
    )]
    NotLoopback(SocketAddr),
}

impl Flags {
    /// Checks what parsing alone does not.
    pub fn check(self) -> Result<Config, FlagError> {
        match self.store {
            StoreFlag::Etcd => return Err(FlagError::Etcd),
            StoreFlag::Sled if !self.etcd.is_empty() => return Err(FlagError::EtcdAddresses),
            StoreFlag::Sled => {}
        }
        if !self.insecure {
            return Err(FlagError::Tls);
        }
        if !self.listen.ip().to_canonical().is_loopback() {
            return Err(FlagError::NotLoopback(self.listen));
        }
        Ok(Config {
            listen: self.listen,
            store: StoreConfig::Sled(self.data_dir),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str]) -> Result<Config, String> {
        let command = ["inlet-control-plane"];
        let flags = Flags::try_parse_from(command.iter().chain(arguments))
            .map_err(|error| error.to_string())?;
        flags.check().map_err(|error| error.to_string())
    }

    #[test]
    fn flags_have_the_defaults_that_the_manual_says() {
        let config = check(&["--insecure"]).unwrap();
        assert_eq!(config.listen, "127.0.0.1:7400".parse().unwrap());
        assert_eq!(config.store, StoreConfig::Sled("./inlet-data".into()));
        assert!(check(&["--insecure", "--listen", "[::1]:0"]).is_ok());
        assert!(check(&["--insecure", "--listen", "127.1.2.3:1", "--store", "sled"]).is_ok());
    }

    #[test]
    fn wrong_flags_are_named_with_what_would_be_right() {
        for (arguments, expected) in [
            (&[][..], "TLS is not supported yet: add --insecure"),
            (
                &["--insecure", "--listen", "0.0.0.0:7400"],
                "not a loopback address",
            ),
            (
                &["--insecure", "--listen", "[::]:7400"],
                "not a loopback address",
            ),
            (
                &["--insecure", "--store", "etcd"],
                "--store etcd is not supported yet",
            ),
            (
                &["--insecure", "--etcd", "http://127.0.0.1:2379"],
                "--etcd is of use with",
            ),
            (&["--store", "redis"], "[possible values: sled, etcd]"),
            (
                &["--listen", "nowhere"],
                "invalid value 'nowhere' for '--listen <ADDRESS>': expected an IP address and a port, such as \
                 127.0.0.1:7400",
            ),
            (&["--no-such-flag"], "unexpected argument '--no-such-flag'"),
        ] {
            let error = check(arguments).unwrap_err();
            assert!(error.contains(expected), "{arguments:?}: {error}");
        }
    }
}
