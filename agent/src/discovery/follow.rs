//! The task that follows the control plane: waits for one thing at a time and does what the exchange asks for.
//!
//! It alone holds the exchange and the table's maker, so that one snapshot is put in force after the other. Nothing
//! that it waits for inside of a turn is without a bound.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use inlet_proto::digest::Digest;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::agent_message::Kind as Say;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::apply::Applier;
use super::disk::{Damage, Disk, LoadError, Log, encode_delta};
use super::exchange::{Exchange, Input, Output};
use super::keep::{Due, Keeper};
use super::stream::{Event, Link};
use super::{Ask, Identity};
use crate::metrics::AgentFacts;

/// The health of all targets is told this often, in case the two ends have come apart.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);
/// Verdicts in one message, so that it stays well below 4 MiB.
const MAX_VERDICTS: usize = 8_000;
/// Resources in a delta that is appended on disk; with more, the snapshot is written whole.
const MAX_APPENDED: usize = 10_000;
/// Reasons of one refusal that are logged.
const MAX_LOGGED: usize = 20;

/// What it shows and hears besides the control plane.
pub(super) struct Lines {
    /// Health of targets, to be told.
    pub(super) verdicts: mpsc::Receiver<v1::TargetVerdict>,
    /// Questions for what is in force.
    pub(super) asks: mpsc::Receiver<Ask>,
    /// What is known of the agent.
    pub(super) facts: watch::Sender<AgentFacts>,
    /// The revision in force.
    pub(super) revision: watch::Sender<u64>,
}

/// All that following needs.
pub(super) struct Follower {
    identity: Identity,
    link: Link,
    exchange: Exchange,
    applier: Applier,
    disk: Arc<Disk>,
    keeper: Keeper,
    /// What the disk has or will have.
    kept: (u64, Digest),
    lines: Lines,
    report_at: Instant,
    facts: AgentFacts,
}

impl Follower {
    pub(super) fn new(
        identity: Identity,
        link: Link,
        disk: Disk,
        applier: Applier,
        lines: Lines,
    ) -> Self {
        let disk = Arc::new(disk);
        Self {
            identity,
            link,
            exchange: Exchange::default(),
            applier,
            keeper: Keeper::new(Arc::clone(&disk)),
            disk,
            kept: Default::default(),
            lines,
            report_at: Instant::now(),
            facts: AgentFacts::default(),
        }
    }

