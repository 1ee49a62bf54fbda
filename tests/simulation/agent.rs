//! One agent without its sockets: the exchange, the retries and the compiler of the program, in a shell that does
//! what `discovery::follow` does, with time, a stream, a disk and ports that the world gives.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use fastrand::Rng;
use inlet_agent::compile::{Compiler, View};
use inlet_agent::discovery::CompleteSnapshot;
use inlet_agent::discovery::exchange::{Exchange, Input, Output};
use inlet_agent::discovery::retry::Retry;
use inlet_agent::live::Registry;
use inlet_agent::table::Table;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::agent_message::Kind as Say;

use crate::oracle::{Labels, Oracle, describe};

/// A host with an agent.
pub(crate) struct Agent {
    /// Unique.
    pub(crate) name: String,
    /// For placement.
    pub(crate) labels: Labels,
    /// Ports that another program has.
    pub(crate) taken: BTreeSet<u16>,
    /// What its disk has: possibly older than what is in force.
    pub(crate) kept: Option<CompleteSnapshot>,
    /// Tells its lives apart; rises with every crash.
    pub(crate) life: u64,
    /// `None` = it is down.
    pub(crate) process: Option<Process>,
    /// Every revision that it ever had in force.
    pub(crate) had: BTreeSet<u64>,
    /// The last revision that it refused.
    pub(crate) refused: Option<u64>,
}

/// What a crash takes away.
pub(crate) struct Process {
    pub(crate) exchange: Exchange,
    pub(crate) retry: Retry,
    compiler: Compiler,
    table: Arc<Table>,
    /// The table that was looked at last.
    checked: RefCell<Option<Arc<Table>>>,
    /// Its connection, from when it is opened until its end is seen here.
    pub(crate) wire: Option<u64>,
    /// Since when it is open, in microseconds.
    pub(crate) open_since: Option<u64>,
    /// What is to be decided about; meanwhile nothing else is done.
    pub(crate) deciding: Option<Deciding>,
    /// What waits until then.
    pub(crate) inbox: VecDeque<Inbound>,
}

/// What [`Output::Apply`] has asked for.
#[derive(Debug)]
pub(crate) struct Deciding {
    revision: u64,
    changed: BTreeSet<Key>,
}

/// What arrives at an agent.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// Its stream is open.
    Open,
    /// A part of a snapshot.
    Part(v1::Snapshot),
    /// Its stream is gone.
    Lost,
}

/// What came of a decision.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) revision: u64,
    /// Empty = it is in force.
    pub(crate) reasons: Vec<String>,
    /// To be told, if anybody is there.
    pub(crate) say: Option<Say>,
}

impl Agent {
    /// Number `number` of the fleet, down.
    pub(crate) fn new(number: usize) -> Self {
        let zone = ["a", "b", "c"][number % 3];
        let mut labels = Labels::from([("zone".to_owned(), zone.to_owned())]);
        if number.is_multiple_of(4) {
            labels.insert("tier".to_owned(), "edge".to_owned());
        }
        Self {
            name: format!("edge-{number}"),
            labels,
            taken: BTreeSet::new(),
            kept: None,
            life: 0,
            process: None,
            had: BTreeSet::from([0]),
            refused: None,
        }
    }

    /// Starts it, and puts what is kept in force, if it can be. Says what is in force.
    pub(crate) fn start(&mut self, rng: Rng, now: Instant) -> u64 {
        let mut process = Process::new(rng);
        let kept = self.kept.as_ref().map(complete);
        if let Some(Output::Apply {
            revision, changed, ..
        }) = kept.and_then(|kept| process.exchange.observe(Input::Part(kept), now))
        {
            let tried = process.try_apply(revision, &changed, &self.taken);
            let is_in_force = tried.is_ok();
            let decision = match tried {
                Ok(()) => Input::Applied,
                Err(reasons) => Input::Refused(reasons),
            };
            let said = process.exchange.observe(decision, now);
            assert_eq!(said, None, "there is nobody to be told");
            if is_in_force {
                self.had.insert(revision);
            }
        } else {
            assert!(self.kept.is_none(), "what was kept is whole");
        }
        let in_force = process.exchange.revision();
        self.process = Some(process);
        in_force
    }

    /// Puts what is to be decided about in force, or refuses it.
    pub(crate) fn decide(&mut self, now: Instant) -> Option<Decided> {
        let process = self.process.as_mut()?;
        let Deciding { revision, changed } = process.deciding.take()?;
        let tried = process.try_apply(revision, &changed, &self.taken);
        let (decision, reasons) = match tried {
            Ok(()) => {
                self.had.insert(revision);
                self.refused = None;
                (Input::Applied, Vec::new())
            }
            Err(reasons) => {
                self.refused = Some(revision);
                let said = reasons.iter().map(|reason| reason.message.clone());
                let said = said.collect();
                (Input::Refused(reasons), said)
            }
        };
        let output = process.exchange.observe(decision, now);
        Some(Decided {
            revision,
            reasons,
            say: self.says(output),
        })
    }

    /// What the agent says for an output of its exchange that is an answer.
    pub(crate) fn says(&self, output: Option<Output>) -> Option<Say> {
        Some(match output? {
            Output::Hello { revision, digest } => Say::Hello(v1::Hello {
                name: self.name.clone(),
                labels: self.labels.clone(),
                version: "simulated".to_owned(),
                revision,
                digest: digest.to_bytes(),
            }),
            Output::Ack(revision) => Say::Ack(v1::Ack { revision }),
            Output::Nack { revision, reasons } => Say::Nack(v1::Nack { revision, reasons }),
            Output::Apply { .. } | Output::Close(_) => return None,
        })
    }

