//! What the control plane says, and what the agent answers: from the stream to the table in force, and to the disk.
//!
//! One task owns it all: [`exchange`] (pure) decides, [`stream`] talks, [`apply`] puts in force, [`disk`] keeps, and
//! [`keep`] says when. At start the kept snapshot is put in force before anybody is asked.
//!
//! Invariant: what is in force was admitted whole; a refusal leaves everything as it was.

pub mod apply;
pub mod disk;
pub mod exchange;
pub mod keep;
pub mod retry;
pub mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inlet_proto::digest::Digest;
use inlet_proto::v1;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, DropGuard};
use v1::agent_message::Kind as Say;

use apply::Applier;
use disk::Disk;
use exchange::{Exchange, Input, Output};
use keep::Keeper;
use stream::{BadUrl, Event, Link};

/// How often every verdict is told, beside the transitions.
const COMPLETE_REPORT_INTERVAL: Duration = Duration::from_secs(30);
/// Transitions that are told in one message.
const REPORT_BATCH: usize = 1024;
/// Questions about what is in force that may wait.
const QUESTIONS: usize = 8;

/// What is in force.
#[derive(Debug, Clone)]
pub struct InForce {
    /// Its revision.
    pub revision: u64,
    /// Its digest.
    pub digest: Digest,
    /// All resources, in the order of their keys.
    pub resources: Vec<Arc<v1::Resource>>,
}

/// How things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// `None` = no snapshot is in force yet.
    pub revision: Option<u64>,
    /// Resources in force.
    pub resources: usize,
    /// The stream to the control plane is open.
    pub connected: bool,
    /// Streams that were opened so far.
    pub streams: u64,
    /// Snapshots put in force so far, the kept one included.
    pub applied: u64,
    /// Snapshots refused so far, the kept one included.
    pub refused: u64,
    /// The last write of the snapshot to disk failed.
    pub keep_failed: bool,
}

/// Who the agent says it is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A handle of the task.
#[derive(Debug)]
pub struct Discovery {
    facts: watch::Receiver<Facts>,
    questions: mpsc::Sender<oneshot::Sender<InForce>>,
    task: JoinHandle<()>,
    /// Ends the task even if nobody calls [`Discovery::shutdown`].
    stop: DropGuard,
}

/// Asks the task; outlives it without harm.
#[derive(Debug, Clone)]
pub struct Inquiry {
    questions: mpsc::Sender<oneshot::Sender<InForce>>,
}

struct Task {
    identity: Identity,
    link: Link,
    exchange: Exchange,
    applier: Applier,
    disk: Arc<Disk>,
    keeper: Keeper,
    verdicts: mpsc::Receiver<v1::TargetVerdict>,
    facts: watch::Sender<Facts>,
}

impl Discovery {
    /// Starts on the current runtime. `verdicts` are the transitions that [`Health`](crate::health::Health) tells.
    ///
    /// Errors: the URL cannot be used.
    pub fn start(
        control_plane: &str,
        identity: Identity,
        applier: Applier,
        verdicts: mpsc::Receiver<v1::TargetVerdict>,
        disk: Disk,
    ) -> Result<Self, BadUrl> {
        let link = Link::new(control_plane, fastrand::Rng::new())?;
        let (sender, facts) = watch::channel(Facts::default());
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let disk = Arc::new(disk);
        let task = Task {
            identity,
            link,
            exchange: Exchange::default(),
            applier,
            keeper: Keeper::new(Arc::clone(&disk)),
            disk,
            verdicts,
            facts: sender,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(task.run(asked, stop.clone()));
        Ok(Self {
            facts,
            questions,
            task,
            stop: stop.drop_guard(),
        })
    }

    /// How things are, now and whenever that changes.
    pub fn facts(&self) -> watch::Receiver<Facts> {
        self.facts.clone()
    }

    /// To ask what is in force.
    pub fn inquiry(&self) -> Inquiry {
        Inquiry {
            questions: self.questions.clone(),
        }
    }

    /// Ends the stream, the probes, and keeps what is not kept yet.
    pub async fn shutdown(self) {
        drop(self.stop);
        // Fails only if the task has panicked, which was printed.
        let _ = self.task.await;
    }
}

impl Inquiry {
    /// What is in force; `None` = the agent ends.
    pub async fn in_force(&self) -> Option<InForce> {
        let (answer, answered) = oneshot::channel();
        self.questions.send(answer).await.ok()?;
        answered.await.ok()
    }
}

impl Task {
    async fn run(
        mut self,
        mut asked: mpsc::Receiver<oneshot::Sender<InForce>>,
        stop: CancellationToken,
    ) {
        self.boot().await;
        let mut complete = interval(COMPLETE_REPORT_INTERVAL);
        complete.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        while !stop.is_cancelled() {
            let deadline = self.exchange.deadline();
            tokio::select! {
                () = stop.cancelled() => {}
                event = self.link.next() => self.hear(event, &mut complete).await,
                count = self.verdicts.recv_many(&mut batch, REPORT_BATCH), if !self.verdicts.is_closed() => {
                    self.report(&mut batch, count).await;
                }
                _ = complete.tick() => self.report_all().await,
                () = self.keeper.turn() => self.keep(),
                () = until(deadline) => self.observe(Input::Tick).await,
                Some(answer) = asked.recv() => {
                    // Whoever asked may have gone.
                    let _ = answer.send(in_force(&self.exchange));
                }
            }
            self.publish();
        }
        self.keeper.flush(|| in_force(&self.exchange)).await;
        self.applier.shutdown().await;
    }

