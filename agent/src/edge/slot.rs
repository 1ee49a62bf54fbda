//! Deadlines of connections without a timer each: a [`Slot`] per connection, swept twice a second.
//!
//! Arming is a store into a slab. The sweep finds what is overdue, marks it and wakes its task, which asks
//! [`Slot::expired`] and decides. Invariant: a deadline never fires early, and at most `TICKS_LATE` ticks late.
//!
//! Transitions of an entry: idle -> armed (`arm`) -> expired (`sweep`) -> armed or idle (`arm`).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::table::ListenerId;

/// Time between two sweeps: one tick of the cached clock.
pub const TICK: Duration = Duration::from_millis(500);

/// Sweeps a second.
const TICKS_PER_SECOND: u32 = 2;

/// How much later than asked for a deadline may be found, in ticks: the cached clock may be behind by one.
const TICKS_LATE: u32 = 1;

/// A deadline that is not set.
const NEVER: u32 = u32::MAX;

/// A time as [`Slot::arm`] takes it: rounded up, so that nothing ends early.
pub fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

/// All slots of one worker, and its cached clock.
#[derive(Debug, Default)]
pub struct Slots {
    tick: Cell<u32>,
    slab: RefCell<Slab>,
}

/// Shape: `free` holds the indices of the entries not in use.
#[derive(Debug, Default)]
struct Slab {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    waker: Option<Waker>,
    deadline: u32,
    listener: ListenerId,
    used: bool,
    expired: bool,
}

/// One connection's place: its deadline and its waker. Gone when dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Rc<Slots>,
    index: u32,
}

impl Slots {
    /// Registers the connection that runs now.
    pub fn register(self: &Rc<Self>, listener: ListenerId) -> Slot {
        let entry = Entry {
            waker: None,
            deadline: NEVER,
            listener,
            used: true,
            expired: false,
        };
        let mut slab = self.slab.borrow_mut();
        let index = if let Some(index) = slab.free.pop() {
            slab.entries[index as usize] = entry;
            index
        } else {
            slab.entries.push(entry);
            u32::try_from(slab.entries.len() - 1).expect("descriptors run out long before u32")
        };
        drop(slab);
        Slot {
            slots: Rc::clone(self),
            index,
        }
    }

    /// Connections registered now.
    pub fn len(&self) -> usize {
        let slab = self.slab.borrow();
        slab.entries.len() - slab.free.len()
    }

    /// Nothing is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cached clock in seconds since the worker's start.
    pub fn seconds(&self) -> u32 {
        self.tick.get() / TICKS_PER_SECOND
    }

    /// Sets the cached clock to `elapsed` since the worker's start, and wakes whoever is overdue.
    pub fn sweep(&self, elapsed: Duration) {
        let tick = u32::try_from(elapsed.as_millis() / TICK.as_millis()).unwrap_or(NEVER - 1);
        self.tick.set(tick);
        self.wake(|entry| {
            let overdue = entry.deadline <= tick;
            if overdue {
                entry.deadline = NEVER;
                entry.expired = true;
            }
            overdue
        });
    }

    /// Wakes every connection.
    pub fn wake_all(&self) {
        self.wake(|_| true);
    }

    /// Wakes the connections of the listeners that `gone` names.
    pub fn wake_listeners(&self, gone: impl Fn(ListenerId) -> bool) {
        self.wake(|entry| gone(entry.listener));
    }

    /// Wakers are taken out and woken by reference under the borrow: waking only queues a task, it runs nothing.
    fn wake(&self, mut wanted: impl FnMut(&mut Entry) -> bool) {
        for entry in self
            .slab
            .borrow_mut()
            .entries
            .iter_mut()
            .filter(|entry| entry.used)
        {
            if wanted(entry)
                && let Some(waker) = &entry.waker
            {
                waker.wake_by_ref();
            }
        }
    }
}

