//! `lbctl demo`: a whole system in one process on loopback, to look at or to check.
//!
//! `system` starts the control plane, two agents and the sample `backend`s; `operator` configures them over gRPC
//! like any user, with the `sample` manifest. Then either `live` runs until Ctrl-C, with a little `traffic`, or
//! `check` sends requests through every path and says what came back. Nothing is left behind at the end.

mod backend;
mod check;
mod client;
mod error;
mod folder;
mod live;
mod operator;
mod ports;
mod sample;
mod screen;
mod signals;
mod system;
mod traffic;
mod welcome;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::output::Out;

/// Whoever sets it wants to see the logs of the programs; see `tracing_subscriber::EnvFilter` for its form.
const LOG_VARIABLE: &str = "INLET_LOG";

/// The flags of `lbctl demo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct Flags {
    /// Use free ports, send requests through every path, print what came back, and exit with 0 or 1
    #[arg(long)]
    pub check: bool,
}

/// Runs until Ctrl-C, or with `--check` until all is checked.
///
/// Exit status: 0 done; 1 something did not start, or was not as expected.
pub(crate) async fn run(flags: Flags, out: &Out) -> ExitCode {
    log_if_asked();
    let ran = if flags.check {
        check::run(out).await
    } else {
        live::run().await
    };
    ran.unwrap_or_else(|error| {
        eprintln!("lbctl: demo: {error}");
        ExitCode::FAILURE
    })
}

/// The programs log to stderr, where a demo wants quiet: only on demand.
fn log_if_asked() {
    if let Ok(filter) = EnvFilter::try_from_env(LOG_VARIABLE) {
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr);
        // Fails if logging was set up before: then it goes where that says.
        let _ = log.try_init();
    }
}
