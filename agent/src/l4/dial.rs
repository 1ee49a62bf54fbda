//! Opening a connection to a target with as few system calls as there are: socket, connect, one option, one
//! registration. Whether it worked is read from the readiness event; the socket is asked only if the event says no.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with, sockopt};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Longest time for a connection to a target to open.
pub const CONNECT_TIMEOUT_SECONDS: u32 = 10;

/// Starts to connect. [`poll_connected`] says when it is done.
///
/// Errors: no descriptor or no port is left, or there is no route.
pub fn begin(address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => TcpStream::from_std(socket.into()),
        Err(error) => Err(error.into()),
    }
}

/// Ready when the handshake is over, either way.
pub fn poll_connected(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    ready!(stream.poll_write_ready(cx))?;
    let failed = stream.try_io(Interest::ERROR, || Ok(())).is_ok();
    match if failed { stream.take_error()? } else { None } {
        Some(error) => Poll::Ready(Err(error)),
        None => Poll::Ready(Ok(())),
    }
}
