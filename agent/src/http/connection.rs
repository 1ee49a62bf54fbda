//! One client's connection, from its acceptance to its end: requests, one after the other, and what may follow them.
//!
//! waiting -> exchange -> waiting ..., and at the end: closed, lingering (the client may be sending still: what comes is
//! thrown away, so that the system does not take our last response back), or a relay (Upgrade).

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::Shutdown;

use crate::edge::{Accepted, Open, Worker};
use crate::l4::receive::poll_receive;
use crate::l4::relay::{self, Cause, Leftovers, Parties, Relay};
use crate::live::{self, InFlight};

use super::client::Client;
use super::exchange::{End, Exchange, Upgraded};
use super::failure::Failure;
use super::record::{Flow, Record};

/// Requests served before others have their turn.
const REQUESTS_PER_TURN: usize = 16;

/// Longest time that a closed client may go on sending.
const LINGER_SECONDS: u32 = 5;

/// Bytes that it may send.
const LINGER_BYTES: usize = 1024 * 1024;

/// A connection being served.
#[derive(Debug)]
pub struct Serving {
    worker: Rc<Worker>,
    /// None = a relay has taken it over, or it is closed.
    client: Option<Client>,
    phase: Phase,
}

/// What lasts is small; what does not is boxed.
#[derive(Debug)]
enum Phase {
    Waiting,
    Exchanging(Box<Exchange>),
    /// So many bytes may still come.
    Lingering(usize),
    Relaying(Box<Relaying>),
    Over,
}

/// After an Upgrade.
#[derive(Debug)]
struct Relaying {
    relay: Relay,
    record: Record,
    flow: Flow,
    listener: Arc<live::Listener>,
    group: Option<Arc<live::Group>>,
    _in_flight: InFlight,
    _open: Open,
}

/// Serves one connection.
pub fn serve(worker: Rc<Worker>, accepted: Accepted) -> Serving {
    let client = Client::new(&worker, accepted);
    Serving {
        worker,
        client,
        phase: Phase::Waiting,
    }
}

impl Future for Serving {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(client) = &self.client {
            client.slot.wait(cx);
        }
        for _ in 0..REQUESTS_PER_TURN {
            let next = ready!(self.poll_phase(cx));
            if matches!(next, Phase::Over) {
                return Poll::Ready(());
            }
            self.phase = next;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Serving {
    /// Ready = what comes next.
    fn poll_phase(&mut self, cx: &mut Context<'_>) -> Poll<Phase> {
        let Self {
            worker,
            client,
            phase,
        } = self;
        let next = match (phase, client) {
            (Phase::Waiting, Some(client)) => {
                ready!(client.poll_request(cx, worker)).map_or(Phase::Over, Phase::Exchanging)
            }
            (Phase::Exchanging(exchange), Some(client)) => {
                let end = ready!(exchange.poll(cx, worker, client));
                self.after_exchange(end)
            }
            (Phase::Lingering(left), Some(client)) => {
                ready!(poll_linger(cx, worker, client, left));
                Phase::Over
            }
            (Phase::Relaying(relaying), _) => {
                let end = ready!(Pin::new(&mut relaying.relay).poll(cx));
                relaying.finish(worker, end);
                Phase::Over
            }
            (_, None) | (Phase::Over, _) => Phase::Over,
        };
        Poll::Ready(next)
    }

    fn after_exchange(&mut self, end: End) -> Phase {
        let Self {
            worker,
            client: place,
            phase,
        } = self;
        let (Phase::Exchanging(mut exchange), Some(client)) =
            (std::mem::replace(phase, Phase::Over), &*place)
        else {
            return Phase::Over;
        };
        if end == End::Upgrade {
            let upgraded = exchange
                .take_upgraded(worker, &client.flow)
                .zip(place.take());
            worker.upstreams().recycle(exchange);
            return upgraded.map_or(Phase::Over, |(upgraded, client)| {
                Phase::Relaying(Box::new(Relaying::new(worker, client, upgraded)))
            });
        }
        exchange.finish(worker, &client.flow);
        worker.upstreams().recycle(exchange);
        match end {
            End::Next => {
                client.slot.arm(client.idle_seconds);
                Phase::Waiting
            }
            End::Linger => {
                client.slot.arm(LINGER_SECONDS);
                // Fails if the client is gone already, which the next read finds out.
                let _ = rustix::net::shutdown(&client.stream, Shutdown::Write);
                Phase::Lingering(LINGER_BYTES)
            }
            End::Cut { reset: true } => {
                // Fails only if the client is gone already.
                let _ = client.stream.set_zero_linger();
                Phase::Over
            }
            End::Close | End::Cut { reset: false } | End::Upgrade => Phase::Over,
        }
    }
}

/// Throws away what comes, until the end of the stream or of our patience.
fn poll_linger(
    cx: &mut Context<'_>,
    worker: &Worker,
    client: &mut Client,
    left: &mut usize,
) -> Poll<()> {
    while *left > 0 {
        match poll_receive(cx, &mut client.stream, &mut worker.scratch()) {
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
            Poll::Ready(Ok(bytes)) => *left = left.saturating_sub(bytes),
            Poll::Pending if client.slot.expired() => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
    }
    Poll::Ready(())
}

impl Relaying {
    fn new(worker: &Rc<Worker>, client: Client, upgraded: Upgraded) -> Self {
        let Upgraded {
            record,
            target,
            in_flight,
            to_client,
            listener,
            group,
            idle_seconds,
        } = upgraded;
        let (stream, slot, flow, unread, open) = client.into_parts();
        let parties = Parties {
            listener: Arc::clone(&listener),
            target: Arc::clone(in_flight.target()),
        };
        // The relay counts what it reads and writes itself.
        let read_bytes = record.received_bytes + unread.len() as u64;
        listener
            .counters
            .of(worker.index)
            .received_bytes
            .add(read_bytes);
        let leftovers = Leftovers {
            to_target: unread,
            to_client,
        };
        let idle = Duration::from_secs(idle_seconds.into());
        let relay = Relay::new(
            Rc::clone(worker),
            slot,
            parties,
            stream,
            target,
            leftovers,
            idle,
        );
        Self {
            relay,
            record,
            flow,
            listener,
            group,
            _in_flight: in_flight,
            _open: open,
        }
    }

    fn finish(&mut self, worker: &Worker, end: relay::End) {
        let record = &mut self.record;
        record.received_bytes += end.received_bytes;
        record.sent_bytes += end.sent_bytes;
        record.failure = match end.cause {
            Cause::Done => None,
            Cause::IdleTimeout => Some(Failure::ResponseTimeout),
            Cause::ClientReset => Some(Failure::ClientGone),
            Cause::TargetReset => Some(Failure::TargetClosed),
            Cause::Cut => Some(Failure::TargetCut),
        };
        record.write(worker, &self.flow, &self.listener, self.group.as_deref());
    }
}
