//! The exchange's connection to a target: from the pool, opened, tried again elsewhere, given back.
//!
//! Whether to try again is decided by [`retry`], from the failure and what was sent; here it is done, or given up.

use std::sync::Arc;

use tokio::net::TcpStream;

use crate::edge::Worker;
use crate::l4::dial::{self, CONNECT_TIMEOUT_SECONDS};
use crate::live::{self, InFlight};
use crate::table::Group;

use super::super::client::Client;
use super::super::failure::{Attempt, Failure, Retry, retry};
use super::{End, Exchange};

/// A connection to a target.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) stream: TcpStream,
    pub(super) in_flight: InFlight,
    /// From the pool.
    pub(super) reused: bool,
    pub(super) is_open: bool,
}

impl Exchange {
    /// Tries again, or answers, or ends. None = go on.
    pub(super) fn observe_failure(
        &mut self,
        worker: &Worker,
        client: &Client,
        mut failure: Failure,
    ) -> Option<End> {
        loop {
            self.count_error(worker, failure);
            let verdict = retry(failure, self.attempt());
            let tried = match self.upstream.take() {
                Some(upstream) => Some(Arc::clone(upstream.in_flight.target())),
                None => self.refused_by.take(),
            };
            let next = match (verdict, tried) {
                (Retry::SameTarget, tried) => tried,
                (Retry::OtherTarget, Some(tried)) => self.pick_other(worker, tried.id),
                _ => None,
            };
            let Some(target) = next else {
                return self.give_up(worker, client, failure);
            };
            let connected = match verdict {
                // Others in the pool are as old as the one that died.
                Retry::SameTarget => self.dial(client, target),
                Retry::OtherTarget | Retry::No => self.connect(worker, client, target),
            };
            match connected {
                Ok(()) => return None,
                Err(again) => failure = again,
            }
        }
    }

    fn attempt(&self) -> Attempt {
        Attempt {
            connections: self.connections,
            reused: self
                .upstream
                .as_ref()
                .is_some_and(|upstream| upstream.reused),
            sent: self.upload.sent_bytes > 0,
            received: self.download.received,
            repeatable: self.upload.is_repeatable(),
            idempotent: self.traits.idempotent,
        }
    }

    fn count_error(&self, worker: &Worker, failure: Failure) {
        let is_error = matches!(
            failure,
            Failure::Refused
                | Failure::ConnectTimeout
                | Failure::SpokeFirst
                | Failure::TargetClosed
        );
        if let (true, Some(group)) = (is_error, self.group()) {
            group
                .live
                .counters
                .of(worker.index)
                .connection_errors
                .add(1);
        }
    }

    /// A target other than one that refused. None = there is no other.
    ///
    /// Any of them, not the algorithm's choice: by fewest requests in flight, a target that refuses all would be it again.
    fn pick_other(&self, worker: &Worker, refused: live::TargetId) -> Option<Arc<live::Target>> {
        let schedule = self.group()?.pool.schedule.load();
        let eligible = &schedule.eligible;
        let first = worker.random()
            % u64::try_from(eligible.len())
                .ok()
                .filter(|targets| *targets > 0)?;
        let (before, after) = eligible.split_at_checked(usize::try_from(first).ok()?)?;
        let mut in_turn = after.iter().chain(before).map(|(target, _)| target);
        in_turn.find(|target| target.id != refused).map(Arc::clone)
    }

    /// Takes a connection from the pool, or opens one.
    pub(super) fn connect(
        &mut self,
        worker: &Worker,
        client: &Client,
        target: Arc<live::Target>,
    ) -> Result<(), Failure> {
        match worker.upstreams().take(&target) {
            Some(stream) => {
                self.begin_attempt(&target);
                self.upstream = Some(Upstream {
                    stream,
                    in_flight: InFlight::new(target),
                    reused: true,
                    is_open: true,
                });
                Ok(())
            }
            None => self.dial(client, target),
        }
    }

    fn dial(&mut self, client: &Client, target: Arc<live::Target>) -> Result<(), Failure> {
        self.begin_attempt(&target);
        match dial::begin(target.address) {
            Ok(stream) => {
                client.slot.arm(CONNECT_TIMEOUT_SECONDS);
                let in_flight = InFlight::new(target);
                self.upstream = Some(Upstream {
                    stream,
                    in_flight,
                    reused: false,
                    is_open: false,
                });
                Ok(())
            }
            // Loopback refuses at once.
            Err(error) => {
                self.refused_by = Some(target);
                Err(failure_to_dial(&error))
            }
        }
    }

    /// One more connection is tried, on which nothing was sent yet.
    fn begin_attempt(&mut self, target: &live::Target) {
        self.record.target = Some(target.address);
        self.record.times.sent = None;
        self.upload.rewind();
        self.connections += 1;
    }

    /// The response has ended: the connection goes to the pool, or is closed.
    pub(super) fn release(&mut self, worker: &Worker) {
        let Some(Upstream {
            stream, in_flight, ..
        }) = self.upstream.take()
        else {
            return;
        };
        let whole = self.upload.is_done() && !self.upload.broken && !self.download.surplus;
        if whole && self.download.keeps_target && !self.traits.ambiguous {
            worker.upstreams().give_back(
                in_flight.target(),
                stream,
                worker.seconds(),
                self.idle_seconds,
            );
        }
    }

    fn group(&self) -> Option<&Group> {
        let in_force = self.in_force.as_ref()?;
        Some(in_force.table.group(self.group?)?)
    }
}

/// What the system says at once.
fn failure_to_dial(error: &std::io::Error) -> Failure {
    use rustix::io::Errno;
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL) => {
            Failure::NoSocket
        }
        _ => Failure::Refused,
    }
}
