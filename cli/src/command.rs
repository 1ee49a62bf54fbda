//! The command line: one file per command, named as typed. Each has its `Flags` and a `run`.

mod agent;
mod apply;
mod backup;
mod change;
mod completion;
mod delete;
pub mod demo;
mod describe;
mod diff;
mod get;
mod history;
mod kind;
mod restore;
mod rollback;
mod target;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::client::Client;
use crate::config::{Config, Environment, GlobalFlags};
use crate::error::Error;
use crate::output::Out;

/// The command line of Inlet: load balancers, listeners, rules, target groups and the agents that serve them.
///
/// Exit status: 0 done; 1 refused or failed, with the reason on stderr; 2 the command line is wrong.
#[derive(Parser)]
#[command(name = "lbctl", version, arg_required_else_help = true)]
pub struct Flags {
    #[command(flatten)]
    pub(crate) global: GlobalFlags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Everything that can be asked for.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a whole system on loopback to look at: control plane, two agents, backends, traffic
    Demo(demo::Flags),
    /// Make the configuration what manifests say, as one atomic change
    Apply(apply::Flags),
    /// Show what 'apply' would change, or what differs between two revisions
    Diff(diff::Flags),
    /// List resources, or show some
    Get(get::Flags),
    /// Show a resource with everything around it
    Describe(describe::Flags),
    /// Delete resources together with their children, as one atomic change
    Delete(delete::Flags),
    /// Register and deregister targets, and show their health
    Target(target::Flags),
    /// Show the fleet
    Agent(agent::Flags),
    /// Show every revision: who made it, when, and what it changed
    History(history::Flags),
    /// Make the configuration of an earlier revision the next one
    Rollback(rollback::Flags),
    /// Print changes as they are made
    Watch(watch::Flags),
    /// Write the whole configuration to a file
    Backup(backup::Flags),
    /// Make the configuration what a backup says, as one atomic change
    Restore(restore::Flags),
    /// Print the completions for a shell
    Completion(completion::Flags),
    /// Print the version
    Version,
}

/// What a command works with.
pub(crate) struct Session {
    flags: GlobalFlags,
    /// Where it prints.
    pub(crate) out: Out,
}

impl Session {
    /// With these flags and the environment of this process.
    pub(crate) fn new(flags: GlobalFlags) -> Self {
        let out = Out::new(flags.output, flags.no_color);
        Self { flags, out }
    }

    /// Connects to the control plane.
    pub(crate) async fn connect(&self) -> Result<Client, Error> {
        let config = Config::new(&self.flags, &Environment::read())?;
        Client::connect(&config, self.out.progress).await
    }
}

/// Runs a command. Only `demo` has an exit status of its own: it is no client of anything.
pub(crate) async fn run(command: Command, session: &Session) -> Result<ExitCode, Error> {
    let ran = match command {
        Command::Demo(flags) => {
            session.out.only_text("demo")?;
            return Ok(demo::run(flags, &session.out).await);
        }
        Command::Apply(flags) => apply::run(flags, session).await,
        Command::Diff(flags) => diff::run(flags, session).await,
        Command::Get(flags) => get::run(flags, session).await,
        Command::Describe(flags) => describe::run(flags, session).await,
        Command::Delete(flags) => delete::run(flags, session).await,
        Command::Target(flags) => target::run(flags, session).await,
        Command::Agent(flags) => agent::run(flags, session).await,
        Command::History(flags) => history::run(flags, session).await,
        Command::Rollback(flags) => rollback::run(flags, session).await,
        Command::Watch(flags) => watch::run(flags, session).await,
        Command::Backup(flags) => backup::run(flags, session).await,
        Command::Restore(flags) => restore::run(flags, session).await,
        Command::Completion(flags) => completion::run(&flags, session),
        Command::Version => version(session),
    };
    ran.map(|()| ExitCode::SUCCESS)
}

/// A revision as it is typed.
fn revision(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "a revision is a whole number: 'lbctl history' lists them".to_owned())
}

fn version(session: &Session) -> Result<(), Error> {
    session.out.only_text("version")?;
    session
        .out
        .line(concat!("lbctl ", env!("CARGO_PKG_VERSION")))
}
