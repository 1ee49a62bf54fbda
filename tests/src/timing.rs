//! How the micro-benchmarks measure and print: the best of several rounds, in nanoseconds per operation.
//!
//! The best, not the mean: whatever else the machine does can only make a round longer.

use std::time::Instant;

/// Rounds of which the best counts.
const ROUNDS: usize = 30;

/// Nanoseconds for one of `operations` that `round` does.
pub fn ns_per_operation(operations: usize, mut round: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        round();
        best = best.min(start.elapsed().as_nanos() as f64 / operations as f64);
    }
    best
}

/// Measures `operation`, done often enough for the clock, and prints a line.
pub fn bench(name: &str, mut operation: impl FnMut()) {
    const OPERATIONS: usize = 20_000;
    let ns = ns_per_operation(OPERATIONS, || (0..OPERATIONS).for_each(|_| operation()));
    println!("{name:<60}{ns:>10.1} ns");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_shared_among_its_operations() {
        let mut rounds = 0;
        let ns = ns_per_operation(1_000_000, || rounds += 1);
        assert_eq!(rounds, ROUNDS);
        assert!(ns < 1000.0, "{ns} ns for a millionth of next to nothing");
    }
}
