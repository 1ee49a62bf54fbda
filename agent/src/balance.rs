//! Choosing (placeholder until helper brain's file is here).

use std::sync::Arc;

use crate::live;
use crate::table::{Forward, Group, GroupId};

/// A choice.
#[derive(Debug)]
pub struct Picked {
    /// The target.
    pub target: Arc<live::Target>,
    /// None is healthy.
    pub fail_open: bool,
}

/// No target can be chosen.
#[derive(Debug)]
pub struct NoTarget;

/// A group by weight.
pub fn group(forward: &Forward, _draw: u64) -> Option<GroupId> {
    forward.groups.first().map(|(group, _)| *group)
}

/// A target of a group.
pub fn pick(group: &Group, draw: u64) -> Result<Picked, NoTarget> {
    let schedule = group.pool.schedule.load();
    let turns = &schedule.turns;
    if turns.is_empty() {
        return Err(NoTarget);
    }
    let target = Arc::clone(&turns[(draw % turns.len() as u64) as usize]);
    Ok(Picked {
        target,
        fail_open: schedule.fail_open,
    })
}

/// Which members may be chosen now, as a schedule: by their `healthy` flags and weights.
pub fn schedule(members: &[(Arc<live::Target>, u32)]) -> live::Schedule {
    let _ = members;
    live::Schedule::default()
}
