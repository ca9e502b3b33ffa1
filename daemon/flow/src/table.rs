//! The flow table of one worker: owns all flows, and moves each from the spare pool to the index,
//! to the work queue and back. Finding and creating is in `track`, making room in `evict`.

use crate::arena::{Arena, FLOW_BYTES, NO_DEADLINE, Parts};
use crate::blind::Blind;
use crate::evict::Cursor;
use crate::flow::{CAPTURE_BYPASSED, EMERGENCY, EndReason, Flow};
use crate::handover::{Departed, Name};
use crate::hash::{FlowHash, Hasher};
use crate::idle::IdleTimeouts;
use crate::index::Index;
use crate::inject::Injection;
use crate::key::FlowKey;
use crate::queue::{SparePool, WorkQueue};
use crate::settings::{FlowSettings, FlowTimeouts, SetupError};
use crate::slot::SlotIndex;
use crate::stats::FlowStats;
use crate::storage::Storage;
use crate::timeouts::Expiry;
use portcullis_wire::Timestamp;

mod share;
mod sweep;

/// Flows in a block: what the spare pool is refilled with at once.
pub const BLOCK: u32 = 128;
/// Most slots looked at to make room for one newcomer. So a burst of 32 touches no more than 32 times these, 32
/// of its own, and those that the caller has swept, worked off and finished after it.
pub const MOST_LOOKS: u32 = crate::evict::MAX_LOOKS;
/// Fewest flows that a worker can do with.
const LEAST_FLOWS: u64 = 16;
/// Below this many spare flows a newcomer makes room for the next one: as many as a burst may need
/// before anything is finished. Small tables keep an eighth.
const LOW_WATER: u32 = 64;
/// Flow ids count quarters of a microsecond and wrap at 2^53, after 71 years.
pub(crate) const ID_MASK: u64 = (1 << 53) - 1;

/// Which part of the settings one worker gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The worker, from 0.
    pub worker: u8,
    /// How many there are, at least 1.
    pub workers: u8,
}

/// Where a flow most likely is. It may be wrong: nothing is found there then that has another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowGuess(pub(crate) SlotIndex);

impl FlowGuess {
    /// Anywhere.
    pub const NONE: Self = Self(SlotIndex::NONE);
}

impl Default for FlowGuess {
    fn default() -> Self {
        Self::NONE
    }
}

/// The flow table of one worker.
#[derive(Debug)]
pub struct FlowTable {
    pub(crate) arena: Arena,
    pub(crate) index: Index,
    pub(crate) spare: SparePool,
    pub(crate) work: WorkQueue,
    pub(crate) expiry: Expiry,
    pub(crate) stats: FlowStats,
    pub(crate) evict: Cursor,
    pub(crate) midstream: bool,
    pub(crate) follow_tcp: bool,
    pub(crate) low_water: u32,
    pub(crate) capacity: u32,
    pub(crate) storage: Storage,
    pub(crate) injection: Injection,
    /// Ends to be told of, once flows were copied.
    pub(crate) departed: Option<Box<Departed>>,
    /// The last time that nobody saw.
    pub(crate) blind: Blind,
    hasher: Hasher,
    sweep: Cursor,
    retire: Cursor,
    /// Bytes of memory that this worker may use.
    share: u64,
    /// Bytes of one flow, what hooks store included.
    flow_bytes: u64,
    /// Slots that the sweep has to look at whatever their deadline: since the mode changed, they may
    /// still have one of the other mode.
    stale: u32,
    /// Spare flows above which emergency mode ends.
    recovery: u32,
    next_id: u64,
    id_step: u64,
}

impl FlowTable {
    /// A table with one worker's share of `settings`, all its memory reserved and the share of
    /// `prealloc` ready. `seed` must be new for each start and unknown to senders. `start` must be the
    /// same for all workers of a process and later than at its last start: flow ids are counted
    /// from it, and repeat only if the process made more than four million flows a second for all
    /// of its life.
    ///
    /// # Errors
    /// Where a setting is out of range, or the system has not the memory.
    pub fn new(
        settings: &FlowSettings,
        share: Share,
        seed: u64,
        start: Timestamp,
    ) -> Result<Self, SetupError> {
        Self::with_storage(settings, share, seed, start, Storage::default())
    }

