//! `lbctl` with the one command that this branch builds.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "lbctl", version)]
struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A whole system in one process, on loopback
    Demo(lbctl::command::demo::Flags),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Flags::parse().command {
        Command::Demo(flags) => lbctl::command::demo::run(flags).await,
    }
}
