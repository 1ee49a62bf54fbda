//! The discovery protocol in a simulation: a control plane and 20 agents in one process, in virtual time, from a seed.
//!
//! Both ends run the code that the programs run: the writer's core, admission, views and sessions of the control
//! plane; the exchange, the retries and the compiler of the agent. What is between and around them is simulated and
//! goes wrong: streams that break and lose their tails, delays, old streams that speak on after a new one is open,
//! crashes on both sides, a full disk, ports that are taken, deltas that are not what they should be.
//!
//! - [`world`]: events in the order of time; below it what each does at the agents (`fleet`) and at the control plane
//!   (`plane`), what goes wrong (`faults`), and what must be afterwards (`rest`).
//! - [`agent`], [`wire`]: one agent's shell and one connection. [`operator`]: the changes.
//! - [`oracle`]: what may be in force, worked out anew from what was acknowledged. [`trace`]: what happened.
//!
//! Promises: after every step, what an agent has in force is exactly the view of one revision that was acknowledged;
//! after the faults have ended, every agent has the last revision that it was offered and does not refuse, and the
//! control plane knows; offered one by one, that is the last revision that it can have. Nobody asks for everything
//! again, or gives a stream up, without a reason.
//!
//! `INLET_SEEDS=500` runs more seeds than by default, `INLET_SEED=17` runs one and prints what happens.

mod agent;
mod operator;
mod oracle;
mod trace;
mod wire;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use world::{Tally, World};

/// Seeds that are run unless `INLET_SEEDS` says otherwise.
const SEEDS: u64 = 60;

#[test]
fn every_agent_has_the_last_revision_that_it_does_not_refuse_after_any_faults() {
    if let Some(seed) = number("INLET_SEED") {
        let mut world = World::new(seed);
        world.print_trace();
        world.run();
        println!(
            "seed {seed}: {:?}, trace {:016x}",
            world.tally(),
            world.trace_hash()
        );
        return;
    }
    let seeds = number("INLET_SEEDS").unwrap_or(SEEDS);
    let (tally, failed) = run_all(seeds);
    println!("{seeds} seeds: {tally:?}");
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds fail: {failed:?}; what happened is above; one of them again, with all that happens:\n\
         INLET_SEED={} cargo test -p inlet-tests --test simulation -- --nocapture every_agent",
        failed.len(),
        failed[0]
    );
    tally.assert_everything_happened();
}

#[test]
fn a_seed_repeats_exactly() {
    let hash = |seed| {
        let mut world = World::new(seed);
        world.run();
        world.trace_hash()
    };
    let seed = number("INLET_SEED").unwrap_or(1);
    assert_eq!(hash(seed), hash(seed));
    assert_ne!(hash(seed), hash(seed + 1), "another seed is another run");
}

/// Runs the seeds from 0 on every core; what happened in all of them, and those that fail.
fn run_all(seeds: u64) -> (Tally, Vec<u64>) {
    let next = AtomicU64::new(0);
    let found = Mutex::new((Tally::default(), Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                break;
            }
            let mut world = World::new(seed);
            // What it holds is dropped with it.
            let run = catch_unwind(AssertUnwindSafe(|| world.run()));
            let mut found = found.lock().expect("nobody panics with it");
            found.0.add(world.tally());
            if run.is_err() {
                println!(
                    "seed {seed} fails; the last that happened:\n{}",
                    world.last()
                );
                found.1.push(seed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(work);
        }
    });
    let (tally, mut failed) = found.into_inner().expect("nobody panics with it");
    failed.sort_unstable();
    (tally, failed)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} must be a number, not '{text}'")),
    )
}