impl Slot {
    /// Sets the deadline to `seconds` from now; 0 = none. No timer, no system call.
    pub fn arm(&self, seconds: u32) {
        let deadline = match seconds {
            0 => NEVER,
            _ => self
                .slots
                .tick
                .get()
                .saturating_add(seconds.saturating_mul(TICKS_PER_SECOND))
                .saturating_add(TICKS_LATE),
        };
        let mut slab = self.slots.slab.borrow_mut();
        let entry = &mut slab.entries[self.index as usize];
        entry.deadline = deadline;
        entry.expired = false;
    }

    /// Remembers whom to wake. Cheap when it is still the same task.
    pub fn wait(&self, cx: &Context<'_>) {
        let mut slab = self.slots.slab.borrow_mut();
        let entry = &mut slab.entries[self.index as usize];
        let same = entry
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        let old = if same {
            None
        } else {
            entry.waker.replace(cx.waker().clone())
        };
        drop(slab);
        // Dropped outside the borrow: it may be the last reference to another task.
        drop(old);
    }

    /// The deadline passed, and the slot was not armed again since.
    pub fn expired(&self) -> bool {
        self.slots.slab.borrow().entries[self.index as usize].expired
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slab = self.slots.slab.borrow_mut();
        let entry = &mut slab.entries[self.index as usize];
        entry.used = false;
        let waker = entry.waker.take();
        slab.free.push(self.index);
        drop(slab);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waiting(slot: &Slot) -> Arc<Woken> {
        let woken = Arc::new(Woken::default());
        slot.wait(&Context::from_waker(&Waker::from(Arc::clone(&woken))));
        woken
    }

    #[test]
    fn a_deadline_fires_once_and_never_early() {
        let slots = Rc::new(Slots::default());
        let slot = slots.register(ListenerId(0));
        let woken = waiting(&slot);
        // Armed at 0.49 s of real time, while the cached clock still says 0.
        slot.arm(2);
        for (millis, expired) in [
            (499, false),
            (1999, false),
            (2490, false),
            (2500, true),
            (9000, true),
        ] {
            slots.sweep(Duration::from_millis(millis));
            assert_eq!(slot.expired(), expired, "after {millis} ms");
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        slot.arm(2);
        assert!(!slot.expired());
    }

    #[test]
    fn a_slot_without_a_deadline_never_expires() {
        let slots = Rc::new(Slots::default());
        let slot = slots.register(ListenerId(0));
        slot.arm(1);
        slot.arm(0);
        slots.sweep(Duration::from_secs(1_000_000));
        assert!(!slot.expired());
    }

    #[test]
    fn only_the_connections_of_a_listener_that_is_gone_are_woken() {
        let slots = Rc::new(Slots::default());
        let (kept, gone) = (slots.register(ListenerId(1)), slots.register(ListenerId(2)));
        let (kept_woken, gone_woken) = (waiting(&kept), waiting(&gone));
        slots.wake_listeners(|listener| listener == ListenerId(2));
        assert_eq!(
            (
                kept_woken.0.load(Ordering::Relaxed),
                gone_woken.0.load(Ordering::Relaxed)
            ),
            (0, 1)
        );
        slots.wake_all();
        assert_eq!(
            (
                kept_woken.0.load(Ordering::Relaxed),
                gone_woken.0.load(Ordering::Relaxed)
            ),
            (1, 2)
        );
    }

    #[test]
    fn a_place_is_used_again_after_its_connection_is_gone() {
        let slots = Rc::new(Slots::default());
        let (first, second) = (slots.register(ListenerId(0)), slots.register(ListenerId(0)));
        first.arm(1);
        drop(first);
        assert_eq!(slots.len(), 1);
        let third = slots.register(ListenerId(0));
        assert_eq!((slots.len(), third.index), (2, 0));
        slots.sweep(Duration::from_secs(60));
        assert!(
            !third.expired(),
            "the deadline of the one before it is gone"
        );
        drop((second, third));
        assert!(slots.is_empty());
    }
}
