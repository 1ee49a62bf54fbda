//! A control plane without runtime, sockets and clock, for the seeded simulation in `tests/simulation`: the writer's
//! core over a store in memory, the views, the roster and the sessions, each driven by one call at a time.
//!
//! Nothing here decides anything; what does is what the program runs. The wall clock is read for one thing that people
//! are shown, when an agent was last seen. No part of the API: it may change in any way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::agent_message::Kind as Said;
use prost::bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::fleet::Fleet;
use crate::fleet::session::{End, Heard, Here, Session};
use crate::model::{Change, State};
use crate::store::{Entry, Loaded, Memory, Store, StoreError};
use crate::view::Views;
use crate::writer::{Core, Job, Outcome, Refused, Rollback, Settings};

/// What the writer is asked for.
#[derive(Debug, Clone)]
pub enum Ask {
    /// A change.
    Apply {
        /// Created or replaced.
        upserts: Vec<v1::Upsert>,
        /// Deleted with their children.
        deletions: Vec<Key>,
        /// Refused unless this is the current revision.
        expected_revision: Option<u64>,
    },
    /// The configuration of an earlier revision.
    RollBack {
        /// Which.
        to: u64,
    },
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is this revision: acknowledged.
    Committed(u64),
    /// There was nothing to do.
    Unchanged,
    /// It may not be, or the store did not take it; nothing of it is there.
    Refused(String),
}

/// A control plane, and the store that outlives it.
pub struct Plane {
    disk: Disk,
    part_bytes: usize,
    running: Running,
}

/// What a crash takes away.
struct Running {
    core: Core,
    states: watch::Receiver<Arc<State>>,
    fleet: Arc<Fleet>,
    views: Views,
    sessions: BTreeMap<u64, Session>,
}

impl Plane {
    /// A control plane over an empty store, whose snapshots are split into parts of about this size.
    pub fn new(part_bytes: usize) -> Self {
        let disk = Disk::default();
        let running = Running::start(&disk, part_bytes);
        Self {
            disk,
            part_bytes,
            running,
        }
    }

    /// Asks the writer for several things at once; what becomes of each, in order.
    pub fn ask(&mut self, asks: Vec<Ask>) -> Vec<Answer> {
        let (jobs, mut queue) = mpsc::channel(asks.len().max(1));
        let mut replies = Vec::new();
        for ask in asks {
            let (reply, answer) = oneshot::channel();
            replies.push(answer);
            let queued = jobs.try_send(job(ask, reply));
            assert!(queued.is_ok(), "there is a place for each");
        }
        while let Ok(first) = queue.try_recv() {
            self.running.core.serve(first, &mut queue);
        }
        let answered = |mut reply: oneshot::Receiver<_>| reply.try_recv();
        replies
            .into_iter()
            .map(|reply| Answer::of(answered(reply).expect("every job is answered")))
            .collect()
    }

    /// From now on the store takes nothing, or takes it again.
    pub fn set_disk_full(&mut self, is_full: bool) {
        self.disk.is_full.store(is_full, Ordering::Relaxed);
    }

    /// Ends without notice and starts again from the store. What was `under_way` is kept as far as the store took it,
    /// but nobody was answered and nobody saw it before.
    pub fn crash(&mut self, under_way: Vec<Ask>) {
        self.running.sessions.clear();
        self.ask(under_way);
        self.running = Running::start(&self.disk, self.part_bytes);
    }

    /// The current revision.
    pub fn revision(&self) -> u64 {
        self.running.states.borrow().revision()
    }

    /// All resources at the current revision, parents before children.
    pub fn resources(&self) -> Vec<Arc<v1::Resource>> {
        let state = self.running.states.borrow();
        state.all().map(|(_, found)| Arc::clone(found)).collect()
    }

    /// One agent, as clients are told of it.
    pub fn agent(&self, name: &str) -> Option<v1::Agent> {
        self.running.fleet.agent(name)
    }

    /// Opens a stream.
    pub fn open(&mut self, stream: u64, now: Instant) {
        let session = Session::new(format!("stream-{stream}"), now);
        self.running.sessions.insert(stream, session);
    }

    /// The transport of a stream is gone.
    pub fn close(&mut self, stream: u64) {
        self.running.sessions.remove(&stream);
    }

    /// Whether a stream is open at this end.
    pub fn is_open(&self, stream: u64) -> bool {
        self.running.sessions.contains_key(&stream)
    }

    /// Whether a stream wants to be told of new states.
    pub fn is_greeted(&self, stream: u64) -> bool {
        let session = self.running.sessions.get(&stream);
        session.is_some_and(Session::is_greeted)
    }

