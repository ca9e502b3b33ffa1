//! The heartbeats of the workers, in memory that they share with the program.
#![expect(unsafe_code, reason = "maps the map `pulses`, and looks at it as atomics")]

use crate::error::GateError;
use crate::holder::{Hold, Holder};
use crate::layout::PULSE_SIZE;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::ffi::c_void;
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// `struct pulse`. What the program writes it writes plainly: each field is read on its own, and nothing orders
/// them.
#[derive(Debug)]
#[repr(C)]
struct Slot {
    beat: AtomicU64,
    taken: AtomicU64,
    holder: Holder,
    room: [u64; 4],
    offered: AtomicU64,
    blind_since: AtomicU64,
    blind_until: AtomicU64,
    blind_frames: AtomicU64,
    blind_passed: AtomicU64,
    windows: AtomicU64,
    minute: AtomicU64,
    minute_windows: AtomicU32,
    latched: AtomicU32,
}

const _: () = assert!(size_of::<Slot>() == PULSE_SIZE);

/// The heartbeats of all slots of a set. Cheap to clone; the memory stays mapped as long as one of them or of their
/// [`Beat`]s lives, also when the gate is gone.
#[derive(Clone, Debug)]
pub struct Pulses {
    mapping: Arc<Mapping>,
    queues: u32,
    limit: Duration,
}

#[derive(Debug)]
pub(crate) struct Mapping {
    slots: NonNull<Slot>,
    count: usize,
    bytes: usize,
}

// SAFETY: all that is reached through the pointer is atomics, or never touched (`room`); the mapping is shared with the
// kernel anyway and stays until the last owner drops it.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn holder(&self, index: usize) -> Option<&Holder> {
        self.slot(index).map(|slot| &slot.holder)
    }

    fn slot(&self, index: usize) -> Option<&Slot> {
        if index >= self.count {
            return None;
        }
        // SAFETY: `index` is below the number of slots that were mapped.
        let slot = unsafe { self.slots.add(index) };
        // SAFETY: within the mapping, which lives as long as `self`; zeroed memory is a valid slot, and every field that
        // anybody else writes is an atomic.
        Some(unsafe { slot.as_ref() })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped with this length, and nobody borrows from it any more.
        let _ = unsafe { munmap(self.slots.as_ptr().cast::<c_void>(), self.bytes) };
    }
}

impl Pulses {
    /// Maps the heartbeats of `slots` slots, `queues` a port, from the map behind `map`
    /// ([`Gate::pulses_map`](crate::Gate::pulses_map)); `limit` is what [`limit`](Self::limit) tells. Takes no
    /// privileges, so that a process that was handed the map can do it.
    ///
    /// # Errors
    /// The kernel does not map it, or it is too small.
    pub fn map(map: BorrowedFd<'_>, slots: u32, queues: u32, limit: Duration) -> Result<Self, GateError> {
        let count = slots as usize;
        let page = rustix::param::page_size();
        let bytes = (count * PULSE_SIZE).next_multiple_of(page).max(page);
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let mapped = unsafe { mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, map, 0) };
        let failed = |reason: String| GateError::Map { action: "map the heartbeats", reason };
        let mapped = mapped.map_err(|error| failed(error.to_string()))?;
        let slots = NonNull::new(mapped.cast::<Slot>()).ok_or_else(|| failed("no address".to_owned()))?;
        Ok(Self { mapping: Arc::new(Mapping { slots, count, bytes }), queues, limit })
    }

    /// An older heartbeat makes a worker a dead one ([`Liveness::beat_limit`](crate::Liveness::beat_limit)).
    #[must_use]
    pub const fn limit(&self) -> Duration {
        self.limit
    }

    /// The heartbeat of one slot, for the worker behind it; `None` where there is no such slot.
    #[must_use]
    pub fn beat(&self, port: u8, queue: u32) -> Option<Beat> {
        if queue >= self.queues {
            return None;
        }
        let index = (u32::from(port) * self.queues + queue) as usize;
        self.mapping.slot(index)?;
        Some(Beat { mapping: Arc::clone(&self.mapping), index })
    }

    /// Is every worker behind a port of `queues` queues alive? As the program tells it, but for workers whose slot is full.
    #[must_use]
    pub fn are_alive(&self, port: u8, queues: u32) -> bool {
        let (now, limit) = (coarse_now(), u64::try_from(self.limit.as_nanos()).unwrap_or(u64::MAX));
        let first = u32::from(port) * self.queues;
        (first..first + queues.min(self.queues)).all(|index| {
            let Some(slot) = self.mapping.slot(index as usize) else { return false };
            let beat = slot.beat.load(Ordering::Relaxed);
            !slot.holder.died() && (limit == 0 || now.saturating_sub(beat) <= limit)
        })
    }

    /// Has this thread hold the slots of these heartbeats: when it dies, however, the kernel itself says so to the program.
    ///
    /// # Errors
    /// The kernel's.
    pub fn hold<'a>(beats: impl IntoIterator<Item = &'a Beat>) -> io::Result<Hold> {
        Hold::take(beats.into_iter().map(|beat| (Arc::clone(&beat.mapping), beat.index)).collect())
    }

    /// How long the worker behind a port of `queues` queues has been silent that has been silent longest. One that has
    /// crashed does not count.
    #[must_use]
    pub fn silence(&self, port: u8, queues: u32) -> Option<Duration> {
        let (now, first) = (coarse_now(), u32::from(port) * self.queues);
        let slots =
            (first..first + queues.min(self.queues)).filter_map(|index| self.mapping.slot(index as usize));
        let beats = slots.map(|slot| slot.beat.load(Ordering::Relaxed)).filter(|beat| *beat > 0);
        beats.map(|beat| Duration::from_nanos(now.saturating_sub(beat))).max()
    }

    /// Declares every worker dead: the fail policy acts from the next frame on. Async-signal-safe, so that a crash
    /// handler can do it.
    pub fn stop_all(&self) {
        for index in 0..self.mapping.count {
            if let Some(slot) = self.mapping.slot(index) {
                slot.beat.store(0, Ordering::Relaxed);
            }
        }
    }

    /// The open blind windows: time in which no worker saw a slot's frames. They are in
    /// [`Gate::windows`](crate::Gate::windows) once they have ended.
    pub fn open_windows(&self) -> impl Iterator<Item = BlindWindow> {
        (0..self.mapping.count).filter_map(|index| {
            let slot = self.mapping.slot(index)?;
            let since = slot.blind_since.load(Ordering::Relaxed);
            let number = u32::try_from(index).ok()?;
            (since != 0).then(|| BlindWindow {
                port: u8::try_from(number / self.queues).unwrap_or(u8::MAX),
                queue: number % self.queues,
                since,
                until: slot.blind_until.load(Ordering::Relaxed),
                frames: slot.blind_frames.load(Ordering::Relaxed),
                passed: slot.blind_passed.load(Ordering::Relaxed),
            })
        })
    }

    /// Blind windows so far, over all slots, open ones included.
    #[must_use]
    pub fn windows(&self) -> u64 {
        self.slots().map(|slot| slot.windows.load(Ordering::Relaxed)).sum()
    }

    /// Slots that were blind too often within a minute and now fail as
    /// [`Liveness::latched_fail`](crate::Liveness::latched_fail) says.
    #[must_use]
    pub fn latched(&self) -> usize {
        self.slots().filter(|slot| slot.latched.load(Ordering::Relaxed) != 0).count()
    }

    /// Has all slots fail as [`Liveness::latched_fail`](crate::Liveness::latched_fail) says from now on, for a gate that
    /// dies too often.
    pub fn latch(&self) {
        for slot in self.slots() {
            slot.latched.store(1, Ordering::Relaxed);
        }
    }

    /// Lets all slots fail as usual again.
    pub fn unlatch(&self) {
        for slot in self.slots() {
            slot.minute_windows.store(0, Ordering::Relaxed);
            slot.latched.store(0, Ordering::Relaxed);
        }
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        (0..self.mapping.count).filter_map(|index| self.mapping.slot(index))
    }
}

