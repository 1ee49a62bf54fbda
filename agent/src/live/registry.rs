//! Names -> entries of [`live`](crate::live): the same entry for the same name as long as anything needs it.
//!
//! The registry itself keeps nothing alive: an entry lives as long as a table, a connection or a request holds it, and
//! is forgotten after that, so names that come and go cannot pile up. Its index is given to another only then.
//! Touched by the control runtime only, so its locks are never waited for.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{Group, Listener, Shards, Target, TargetId};

/// Dead entries are swept out when this many were added since the last time, or as many as were alive then.
const SWEEP_AFTER: usize = 64;

/// Every entry that a table in force, or something under way, still needs, by name. Touched by the control runtime only.
#[derive(Debug)]
pub struct Registry {
    workers: usize,
    listeners: Mutex<Entries<Arc<str>, Listener>>,
    groups: Mutex<Entries<Arc<str>, Group>>,
    targets: Mutex<Entries<(Arc<str>, SocketAddr), Target>>,
}

impl Registry {
    /// No entries; counters will have `workers` shards.
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
            listeners: Mutex::default(),
            groups: Mutex::default(),
            targets: Mutex::default(),
        }
    }

    /// Shards that counters have.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The entry of a listener (`loadBalancer/listener`) and its index among all that are still needed.
    pub fn listener(&self, name: &str) -> (u32, Arc<Listener>) {
        let name: Arc<str> = name.into();
        let make = |_| Listener {
            name: Arc::clone(&name),
            counters: Shards::new(self.workers),
        };
        lock(&self.listeners).entry(&name, |_| true, make)
    }

    /// The entry of a target group and its index among all that are still needed.
    pub fn group(&self, name: &str) -> (u32, Arc<Group>) {
        let name: Arc<str> = name.into();
        let make = |_| Group {
            name: Arc::clone(&name),
            counters: Shards::new(self.workers),
            cursor: AtomicUsize::new(0),
        };
        lock(&self.groups).entry(&name, |_| true, make)
    }

    /// The entry of a target. One that was deregistered and still drains goes on as it is: its address starts anew.
    pub fn target(&self, group: &Arc<str>, address: SocketAddr) -> Arc<Target> {
        let make = |id| Target {
            id: TargetId(id),
            group: Arc::clone(group),
            address,
            healthy: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            deregistered: AtomicBool::new(false),
            cut: AtomicBool::new(false),
        };
        let registered = |target: &Target| !target.deregistered.load(Ordering::Relaxed);
        let key = (Arc::clone(group), address);
        lock(&self.targets).entry(&key, registered, make).1
    }

    /// Every listener that is still needed, in no order.
    pub fn listeners(&self) -> Vec<Arc<Listener>> {
        lock(&self.listeners).alive()
    }

    /// Every target group that is still needed, in no order.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        lock(&self.groups).alive()
    }

    /// Every target that is still needed, draining ones included (a draining one and its successor have the same
    /// address), in no order.
    pub fn targets(&self) -> Vec<Arc<Target>> {
        lock(&self.targets).alive()
    }
}

/// Nothing here panics half-way through a change, so a poisoned lock still guards sound entries.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Entries of one kind.
///
/// Invariant: `free` has the indices of `slots` that no name leads to and whose entry was dead when last swept.
#[derive(Debug)]
struct Entries<K, T> {
    index_of: HashMap<K, u32>,
    slots: Vec<Weak<T>>,
    free: Vec<u32>,
    added: usize,
    sweep_at: usize,
}

impl<K, T> Default for Entries<K, T> {
    fn default() -> Self {
        Self {
            index_of: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            added: 0,
            sweep_at: SWEEP_AFTER,
        }
    }
}

impl<K: Hash + Eq + Clone, T> Entries<K, T> {
    /// The entry of this name if it is alive and `fits`, else a new one that `make` makes from its index.
    fn entry(
        &mut self,
        key: &K,
        fits: impl Fn(&T) -> bool,
        make: impl FnOnce(u32) -> T,
    ) -> (u32, Arc<T>) {
        if let Some(&index) = self.index_of.get(key)
            && let Some(entry) = self.slots[index as usize].upgrade()
            && fits(&entry)
        {
            return (index, entry);
        }
        if self.added >= self.sweep_at {
            self.sweep();
        }
        self.added += 1;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Weak::new());
            u32::try_from(self.slots.len() - 1).expect("memory ends before 2^32 entries")
        });
        let entry = Arc::new(make(index));
        self.slots[index as usize] = Arc::downgrade(&entry);
        self.index_of.insert(key.clone(), index);
        (index, entry)
    }

    /// Forgets the dead.
    fn sweep(&mut self) {
        let slots = &self.slots;
        let is_dead = |index: u32| slots[index as usize].strong_count() == 0;
        self.index_of.retain(|_, index| !is_dead(*index));
        self.free.clear();
        let all = 0..u32::try_from(slots.len()).unwrap_or(u32::MAX);
        self.free.extend(all.rev().filter(|index| is_dead(*index)));
        self.added = 0;
        self.sweep_at = SWEEP_AFTER.max(slots.len() - self.free.len());
    }

    fn alive(&self) -> Vec<Arc<T>> {
        self.slots.iter().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn a_name_that_is_needed_keeps_its_entry_and_index() {
        let registry = Registry::new(2);
        let (first, shop) = registry.listener("shop/http");
        shop.counters.of(1).requests.add(3);
        let (other, _other) = registry.listener("shop/other");
        let (again, same) = registry.listener("shop/http");
        assert_eq!((first, again), (0, 0));
        assert_ne!(other, first);
        assert_eq!(same.counters.sum(|counters| &counters.requests), 3);
    }

    #[test]
    fn what_nobody_needs_is_forgotten() {
        let registry = Registry::new(1);
        let (_, kept) = registry.group("kept");
        let (_, gone) = registry.group("gone");
        gone.cursor.store(7, Ordering::Relaxed);
        drop(gone);
        let names = registry.groups().into_iter().map(|g| Arc::clone(&g.name));
        assert_eq!(names.collect::<Vec<_>>(), [Arc::clone(&kept.name)]);
        let (_, anew) = registry.group("gone");
        assert_eq!(anew.cursor.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn names_that_come_and_go_do_not_pile_up() {
        let registry = Registry::new(1);
        let group: Arc<str> = "catalog".into();
        let kept: Vec<_> = (0..100)
            .map(|port| registry.target(&group, address(port)))
            .collect();
        for round in 0..10_000 {
            let target = registry.target(&group, address(1_000 + round));
            assert!(target.id.0 < 300, "{:?}", target.id);
        }
        let entries = lock(&registry.targets);
        assert!(entries.index_of.len() < 300 && entries.slots.len() < 300);
        drop(entries);
        assert_eq!(registry.targets().len(), kept.len());
        for (port, target) in (0..).zip(&kept) {
            assert_eq!(registry.target(&group, address(port)).id, target.id);
        }
    }

    #[test]
    fn an_index_is_not_reused_while_its_entry_is_needed() {
        let registry = Registry::new(1);
        let group: Arc<str> = "catalog".into();
        let draining = registry.target(&group, address(1));
        draining.deregistered.store(true, Ordering::Relaxed);
        let anew = registry.target(&group, address(1));
        assert_ne!(anew.id, draining.id);
        assert!(!anew.deregistered.load(Ordering::Relaxed));
        assert_eq!(registry.target(&group, address(1)).id, anew.id);
        lock(&registry.targets).sweep();
        assert_ne!(registry.target(&group, address(2)).id, draining.id);
    }
}
