//! Targets, groups and tables for tests, wherever they are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::balance;
use crate::live::{self, Shards, TargetId};
use crate::table::{Algorithm, Group, GroupId, HealthCheck, Probe, Table};

/// A target as compiling makes it: not healthy yet.
pub(crate) fn target(id: u32, address: SocketAddr) -> Arc<live::Target> {
    Arc::new(live::Target {
        id: TargetId(id),
        group: "catalog".into(),
        address,
        healthy: AtomicBool::new(false),
        in_flight: AtomicU32::new(0),
        deregistered: AtomicBool::new(false),
        cut: AtomicBool::new(false),
    })
}

/// An HTTP group with these targets: checked every 10 s, drained for 300 s.
pub(crate) fn group(id: u32, targets: &[Arc<live::Target>]) -> Group {
    let members: Box<[_]> = targets
        .iter()
        .map(|target| (Arc::clone(target), 1))
        .collect();
    Group {
        id: GroupId(id),
        name: "catalog".into(),
        algorithm: Algorithm::RoundRobin,
        deregistration_delay: Duration::from_secs(300),
        connection_termination: false,
        health_check: HealthCheck {
            probe: Probe::Tcp,
            port: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            healthy_threshold: 2,
            unhealthy_threshold: 2,
        },
        pool: Arc::new(live::Pool {
            members,
            schedule: ArcSwap::default(),
        }),
        live: Arc::new(live::Group {
            name: "catalog".into(),
            counters: Shards::new(1),
            cursor: AtomicUsize::new(0),
        }),
    }
}

/// A target that may be chosen.
pub(crate) fn healthy(id: u32, address: SocketAddr) -> Arc<live::Target> {
    let target = target(id, address);
    target.healthy.store(true, Ordering::Relaxed);
    target
}

/// [`group`], scheduled: those of its targets that are healthy may be chosen.
pub(crate) fn scheduled(id: u32, targets: &[Arc<live::Target>]) -> Group {
    let group = group(id, targets);
    let schedule = balance::schedule(&group.pool.members);
    group.pool.schedule.store(Arc::new(schedule));
    group
}

/// A table of these groups, each in the place of its id.
pub(crate) fn table(groups: Vec<Group>) -> Arc<Table> {
    let mut table = Table::default();
    for group in groups {
        let place = group.id.0 as usize;
        if table.groups.len() <= place {
            table.groups.resize(place + 1, None);
        }
        table.groups[place] = Some(Arc::new(group));
    }
    Arc::new(table)
}