/// The heartbeat of the worker behind one slot.
#[derive(Debug)]
pub struct Beat {
    mapping: Arc<Mapping>,
    index: usize,
}

impl Beat {
    /// The worker lives, at `now` of [`coarse_now`], and has taken `taken` of the frames that it was offered.
    pub fn store(&self, now: u64, taken: u64) {
        if let Some(slot) = self.mapping.slot(self.index) {
            slot.taken.store(taken, Ordering::Relaxed);
            slot.beat.store(now, Ordering::Relaxed);
        }
    }

    /// Forgets who held the slot: for the next worker, before anybody looks at it.
    pub fn release(&self) {
        if let Some(holder) = self.mapping.holder(self.index) {
            holder.release();
        }
    }

    /// The last time in which nobody saw the slot's frames: its number, and the frames in it so far while it goes on,
    /// else 0. It ends with the first frame that the worker gets again, so whatever waits for the worker meanwhile is older.
    #[must_use]
    pub fn blindness(&self) -> (u64, u64) {
        let Some(slot) = self.mapping.slot(self.index) else { return (0, 0) };
        let is_open = slot.blind_since.load(Ordering::Relaxed) != 0;
        let frames = slot.blind_frames.load(Ordering::Relaxed);
        (slot.windows.load(Ordering::Relaxed), if is_open { frames } else { 0 })
    }

    /// Frames that the program has handed to the slot's socket so far, over all workers that it had.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.mapping.slot(self.index).map_or(0, |slot| slot.offered.load(Ordering::Relaxed))
    }
}

/// A stretch of time in which no worker saw a slot's frames. Times are those of [`coarse_now`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindWindow {
    /// The port.
    pub port: u8,
    /// The queue.
    pub queue: u32,
    /// The first frame that nobody saw, in nanoseconds.
    pub since: u64,
    /// The last one.
    pub until: u64,
    /// How many there were.
    pub frames: u64,
    /// How many of them went to the peer port; the others were dropped.
    pub passed: u64,
}

impl BlindWindow {
    /// From what the program wrote; `None` where it has not the size of `struct window`.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let [since, until, frames, passed, place] = words else { return None };
        let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
        let ([port, queue], []) = place.as_chunks::<4>() else { return None };
        rest.is_empty().then(|| Self {
            port: u8::try_from(u32::from_ne_bytes(*port)).unwrap_or(u8::MAX),
            queue: u32::from_ne_bytes(*queue),
            since: word(since),
            until: word(until),
            frames: word(frames),
            passed: word(passed),
        })
    }
}

/// The clock of heartbeats, in nanoseconds: `CLOCK_MONOTONIC_COARSE`, which is what `bpf_ktime_get_coarse_ns` reads.
#[must_use]
pub fn coarse_now() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