    /// Puts the kept snapshot in force, if there is one.
    async fn boot(&mut self) {
        let disk = Arc::clone(&self.disk);
        let loaded = tokio::task::spawn_blocking(move || disk.load()).await;
        match loaded.expect("reading a file does not panic") {
            Ok(None) => {}
            Ok(Some(snapshot)) => {
                tracing::info!(revision = snapshot.revision, "a snapshot was kept");
                self.observe(Input::Part(snapshot)).await;
            }
            Err(error) => self.set_aside(&error),
        }
        self.publish();
    }

    fn set_aside(&self, error: &disk::LoadError) {
        match self.disk.set_aside() {
            Ok(path) => tracing::error!(%error, moved_to = %path.display(),
                "the kept snapshot cannot be used: a complete one is fetched from the control plane"),
            Err(aside) => tracing::error!(%error, %aside,
                "the kept snapshot cannot be used, nor moved away: a complete one is fetched from the control plane"),
        }
    }

    async fn hear(&mut self, event: Event, complete: &mut Interval) {
        match event {
            Event::Open => {
                self.facts.send_modify(|facts| facts.streams += 1);
                self.observe(Input::Open).await;
                // What was told on the stream before is forgotten there.
                complete.reset_immediately();
            }
            Event::Snapshot(part) => self.observe(Input::Part(part)).await,
            Event::Lost => self.observe(Input::Lost).await,
        }
    }

    /// Takes in one thing and does what follows from it, to the end.
    async fn observe(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            if let Some(output) = self.exchange.observe(input, Instant::now()) {
                next = self.perform(output).await;
            }
        }
    }

    async fn perform(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Hello { revision, digest } => {
                let hello = Say::Hello(self.hello(revision, digest));
                self.link.say(hello).await;
            }
            Output::Apply { revision, changed } => {
                let view = self.exchange.view();
                let applied = self.applier.apply(revision, view, &changed).await;
                return Some(self.decided(revision, applied));
            }
            Output::Ack(revision) => {
                self.keep();
                self.keeper.wait().await;
                self.link.say(Say::Ack(v1::Ack { revision })).await;
            }
            Output::Nack { revision, reasons } => {
                self.facts.send_modify(|facts| facts.refused += 1);
                self.link
                    .say(Say::Nack(v1::Nack { revision, reasons }))
                    .await;
            }
            Output::Close(reason) => self.link.close(reason),
        }
        None
    }

    fn decided(&mut self, revision: u64, applied: Result<(), Vec<v1::refusal::Reason>>) -> Input {
        match applied {
            Ok(()) => {
                self.keeper.note();
                let resources = self.exchange.view().len();
                self.facts.send_modify(|facts| {
                    facts.applied += 1;
                    facts.revision = Some(revision);
                    facts.resources = resources;
                });
                tracing::info!(revision, resources, "snapshot in force");
                Input::Applied
            }
            Err(reasons) => {
                for reason in &reasons {
                    let resource = reason
                        .key
                        .as_ref()
                        .map(|key| format!("{}/{}", key.kind, key.name));
                    tracing::error!(
                        revision,
                        resource,
                        reason = reason.message,
                        "snapshot refused"
                    );
                }
                Input::Refused(reasons)
            }
        }
    }

    fn hello(&self, revision: u64, digest: Digest) -> v1::Hello {
        v1::Hello {
            name: self.identity.name.clone(),
            labels: self.identity.labels.clone().into_iter().collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision,
            digest: digest.to_bytes(),
        }
    }

    async fn report(&mut self, batch: &mut Vec<v1::TargetVerdict>, count: usize) {
        let verdicts: Vec<_> = batch.drain(..count).collect();
        let report = v1::HealthReport {
            verdicts,
            complete: false,
        };
        // Without a stream they are not lost: all verdicts are told on the next one.
        self.link.say(Say::HealthReport(report)).await;
    }

    async fn report_all(&mut self) {
        if self.link.is_open() {
            let report = v1::HealthReport {
                verdicts: self.applier.health().all(),
                complete: true,
            };
            self.link.say(Say::HealthReport(report)).await;
        }
    }

    fn keep(&mut self) {
        self.keeper.begin(|| in_force(&self.exchange));
    }

    fn publish(&self) {
        let (connected, keep_failed) = (self.link.is_open(), self.keeper.has_failed());
        self.facts.send_if_modified(|facts| {
            let before = (facts.connected, facts.keep_failed);
            (facts.connected, facts.keep_failed) = (connected, keep_failed);
            before != (connected, keep_failed)
        });
    }
}

fn in_force(exchange: &Exchange) -> InForce {
    InForce {
        revision: exchange.revision(),
        digest: exchange.digest(),
        resources: exchange.view().values().cloned().collect(),
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
