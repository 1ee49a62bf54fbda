//! `prove`: the long runs, one subcommand each; prints a line per figure and exits 0 or 1. See `inlet_tests::prove`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser as _;
use inlet_tests::prove::{Prove, run};

fn main() -> ExitCode {
    let prove = Prove::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    // On this thread: the programs under test end with the thread that started them. A surprise in the harness is a
    // panic, whose message is out already; unwinding has ended all programs and shown what they said.
    let good = catch_unwind(AssertUnwindSafe(|| runtime.block_on(run(&prove))));
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}
