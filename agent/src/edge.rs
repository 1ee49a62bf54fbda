//! Everything between the table and the connections: threads, sockets that listen, accepting, deadlines, draining.
//!
//! [`Edge::prepare`] binds what a table needs and changes nothing that serves; [`Edge::commit`] puts it in force on
//! every worker. What happens on a connection belongs to [`http`](crate::http) and [`l4`](crate::l4).

pub mod clock;
pub mod slot;
pub mod worker;

use std::net::SocketAddr;

use tokio::net::TcpStream;

pub use slot::Slot;
pub use worker::{InForce, SCRATCH_BYTES, Worker};

use crate::table::ListenerId;

/// A client's connection, as accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The connection; TCP_NODELAY is on.
    pub stream: TcpStream,
    /// The client.
    pub peer: SocketAddr,
    /// The address that the client contacted.
    pub local: SocketAddr,
    /// The listener that it belongs to.
    pub listener: ListenerId,
}
