//! Bytes that nobody sane would send, by the million: a fuzzer of our own, on stable Rust, repeatable by its seed.
//!
//! A [`Target`] takes any bytes, hands them to one part of Inlet, and panics when a promise of that part is broken.
//! A [`Campaign`] feeds it: first its corpus (`tests/fuzz/corpus/NAME/`), then changes of it; an input that makes
//! the target behave in a new way ([`Outcome::features`]) becomes part of the pool that is changed. An input that
//! breaks a promise is made as short as it goes and told; kept in the corpus, it is replayed by every test run from
//! then on.
//!
//! What is a new way is told by the target itself (which verdict, which of its parts), not by instrumented code: cheap,
//! and the same on every build.

mod campaign;
mod corpus;
mod mutate;
mod strict;
mod target;
mod wire;

use std::hash::{DefaultHasher, Hash, Hasher as _};

use fastrand::Rng;

pub use campaign::{Breach, Campaign};
pub use corpus::{keep, read};
pub use target::TARGETS;

/// One part of Inlet that takes bytes from outside.
#[derive(Debug)]
pub struct Target {
    /// As on the command line; the name of its folder in the corpus.
    pub name: &'static str,
    /// Pieces that mean something to it.
    pub dictionary: &'static [&'static [u8]],
    /// Longest input: somewhat above the target's own bounds.
    pub bytes_max: usize,
    /// Changes an input in a way that only this target's form has.
    pub own_mutation: Option<fn(&mut Rng, &mut Vec<u8>)>,
    /// Takes an input. Panics if a promise is broken.
    pub run: fn(&[u8]) -> Outcome,
}

impl Target {
    /// By its name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }
}

/// What an input made of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// It was taken for what it should be. A campaign whose inputs are all refused shows little.
    pub accepted: bool,
    /// What was new about it, if none of these was there before ([`feature`]).
    pub features: Vec<u64>,
}

impl Outcome {
    /// Taken, with these features.
    pub fn accepted(features: impl IntoIterator<Item = u64>) -> Self {
        Self {
            accepted: true,
            features: features.into_iter().collect(),
        }
    }

    /// Refused for this reason.
    pub fn refused(reason: impl Hash) -> Self {
        Self {
            accepted: false,
            features: vec![hash(reason)],
        }
    }
}

/// One thing about what a target did. Few values each, or everything is new and the pool is anything.
pub fn feature(value: impl Hash) -> u64 {
    hash(("accepted", value))
}

/// The same in every process.
fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Chance that belongs to an input, so that a target can split or choose and a replay does the same.
fn chance(input: &[u8]) -> Rng {
    Rng::with_seed(hash(input))
}
