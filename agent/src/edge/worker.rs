//! What the connection tasks of one thread share, without locks: the table in force, buffers, clock, pools.
//!
//! One [`Worker`] per thread. It never leaves its thread; what reaches it from outside comes as a command
//! ([`super::thread`]). Buffers are lent within one poll only: a borrow across an await would panic the next task.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::access_log;
use crate::http::pool::Upstreams;
use crate::l4::pipe::Pipes;
use crate::table::{ListenerId, Table};

use super::clock::{Clock, Wall};
use super::slot::{Slot, Slots};

/// Size of the scratch buffer: what one read can bring.
pub const SCRATCH_BYTES: usize = 64 * 1024;

/// The output buffer is given back to the system above this size.
const OUTPUT_KEPT_BYTES: usize = 64 * 1024;

/// The table that a request or connection is decided by. Held as an `Rc`, so that no count is contended.
#[derive(Debug)]
pub struct InForce {
    /// The table.
    pub table: Arc<Table>,
}

/// State of one worker thread.
#[derive(Debug)]
pub struct Worker {
    /// Its number, 0-based: the shard of every counter.
    pub index: usize,
    in_force: RefCell<Rc<InForce>>,
    slots: Rc<Slots>,
    clock: Clock,
    scratch: RefCell<Box<[u8]>>,
    output: RefCell<Vec<u8>>,
    random: RefCell<fastrand::Rng>,
    draining: Cell<bool>,
    open_connections: Cell<usize>,
    last_closed: Notify,
    pipes: Pipes,
    upstreams: Upstreams,
    access_log: access_log::Writer,
}

impl Worker {
    /// A worker that serves `table`.
    pub fn new(index: usize, table: Arc<Table>, access_log: access_log::Writer) -> Rc<Self> {
        Rc::new(Self {
            index,
            in_force: RefCell::new(Rc::new(InForce { table })),
            slots: Rc::new(Slots::default()),
            clock: Clock::start(),
            scratch: RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice()),
            output: RefCell::new(Vec::with_capacity(OUTPUT_KEPT_BYTES)),
            random: RefCell::new(fastrand::Rng::new()),
            draining: Cell::new(false),
            open_connections: Cell::new(0),
            last_closed: Notify::new(),
            pipes: Pipes::default(),
            upstreams: Upstreams::default(),
            access_log,
        })
    }

    /// The table in force: taken once per request, kept to its end.
    pub fn in_force(&self) -> Rc<InForce> {
        Rc::clone(&self.in_force.borrow())
    }

    /// [`SCRATCH_BYTES`] to read into, within one poll.
    pub fn scratch(&self) -> RefMut<'_, [u8]> {
        RefMut::map(self.scratch.borrow_mut(), |scratch| &mut scratch[..])
    }

    /// An empty buffer to build heads in, within one poll.
    pub fn output(&self) -> RefMut<'_, Vec<u8>> {
        let mut output = self.output.borrow_mut();
        output.clear();
        output.shrink_to(OUTPUT_KEPT_BYTES);
        output
    }

    /// Seconds since the worker's start by the cached clock, at most half a second old.
    pub fn seconds(&self) -> u32 {
        self.slots.seconds()
    }

    /// The cached time of day, and the `Date` header that goes with it.
    pub fn wall(&self) -> Wall {
        self.clock.wall()
    }

    /// Registers the connection whose task runs now; it stays registered until the slot is dropped.
    pub fn connection(&self, listener: ListenerId) -> Slot {
        self.slots.register(listener)
    }

    /// Connections of clients whose tasks live.
    pub fn open_connections(&self) -> usize {
        self.open_connections.get()
    }

    /// The agent ends: what is under way is finished, nothing new is begun.
    pub fn draining(&self) -> bool {
        self.draining.get()
    }

    /// Pipes for splicing.
    pub fn pipes(&self) -> &Pipes {
        &self.pipes
    }

    /// Idle HTTP connections to targets.
    pub fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    /// Where finished requests and connections are written.
    pub fn access_log(&self) -> &access_log::Writer {
        &self.access_log
    }

    /// A random number, different on every worker.
    pub fn random(&self) -> u64 {
        self.random.borrow_mut().u64(..)
    }

    /// Puts another table in force and wakes the connections whose listener it does not have.
    pub(crate) fn swap(&self, table: Arc<Table>) {
        self.in_force.replace(Rc::new(InForce {
            table: Arc::clone(&table),
        }));
        self.slots
            .wake_listeners(|listener| table.listener(listener).is_none());
    }

    /// Wakes every connection, so that it looks at what may have changed.
    pub(crate) fn wake_all(&self) {
        self.slots.wake_all();
    }

    /// Begins to drain.
    pub(crate) fn drain(&self) {
        self.draining.set(true);
        self.slots.wake_all();
    }

    /// One more connection; [`Self::closed`] follows.
    pub(super) fn opened(&self) {
        self.open_connections.update(|open| open + 1);
    }

    /// One connection less.
    pub(super) fn closed(&self) {
        self.open_connections.update(|open| open - 1);
        if self.open_connections.get() == 0 {
            self.last_closed.notify_one();
        }
    }

    /// Waits until no connection is open.
    pub(super) async fn all_closed(&self) {
        while self.open_connections.get() > 0 {
            self.last_closed.notified().await;
        }
    }

    /// Twice a second: clocks, deadlines, idle connections to targets, lines of the access log.
    pub(crate) fn tick(&self) {
        self.clock.refresh();
        self.tick_at(self.clock.elapsed());
    }

    /// A tick at a given time since the start; tests drive time with it.
    pub(crate) fn tick_at(&self, elapsed: Duration) {
        self.slots.sweep(elapsed);
        self.upstreams.sweep(self.slots.seconds());
        self.access_log.flush_old();
    }
}
