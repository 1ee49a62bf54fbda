//! The fuzz targets of `inlet_tests::fuzz` in a few seconds: the whole corpus, then some chance. The long run is
//! `prove fuzz`.

use inlet_tests::fuzz::{Campaign, Outcome, TARGETS, Target, feature, read};

/// Inputs of a target beyond its corpus.
const INPUTS: u64 = 3_000;
/// The same ones in every run: what changes from run to run is for `prove fuzz`.
const SEED: u64 = 1;

fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    read(target).unwrap_or_else(|error| panic!("the corpus of {}: {error}", target.name))
}

#[test]
fn no_input_of_the_corpus_breaks_a_promise() {
    let mut breaches = Vec::new();
    for target in TARGETS {
        let inputs = corpus(target);
        assert!(!inputs.is_empty(), "{} has no corpus", target.name);
        for (name, input) in inputs {
            let replayed = Campaign::new(target, vec![input], SEED).replay();
            breaches.extend(replayed.err().map(|breach| format!("{name}: {breach}")));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn no_chance_input_breaks_a_promise() {
    let mut breaches = Vec::new();
    for target in TARGETS {
        let seeds = corpus(target).into_iter().map(|(_, input)| input);
        let mut campaign = Campaign::new(target, seeds.collect(), SEED);
        while campaign.inputs() < INPUTS {
            if let Err(breach) = campaign.step() {
                breaches.push(format!("seed {SEED}: {breach}"));
                break;
            }
        }
        let accepted = campaign.accepted();
        if breaches.is_empty() && accepted < INPUTS / 50 {
            breaches.push(format!(
                "{}: {accepted} accepted: this shows little",
                target.name
            ));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// Breaks when it reads what no chance alone would make.
fn planted(input: &[u8]) -> Outcome {
    let steps: [&[u8]; 4] = [b"<one>", b"<two>", b"<three>", b"<four>"];
    let reached = steps
        .iter()
        .take_while(|step| input.windows(step.len()).any(|window| window == **step));
    let reached = reached.count();
    assert!(reached < steps.len(), "the planted mistake");
    Outcome::accepted([feature(reached)])
}

#[test]
fn a_planted_mistake_is_found_made_short_and_found_again_by_its_seed() {
    static PLANTED: Target = Target {
        name: "planted",
        dictionary: &[b"<one>", b"<two>", b"<three>", b"<four>", b"<five>"],
        bytes_max: 1000,
        own_mutation: None,
        run: planted,
    };
    let find = || {
        let mut campaign = Campaign::new(&PLANTED, vec![b"begin".to_vec()], 7);
        loop {
            if let Err(breach) = campaign.step() {
                return (campaign.inputs(), breach);
            }
            assert!(campaign.inputs() < 200_000, "it is not found");
        }
    };
    let (inputs, breach) = find();
    assert!(breach.said.contains("the planted mistake"), "{breach}");
    assert_eq!(
        breach.input.len(),
        "<one><two><three><four>".len(),
        "{breach}"
    );
    assert_eq!(find().0, inputs);
}
