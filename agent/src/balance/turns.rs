//! Weights -> turns: who is next, interleaved so that nobody gets a burst of its turns.
//!
//! Stride scheduling: a member with the weight w has w turns at equal distances on one round; members of the same
//! weight are shifted against each other. Equal weights give plain round robin.

use std::collections::HashMap;

/// Turns of one round, unless there are more members than this: then weights are scaled down (no member below one
/// turn), which costs at most about 1 / [`TURNS`] of precision.
pub(super) const TURNS: u32 = 4096;

/// The order of turns of one round, as indices into `weights`.
///
/// Shape: `weights` are at least 1 each; the round has at most [`TURNS`] turns, and one more per member.
pub(super) fn interleave(weights: &[u32]) -> Vec<usize> {
    let turns = turns_of(weights);
    let mut alike: HashMap<u32, u32> = HashMap::new();
    for count in &turns {
        *alike.entry(*count).or_default() += 1;
    }
    let mut placed: HashMap<u32, u32> = HashMap::new();
    let mut round = Vec::new();
    for (member, &count) in turns.iter().enumerate() {
        let place = placed.entry(count).or_default();
        let shift = (f64::from(*place) + 0.5) / f64::from(alike[&count]);
        *place += 1;
        round.extend(
            (0..count).map(|turn| ((f64::from(turn) + shift) / f64::from(count), count, member)),
        );
    }
    // At the same point the heavier goes first, so that its next turn is not right behind.
    round.sort_by(|one, other| one.0.total_cmp(&other.0).then(other.1.cmp(&one.1)));
    round.into_iter().map(|(_, _, member)| member).collect()
}

/// How many turns each member has: its weight, reduced.
fn turns_of(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let total: u64 = weights
        .iter()
        .map(|weight| u64::from(weight / divisor))
        .sum();
    let reduce = |weight: &u32| {
        let turns = u64::from(weight / divisor);
        if total <= u64::from(TURNS) {
            return weight / divisor;
        }
        let scaled = (turns * u64::from(TURNS) / total).max(1);
        u32::try_from(scaled).unwrap_or(TURNS)
    };
    weights.iter().map(reduce).collect()
}

fn gcd(one: u32, other: u32) -> u32 {
    if other == 0 {
        one
    } else {
        gcd(other, one % other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_interleaved_by_weight() {
        let cases: &[(&[u32], &[usize])] = &[
            (&[], &[]),
            (&[7], &[0]),
            (&[1, 1, 1], &[0, 1, 2]),
            (&[300, 300], &[0, 1]),
            (&[2, 1], &[0, 1, 0]),
            (&[5, 1, 1], &[0, 1, 0, 0, 0, 2, 0]),
            (&[2, 4, 2], &[1, 0, 1, 2]),
        ];
        for (weights, expected) in cases {
            assert_eq!(interleave(weights), *expected, "{weights:?}");
        }
    }

    #[test]
    fn a_round_gives_every_member_its_share() {
        for weights in [vec![1, 2, 3], vec![999, 1], vec![10, 20, 999, 500, 3]] {
            let round = interleave(&weights);
            let total: u32 = weights.iter().sum();
            assert_eq!(round.len(), total as usize);
            for (member, weight) in weights.iter().enumerate() {
                let turns = round.iter().filter(|turn| **turn == member).count();
                assert_eq!(turns, *weight as usize);
            }
        }
    }

    #[test]
    fn the_round_is_bounded_and_leaves_nobody_out() {
        let mut random = fastrand::Rng::with_seed(7);
        for members in [2, 50, 1_000, 5_000] {
            let weights: Vec<_> = (0..members).map(|_| random.u32(1..=999)).collect();
            let round = interleave(&weights);
            assert!(round.len() <= TURNS as usize + members, "{members}");
            let mut turns = vec![0_u32; members];
            round.iter().for_each(|member| turns[*member] += 1);
            assert!(turns.iter().all(|turns| *turns > 0), "{members}");
        }
    }

    #[test]
    fn nobody_has_a_burst_of_turns() {
        // Half of the turns each: never more than one other turn between two of one's own.
        let round = interleave(&[100, 60, 40]);
        let mut last = 0;
        for (at, _) in round.iter().enumerate().filter(|(_, member)| **member == 0) {
            assert!(at - last <= 3, "turn {at} after {last}");
            last = at;
        }
    }
}
