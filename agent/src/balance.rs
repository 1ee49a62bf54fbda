//! Chooses: the group by weight, then a target of the group by its algorithm.
//!
//! Choosing only reads a [`live::Schedule`]; which targets may be chosen is decided when one is made
//! ([`schedule`]), that is, when a table is compiled or a verdict changes. Chance comes in as `draw`: a random number,
//! or the hash of a flow. The only state is the group's cursor.
//! Source: application load balancer, 7.3, 9.4 and 9.8; network load balancer, 4.4 and 5.

mod turns;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::live;
use crate::table::{Algorithm, Forward, Group, GroupId};

/// Up to this many targets, least outstanding requests looks at all of them; beyond, at two that the draw names.
const SCAN: usize = 16;

/// A choice.
#[derive(Debug)]
pub struct Picked {
    /// The target.
    pub target: Arc<live::Target>,
    /// It was chosen although it is not healthy, because none is.
    pub fail_open: bool,
}

/// No target can be chosen: none is registered, or all have the weight 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTarget;

/// A group by its share of the weights, whether or not it has a target: there is no failover between groups.
///
/// `draw`: uniformly random. None = all weights are 0. Cost: at most 5 steps.
pub fn group(forward: &Forward, draw: u64) -> Option<GroupId> {
    let mut point = share(draw, u64::from(forward.total_weight));
    for (group, weight) in &forward.groups {
        let weight = u64::from(*weight);
        if point < weight {
            return Some(*group);
        }
        point -= weight;
    }
    None
}

/// A target of a group, by the group's algorithm.
///
/// `draw`: a random number, or for [`Algorithm::FlowHash`] the hash of the flow: the same draw gives the same target
/// as long as the schedule stays. Cost: no lock and no allocation; at most `SCAN` (16) targets are looked at.
/// Errors: nobody can be chosen.
pub fn pick(group: &Group, draw: u64) -> Result<Picked, NoTarget> {
    let schedule = group.pool.schedule.load();
    let target = match group.algorithm {
        Algorithm::RoundRobin => in_turn(&schedule, turn(group)),
        Algorithm::LeastOutstandingRequests => least_outstanding(&schedule, turn(group), draw),
        Algorithm::FlowHash => by_flow(&schedule, draw),
    };
    Ok(Picked {
        target: Arc::clone(target.ok_or(NoTarget)?),
        fail_open: schedule.fail_open,
    })
}

/// Which members may be chosen now, as a schedule: those with a weight that are healthy; all with a weight if none of
/// them is healthy (fail open).
///
/// Shape: `turns::TURNS` (4096) turns at most, and one more per member. Cost: O(n log n) in the turns.
pub fn schedule(members: &[(Arc<live::Target>, u32)]) -> live::Schedule {
    let is_healthy = |target: &live::Target| target.healthy.load(Ordering::Relaxed);
    let weighted = members.iter().filter(|(_, weight)| *weight > 0);
    let healthy: Vec<_> = weighted
        .clone()
        .filter(|(target, _)| is_healthy(target))
        .cloned()
        .collect();
    let fail_open = healthy.is_empty();
    let eligible = if fail_open {
        weighted.cloned().collect()
    } else {
        healthy
    };
    let weights: Vec<_> = eligible.iter().map(|(_, weight)| *weight).collect();
    let turns = turns::interleave(&weights).into_iter();
    live::Schedule {
        turns: turns.map(|index| Arc::clone(&eligible[index].0)).collect(),
        fail_open: fail_open && !eligible.is_empty(),
        eligible: eligible.into(),
    }
}

/// The group's next turn, over all workers.
fn turn(group: &Group) -> usize {
    group.live.cursor.fetch_add(1, Ordering::Relaxed)
}

fn in_turn(schedule: &live::Schedule, turn: usize) -> Option<&Arc<live::Target>> {
    let index = turn.checked_rem(schedule.turns.len())?;
    schedule.turns.get(index)
}

/// The turns by hash; the seam for a consistent hash, under which a change of members moves few flows.
fn by_flow(schedule: &live::Schedule, hash: u64) -> Option<&Arc<live::Target>> {
    let index = share(hash, schedule.turns.len() as u64);
    schedule.turns.get(usize::try_from(index).ok()?)
}

/// The fewest requests in flight in relation to the weight. Among equals whose turn it is, else the next in turn, so
/// that idle targets share by weight.
fn least_outstanding(
    schedule: &live::Schedule,
    turn: usize,
    draw: u64,
) -> Option<&Arc<live::Target>> {
    let eligible = &schedule.eligible;
    if eligible.len() > SCAN {
        return Some(the_less_loaded_of_two(eligible, draw));
    }
    let favourite = in_turn(schedule, turn)?;
    let start = eligible
        .iter()
        .position(|(target, _)| Arc::ptr_eq(target, favourite))
        .unwrap_or_default();
    let (before, after) = eligible.split_at(start);
    let in_turn = after.iter().chain(before).map(Load::of);
    // `min_by` keeps the first among equals.
    let least = in_turn.min_by(|one, other| one.compare(other, 0))?;
    Some(least.target)
}

/// Two different members by chance; the one on which one more request would weigh less.
fn the_less_loaded_of_two(members: &[(Arc<live::Target>, u32)], draw: u64) -> &Arc<live::Target> {
    let count = members.len();
    // Two halves of one draw are two draws of 32 bits: plenty for the number of members.
    let first = scale(draw as u32, count);
    let step = 1 + scale((draw >> 32) as u32, count - 1);
    let (one, other) = (
        Load::of(&members[first]),
        Load::of(&members[(first + step) % count]),
    );
    if other.compare(&one, 1).is_lt() {
        other.target
    } else {
        one.target
    }
}

/// How busy a target is, read once.
struct Load<'a> {
    target: &'a Arc<live::Target>,
    in_flight: u64,
    weight: u64,
}

impl<'a> Load<'a> {
    fn of((target, weight): &'a (Arc<live::Target>, u32)) -> Self {
        Self {
            target,
            in_flight: u64::from(target.in_flight.load(Ordering::Relaxed)),
            weight: u64::from(*weight),
        }
    }

    /// Compares requests per weight, with `more` requests on top on both sides.
    fn compare(&self, other: &Self, more: u64) -> std::cmp::Ordering {
        let one = (self.in_flight + more) * other.weight;
        one.cmp(&((other.in_flight + more) * self.weight))
    }
}

/// A random number made one below `bound` (0 if the bound is 0).
fn share(draw: u64, bound: u64) -> u64 {
    ((u128::from(draw) * u128::from(bound)) >> 64) as u64
}

fn scale(draw: u32, bound: usize) -> usize {
    ((u64::from(draw) * bound as u64) >> 32) as usize
}

#[cfg(test)]
mod tests;
