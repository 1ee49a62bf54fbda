//! `inlet-agent`: flags, logging, signals, exit status.

use std::io::{IsTerminal as _, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use inlet_agent::config::{Config, Flags, LogFormat};
use inlet_agent::start::start;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    // Traffic has threads of its own; what is left is little.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let ran = runtime
        .map_err(|error| error.to_string())
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
        signal(SignalKind::hangup()),
    );
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = signals else {
        return Err("cannot listen to signals".to_owned());
    };
    let mut running = start(config).await.map_err(|error| error.to_string())?;
    let mut revision = running.revision.clone();
    let mut said_ready = false;
    loop {
        tokio::select! {
            changed = revision.changed(), if !said_ready => {
                if changed.is_ok() {
                    say_ready(*revision.borrow_and_update());
                }
                said_ready = true;
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            // As after logrotate.
            _ = hangup.recv() => running.reopen_access_log(),
            why = running.failed() => return Err(why),
        }
    }
    tokio::select! {
        () = running.shutdown() => Ok(()),
        // Whoever asks a second time at the keyboard does not want to wait for connections.
        _ = interrupt.recv() => Err("interrupted before all connections had finished".to_owned()),
    }
}

/// Whoever started us may have closed the pipe: that is no reason to end.
fn say_ready(revision: u64) {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "ready: snapshot {revision} in force").and_then(|()| stdout.flush());
}

fn fail(status: u8, why: &str) -> ExitCode {
    eprintln!("inlet-agent: {why}");
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
