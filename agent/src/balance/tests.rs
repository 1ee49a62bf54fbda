//! Distributions over groups and targets; chance is seeded, so every figure is the same in every run.

use arc_swap::ArcSwap;

use super::*;
use crate::live::{InFlight, Registry};
use crate::table::testing;

/// Weight and health.
type Member = (u32, bool);

fn members(members: &[Member]) -> Box<[(Arc<live::Target>, u32)]> {
    let registry = Registry::new(1);
    let name: Arc<str> = "catalog".into();
    let member = |(port, (weight, healthy)): (u16, &Member)| {
        let target = registry.target(&name, ([127, 0, 0, 1], port).into());
        target.healthy.store(*healthy, Ordering::Relaxed);
        (target, *weight)
    };
    (0..).zip(members).map(member).collect()
}

fn pool_of(algorithm: Algorithm, given: &[Member]) -> Group {
    let members = members(given);
    Group {
        algorithm,
        pool: Arc::new(live::Pool {
            schedule: ArcSwap::from_pointee(schedule(&members)),
            members,
        }),
        ..testing::group(0, &[])
    }
}

/// Picks that many times; how often each member was picked.
fn picks(group: &Group, times: usize) -> Vec<usize> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut counts = vec![0; group.pool.members.len()];
    for _ in 0..times {
        let picked = pick(group, random.u64(..)).unwrap();
        counts[usize::from(picked.target.address.port())] += 1;
    }
    counts
}

/// The share of each is within a tenth of what is expected, which is exact where nothing is random.
fn assert_near(counts: &[usize], expected: &[usize]) {
    assert_eq!(counts.len(), expected.len());
    let near = |(count, expected): (&usize, &usize)| count.abs_diff(*expected) * 10 <= *expected;
    assert!(
        counts.iter().zip(expected).all(near),
        "{counts:?} {expected:?}"
    );
}

#[test]
fn groups_get_their_share_of_the_weights() {
    let cases: &[(&[u32], &[usize])] = &[
        (&[1], &[10_000]),
        (&[1, 1], &[5_000, 5_000]),
        (&[90, 10], &[9_000, 1_000]),
        (&[0, 5], &[0, 10_000]),
        (&[999, 0, 999], &[5_000, 0, 5_000]),
        (&[0, 0], &[0, 0]),
    ];
    for (weights, expected) in cases {
        let forward = Forward {
            groups: (0..).map(GroupId).zip(weights.iter().copied()).collect(),
            total_weight: weights.iter().sum(),
        };
        let mut random = fastrand::Rng::with_seed(1);
        let mut counts = vec![0; weights.len()];
        for _ in 0..10_000 {
            if let Some(GroupId(id)) = group(&forward, random.u64(..)) {
                counts[id as usize] += 1;
            }
        }
        assert_near(&counts, expected);
        for draw in [0, u64::MAX] {
            assert_eq!(
                group(&forward, draw).is_some(),
                expected.iter().sum::<usize>() > 0
            );
        }
    }
}

#[test]
fn round_robin_goes_in_turn_by_weight_over_the_healthy() {
    let cases: &[(&[Member], &[usize])] = &[
        (&[(1, true), (1, true), (1, true)], &[200, 200, 200]),
        (&[(2, true), (1, true)], &[400, 200]),
        (&[(1, true), (1, false), (1, true)], &[300, 0, 300]),
        (&[(1, true), (0, true)], &[600, 0]),
        (&[(0, true), (1, false)], &[0, 600]),
        (&[(1, false), (2, false)], &[200, 400]),
    ];
    for (members, expected) in cases {
        let group = pool_of(Algorithm::RoundRobin, members);
        assert_eq!(picks(&group, 600), *expected, "{members:?}");
    }
}

