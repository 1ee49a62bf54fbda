//! Views and transfers, computed once for all agents that need the same.
//!
//! One slot per selection keeps its newest view; whoever comes first computes it, the others wait for it. Transfers
//! are kept per (base, view) while they are few and small: agents in step share them, the others compute their own.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::model::State;
use crate::view::{Base, Delivery, Labels, PART_BYTES, Selection, Transfer, View};

/// Distinct selections whose newest view is kept; beyond, the one that was used least recently goes.
const MAX_SELECTIONS: usize = 256;
/// Transfers kept for agents that need the same.
const MAX_TRANSFERS: usize = 256;
/// Bytes of all transfers kept, the newest not counted.
const MAX_TRANSFER_BYTES: usize = 128 * 1024 * 1024;

/// The cache. Invariant: what it hands out depends only on its arguments, never on what it happened to keep.
pub(crate) struct Views {
    slots: Mutex<HashMap<Selection, Slot>>,
    transfers: Mutex<Transfers>,
    uses: AtomicU64,
    part_bytes: usize,
}

struct Slot {
    /// The newest view; the lock is held while a newer one is computed.
    view: Arc<Mutex<Option<Arc<View>>>>,
    last_use: u64,
}

/// Oldest first.
#[derive(Default)]
struct Transfers(VecDeque<(Pair, TransferSlot)>);

/// Filled once; agents in step wait for it instead of encoding the same again.
type TransferSlot = Arc<OnceLock<Arc<Transfer>>>;

/// Which transfer: the views are held, so that their addresses tell them apart.
struct Pair {
    base: Option<Arc<View>>,
    view: Arc<View>,
}

impl Pair {
    fn is(&self, base: Option<&Arc<View>>, view: &Arc<View>) -> bool {
        let same_base = match (&self.base, base) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        same_base && Arc::ptr_eq(&self.view, view)
    }
}

impl Default for Views {
    fn default() -> Self {
        Self::with_parts_of(PART_BYTES)
    }
}

impl Views {
    /// Views whose transfers are split into parts of at most this many bytes, unless one resource alone is larger.
    pub(crate) fn with_parts_of(part_bytes: usize) -> Self {
        Self {
            slots: Mutex::default(),
            transfers: Mutex::default(),
            uses: AtomicU64::default(),
            part_bytes,
        }
    }

    /// The view of an agent with these labels at `state`, or a newer one that another agent has already asked for.
    ///
    /// Cost: O(load balancers) if the view is kept, else that of [`View::build`].
    pub(crate) fn view(&self, state: &State, labels: &Labels) -> Arc<View> {
        let selection = Selection::of(state, labels);
        let slot = self.slot(&selection);
        let mut newest = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = newest.as_ref()
            && view.revision >= state.revision()
        {
            return Arc::clone(view);
        }
        let view = Arc::new(View::build(state, &selection, newest.as_deref()));
        *newest = Some(Arc::clone(&view));
        view
    }

    fn slot(&self, selection: &Selection) -> Arc<Mutex<Option<Arc<View>>>> {
        let now = self.uses.fetch_add(1, Ordering::Relaxed);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(selection) {
            slot.last_use = now;
            return Arc::clone(&slot.view);
        }
        if slots.len() >= MAX_SELECTIONS {
            let oldest = slots.iter().min_by_key(|(_, slot)| slot.last_use);
            if let Some(oldest) = oldest.map(|(selection, _)| selection.clone()) {
                slots.remove(&oldest);
            }
        }
        let view = Arc::default();
        let slot = Slot {
            view: Arc::clone(&view),
            last_use: now,
        };
        slots.insert(selection.clone(), slot);
        view
    }

    /// The encoded form of a delivery, shared with every agent that needs the same.
    pub(crate) fn transfer(&self, delivery: &Delivery) -> Arc<Transfer> {
        let base = match &delivery.base {
            Base::Nothing => None,
            Base::View(base) => Some(base),
            Base::Same(_) => return Arc::new(Transfer::encode(delivery, self.part_bytes)),
        };
        let slot = self.transfers().slot(base, &delivery.view);
        let transfer = slot.get_or_init(|| Arc::new(Transfer::encode(delivery, self.part_bytes)));
        Arc::clone(transfer)
    }

    fn transfers(&self) -> MutexGuard<'_, Transfers> {
        self.transfers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transfers {
    /// The place of one transfer, at the end if it is new; then the oldest give way.
    fn slot(&mut self, base: Option<&Arc<View>>, view: &Arc<View>) -> TransferSlot {
        // From the newest: agents in step ask for that one.
        let known = self.0.iter().rev().find(|(pair, _)| pair.is(base, view));
        if let Some((_, slot)) = known {
            return Arc::clone(slot);
        }
        while self.0.len() >= MAX_TRANSFERS || self.bytes() > MAX_TRANSFER_BYTES {
            self.0.pop_front();
        }
        let pair = Pair {
            base: base.cloned(),
            view: Arc::clone(view),
        };
        let slot = TransferSlot::default();
        self.0.push_back((pair, Arc::clone(&slot)));
        slot
    }

    fn bytes(&self) -> usize {
        let filled = self.0.iter().filter_map(|(_, slot)| slot.get());
        filled.map(|transfer| transfer.bytes()).sum()
    }
}