    /// A table with the columns that hooks asked for.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_storage(
        settings: &FlowSettings,
        share: Share,
        seed: u64,
        start: Timestamp,
        mut storage: Storage,
    ) -> Result<Self, SetupError> {
        let Share { worker, workers } = share;
        if worker >= workers {
            return Err(SetupError::NoSuchWorker { worker, workers });
        }
        if !(1..=100).contains(&settings.emergency_recovery) {
            return Err(SetupError::EmergencyRecovery(settings.emergency_recovery));
        }
        storage.track_rates(settings.rate_tracking);
        let flow_bytes = FLOW_BYTES + storage.flow_bytes();
        let share = settings.memcap / u64::from(workers);
        let capacity = share::capacity_within(share, flow_bytes);
        if u64::from(capacity) < LEAST_FLOWS {
            let least = share::bytes_for(LEAST_FLOWS, flow_bytes);
            return Err(SetupError::MemcapTooSmall { memcap: settings.memcap, workers, least });
        }
        storage.reserve(capacity)?;
        let low_water = (capacity / 8).min(LOW_WATER);
        let prealloc = settings.prealloc.div_ceil(u32::from(workers)).min(capacity);
        let recovery = u64::from(prealloc) * u64::from(settings.emergency_recovery) / 100;
        let recovery = u32::try_from(recovery).unwrap_or(u32::MAX);
        let mut table = Self {
            arena: Arena::reserve(capacity, settings.populate)?,
            index: Index::new(capacity)?,
            spare: SparePool::new(),
            work: WorkQueue::new(),
            expiry: Expiry::new(&settings.timeouts),
            stats: FlowStats::default(),
            evict: Cursor::default(),
            midstream: settings.midstream,
            follow_tcp: settings.follow_tcp,
            low_water,
            capacity,
            storage,
            injection: Injection::new(),
            departed: None,
            blind: Blind::default(),
            share,
            flow_bytes,
            hasher: Hasher::new(seed),
            sweep: Cursor::default(),
            retire: Cursor::default(),
            stale: 0,
            recovery: recovery.clamp(low_water, capacity - 1),
            next_id: (start.as_nanos() / 250).wrapping_add(u64::from(worker)) & ID_MASK,
            id_step: u64::from(workers),
        };
        table.open(prealloc);
        Ok(table)
    }

    /// The hash of a key under this table's seed.
    #[must_use]
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> FlowHash {
        self.hasher.hash(key)
    }

    /// Asks for the cache line that [`prefetch_flow`](Self::prefetch_flow) will read.
    #[inline]
    pub fn prefetch_bucket(&self, hash: FlowHash) {
        self.index.prefetch(hash);
    }

    /// Asks for the cache lines of the flow that most likely has this hash, and says which that is, for
    /// [`track_guessed`](Self::track_guessed).
    #[inline]
    pub fn prefetch_flow(&self, hash: FlowHash) -> FlowGuess {
        match self.index.guess(hash) {
            Some(slot) => {
                self.arena.prefetch(slot);
                FlowGuess(slot)
            }
            None => FlowGuess::NONE,
        }
    }

    /// Flows made and not yet finished, those in the work queue included.
    #[must_use]
    pub const fn active(&self) -> u64 {
        self.stats.active
    }

    /// Flows in the work queue, waiting for [`finish`](Self::finish).
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.work.len() as usize
    }

    /// Most flows that this worker can have.
    #[must_use]
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Is the table in emergency mode: full not long ago, and expiring flows sooner?
    #[must_use]
    pub const fn emergency(&self) -> bool {
        self.expiry.emergency()
    }

    /// Lets `overrides` decide about the idle timeouts of single flows, from now on: of those that
    /// begin, and of others when their state changes. `None` leaves it to `flow-timeouts` again for
    /// these.
    pub fn set_idle_timeouts(&mut self, overrides: Option<Box<dyn IdleTimeouts>>) {
        self.expiry.set_overrides(overrides);
    }

    /// Other `flow-timeouts` from now on, for the flows that there are, too: the sweep looks at each once and
    /// gives it a new deadline.
    pub fn set_timeouts(&mut self, timeouts: &FlowTimeouts) {
        self.expiry.set_timeouts(timeouts);
        self.stale = self.arena.len();
    }

    /// What was counted.
    #[must_use]
    pub const fn stats(&self) -> &FlowStats {
        &self.stats
    }

    /// Values of hooks whose drop panicked when their flow ended.
    #[must_use]
    pub const fn storage_panics(&self) -> u64 {
        self.storage.panics()
    }

    /// Finishes up to `budget` flows of the work queue: lends each to `on_end`, counts its end and
    /// makes its memory ready for use. Returns how many.
    pub fn finish(&mut self, budget: usize, on_end: &mut dyn FnMut(&mut Flow<'_>)) -> usize {
        let mut finished = 0;
        while finished < budget {
            let Some(slot) = self.work.pop(&mut self.arena) else { break };
            self.mark_unseen_at_end(slot.index());
            on_end(&mut Flow::at(slot.index(), &mut self.arena, &mut self.storage));
            let hot = self.arena.hot(slot.index());
            let session = hot.session.summary();
            let capture = hot.flags & CAPTURE_BYPASSED != 0;
            if hot.end & EndReason::HandedOver.bit() != 0 {
                self.stats.handed_over += 1;
            } else {
                self.stats.end.count(hot.state, capture, session.session.then_some(session.state));
            }
            self.stats.active -= 1;
            self.storage.clear(slot.index(), hot);
            self.arena.clear(slot.index());
            self.spare.push(&mut self.arena, slot);
            finished += 1;
        }
        self.stats.spare = u64::from(self.spare.len());
        self.count_memory();
        if self.emergency() && self.spare.len() > self.recovery {
            self.expiry.set_emergency(false);
            self.stale = self.arena.len();
            self.stats.emerg_mode_over += 1;
        }
        finished
    }

    /// Ends up to `budget` flows for good, at shutdown: those over at `now` by timeout, the others
    /// by shutdown, whatever the sweep had seen of them. `true` once none is left in the table;
    /// they still have to be [finished](Self::finish). Not for the packet path: it may look at every
    /// place once.
    pub fn retire_all(&mut self, now: Timestamp, budget: usize) -> bool {
        let mut left = budget;
        while self.index.len() > 0 && left > 0 {
            let slot = self.retire.advance(self.arena.len());
            if self.arena.deadlines()[slot.place()] == NO_DEADLINE {
                continue;
            }
            let over = self.is_over(slot, now);
            self.retire(slot, if over { EndReason::Timeout } else { EndReason::Shutdown });
            left -= 1;
        }
        self.index.len() == 0
    }

    /// Is the flow over at `now`? Decides about its idle timeout where its state has changed.
    pub(crate) fn is_over(&mut self, slot: SlotIndex, now: Timestamp) -> bool {
        self.settle(slot);
        self.expiry.is_over(self.arena.hot(slot), now)
    }

    /// Decides about a flow's idle timeout where its state has changed.
    #[inline]
    pub(crate) fn settle(&mut self, slot: SlotIndex) {
        if self.expiry.has_overrides() {
            self.expiry.settle(self.arena.parts(slot).hot);
        }
    }

    /// Takes a flow out of the table and into the work queue.
    pub(crate) fn retire(&mut self, slot: SlotIndex, reason: EndReason) {
        let hash = self.hasher.hash(&self.arena.hot(slot).key);
        self.retire_hashed(slot, hash, reason);
    }

    /// The same, where the hash of its key is known.
    fn retire_hashed(&mut self, slot: SlotIndex, hash: FlowHash, reason: EndReason) {
        let Some(owned) = self.index.remove(hash, slot) else {
            debug_assert!(false, "flow in slot {} is not in the index", slot.0);
            return;
        };
        let emergency = self.emergency();
        let Parts { hot, cold, deadline, .. } = self.arena.parts(slot);
        if let Some(departed) = self.departed.as_mut().filter(|_| reason != EndReason::HandedOver) {
            let is_told = departed.push(Name { key: hot.key, id: cold.id, outer: cold.outer });
            self.stats.departed_refused += u64::from(!is_told);
        }
        hot.end |= reason.bit();
        if emergency && matches!(reason, EndReason::Timeout | EndReason::Forced) {
            hot.end |= EMERGENCY;
        }
        *deadline = NO_DEADLINE;
        self.work.push(&mut self.arena, owned);
        self.stats.wrk.flows_evicted += 1;
        self.debug_conserved();
    }

    /// Goes over to the emergency timeouts. Flows may be over sooner than their deadlines say: the sweep
    /// looks at each once and gives it a new one.
    pub(crate) fn enter_emergency(&mut self) {
        if !self.emergency() {
            self.expiry.set_emergency(true);
            self.stale = self.arena.len();
            self.stats.emerg_mode_entered += 1;
        }
    }

    /// The id that the next flow gets, or one before it.
    pub(crate) const fn next_id(&self) -> u64 {
        self.next_id
    }

    /// The next flow id. Workers take turns: each counts in steps of their number.
    pub(crate) fn new_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id = (id + self.id_step) & ID_MASK;
        if id == 0 { self.new_id() } else { id }
    }

    /// Every flow that was opened is in exactly one place.
    pub(crate) fn debug_conserved(&self) {
        debug_assert_eq!(
            self.index.len() + self.work.len() + self.spare.len(),
            self.arena.len(),
            "flows in index, work queue and spare pool"
        );
        debug_assert_eq!(
            u64::from(self.index.len() + self.work.len()),
            self.stats.active,
            "flows in index and work queue are the active ones"
        );
    }
}

/// A table moves to its worker's thread.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<FlowTable>();
};