    /// Runs until told to stop; what is in force stays alive in what is returned.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Applier {
        self.restore().await;
        while !stop.is_cancelled() {
            self.turn(&stop).await;
            self.show();
        }
        let exchange = &self.exchange;
        self.keeper.flush(|| exchange.in_force()).await;
        self.applier
    }

    /// Waits for one thing and does what follows from it.
    async fn turn(&mut self, stop: &CancellationToken) {
        let deadline = self.exchange.deadline().map(Instant::from_std);
        tokio::select! {
            () = stop.cancelled() => {}
            event = self.link.next() => self.hear(event).await,
            Some(first) = self.lines.verdicts.recv() => self.report_transitions(first).await,
            () = sleep_until(self.report_at), if self.link.is_open() => self.report_all().await,
            // Whoever asked may have gone.
            Some(ask) = self.lines.asks.recv() => drop(ask.send(self.exchange.in_force())),
            () = self.keeper.turn() => self.keeper.begin(|| self.exchange.in_force()),
            () = sleep_until_some(deadline) => self.observe(Input::Tick).await,
        }
    }

    async fn hear(&mut self, event: Event) {
        match event {
            Event::Open => {
                self.facts.streams += 1;
                self.observe(Input::Open).await;
                self.report_all().await;
            }
            Event::Snapshot(part) => {
                self.facts.connected = true;
                self.observe(Input::Part(part)).await;
            }
            Event::Lost => {
                self.facts.connected = false;
                self.observe(Input::Lost).await;
            }
        }
    }

    async fn observe(&mut self, input: Input) {
        match self.exchange.observe(input, now()) {
            Some(Output::Apply {
                revision,
                changed,
                is_complete,
            }) => {
                let answer = match self.apply(revision, &changed).await {
                    Ok(()) => {
                        let answer = self.exchange.observe(Input::Applied, now());
                        self.announce();
                        self.keep((!is_complete).then_some(&changed)).await;
                        answer
                    }
                    Err(reasons) => self.exchange.observe(Input::Refused(reasons), now()),
                };
                self.perform(answer).await;
            }
            output => self.perform(output).await,
        }
    }

    async fn apply(
        &mut self,
        revision: u64,
        changed: &BTreeSet<Key>,
    ) -> Result<(), Vec<v1::refusal::Reason>> {
        let view = self.exchange.view();
        let applied = self.applier.apply(revision, view, changed).await;
        if applied.is_ok() {
            self.facts.revision = Some(revision);
            self.facts.resources = view.len();
            self.facts.applied += 1;
        }
        applied
    }

    /// Something else is in force: shows it.
    fn announce(&mut self) {
        self.show();
        if let Some(revision) = self.facts.revision {
            self.lines.revision.send_replace(revision);
        }
    }

    /// Keeps what is in force now, if it is not kept yet; `changed` = what differs from what is kept, if it is known.
    /// An answer that follows means kept, unless the disk has failed.
    async fn keep(&mut self, changed: Option<&BTreeSet<Key>>) {
        let in_force = (self.exchange.revision(), self.exchange.digest());
        let kept = std::mem::replace(&mut self.kept, in_force);
        if kept == in_force {
            return;
        }
        self.keeper.note(match changed {
            Some(changed) if changed.len() <= MAX_APPENDED => {
                let view = self.exchange.view();
                Due::Delta(encode_delta(kept.0, in_force, view, changed))
            }
            _ => Due::Whole,
        });
        self.keeper.settle(|| self.exchange.in_force()).await;
    }

    async fn perform(&mut self, output: Option<Output>) {
        match output {
            Some(Output::Hello { revision, digest }) => {
                let hello = self.hello(revision, digest);
                self.link.say(Say::Hello(hello)).await;
            }
            Some(Output::Ack(revision)) => self.link.say(Say::Ack(v1::Ack { revision })).await,
            Some(Output::Nack { revision, reasons }) => {
                self.note_refusal("refused a snapshot", revision, &reasons);
                let nack = v1::Nack { revision, reasons };
                self.link.say(Say::Nack(nack)).await;
            }
            Some(Output::Close(reason)) => self.link.close(reason),
            Some(Output::Apply { .. }) | None => {}
        }
    }

    fn note_refusal(&mut self, what: &'static str, revision: u64, reasons: &[v1::refusal::Reason]) {
        self.facts.refused += 1;
        self.show();
        for reason in reasons.iter().take(MAX_LOGGED) {
            let resource = reason
                .key
                .as_ref()
                .map_or_else(String::new, |key| format!("{}/{}", key.kind, key.name));
            tracing::error!(revision, resource, reason = reason.message, "{what}");
        }
    }

    fn hello(&self, revision: u64, digest: Digest) -> v1::Hello {
        v1::Hello {
            name: self.identity.name.clone(),
            labels: self.identity.labels.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision,
            digest: digest.to_bytes(),
        }
    }

    /// Transitions that are there by now go in one message. Without a stream they are dropped: the next one begins
    /// with the whole picture.
    async fn report_transitions(&mut self, first: v1::TargetVerdict) {
        let mut verdicts = vec![first];
        while let Ok(verdict) = self.lines.verdicts.try_recv() {
            verdicts.push(verdict);
            if verdicts.len() == MAX_VERDICTS {
                break;
            }
        }
        self.report(verdicts, false).await;
    }

    /// The first message replaces what the control plane knows, the others add to it.
    async fn report_all(&mut self) {
        self.report_at = Instant::now() + REPORT_INTERVAL;
        let mut rest = self.applier.health().all();
        let mut complete = true;
        while complete || !rest.is_empty() {
            let verdicts = rest.split_off(rest.len().saturating_sub(MAX_VERDICTS));
            self.report(verdicts, complete).await;
            complete = false;
        }
    }

    async fn report(&mut self, verdicts: Vec<v1::TargetVerdict>, complete: bool) {
        let report = v1::HealthReport { verdicts, complete };
        self.link.say(Say::HealthReport(report)).await;
    }

    fn show(&mut self) {
        self.facts.keep_failed = self.keeper.has_failed();
        self.lines.facts.send_if_modified(|shown| {
            let facts = AgentFacts {
                draining: shown.draining,
                ..self.facts
            };
            std::mem::replace(shown, facts) != facts
        });
    }

    /// Puts the kept snapshot in force, if there is one that can be.
    async fn restore(&mut self) {
        let disk = Arc::clone(&self.disk);
        let loaded = tokio::task::spawn_blocking(move || disk.load()).await;
        let loaded = match loaded.expect("loading does not panic") {
            Ok(None) => return,
            Ok(Some(loaded)) => loaded,
            Err(error @ LoadError::Io { .. }) => {
                return tracing::error!(%error, "the kept snapshot is not used; waiting for a complete one");
            }
            Err(error) => return self.set_aside(&error.to_string()),
        };
        if let Some(damage) = loaded.damage {
            self.save_damaged_deltas(damage, loaded.snapshot.revision);
        }
        match self.exchange.observe(Input::Part(loaded.snapshot), now()) {
            Some(Output::Apply {
                revision, changed, ..
            }) => self.restore_view(revision, &changed, loaded.log).await,
            Some(Output::Nack { reasons, .. }) => {
                let reason = reasons.first().map_or("", |reason| &reason.message);
                self.set_aside(reason);
            }
            _ => {
                self.exchange.observe(Input::Lost, now());
                self.set_aside(&LoadError::Incomplete.to_string());
            }
        }
    }

    async fn restore_view(&mut self, revision: u64, changed: &BTreeSet<Key>, log: Option<Log>) {
        // Whatever comes of it, this is what the disk has.
        self.kept = self.exchange.staged().unwrap_or_default();
        match self.apply(revision, changed).await {
            Ok(()) => {
                self.exchange.observe(Input::Applied, now());
                self.keeper.follow(log);
                tracing::info!(revision, "the kept snapshot is in force");
                self.announce();
            }
            Err(reasons) => {
                self.note_refusal("cannot put the kept snapshot in force", revision, &reasons);
                self.exchange.observe(Input::Refused(reasons), now());
            }
        }
    }

    fn save_damaged_deltas(&self, damage: Damage, revision: u64) {
        match self.disk.save_damaged_deltas() {
            Ok(path) => tracing::error!(
                revision,
                reason = %damage,
                kept_as = %path.display(),
                "the kept snapshot's deltas are broken and were set aside; going on with what is before the damage"
            ),
            Err(error) => tracing::error!(
                revision,
                reason = %damage,
                %error,
                "the kept snapshot's deltas are broken and cannot be set aside; going on with what is before the damage"
            ),
        }
    }

    fn set_aside(&self, reason: &str) {
        match self.disk.set_aside() {
            Ok(path) => tracing::error!(
                reason,
                kept_as = %path.display(),
                "the kept snapshot is broken and was set aside; waiting for a complete one"
            ),
            Err(error) => tracing::error!(
                reason,
                %error,
                "the kept snapshot is broken and cannot be set aside; waiting for a complete one"
            ),
        }
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