#[test]
fn nobody_healthy_fails_open_and_nobody_to_choose_is_no_target() {
    let cases: &[(&[Member], Option<bool>)] = &[
        (&[], None),
        (&[(0, true), (0, false)], None),
        (&[(1, true), (1, false)], Some(false)),
        (&[(1, false), (0, false)], Some(true)),
    ];
    for algorithm in [
        Algorithm::RoundRobin,
        Algorithm::LeastOutstandingRequests,
        Algorithm::FlowHash,
    ] {
        for (members, expected) in cases {
            let group = pool_of(algorithm, members);
            let fail_open = pick(&group, 5).map(|picked| picked.fail_open);
            assert_eq!(
                fail_open,
                expected.ok_or(NoTarget),
                "{algorithm:?} {members:?}"
            );
        }
    }
}

#[test]
fn a_new_schedule_goes_into_force_without_a_new_group() {
    let group = pool_of(Algorithm::RoundRobin, &[(1, true), (1, true)]);
    group.pool.members[0]
        .0
        .healthy
        .store(false, Ordering::Relaxed);
    group
        .pool
        .schedule
        .store(Arc::new(schedule(&group.pool.members)));
    assert_eq!(picks(&group, 10), [0, 10]);
}

#[test]
fn least_outstanding_takes_the_fewest_in_relation_to_the_weight() {
    /// Weight and requests in flight; which member is next.
    type Case = (&'static [(u32, u32)], usize);
    let cases: &[Case] = &[
        (&[(1, 2), (1, 1), (1, 3)], 1),
        (&[(1, 2), (3, 3), (1, 3)], 1),
        (&[(1, 2), (2, 5)], 0),
        (&[(999, 998), (1, 1)], 0),
    ];
    for (busy, expected) in cases {
        let members: Vec<Member> = busy.iter().map(|(weight, _)| (*weight, true)).collect();
        let group = pool_of(Algorithm::LeastOutstandingRequests, &members);
        for ((_, requests), (target, _)) in busy.iter().zip(&group.pool.members) {
            target.in_flight.store(*requests, Ordering::Relaxed);
        }
        let mut counts = vec![0; busy.len()];
        counts[*expected] = 20;
        assert_eq!(picks(&group, 20), counts, "{busy:?}");
    }
}

#[test]
fn idle_targets_share_by_weight_under_least_outstanding() {
    let cases: &[(&[Member], &[usize])] = &[
        (&[(1, true), (1, true), (1, true)], &[200, 200, 200]),
        (&[(2, true), (1, true)], &[400, 200]),
    ];
    for (members, expected) in cases {
        let group = pool_of(Algorithm::LeastOutstandingRequests, members);
        assert_eq!(picks(&group, 600), *expected);
    }
}

#[test]
fn least_outstanding_evens_out_large_groups_too() {
    for (count, spread) in [(SCAN, 1), (SCAN + 1, 4), (1_000, 4)] {
        let group = pool_of(Algorithm::LeastOutstandingRequests, &vec![(1, true); count]);
        let mut random = fastrand::Rng::with_seed(3);
        let mut under_way = Vec::new();
        for _ in 0..count * 20 {
            let picked = pick(&group, random.u64(..)).unwrap();
            under_way.push(InFlight::new(picked.target));
        }
        let loads = group.pool.members.iter();
        let loads: Vec<_> = loads
            .map(|(target, _)| target.in_flight.load(Ordering::Relaxed))
            .collect();
        let (low, high) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
        assert!(
            high - 20 <= spread && 20 - low <= spread * 2,
            "{count}: {low} to {high}"
        );
    }
}

#[test]
fn a_flow_stays_on_its_target_and_flows_share_by_weight() {
    let group = pool_of(Algorithm::FlowHash, &[(1, true), (2, true), (1, false)]);
    for hash in [0, 1, 42, u64::MAX / 2, u64::MAX] {
        let once = pick(&group, hash).unwrap().target.id;
        assert!((0..10).all(|_| pick(&group, hash).unwrap().target.id == once));
    }
    assert_near(&picks(&group, 9_000), &[3_000, 6_000, 0]);
}
