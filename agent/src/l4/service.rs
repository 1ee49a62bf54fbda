//! One client's connection to a TCP listener, from its acceptance to its end.
//!
//! choose a group -> pick a target by flow hash -> connect (another target if it is refused) -> relay -> count and log.
//! The table is let go before the relay begins: a long connection keeps no old table alive.
//! Specification: network load balancer, 1, 4.3, 5, 7.4, 11.

use std::future::poll_fn;
use std::hash::BuildHasher;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;
use tokio::net::TcpStream;

use crate::balance;
use crate::edge::{Accepted, InForce, Slot, Worker};
use crate::live::{self, InFlight};
use crate::table::{self, Forward, Service, Table};

use super::dial;
use super::record::{self, Finished};
use super::relay::{Cause, Leftovers, Parties, Relay};

/// Longest time for a connection to a target to open.
const CONNECT_TIMEOUT_SECONDS: u32 = 10;

/// Targets that are tried for one connection.
const CONNECT_ATTEMPTS: usize = 3;

/// Draws for a target that was not tried yet.
const DRAWS_PER_ATTEMPT: usize = 8;

/// IP's number of TCP, part of the flow hash.
const PROTOCOL_TCP: u8 = 6;

/// An open connection to a target, and what counts it.
struct Connected {
    stream: TcpStream,
    in_flight: InFlight,
    group: Arc<live::Group>,
}

/// Serves one connection by the table that was in force when it was accepted.
pub async fn serve(worker: Rc<Worker>, in_force: Rc<InForce>, accepted: Accepted) {
    let started = Instant::now();
    let Accepted {
        stream: client,
        peer,
        local,
        listener: id,
    } = accepted;
    let Some((listener, idle_timeout)) = listener(&in_force.table, id) else {
        return;
    };
    let slot = worker.connection(id);
    let connected = connect(&worker, &slot, &in_force.table, id, (peer, local)).await;
    drop(in_force);
    let mut finished = Finished {
        started,
        peer,
        local,
        target: None,
        group: None,
        end: None,
    };
    match connected {
        Some(Connected {
            stream: target,
            in_flight,
            group,
        }) => {
            finished.target = Some(in_flight.target().address);
            finished.group = Some(group);
            let parties = Parties {
                listener: Arc::clone(&listener),
                target: Arc::clone(in_flight.target()),
            };
            let relay = Relay::new(
                Rc::clone(&worker),
                slot,
                parties,
                client,
                target,
                Leftovers::default(),
                idle_timeout,
            );
            finished.end = Some(relay.await);
        }
        // The client gets a RST: there is nobody to talk to.
        None => drop(client.set_zero_linger()),
    }
    record::write(&worker, &listener, &finished);
}

fn listener(table: &Table, id: table::ListenerId) -> Option<(Arc<live::Listener>, Duration)> {
    let listener = table.listener(id)?;
    let (_, idle_timeout) = service(listener)?;
    Some((Arc::clone(&listener.live), idle_timeout))
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
    id: table::ListenerId,
    flow: (SocketAddr, SocketAddr),
) -> Option<Connected> {
    let (forward, _) = service(table.listener(id)?)?;
    let group = table.group(balance::group(forward, worker.random())?)?;
    let counters = group.live.counters.of(worker.index);
    counters.requests.add(1);
    let mut refused = Vec::new();
    slot.arm(CONNECT_TIMEOUT_SECONDS);
    while refused.len() < CONNECT_ATTEMPTS {
        let Some(target) = pick(worker, group, flow, &refused) else {
            break;
        };
        let in_flight = InFlight::new(Arc::clone(&target));
        match dial(slot, target.address).await {
            Ok(stream) => {
                return Some(Connected {
                    stream,
                    in_flight,
                    group: Arc::clone(&group.live),
                });
            }
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

/// Which of [`live::ListenerCounters::resets`] an end counts as.
pub(super) fn reset_by(cause: Option<Cause>) -> Option<usize> {
    match cause {
        Some(Cause::Done) => None,
        Some(Cause::ClientReset) => Some(0),
        Some(Cause::TargetReset) => Some(1),
        Some(Cause::IdleTimeout | Cause::Cut) | None => Some(2),
    }
}
