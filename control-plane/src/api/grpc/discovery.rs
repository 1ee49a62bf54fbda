//! The shell around one agent's [`Exchange`]: reads its messages, watches the state, sends the parts, arms the timer.

pub(super) mod introduce;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use inlet_proto::digest::Digest;
use inlet_proto::v1;
use inlet_proto::v1::agent_message::Kind as Said;
use prost::bytes::Bytes;
use tokio::sync::watch;
use tonic::{Request, Status, Streaming};

use crate::api::outlet::{Outflow, Outlet, ReaderGone, outlet};
use crate::api::status::Problem;
use crate::api::{READER_PATIENCE, Shared};
use crate::fleet::Membership;
use crate::fleet::exchange::{Exchange, Input, Output};
use crate::fleet::roster::{Introduction, Verdict};
use crate::model::State;
use crate::view::{Delivery, Labels};

/// Parts that wait in a stream until the transport takes them.
const STREAM_PARTS: usize = 2;
/// How long a stream may be open without a Hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves the streams of all agents.
pub(crate) struct Discovery(pub(crate) Arc<Shared>);

impl Discovery {
    /// Opens an agent's stream; a task of its own serves it until it ends.
    pub(crate) fn open(&self, request: Request<Streaming<v1::AgentMessage>>) -> Outflow<Bytes> {
        let (outlet, outflow) = outlet(STREAM_PARTS, READER_PATIENCE);
        let peer = request.remote_addr();
        let session = Session {
            shared: Arc::clone(&self.0),
            states: self.0.writer.subscribe(),
            exchange: Exchange::default(),
            member: None,
            labels: Labels::new(),
            peer: peer.map_or_else(String::new, |address| address.to_string()),
            opened: Instant::now(),
            pending: VecDeque::new(),
        };
        self.0
            .tasks
            .spawn(session.run(request.into_inner(), outlet));
        outflow
    }
}

/// One stream.
struct Session {
    shared: Arc<Shared>,
    states: watch::Receiver<Arc<State>>,
    exchange: Exchange,
    /// Set by the first Hello.
    member: Option<Membership>,
    labels: Labels,
    peer: String,
    opened: Instant,
    /// Parts of the snapshot in flight that are not sent yet.
    pending: VecDeque<Bytes>,
}

/// Why a stream ends: with a status, or because the agent has ended it.
type Ended = Option<Status>;

