//! Fuzzing for as long as one likes: the targets take turns, a share of the time each.

use std::time::{Duration, Instant};

use super::{Quantity, Report};
use crate::fuzz::{Breach, Campaign, TARGETS, Target, keep, read};

/// Time for what is not fuzzing: an input under way, and making one short.
const OVERHEAD: Duration = Duration::from_secs(120);
/// Inputs between two looks at the clock.
const INPUTS_PER_LOOK: usize = 64;

/// How long, at what.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// Seconds in all
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3000))]
    seconds: u64,
    /// Only this target
    #[arg(long, value_parser = target)]
    target: Option<&'static str>,
    #[command(flatten)]
    seed: super::seed::Seed,
}

impl Flags {
    pub(super) fn limit(&self) -> Duration {
        Duration::from_secs(self.seconds) + OVERHEAD
    }
}

pub(super) fn run(flags: &Flags, report: &mut Report) {
    let mut random = flags.seed.generator();
    let chosen: Vec<_> = TARGETS
        .into_iter()
        .filter(|target| flags.target.is_none_or(|name| name == target.name))
        .collect();
    let share = Duration::from_secs(flags.seconds) / chosen.len() as u32;
    for target in chosen {
        let (campaign, breach) = fuzz(target, random.u64(..), share);
        let name = target.name;
        let (inputs, accepted) = (campaign.inputs(), campaign.accepted());
        report.stated(&format!("{name}: inputs"), Quantity::Count(inputs));
        report.at_least(
            &format!("{name}: accepted"),
            Quantity::Count(accepted),
            Quantity::Count(inputs / 100),
        );
        report.stated(
            &format!("{name}: features"),
            Quantity::count(campaign.features()),
        );
        let told: Vec<_> = breach.iter().map(tell).collect();
        report.none(&format!("{name}: broken promises"), told.len(), &told);
    }
}

/// Until the time is over or a promise is broken.
fn fuzz(target: &'static Target, seed: u64, time: Duration) -> (Campaign, Option<Breach>) {
    let until = Instant::now() + time;
    let corpus =
        read(target).unwrap_or_else(|error| panic!("the corpus of {}: {error}", target.name));
    let seeds = corpus.into_iter().map(|(_, input)| input).collect();
    let mut campaign = Campaign::new(target, seeds, seed);
    while Instant::now() < until {
        for _ in 0..INPUTS_PER_LOOK {
            if let Err(breach) = campaign.step() {
                return (campaign, Some(breach));
            }
        }
    }
    (campaign, None)
}

fn tell(breach: &Breach) -> String {
    match keep(breach) {
        Ok(path) => format!("{breach}\n    kept as {}", path.display()),
        Err(error) => format!("{breach}\n    not kept: {error}"),
    }
}

fn target(name: &str) -> Result<&'static str, String> {
    let names = || TARGETS.map(|target| target.name).join(", ");
    match Target::named(name) {
        Some(target) => Ok(target.name),
        None => Err(format!("one of {}", names())),
    }
}
