//! `lbctl`: command line, threads, exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    let flags = match lbctl::parse(std::env::args_os()) {
        Ok(flags) => flags,
        Err(status) => return status,
    };
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(lbctl::run(flags)),
        Err(error) => {
            eprintln!("error: cannot start threads: {error}");
            ExitCode::FAILURE
        }
    }
}