    /// An agent has said something. Errors: the stream is ended with this text, and is closed.
    pub fn hear(
        &mut self,
        stream: u64,
        message: v1::AgentMessage,
        now: Instant,
    ) -> Result<(), String> {
        let heard = match message.kind {
            Some(Said::Hello(hello)) => Heard::Hello(hello),
            Some(Said::Ack(ack)) => Heard::Ack(ack),
            Some(Said::Nack(nack)) => Heard::Nack(nack),
            Some(Said::HealthReport(_)) | None => return Ok(()),
        };
        self.with(stream, now, |session, here| {
            session.hear(heard, here).map(drop)
        })
    }

    /// Tells a stream the current state. Errors: as [`Plane::hear`].
    pub fn look(&mut self, stream: u64, now: Instant) -> Result<(), String> {
        self.with(stream, now, |session, here| session.look(here).map(drop))
    }

    /// When a stream's [`Plane::tick`] is due next.
    pub fn deadline(&self, stream: u64) -> Option<Instant> {
        self.running.sessions.get(&stream)?.deadline()
    }

    /// Tells a stream that time has passed. Errors: as [`Plane::hear`].
    pub fn tick(&mut self, stream: u64, now: Instant) -> Result<(), String> {
        self.with(stream, now, |session, here| session.tick(here).map(drop))
    }

    /// The next part that a stream sends, if there is one: an encoded `ControlMessage`.
    pub fn next_part(&mut self, stream: u64, now: Instant) -> Option<Bytes> {
        let mut part = None;
        let taken = self.with(stream, now, |session, here| {
            part = session.next_part(here);
            Ok(())
        });
        taken.ok().and(part)
    }

    /// The streams whose name a newer one has taken over: their transport is to be ended.
    pub fn replaced(&self) -> Vec<u64> {
        let sessions = self.running.sessions.iter();
        let is_replaced = |session: &Session| {
            let member = session.member();
            member.is_some_and(|member| member.replaced.is_cancelled())
        };
        sessions
            .filter(|(_, session)| is_replaced(session))
            .map(|(stream, _)| *stream)
            .collect()
    }

    /// Works on a stream that is still open, and closes it if it ends.
    fn with(
        &mut self,
        stream: u64,
        now: Instant,
        work: impl FnOnce(&mut Session, Here<'_>) -> Result<(), End>,
    ) -> Result<(), String> {
        let running = &mut self.running;
        let Some(session) = running.sessions.get_mut(&stream) else {
            return Ok(());
        };
        let state = Arc::clone(&running.states.borrow());
        let here = Here {
            fleet: &running.fleet,
            views: &running.views,
            state: &state,
            now,
        };
        let worked = work(session, here);
        if worked.is_err() {
            running.sessions.remove(&stream);
        }
        worked.map_err(|end| end.to_string())
    }
}

impl Running {
    fn start(disk: &Disk, part_bytes: usize) -> Self {
        let settings = Settings {
            // How long an encoded time is depends on it, and with that where a part ends.
            clock: prost_types::Timestamp::default,
            ..Settings::default()
        };
        let loaded = Core::load(Box::new(disk.clone()), settings);
        let (core, states, _) = loaded.expect("a store in memory can be read");
        Self {
            core,
            states,
            fleet: Arc::default(),
            views: Views::with_parts_of(part_bytes),
            sessions: BTreeMap::new(),
        }
    }
}

impl Answer {
    fn of(answer: Result<Outcome, Refused>) -> Self {
        match answer {
            Ok(outcome) if outcome.committed => Self::Committed(outcome.revision),
            Ok(_) => Self::Unchanged,
            Err(refused) => Self::Refused(format!("{refused:?}")),
        }
    }
}

fn job(ask: Ask, reply: oneshot::Sender<Result<Outcome, Refused>>) -> Job {
    match ask {
        Ask::Apply {
            upserts,
            deletions,
            expected_revision,
        } => {
            let change = Change {
                upserts: upserts.into_iter().map(Into::into).collect(),
                deletions,
                expected_revision,
                ..Change::default()
            };
            Job::Apply(change, reply)
        }
        Ask::RollBack { to } => {
            let rollback = Rollback {
                to,
                ..Rollback::default()
            };
            Job::Rollback(rollback, reply)
        }
    }
}

/// A store in memory that can be full.
#[derive(Clone, Default)]
struct Disk {
    kept: Memory,
    is_full: Arc<AtomicBool>,
}

impl Store for Disk {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        self.kept.load()
    }

    fn append(&mut self, batch: &[Entry], oldest: u64) -> Result<(), StoreError> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(StoreError::Io {
                action: "write",
                path: "memory".into(),
                error: std::io::ErrorKind::StorageFull.into(),
            });
        }
        self.kept.append(batch, oldest)
    }

    fn wants_export(&self) -> bool {
        self.kept.wants_export()
    }

    fn export(&mut self, whole: &mut dyn FnMut() -> Loaded) -> Result<(), StoreError> {
        self.kept.export(whole)
    }
}
