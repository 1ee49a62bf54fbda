//! `lbctl demo` (placeholder until the demo's own branch is merged).

use std::process::ExitCode;

/// Flags of `lbctl demo`.
#[derive(clap::Args)]
pub struct Flags {
    /// Send requests through everything, print what came back, and end
    #[arg(long)]
    check: bool,
}

/// Runs the demo.
pub async fn run(flags: Flags) -> ExitCode {
    let _ = flags.check;
    eprintln!("error: the demo is not in this build");
    ExitCode::FAILURE
}
