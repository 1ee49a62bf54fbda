//! The shell around one agent's [`fleet::session::Session`](crate::fleet::session::Session): reads its messages,
//! watches the state, sends the parts, arms the timer, counts.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use inlet_proto::v1;
use inlet_proto::v1::agent_message::Kind as Said;
use prost::bytes::Bytes;
use tokio::sync::watch;
use tonic::{Request, Status, Streaming};

use crate::api::outlet::{Outflow, Outlet, ReaderGone, outlet};
use crate::api::status::Problem;
use crate::api::{READER_PATIENCE, Shared};
use crate::fleet::Membership;
use crate::fleet::exchange::CloseReason;
use crate::fleet::session::{Done, End, Heard, Here, Session};
use crate::model::State;

/// Parts that wait in a stream until the transport takes them.
const STREAM_PARTS: usize = 2;

/// Serves the streams of all agents.
pub(crate) struct Discovery(pub(crate) Arc<Shared>);

impl Discovery {
    /// Opens an agent's stream; a task of its own serves it until it ends.
    pub(crate) fn open(&self, request: Request<Streaming<v1::AgentMessage>>) -> Outflow<Bytes> {
        let (outlet, outflow) = outlet(STREAM_PARTS, READER_PATIENCE);
        let peer = request.remote_addr();
        let peer = peer.map_or_else(String::new, |address| address.to_string());
        let stream = Stream {
            shared: Arc::clone(&self.0),
            states: self.0.writer.subscribe(),
            session: Session::new(peer, Instant::now()),
        };
        self.0.tasks.spawn(stream.run(request.into_inner(), outlet));
        outflow
    }
}

/// One stream.
struct Stream {
    shared: Arc<Shared>,
    states: watch::Receiver<Arc<State>>,
    session: Session,
}

/// Why a stream ends: with a status, or because the agent has ended it.
type Ended = Option<Status>;

impl Stream {
    async fn run(mut self, mut messages: Streaming<v1::AgentMessage>, outlet: Outlet<Bytes>) {
        let _open = self.shared.metrics.stream_opened();
        let ended = loop {
            if let Err(ended) = self.turn(&mut messages, &outlet).await {
                break ended;
            }
        };
        if let Some(member) = self.session.member() {
            self.leave(member, ended.as_ref());
        }
        // First out of the roster: whoever reads the end finds it there.
        drop(self.session);
        if let Some(status) = ended {
            outlet.end(status);
        }
    }

    /// Waits for one thing and takes it in.
    async fn turn(
        &mut self,
        messages: &mut Streaming<v1::AgentMessage>,
        outlet: &Outlet<Bytes>,
    ) -> Result<(), Ended> {
        let member = self.session.member();
        let replaced = member.map(|member| member.replaced.clone());
        let deadline = self.session.deadline();
        tokio::select! {
            message = messages.message() => self.hear(message),
            permit = outlet.reserve(), if self.session.has_parts() => {
                let permit = permit.map_err(|ReaderGone| None)?;
                let state = self.states.borrow().clone();
                let part = self.session.next_part(self.shared.here(&state)).ok_or(None)?;
                self.shared.metrics.part_sent(part.len());
                permit.send(part);
                Ok(())
            }
            changed = self.states.changed(), if self.session.is_greeted() => {
                changed.map_err(|_| Status::from(Problem::ShuttingDown))?;
                let state = Arc::clone(&self.states.borrow_and_update());
                let looked = self.session.look(self.shared.here(&state));
                self.count(looked)
            }
            () = sleep_until(deadline) => {
                let state = self.states.borrow().clone();
                let ticked = self.session.tick(self.shared.here(&state));
                self.count(ticked)
            }
            () = self.shared.shutdown.cancelled() => Err(Some(Problem::ShuttingDown.into())),
            () = cancelled(replaced) => Err(self.replaced()),
            () = outlet.closed() => Err(None),
        }
    }

    fn hear(&mut self, message: Result<Option<v1::AgentMessage>, Status>) -> Result<(), Ended> {
        // A broken connection is an end as any other; the transport has nobody left to tell.
        let message = message.map_err(|_| None)?.ok_or(None)?;
        if let Some(member) = self.session.member() {
            member.touch();
        }
        let heard = match message.kind {
            Some(Said::Hello(hello)) => Heard::Hello(hello),
            Some(Said::Ack(ack)) => Heard::Ack(ack),
            Some(Said::Nack(nack)) => Heard::Nack(nack),
            Some(Said::HealthReport(report)) => return self.report(report),
            // A message of a newer agent.
            None => return Ok(()),
        };
        let is_new = self.session.member().is_none();
        // Not marked as seen: what the session makes of it here, it may be told again.
        let state = self.states.borrow().clone();
        let heard = self.session.hear(heard, self.shared.here(&state));
        if let Some(member) = self.session.member().filter(|_| is_new) {
            self.shared.observed().back(member.name());
        }
        self.count(heard)
    }

    fn report(&mut self, report: v1::HealthReport) -> Result<(), Ended> {
        let Some(member) = self.session.member() else {
            return Err(Some(End::from(CloseReason::NoHello).into()));
        };
        self.shared
            .observed()
            .report(member.name(), report, SystemTime::now());
        Ok(())
    }

    fn count(&self, done: Result<Vec<Done>, End>) -> Result<(), Ended> {
        for done in done.map_err(Status::from)? {
            match done {
                Done::Sent => self.shared.metrics.snapshot_sent(),
                Done::Refused => self.shared.metrics.refused(),
            }
        }
        Ok(())
    }

    fn replaced(&self) -> Ended {
        let name = self.session.member().map_or("", Membership::name);
        tracing::warn!(
            agent = name,
            peer = self.session.peer(),
            "a newer stream took over the agent's name"
        );
        Some(Problem::Replaced(name.to_owned()).into())
    }

    fn leave(&self, member: &Membership, ended: Option<&Status>) {
        let reason = ended.map_or("the agent closed the stream", Status::message);
        tracing::info!(agent = member.name(), reason, "agent disconnected");
        if !member.replaced.is_cancelled() {
            self.shared.observed().gone(member.name(), Instant::now());
        }
    }
}

impl Shared {
    /// What a session finds around it now.
    fn here<'a>(&'a self, state: &'a State) -> Here<'a> {
        Here {
            fleet: &self.fleet,
            views: &self.views,
            state,
            now: Instant::now(),
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

async fn cancelled(token: Option<tokio_util::sync::CancellationToken>) {
    match token {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}
