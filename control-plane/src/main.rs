//! `inlet-control-plane`: flags, logging, signals, exit status.

use std::io::{IsTerminal as _, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use inlet_control_plane::config::{Config, Flags, LogFormat};
use inlet_control_plane::start::start;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The command line is wrong.
const WRONG_USE: u8 = 2;

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(asked)
            if matches!(
                asked.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            asked.exit()
        }
        Err(error) => return fail(WRONG_USE, &in_one_line(&error)),
    };
    log_to_stderr(flags.log_format);
    let config = match flags.check() {
        Ok(config) => config,
        Err(error) => return fail(WRONG_USE, &error.to_string()),
    };
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ran = runtime
        .map_err(|error| format!("cannot start threads: {error}"))
        .and_then(|runtime| runtime.block_on(run(config)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error),
    }
}

async fn run(config: Config) -> Result<(), String> {
    let signals = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        return Err("cannot listen to signals".to_owned());
    };
    let mut running = start(config).await.map_err(|error| error.to_string())?;
    say_ready(&running.url());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        why = running.failed() => return Err(why),
    }
    running.shutdown().await;
    Ok(())
}

/// Each agent has a connection; the usual soft limit of 1024 would be the fleet's. Failing leaves the limit as it is.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open descriptors");
    }
}

/// Whoever started us may have closed the pipe: that is no reason to end.
fn say_ready(url: &str) {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "ready: listening on {url}").and_then(|()| stdout.flush());
}

fn fail(status: u8, why: &str) -> ExitCode {
    eprintln!("inlet-control-plane: {why}");
    ExitCode::from(status)
}

/// What is wrong and what would be right, without the usage text.
fn in_one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let ends = ["\n\nUsage:", "\n\nFor more information"];
    let end = ends.iter().filter_map(|end| text.find(end)).min();
    let said = &text[..end.unwrap_or(text.len())];
    let said = said.strip_prefix("error: ").unwrap_or(said);
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_env("INLET_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
