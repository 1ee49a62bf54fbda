//! What happened: a hash over all of it, and the last lines for whoever looks for the reason.

use std::collections::VecDeque;
use std::fmt;

/// Lines that are kept.
const KEPT: usize = 80;
/// FNV-1a, 64 bits.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
/// See [`OFFSET`].
const PRIME: u64 = 0x0100_0000_01b3;

/// The lines so far.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    last: VecDeque<String>,
    /// Every line is printed.
    pub(crate) is_printed: bool,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            hash: OFFSET,
            last: VecDeque::with_capacity(KEPT),
            is_printed: false,
        }
    }
}

impl Trace {
    /// One thing happened, at this many microseconds.
    pub(crate) fn note(&mut self, now: u64, what: fmt::Arguments<'_>) {
        let line = format!("{:>10.3} ms  {what}", now as f64 / 1000.0);
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
        if self.is_printed {
            println!("{line}");
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// Over every line.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines.
    pub(crate) fn last(&self) -> String {
        let lines: Vec<_> = self.last.iter().map(String::as_str).collect();
        lines.join("\n")
    }
}
