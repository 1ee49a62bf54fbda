//! Ports for programs that must be told theirs before they start.
//!
//! They come from below the kernel's ephemeral range, so that no outgoing connection of another test can take one
//! between the choice and the bind; each is given out once per test run.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 10_000;
const COUNT: u32 = 20_000;

/// A port on which nothing listens on any address.
///
/// Panics if there is none, which 20000 attempts make unlikely.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Another start for every run: two runs at the same time hardly meet.
    let start = process::id().wrapping_mul(193);
    (0..COUNT)
        .map(|_| FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|&port| is_free(port))
        .expect("no free port between 10000 and 30000")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("0.0.0.0", port)).is_ok()
}
