//! File descriptors: as many as the system allows, and some always left for what is not traffic.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Left for the control plane's stream, the kept snapshot, probes, logs and pipes when traffic takes all others.
const RESERVED: u64 = 64;

/// Raises the soft limit to the hard one; how many connections' descriptors there may be.
///
/// Connections are refused whose descriptor's number is as high as this: the system always gives the lowest free one,
/// so the number is a measure of how many are open.
pub fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.map_or(u64::MAX, ceiling)
}

fn ceiling(limit: u64) -> u64 {
    limit - RESERVED.min(limit / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_always_left() {
        assert_eq!(ceiling(1024), 960);
        assert_eq!(ceiling(64), 48);
        assert!(raise_limit() > 0);
    }
}
