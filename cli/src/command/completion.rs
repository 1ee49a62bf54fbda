//! `lbctl completion`: completions for a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Session;
use crate::error::Error;

/// Flags of `lbctl completion`.
#[derive(Args)]
#[command(after_help = "For bash: source <(lbctl completion bash)")]
pub(crate) struct Flags {
    /// Shell
    shell: Shell,
}

/// Runs it.
pub(crate) fn run(flags: &Flags, session: &Session) -> Result<(), Error> {
    session.out.only_text("completion")?;
    // Into memory first: the generator does not survive a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(
        flags.shell,
        &mut super::Flags::command(),
        "lbctl",
        &mut script,
    );
    session.out.print(&String::from_utf8_lossy(&script))
}
