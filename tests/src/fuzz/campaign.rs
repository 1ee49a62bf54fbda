//! Feeds a target, one input after the other, and makes a short story of what breaks it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::mutate::mutate;
use super::{Outcome, Target, hash};

/// Inputs that are changed; when there are more, a new one takes the place of any.
const POOL_MAX: usize = 4096;
/// Longest time that a target may take for one input, on a busy machine and without optimisation.
const INPUT_TIME_MAX: Duration = Duration::from_secs(10);
/// Inputs that are tried to make one shorter.
const SHRINK_TRIES_MAX: usize = 4096;
/// Changes on top of each other at most.
const MUTATIONS_MAX: usize = 6;

/// A target under fire.
#[derive(Debug)]
pub struct Campaign {
    target: &'static Target,
    random: Rng,
    /// What is still to be fed as it is.
    seeds: Vec<Vec<u8>>,
    pool: Vec<Vec<u8>>,
    seen: HashSet<u64>,
    inputs: u64,
    accepted: u64,
}

/// An input that breaks a promise, as short as it would go.
#[derive(Debug, Clone)]
pub struct Breach {
    /// Whose promise.
    pub target: &'static str,
    /// The input.
    pub input: Vec<u8>,
    /// What the target said.
    pub said: String,
}

impl Campaign {
    /// Begins with `seeds`, in their order; chance comes from `seed`.
    pub fn new(target: &'static Target, seeds: Vec<Vec<u8>>, seed: u64) -> Self {
        Self {
            target,
            random: Rng::with_seed(seed),
            seeds: seeds.into_iter().rev().collect(),
            pool: Vec::new(),
            seen: HashSet::new(),
            inputs: 0,
            accepted: 0,
        }
    }

    /// Inputs so far.
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// Of these, such as the target has accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Features of what the target has done.
    pub fn features(&self) -> usize {
        self.seen.len()
    }

    /// Feeds one input.
    pub fn step(&mut self) -> Result<(), Breach> {
        let input = self.seeds.pop().unwrap_or_else(|| self.next_input());
        self.inputs += 1;
        match feed(self.target, &input) {
            Ok(outcome) => self.observe(input, outcome),
            Err(said) => return Err(self.shrink(input, said)),
        }
        Ok(())
    }

    /// Feeds all seeds as they are.
    pub fn replay(&mut self) -> Result<(), Breach> {
        while !self.seeds.is_empty() {
            self.step()?;
        }
        Ok(())
    }

    fn next_input(&mut self) -> Vec<u8> {
        let mut input = match self.random.choice(&self.pool) {
            Some(input) => input.clone(),
            None => Vec::new(),
        };
        for _ in 0..self.random.usize(1..=MUTATIONS_MAX) {
            mutate(&mut self.random, self.target, &self.pool, &mut input);
        }
        input.truncate(self.target.bytes_max);
        input
    }

    fn observe(&mut self, input: Vec<u8>, outcome: Outcome) {
        self.accepted += u64::from(outcome.accepted);
        let size = hash((outcome.accepted, input.len().checked_ilog2()));
        let before = self.seen.len();
        self.seen.extend(outcome.features.into_iter().chain([size]));
        if self.seen.len() == before {
            return;
        }
        if self.pool.len() < POOL_MAX {
            self.pool.push(input);
        } else {
            let place = self.random.usize(..POOL_MAX);
            self.pool[place] = input;
        }
    }

    /// Takes out whatever is not needed to break a promise.
    fn shrink(&self, input: Vec<u8>, said: String) -> Breach {
        let mut breach = Breach {
            target: self.target.name,
            input,
            said,
        };
        let mut tries = 0;
        let mut piece = breach.input.len() / 2;
        while piece > 0 {
            let mut at = 0;
            while at < breach.input.len() && tries < SHRINK_TRIES_MAX {
                tries += 1;
                let mut shorter = breach.input.clone();
                shorter.drain(at..breach.input.len().min(at + piece));
                match feed(self.target, &shorter) {
                    Err(said) => (breach.input, breach.said) = (shorter, said),
                    Ok(_) => at += piece,
                }
            }
            piece /= 2;
        }
        breach
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}\n    input: b\"{}\"",
            self.target,
            self.said,
            self.input.escape_ascii()
        )
    }
}

/// What the target makes of an input, or what it said when it broke.
fn feed(target: &Target, input: &[u8]) -> Result<Outcome, String> {
    listen_to_panics();
    SAID.set(Some(String::new()));
    let start = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let said = SAID.take().unwrap_or_default();
    let took = start.elapsed();
    match outcome {
        Err(_) => Err(said),
        Ok(_) if took > INPUT_TIME_MAX => Err(format!("it took {took:?}")),
        Ok(outcome) => Ok(outcome),
    }
}

thread_local! {
    /// What the last panic on this thread said; None = this thread feeds no target, and panics are printed.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on panics of targets are noted, place included, and those of anybody else printed as ever.
fn listen_to_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            let noted = SAID.with_borrow_mut(|said| {
                said.as_mut()
                    .map(|said| *said = panic.to_string())
                    .is_some()
            });
            if !noted {
                print(panic);
            }
        }));
    });
}
