//! `lbctl`, the command line of Inlet, as a library with a thin main.
//!
//! - [`command`]: the command line itself, one file per command, named as typed;
//! - [`config`]: global flags, environment and settings file -> checked `Config`;
//! - `client`: the API of the control plane, and the only place that names the RPC framework;
//! - `manifests`: files and folders -> documents; `relations`: who refers to whom;
//! - `rollout`: is a revision in force on every agent concerned?
//! - `error`: everything that can go wrong, what is said about it, and the exit status;
//! - `output`: the forms of printing.
//!
//! Every command but `demo` goes through the API alone: whatever it can do, a script can do.
//! Exit status: 0 done; 1 refused or failed; 2 the command line is wrong.

mod client;
pub mod command;
pub mod config;
mod error;
mod manifests;
mod output;
mod relations;
mod rollout;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use command::{Flags, Session};
use error::Error;

/// Commands that later versions have, as `lbctl` or the command before them is asked for them.
const LATER_COMMANDS: [&str; 7] = ["explain", "top", "tail", "key", "usage", "drain", "token"];

/// What people ask `get` and `describe` for that is no kind of resource, and where it is.
const ELSEWHERE: [(&str, &str); 5] = [
    ("agent", "lbctl agent list"),
    ("agents", "lbctl agent list"),
    ("health", "lbctl target health GROUP"),
    ("history", "lbctl history"),
    ("revisions", "lbctl history"),
];

/// Reads the command line. Errors: the exit status, after saying what is wrong, or after the help that was asked for.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Flags, ExitCode> {
    Flags::try_parse_from(arguments).map_err(|error| {
        match (later(&error), elsewhere(&error)) {
            (Some(later), _) => eprintln!("error: '{later}' is not supported yet"),
            (None, Some((word, command))) => {
                eprintln!("error: '{word}' is no kind of resource: '{command}' shows it");
            }
            // A closed pipe is no reason to complain.
            (None, None) => drop(error.print()),
        }
        ExitCode::from(status(&error))
    })
}

/// Runs a command to its end, and says on stderr why it failed if it did.
pub async fn run(flags: Flags) -> ExitCode {
    let session = Session::new(flags.global);
    let ran = command::run(flags.command, &session).await;
    ran.unwrap_or_else(|error| finish(&session, &error))
}

fn finish(session: &Session, error: &Error) -> ExitCode {
    for line in error.lines() {
        session.out.complain(&line);
    }
    ExitCode::from(error.status())
}

/// The exit status of a command line that is not run.
fn status(error: &clap::Error) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        _ if later(error).is_some() => error::FAILED,
        _ => error::WRONG_USE,
    }
}

/// The command that was asked for and that only later versions have.
fn later(error: &clap::Error) -> Option<&str> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(name)) => LATER_COMMANDS
            .contains(&name.as_str())
            .then_some(name.as_str()),
        _ => None,
    }
}

/// The word that was given for a kind, and the command that shows what it means.
fn elsewhere(error: &clap::Error) -> Option<(&'static str, &'static str)> {
    let is_kind = matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(argument)) if argument.contains("KIND")
    );
    match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(word)) if is_kind => {
            ELSEWHERE.into_iter().find(|(known, _)| known == word)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
