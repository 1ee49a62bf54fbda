//! An agent without sockets: takes the steps of a script, and watches over what is in force.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inlet_agent::compile::{Compiler, View};
use inlet_agent::discovery::disk::{LoadError, decode};
use inlet_agent::discovery::exchange::{Exchange, Input, Output, SNAPSHOT_TIMEOUT};
use inlet_agent::live::Registry;
use inlet_agent::table::Table;
use inlet_proto::digest::Digest;
use inlet_proto::name::Key;
use inlet_proto::v1;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::super::class;
use super::resources_of;
use crate::fuzz::feature;

/// Parts of one snapshot that a script sends.
const PARTS_MAX: u32 = 8;

/// An agent without sockets, and what it must have in force.
#[derive(Debug)]
pub(super) struct Host {
    exchange: Exchange,
    compiler: Compiler,
    table: Arc<Table>,
    now: Instant,
    is_open: bool,
    pub(super) applied: usize,
    pub(super) features: BTreeSet<u64>,
    /// What was in force after the last decision.
    revision: u64,
    view: View,
    upserts: Vec<v1::Resource>,
    removals: Vec<v1::ResourceKey>,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            exchange: Exchange::default(),
            compiler: Compiler::new(Arc::new(Registry::new(1))),
            table: Arc::default(),
            now: Instant::now(),
            is_open: false,
            applied: 0,
            features: BTreeSet::new(),
            revision: 0,
            view: View::new(),
            upserts: Vec::new(),
            removals: Vec::new(),
        }
    }
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Nothing,
    Hello,
    Closed,
    Applied,
    /// By whom.
    Refused(&'static str),
    Unread(&'static str),
}

impl Host {
    pub(super) fn step(&mut self, step: &[u8]) -> Step {
        let (word, rest) = match step.iter().position(|byte| *byte == b' ') {
            Some(end) => (&step[..end], &step[end + 1..]),
            None => (step, &b""[..]),
        };
        match word {
            b"open" if !self.is_open => {
                self.is_open = true;
                self.observe(Input::Open)
            }
            b"lost" => {
                self.is_open = false;
                self.observe(Input::Lost)
            }
            b"tick" => {
                self.now += SNAPSHOT_TIMEOUT / 2 + Duration::from_secs(1);
                self.observe(Input::Tick)
            }
            b"part" if self.is_open => match v1::Snapshot::decode(rest) {
                Ok(part) => self.observe(Input::Part(part)),
                Err(_) => Step::Unread("part"),
            },
            b"resource" => match v1::Resource::decode(rest) {
                Ok(resource) => self.add([resource]),
                Err(_) => Step::Unread("resource"),
            },
            b"manifest" => self.add(resources_of(step)),
            b"remove" => self.remove(rest),
            b"send" => self.send(rest),
            b"file" => self.restore(rest),
            b"sealed" => self.restore(&seal(rest)),
            _ => Step::Nothing,
        }
    }

    fn add(&mut self, resources: impl IntoIterator<Item = v1::Resource>) -> Step {
        self.upserts.extend(resources);
        Step::Nothing
    }

    fn remove(&mut self, what: &[u8]) -> Step {
        let what = String::from_utf8_lossy(what);
        let Some((kind, name)) = what.split_once(' ') else {
            return Step::Unread("remove");
        };
        self.removals.push(v1::ResourceKey {
            kind: kind.to_owned(),
            name: name.to_owned(),
        });
        Step::Nothing
    }

    /// What was added, as an honest control plane would send it.
    fn send(&mut self, how: &[u8]) -> Step {
        let upserts = std::mem::take(&mut self.upserts);
        let removals = std::mem::take(&mut self.removals);
        let how = String::from_utf8_lossy(how);
        let (base, parts) = how.split_once(' ').unwrap_or((&how, "1"));
        let parts = parts.trim().parse().unwrap_or(1).clamp(1, PARTS_MAX);
        let is_complete = base == "complete";
        if !self.is_open {
            return Step::Nothing;
        }
        let base = if is_complete {
            View::new()
        } else {
            self.view.clone()
        };
        let frame = v1::Snapshot {
            revision: self.revision + 1,
            base_revision: if is_complete { 0 } else { self.revision },
            digest: digest(&after(base, &removals, &upserts)).to_bytes(),
            parts,
            ..Default::default()
        };
        let mut last = Step::Nothing;
        for (number, part) in (1..=parts).zip(0..) {
            let of_part = |index: usize| index % parts as usize == part;
            let upserts = upserts
                .iter()
                .enumerate()
                .filter(|(index, _)| of_part(*index));
            last = self.observe(Input::Part(v1::Snapshot {
                part: number,
                // In one part, so that what is removed and added in one snapshot is added in the end.
                removals: if part == 0 {
                    removals.clone()
                } else {
                    Vec::new()
                },
                upserts: upserts.map(|(_, resource)| resource.clone()).collect(),
                ..frame.clone()
            }));
        }
        last
    }

    /// A kept snapshot, while there is no stream.
    fn restore(&mut self, file: &[u8]) -> Step {
        let decoded = decode(file);
        if self.is_open {
            return Step::Nothing;
        }
        let step = match decoded {
            Ok(snapshot) => self.observe(Input::Part(snapshot)),
            Err(LoadError::Io { .. }) => panic!("nothing was read from anywhere"),
            Err(LoadError::Foreign) => Step::Unread("foreign"),
            Err(LoadError::Version(_)) => Step::Unread("version"),
            Err(LoadError::Length { .. }) => Step::Unread("length"),
            Err(LoadError::Checksum) => Step::Unread("checksum"),
            Err(LoadError::Content(_)) => Step::Unread("content"),
            Err(LoadError::Incomplete | LoadError::Refused(_)) => {
                panic!("decoding looks at one file, and puts nothing together")
            }
        };
        // What is not a whole complete snapshot is given up by the one who reads it.
        self.observe(Input::Lost);
        step
    }

    fn observe(&mut self, input: Input) -> Step {
        match self.exchange.observe(input, self.now) {
            None => Step::Nothing,
            Some(Output::Apply {
                revision, changed, ..
            }) => self.decide(revision, &changed),
            Some(Output::Hello { revision, .. }) => {
                assert_eq!(revision, self.revision, "Hello with what is not in force");
                Step::Hello
            }
            Some(Output::Ack(_)) => panic!("an answer before the decision"),
            Some(Output::Nack { reasons, .. }) => {
                assert!(!reasons.is_empty(), "refused without a reason");
                Step::Refused("exchange")
            }
            Some(Output::Close(_)) => {
                self.is_open = false;
                Step::Closed
            }
        }
    }

    fn decide(&mut self, revision: u64, changed: &BTreeSet<Key>) -> Step {
        let staged = self.exchange.view().clone();
        for key in changed {
            assert_ne!(staged.get(key), self.view.get(key), "{key} has not changed");
        }
        let compiled = self
            .compiler
            .compile(&self.table, &staged, changed, revision);
        let (decision, step) = match compiled {
            Ok(table) => {
                self.compiles_as_a_whole(&staged, &table);
                (self.table, self.view, self.revision) = (table, staged, revision);
                self.applied += 1;
                self.features
                    .insert(feature((self.applied.min(8), self.view.len().min(16))));
                (Input::Applied, Step::Applied)
            }
            Err(reasons) => {
                assert!(!reasons.is_empty(), "refused without a reason");
                let classes = reasons.iter().map(|reason| feature(class(&reason.message)));
                self.features.extend(classes);
                (Input::Refused(reasons), Step::Refused("compile"))
            }
        };
        let answer = self.exchange.observe(decision, self.now);
        let told = match &answer {
            None => !self.is_open,
            Some(Output::Ack(acked)) => step == Step::Applied && *acked == revision,
            Some(Output::Nack {
                revision: nacked, ..
            }) => step != Step::Applied && *nacked == revision,
            Some(_) => false,
        };
        assert!(told, "after {step:?}: {answer:?}");
        step
    }

    /// What came about change by change is what a restarted agent would have.
    fn compiles_as_a_whole(&self, view: &View, table: &Table) {
        let fresh = Compiler::new(Arc::new(Registry::new(1)));
        let all = view.keys().cloned().collect();
        let whole = fresh.compile(&Arc::default(), view, &all, table.revision);
        let whole = whole.unwrap_or_else(|reasons| {
            panic!("in force, but a restarted agent refuses it: {reasons:?}")
        });
        assert_eq!(
            shape(table),
            shape(&whole),
            "another table than after a restart"
        );
    }

    pub(super) fn check(&self) {
        assert!(self.exchange.staged().is_none(), "a decision is left open");
        assert_eq!(self.exchange.revision(), self.revision);
        assert!(
            *self.exchange.view() == self.view,
            "the view is not what is in force"
        );
        assert_eq!(
            self.exchange.digest(),
            digest(&self.view),
            "the digest is not that of the view"
        );
    }
}

/// The view that a snapshot makes.
fn after(mut view: View, removals: &[v1::ResourceKey], upserts: &[v1::Resource]) -> View {
    for key in removals.iter().filter_map(|key| Key::try_from(key).ok()) {
        view.remove(&key);
    }
    for resource in upserts {
        if let Some(key) = resource.key() {
            view.insert(key, Arc::new(resource.clone()));
        }
    }
    view
}

fn digest(view: &View) -> Digest {
    let mut digest = Digest::default();
    for (key, resource) in view {
        digest.add(key, resource.revision());
    }
    digest
}

/// Listeners and groups by name, with what a client can tell of them.
fn shape(table: &Table) -> BTreeSet<String> {
    let listeners = table.listeners.iter().flatten().map(|listener| {
        let ports = (listener.port, &listener.addresses);
        format!(
            "listener {} {} {ports:?}",
            listener.name, listener.load_balancer
        )
    });
    let groups = table.groups.iter().flatten().map(|group| {
        let members: Vec<_> = group
            .pool
            .members
            .iter()
            .map(|(target, weight)| (target.address, weight))
            .collect();
        format!(
            "group {} {:?} {:?} {members:?}",
            group.name, group.algorithm, group.health_check
        )
    });
    listeners.chain(groups).collect()
}

/// The form of a kept snapshot, written once more from its description.
fn seal(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    [
        b"inletsnp",
        &1_u32.to_le_bytes()[..],
        &length,
        &Sha256::digest(content),
        content,
    ]
    .concat()
}
