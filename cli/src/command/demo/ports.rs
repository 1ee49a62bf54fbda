//! Ports for what must be told its own before it starts: the usual ones as far as they are free, or any.
//!
//! Free ones come from below the kernel's ephemeral range, so that no outgoing connection takes one between the choice
//! and the bind.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;

use super::error::DemoError;

/// Where free ports are looked for.
const RANGE: Range<u16> = 10_000..30_000;
/// Attempts before giving up.
const ATTEMPTS: usize = 2_000;

/// Number of zones, of which each has an agent.
pub(super) const ZONES: usize = 2;

/// Who listens where on 127.0.0.1. The arrays are in the order of the zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ports {
    /// The control plane.
    pub(super) control_plane: u16,
    /// The agents' admin pages.
    pub(super) admin: [u16; ZONES],
    /// The HTTP listeners.
    pub(super) http: [u16; ZONES],
    /// The TCP listeners.
    pub(super) tcp: [u16; ZONES],
}

/// What people expect to find.
const USUAL: Ports = Ports {
    control_plane: 7400,
    admin: [7490, 7491],
    http: [8080, 8081],
    tcp: [8090, 8091],
};

impl Ports {
    /// The usual ports; a free one for each that is taken. Errors: [`DemoError::NoPort`].
    pub(super) fn usual() -> Result<Self, DemoError> {
        Self::choose(USUAL.in_order(), is_free)
    }

    /// Free ports, none of the usual ones. Errors: [`DemoError::NoPort`].
    pub(super) fn free() -> Result<Self, DemoError> {
        Self::choose([0; 7], is_free)
    }

    fn choose(wanted: [u16; 7], is_free: impl Fn(u16) -> bool) -> Result<Self, DemoError> {
        let mut chosen = [0; 7];
        for (index, want) in wanted.into_iter().enumerate() {
            let others = &chosen[..index];
            let good = |port: &u16| *port != 0 && !others.contains(port) && is_free(*port);
            let candidates = std::iter::once(want)
                .chain(std::iter::repeat_with(|| fastrand::u16(RANGE)).take(ATTEMPTS));
            chosen[index] = candidates.into_iter().find(good).ok_or(DemoError::NoPort)?;
        }
        Ok(Self::from_order(chosen))
    }

    fn in_order(self) -> [u16; 7] {
        let Self {
            control_plane,
            admin: [admin_a, admin_b],
            http: [http_a, http_b],
            tcp: [tcp_a, tcp_b],
        } = self;
        [
            control_plane,
            admin_a,
            admin_b,
            http_a,
            http_b,
            tcp_a,
            tcp_b,
        ]
    }

    fn from_order(
        [
            control_plane,
            admin_a,
            admin_b,
            http_a,
            http_b,
            tcp_a,
            tcp_b,
        ]: [u16; 7],
    ) -> Self {
        Self {
            control_plane,
            admin: [admin_a, admin_b],
            http: [http_a, http_b],
            tcp: [tcp_a, tcp_b],
        }
    }
}

/// `127.0.0.1:port`.
pub(super) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(loopback(port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_ports_are_taken_where_they_are_free() {
        let ports = Ports::choose(USUAL.in_order(), |_| true).unwrap();
        assert_eq!(ports, USUAL);
        let ports = Ports::choose(USUAL.in_order(), |port| port != 8080).unwrap();
        assert_ne!(ports.http[0], 8080);
        assert_eq!(
            (ports.control_plane, ports.http[1], ports.tcp),
            (7400, 8081, USUAL.tcp)
        );
    }

    #[test]
    fn free_ports_differ_from_each_other() {
        let mut ports = Ports::free().unwrap().in_order().to_vec();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 7);
        assert!(ports.iter().all(|port| RANGE.contains(port)));
    }

    #[test]
    fn a_machine_without_a_free_port_is_told() {
        let refused = Ports::choose([0; 7], |_| false);
        assert!(matches!(refused, Err(DemoError::NoPort)));
    }
}