impl Session {
    async fn run(mut self, mut messages: Streaming<v1::AgentMessage>, outlet: Outlet<Bytes>) {
        let _open = self.shared.metrics.stream_opened();
        let ended = loop {
            if let Err(ended) = self.turn(&mut messages, &outlet).await {
                break ended;
            }
        };
        if let Some(member) = self.member.take() {
            self.leave(&member, ended.as_ref());
        }
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
        let replaced = self.member.as_ref().map(|member| member.replaced.clone());
        let deadline = self.deadline();
        tokio::select! {
            message = messages.message() => self.hear(message),
            permit = outlet.reserve(), if !self.pending.is_empty() => {
                let permit = permit.map_err(|ReaderGone| None)?;
                let part = self.pending.pop_front().ok_or(None)?;
                self.shared.metrics.part_sent(part.len());
                permit.send(part);
                self.observe(Input::Taken)
            }
            changed = self.states.changed(), if self.exchange.is_greeted() => {
                changed.map_err(|_| Status::from(Problem::ShuttingDown))?;
                self.look()
            }
            () = sleep_until(deadline) => self.tick(),
            () = self.shared.shutdown.cancelled() => Err(Some(Problem::ShuttingDown.into())),
            () = cancelled(replaced) => Err(self.replaced()),
            () = outlet.closed() => Err(None),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.exchange.is_greeted() {
            self.exchange.deadline()
        } else {
            Some(self.opened + HELLO_TIMEOUT)
        }
    }

    fn tick(&mut self) -> Result<(), Ended> {
        if !self.exchange.is_greeted() {
            let seconds = HELLO_TIMEOUT.as_secs();
            return Err(Some(Problem::NoHelloInTime { seconds }.into()));
        }
        self.observe(Input::Tick)
    }

    fn hear(&mut self, message: Result<Option<v1::AgentMessage>, Status>) -> Result<(), Ended> {
        // A broken connection is an end as any other; the transport has nobody left to tell.
        let message = message.map_err(|_| None)?.ok_or(None)?;
        if let Some(member) = &self.member {
            member.touch();
        }
        match message.kind {
            Some(Said::Hello(hello)) => self.greet(hello),
            Some(Said::Ack(ack)) => self.observe(Input::Ack(ack.revision)),
            Some(Said::Nack(nack)) => self.refuse(nack),
            Some(Said::HealthReport(report)) => self.report(report),
            // A message of a newer agent.
            None => Ok(()),
        }
    }

    fn greet(&mut self, hello: v1::Hello) -> Result<(), Ended> {
        let revision = hello.revision;
        let digest = Digest::from_bytes(&hello.digest);
        let mut who = introduce::check(hello, &self.peer).map_err(Status::from)?;
        match &self.member {
            Some(member) if member.name() != who.name => {
                return Err(Some(introduce::changed("hello.name").into()));
            }
            Some(_) if self.labels != who.labels => {
                return Err(Some(introduce::changed("hello.labels").into()));
            }
            Some(_) => {}
            None => {
                let state = Arc::clone(&self.states.borrow());
                if revision > state.revision() {
                    tracing::warn!(
                        agent = who.name,
                        in_force = revision,
                        current = state.revision(),
                        "an agent has a revision that does not exist here: is this the right --data-dir?"
                    );
                }
                let view = self.shared.views.view(&state, &who.labels);
                who.revision = introduce::credible(revision, digest, &view);
                self.labels = who.labels.clone();
                self.join(who)?;
            }
        }
        let view = self.view();
        self.observe(Input::Hello {
            revision,
            digest,
            view,
        })
    }

    fn join(&mut self, who: Introduction) -> Result<(), Ended> {
        tracing::info!(
            agent = who.name,
            peer = who.peer,
            revision = who.revision,
            "agent connected"
        );
        self.shared.observed().back(&who.name);
        self.member = Some(self.shared.fleet.join(who).map_err(Status::from)?);
        Ok(())
    }

    /// The state has changed.
    fn look(&mut self) -> Result<(), Ended> {
        let view = self.view();
        self.observe(Input::View(view))
    }

    fn view(&mut self) -> Arc<crate::view::View> {
        let state = Arc::clone(&self.states.borrow_and_update());
        let view = self.shared.views.view(&state, &self.labels);
        if let Some(member) = &self.member {
            member.want(&view);
        }
        view
    }

    fn refuse(&mut self, nack: v1::Nack) -> Result<(), Ended> {
        let reasons = introduce::shorten(nack.reasons);
        let outputs = self
            .exchange
            .observe(Input::Nack(nack.revision), Instant::now());
        let is_refused = outputs.iter().any(
            |output| matches!(output, Output::Refused(revision) if *revision == nack.revision),
        );
        if let Some(member) = self.member.as_ref().filter(|_| is_refused) {
            let first = reasons.first().map_or("", |reason| reason.message.as_str());
            tracing::warn!(
                agent = member.name(),
                revision = nack.revision,
                reasons = reasons.len(),
                first,
                "agent refused a snapshot"
            );
            member.answered(Verdict::Refused(nack.revision, reasons));
        }
        self.perform(outputs)
    }

    fn report(&mut self, report: v1::HealthReport) -> Result<(), Ended> {
        let Some(member) = &self.member else {
            let reason = crate::fleet::exchange::CloseReason::NoHello;
            return Err(Some(reason.into()));
        };
        self.shared
            .observed()
            .report(member.name(), report, SystemTime::now());
        Ok(())
    }

    fn observe(&mut self, input: Input) -> Result<(), Ended> {
        let outputs = self.exchange.observe(input, Instant::now());
        self.perform(outputs)
    }

    fn perform(&mut self, outputs: Vec<Output>) -> Result<(), Ended> {
        for output in outputs {
            match output {
                Output::Send(delivery) => self.send(&delivery),
                Output::InForce(revision) => {
                    if let Some(member) = &self.member {
                        member.answered(Verdict::InForce(revision));
                    }
                }
                Output::Refused(_) => self.shared.metrics.refused(),
                Output::Close(reason) => return Err(Some(reason.into())),
            }
        }
        Ok(())
    }

    fn send(&mut self, delivery: &Delivery) {
        let transfer = self.shared.views.transfer(delivery);
        self.shared.metrics.snapshot_sent();
        self.pending = transfer.parts.iter().cloned().collect();
    }

    fn replaced(&self) -> Ended {
        let name = self.member.as_ref().map_or("", Membership::name);
        tracing::warn!(
            agent = name,
            peer = self.peer,
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
