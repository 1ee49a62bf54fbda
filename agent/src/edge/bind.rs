//! Sockets that listen: one per worker and address (SO_REUSEPORT), so that workers accept without sharing anything.
//!
//! SO_REUSEPORT alone would let a second agent of the same user take half of the connections in silence, so a socket
//! without it tries the address first. Binding is one step and listening another: a table of which one address is
//! refused opens none of the others.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted, per socket; the system bounds it by `net.core.somaxconn`.
pub const BACKLOG: i32 = 4096;

/// Sockets of one address, one per worker.
#[derive(Debug)]
pub struct Bound {
    /// Where.
    pub address: SocketAddr,
    sockets: Vec<Socket>,
}

impl Bound {
    /// Binds without listening. `beside_own` = this agent already listens on the port, on an overlapping address: then
    /// the address cannot be tried first.
    pub fn bind(address: SocketAddr, workers: usize, beside_own: bool) -> io::Result<Self> {
        if !beside_own {
            open(address)?.bind(&address.into())?;
        }
        let sockets = (0..workers)
            .map(|_| bind_shared(address))
            .collect::<io::Result<_>>()?;
        Ok(Self { address, sockets })
    }

    /// Makes the system accept connections; nobody serves them yet.
    pub fn listen(&self) -> io::Result<()> {
        self.sockets
            .iter()
            .try_for_each(|socket| socket.listen(BACKLOG))
    }

    /// Gives the sockets out, in the order of the workers.
    pub fn into_listeners(self) -> impl Iterator<Item = TcpListener> {
        self.sockets.into_iter().map(TcpListener::from)
    }
}

/// Whether one of two addresses takes in the other.
pub fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.is_ipv4() == other.is_ipv4() && any
}

/// Why a socket could not be had, for people.
pub fn explain(address: SocketAddr, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "address in use: another program listens there",
        io::ErrorKind::AddrNotAvailable => "this host does not have the address",
        io::ErrorKind::PermissionDenied => {
            "not permitted: ports below 1024 need root or CAP_NET_BIND_SERVICE"
        }
        _ => return format!("cannot listen on {address}: {error}"),
    };
    format!("cannot listen on {address}: {remedy}")
}

/// The host has no IPv6, as far as this error tells.
pub fn lacks_ipv6(address: SocketAddr, error: &io::Error) -> bool {
    let unsupported = matches!(
        error
            .raw_os_error()
            .map(rustix::io::Errno::from_raw_os_error),
        Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL)
    );
    address.is_ipv6() && address.ip().is_unspecified() && unsupported
}

/// SO_REUSEADDR, so that connections of a listener before it (TIME_WAIT, relays that go on) do not stand in the way.
fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `0.0.0.0` and `::` are two addresses.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn bind_shared(address: SocketAddr) -> io::Result<Socket> {
    let socket = open(address)?;
    socket.set_reuse_port(true)?;
    // Accepted sockets inherit it: one system call per listener instead of one per connection.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anywhere() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn a_port_that_another_program_listens_on_is_refused() {
        let other = TcpListener::bind(anywhere()).unwrap();
        let address = other.local_addr().unwrap();
        let error = Bound::bind(address, 2, false).unwrap_err();
        assert!(
            explain(address, &error).contains("address in use"),
            "{error}"
        );
    }

    #[test]
    fn a_port_of_another_agent_of_the_same_user_is_refused() {
        let free = TcpListener::bind(anywhere()).unwrap().local_addr().unwrap();
        let first = Bound::bind(free, 2, false).unwrap();
        first.listen().unwrap();
        assert_eq!(
            Bound::bind(free, 2, false).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        // The same agent may: from a wildcard address to a single one, say.
        Bound::bind(free, 2, true).unwrap().listen().unwrap();
    }

    #[test]
    fn an_address_of_another_host_is_refused_with_the_reason() {
        let address = SocketAddr::from(([192, 0, 2, 1], 8080));
        let error = Bound::bind(address, 1, false).unwrap_err();
        assert_eq!(
            explain(address, &error),
            "cannot listen on 192.0.2.1:8080: this host does not have the address"
        );
    }
}
