//! Durations counted in buckets: millions of them in a few kilobytes, percentiles to within 3 %.

use std::time::Duration;

/// Buckets per doubling, as a power of two: 32, so a bucket is at most 1/32 wide in relation to its value.
const SUB_BITS: u32 = 5;
const SUBS: usize = 1 << SUB_BITS;
/// The longest duration that has a bucket of its own is 2^36 microseconds, some 19 hours; longer ones join it.
const MAX_BITS: u32 = 36;
const BUCKETS: usize = ((MAX_BITS - SUB_BITS + 1) as usize) * SUBS;

/// How often each duration occurred, in microseconds.
#[derive(Debug, Clone)]
pub struct Latencies {
    counts: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            count: 0,
            longest: Duration::ZERO,
        }
    }
}

impl Latencies {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(micros)] += 1;
        self.count += 1;
        self.longest = self.longest.max(duration);
    }

    /// Adds all that another one has counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest duration, exactly.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The duration that this share of all does not exceed; zero if nothing was counted.
    ///
    /// Shape: `percent` is 0.0..=100.0. The answer is the upper end of a bucket, at most the longest duration.
    pub fn percentile(&self, percent: f64) -> Duration {
        let rank = (self.count as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_micros(upper_end(bucket)).min(self.longest);
            }
        }
        Duration::ZERO
    }
}

fn bucket(micros: u64) -> usize {
    let bits = 64 - micros.leading_zeros();
    if bits <= SUB_BITS + 1 {
        // Buckets of one microsecond.
        return micros as usize;
    }
    let shift = bits - SUB_BITS - 1;
    let index = (shift as usize) * SUBS + (micros >> shift) as usize;
    index.min(BUCKETS - 1)
}

/// The largest number of microseconds in a bucket.
fn upper_end(bucket: usize) -> u64 {
    let shift = (bucket / SUBS).saturating_sub(1);
    let base = bucket - shift * SUBS;
    ((base as u64 + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_in_a_bucket_at_most_a_32nd_wide() {
        for micros in (0..5000).chain([65_535, 65_536, 1_000_000, 123_456_789, 1 << 35]) {
            let end = upper_end(bucket(micros));
            assert!(
                end >= micros && end - micros <= micros / 32,
                "{micros}: {end}"
            );
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_durations() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(99.0), Duration::ZERO);
        for micros in 1..=1000 {
            latencies.record(Duration::from_micros(micros));
        }
        for (percent, exact) in [(0.0, 1), (50.0, 500), (99.0, 990), (100.0, 1000)] {
            let measured = latencies.percentile(percent).as_micros() as u64;
            assert!(
                measured >= exact && measured <= exact + exact / 32,
                "p{percent}: {measured}"
            );
        }
        assert_eq!(latencies.longest(), Duration::from_millis(1));
    }

    #[test]
    fn merging_is_counting_together() {
        let (mut one, mut two, mut both) = (
            Latencies::default(),
            Latencies::default(),
            Latencies::default(),
        );
        for millis in [3, 9, 27, 81] {
            one.record(Duration::from_millis(millis));
            two.record(Duration::from_millis(millis * 2));
            both.record(Duration::from_millis(millis));
            both.record(Duration::from_millis(millis * 2));
        }
        one.merge(&two);
        assert_eq!((one.count(), one.longest()), (8, both.longest()));
        assert_eq!(one.percentile(50.0), both.percentile(50.0));
    }
}