    /// The disk keeps what is in force.
    pub(crate) fn keep(&mut self) {
        if let Some(process) = &self.process
            && process.exchange.staged().is_none()
        {
            self.kept = Some(process.exchange.in_force());
        }
    }

    /// Ports that another program could take now.
    pub(crate) fn can_be_taken(&self, port: u16) -> bool {
        let bound = self.process.as_ref().map(Process::bound);
        !bound.is_some_and(|bound| bound.contains(&port))
    }

    /// Whether it would refuse what has these ports.
    pub(crate) fn refuses(&self, ports: &BTreeSet<u16>) -> bool {
        let bound = self
            .process
            .as_ref()
            .map(Process::bound)
            .unwrap_or_default();
        ports
            .iter()
            .any(|port| self.taken.contains(port) && !bound.contains(port))
    }

    /// The revision in force; 0 = nothing.
    pub(crate) fn in_force(&self) -> u64 {
        let process = self.process.as_ref();
        process.map_or(0, |process| process.exchange.revision())
    }

    /// Promise: what is in force is the view of one acknowledged revision, in the exchange and in the table.
    pub(crate) fn check(&self, oracle: &mut Oracle) {
        let Some(process) = &self.process else { return };
        let name = &self.name;
        let exchange = &process.exchange;
        let revision = exchange.revision();
        let expected = oracle.expected(revision, &self.labels);
        assert_eq!(
            exchange.digest(),
            expected.digest,
            "{name}: digest of revision {revision}"
        );
        assert_eq!(
            process.table.revision, revision,
            "{name}: the table's revision"
        );
        // A table never changes: once is enough.
        let checked = process.checked.replace(Some(Arc::clone(&process.table)));
        if checked.is_none_or(|checked| !Arc::ptr_eq(&checked, &process.table)) {
            let table = describe(&process.table);
            let what = "the table of revision";
            assert_eq!(table, expected.table, "{name}: {what} {revision}");
        }
        assert!(
            self.had.contains(&revision),
            "{name}: {revision} was never put in force"
        );
        if exchange.staged().is_none() {
            let mut having = exchange.view().iter();
            let mut wanted = expected.view.iter();
            let is_same = having.by_ref().eq(wanted.by_ref());
            assert!(
                is_same,
                "{name}: the view is not that of revision {revision}"
            );
        }
    }
}

impl Process {
    fn new(rng: Rng) -> Self {
        Self {
            exchange: Exchange::default(),
            retry: Retry::new(rng),
            compiler: Compiler::new(Arc::new(Registry::new(1))),
            table: Arc::default(),
            checked: RefCell::default(),
            wire: None,
            open_since: None,
            deciding: None,
            inbox: VecDeque::new(),
        }
    }

    /// Takes in what arrives. What is to be applied is decided about later.
    pub(crate) fn observe(&mut self, inbound: Inbound, now: Instant) -> Option<Output> {
        let input = match inbound {
            Inbound::Open => Input::Open,
            Inbound::Part(part) => Input::Part(part),
            Inbound::Lost => Input::Lost,
        };
        self.take(input, now)
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Output> {
        self.take(Input::Tick, now)
    }

    fn take(&mut self, input: Input, now: Instant) -> Option<Output> {
        match self.exchange.observe(input, now) {
            Some(Output::Apply {
                revision, changed, ..
            }) => {
                self.deciding = Some(Deciding { revision, changed });
                None
            }
            output => output,
        }
    }

    /// As `discovery::apply`: compile, bind what is new, swap. Refusing changes nothing.
    fn try_apply(
        &mut self,
        revision: u64,
        changed: &BTreeSet<Key>,
        taken: &BTreeSet<u16>,
    ) -> Result<(), Vec<v1::refusal::Reason>> {
        let view: &View = self.exchange.view();
        let compiled = self.compiler.compile(&self.table, view, changed, revision);
        // What was admitted as a whole can be compiled as a whole; a mixture could refer to what is not there.
        let table = compiled.unwrap_or_else(|reasons| {
            panic!("revision {revision} was admitted, and does not compile: {reasons:?}")
        });
        let bound = self.bound();
        let missing = ports(&table)
            .into_iter()
            .filter(|port| !bound.contains(port));
        let reasons: Vec<_> = missing
            .filter(|port| taken.contains(port))
            .map(|port| v1::refusal::Reason {
                key: None,
                message: format!("port {port} is taken"),
            })
            .collect();
        if !reasons.is_empty() {
            return Err(reasons);
        }
        self.table = table;
        Ok(())
    }

    fn bound(&self) -> BTreeSet<u16> {
        ports(&self.table)
    }
}

fn ports(table: &Table) -> BTreeSet<u16> {
    let listeners = table.listeners.iter().flatten();
    listeners.map(|listener| listener.port).collect()
}

/// A kept snapshot as the disk gives it back.
fn complete(kept: &CompleteSnapshot) -> v1::Snapshot {
    v1::Snapshot {
        revision: kept.revision,
        base_revision: 0,
        upserts: kept
            .resources
            .iter()
            .map(|found| (**found).clone())
            .collect(),
        removals: Vec::new(),
        digest: kept.digest.to_bytes(),
        part: 1,
        parts: 1,
    }
}
