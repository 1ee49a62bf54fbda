//! One client's connection to a TCP listener, from its acceptance to its end.
//!
//! choose a group -> pick a target by flow hash -> connect (another target if it is refused) -> relay -> count and log.
//! The table is let go before the relay begins: a long connection keeps no old table alive.
//! Specification: network load balancer, 1, 4.3, 5, 7.4, 11.

use std::future::{Future, poll_fn};
use std::hash::BuildHasher;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use foldhash::fast::FixedState;
use tokio::net::TcpStream;

use crate::balance;
use crate::edge::{Accepted, InForce, Slot, Worker};
use crate::live::{self, InFlight};
use crate::table::{self, Forward, Service, Table};

use super::dial::{self, CONNECT_TIMEOUT_SECONDS};
use super::record::Connection;
use super::relay::{Leftovers, Parties, Relay};

/// Targets that are tried for one connection.
const CONNECT_ATTEMPTS: usize = 3;

/// Draws for a target that was not tried yet: of two equal ones, the other is missed once in 2^64.
const DRAWS_PER_ATTEMPT: usize = 64;

/// IP's number of TCP, part of the flow hash.
const PROTOCOL_TCP: u8 = 6;

/// One connection being served. Opening is boxed: it is short, and would make every relay three times as big.
#[expect(clippy::large_enum_variant, reason = "the large one is what lasts")]
pub enum Serving {
    /// Until a target has answered.
    Opening(Pin<Box<dyn Future<Output = Option<Opened>>>>),
    /// From then on.
    Relaying(Opened),
}

/// The relay, and what is written when it ends.
#[derive(Debug)]
pub struct Opened {
    relay: Relay,
    connection: Connection,
}

/// Serves one connection by the table that was in force when it was accepted.
pub fn serve(worker: Rc<Worker>, in_force: Rc<InForce>, accepted: Accepted) -> Serving {
    Serving::Opening(Box::pin(open(worker, in_force, accepted)))
}

impl Future for Serving {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Opening(opening) = &mut *self {
            match ready!(opening.as_mut().poll(cx)) {
                Some(opened) => *self = Self::Relaying(opened),
                None => return Poll::Ready(()),
            }
        }
        if let Self::Relaying(Opened { relay, connection }) = &mut *self {
            let end = ready!(Pin::new(relay).poll(cx));
            connection.write(Some(end));
        }
        Poll::Ready(())
    }
}

/// None = no target answers; the client was reset and the record written.
async fn open(worker: Rc<Worker>, in_force: Rc<InForce>, accepted: Accepted) -> Option<Opened> {
    let listener = in_force.table.listener(accepted.listener)?;
    let (forward, idle_timeout) = service(listener)?;
    let Accepted {
        stream: client,
        peer,
        local,
        open,
        ..
    } = accepted;
    let slot = worker.connection(listener.id);
    let mut connection = Connection::new(
        Rc::clone(&worker),
        Arc::clone(&listener.live),
        (peer, local),
        open,
    );
    let Some(target) = connect(&worker, &slot, &in_force.table, forward, &mut connection).await
    else {
        // There is nobody to talk to. Fails only if the client is gone already.
        let _ = client.set_zero_linger();
        connection.write(None);
        return None;
    };
    let parties = Parties {
        listener: Arc::clone(&listener.live),
        target: Arc::clone(connection.target()?),
    };
    let relay = Relay::new(
        worker,
        slot,
        parties,
        client,
        target,
        Leftovers::default(),
        idle_timeout,
    );
    Some(Opened { relay, connection })
}

fn service(listener: &table::Listener) -> Option<(&Forward, Duration)> {
    match &listener.service {
        Service::Tcp(service) => Some((&service.forward, service.idle_timeout)),
        Service::Http(_) => None,
    }
}

/// Opens a connection to a target; None = there is none, or none answers.
async fn connect(
    worker: &Worker,
    slot: &Slot,
    table: &Table,
    forward: &Forward,
    connection: &mut Connection,
) -> Option<TcpStream> {
    let group = table.group(balance::group(forward, worker.random())?)?;
    let counters = group.live.counters.of(worker.index);
    counters.requests.add(1);
    connection.sent_to_group(Arc::clone(&group.live));
    let mut refused = Vec::new();
    slot.arm(CONNECT_TIMEOUT_SECONDS);
    while refused.len() < CONNECT_ATTEMPTS {
        let target = pick(worker, group, connection.flow(), &refused)?;
        connection.sent_to(InFlight::new(Arc::clone(&target)));
        match dial(slot, target.address).await {
            Ok(stream) => return Some(stream),
            Err(error) => {
                counters.connection_errors.add(1);
                if error.kind() == io::ErrorKind::TimedOut {
                    return None;
                }
                refused.push(target);
            }
        }
    }
    None
}

/// By flow hash, a target that has not refused yet. None = there is no other.
fn pick(
    worker: &Worker,
    group: &table::Group,
    flow: (SocketAddr, SocketAddr),
    refused: &[Arc<live::Target>],
) -> Option<Arc<live::Target>> {
    let counters = group.live.counters.of(worker.index);
    for _ in 0..DRAWS_PER_ATTEMPT {
        let Ok(picked) = balance::pick(group, flow_hash(flow, worker.random())) else {
            counters.no_target.add(1);
            return None;
        };
        if refused.iter().any(|target| target.id == picked.target.id) {
            continue;
        }
        if picked.fail_open {
            counters.fail_open.add(1);
        }
        return Some(picked.target);
    }
    None
}

/// `sequence` stands for the sequence number of the client's SYN: connections from one port go to different targets.
fn flow_hash((source, destination): (SocketAddr, SocketAddr), sequence: u64) -> u64 {
    FixedState::with_seed(sequence).hash_one((PROTOCOL_TCP, source, destination))
}

async fn dial(slot: &Slot, address: SocketAddr) -> io::Result<TcpStream> {
    let stream = dial::begin(address)?;
    poll_fn(|cx| {
        slot.wait(cx);
        if slot.expired() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Ready(ready!(dial::poll_connected(&stream, cx)))
    })
    .await?;
    Ok(stream)
}
