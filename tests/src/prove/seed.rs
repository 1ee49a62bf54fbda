//! Chance that can be repeated.

use fastrand::Rng;

/// The flag that repeats a run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Seed {
    /// Repeats the random choices of an earlier run
    #[arg(long)]
    seed: Option<u64>,
}

impl Seed {
    /// A generator from the seed that was given, or from a new one; prints it.
    pub(crate) fn generator(&self) -> Rng {
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        println!("seed {seed}: --seed {seed} repeats the random choices");
        Rng::with_seed(seed)
    }
}
