//! The table: a fixed number of entries, each one atomic word.
//!
//! A key may be in any of a few neighbouring lines, chosen by its hash. Every change is one
//! compare-and-swap of the whole entry (whose, until when, how much), so nobody ever sees or loses half of
//! one. Two workers that bring the same new key at the same time may put it into two places, if what they
//! saw free differed; each looks after it has put its own, and whoever then sees another takes his back and
//! counts there what was counted in his.

use crate::hash::{Hashed, Hasher};
use crate::key::Key;
use crate::limit::{Counted, Limit, Ruling};
use crate::slot::{EMPTY, Slot, micros, micros_after, tag};
use portable_atomic::AtomicU128;
use portcullis_wire::Timestamp;
use std::fmt;
use std::sync::atomic::Ordering;

/// Entries in a line of cache.
const LANES: usize = 4;

/// Lines that a key may be in.
const WINDOW: usize = 8;

/// How often a change is tried again where other workers came first. Each of these times another worker's
/// change was made, so nobody gets this far while there are fewer workers.
const TRIES: usize = 1000;

/// How large the table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostSettings {
    /// `host.memcap`, in bytes: 16 for each entry. Less than 64 is a table that refuses everything.
    pub memcap: u64,
    /// Seed of the hash: from the system's entropy, fixed in tests.
    pub seed: u64,
}

impl Default for HostSettings {
    /// Suricata's default of 32 MiB: two million entries.
    fn default() -> Self {
        Self { memcap: 32 << 20, seed: 0x5eed }
    }
}

/// There was no place for a new entry: all that it may have are taken by entries whose time is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// State about hosts, to be shared by `Arc`; see the [crate's docs](crate).
pub struct HostTable {
    table: Table<AtomicU128, LANES>,
    hasher: Hasher,
    memcap: u64,
}

impl HostTable {
    /// Makes the table: its memory is taken and touched here, and never grows.
    #[must_use]
    pub fn new(settings: &HostSettings) -> Self {
        let line = u64::try_from(size_of::<Line<AtomicU128, LANES>>()).unwrap_or(u64::MAX);
        let lines = usize::try_from(settings.memcap / line).unwrap_or(usize::MAX);
        Self { table: Table::new(lines), hasher: Hasher::new(settings.seed), memcap: settings.memcap }
    }

    /// How many entries it can have.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.table.lines.len() * LANES
    }

    /// The bytes that it may take: `host.memcap`.
    #[must_use]
    pub const fn memcap(&self) -> u64 {
        self.memcap
    }

    /// The bytes that its entries take, used or not: all of them are taken at the start.
    #[must_use]
    pub fn memuse(&self) -> u64 {
        u64::try_from(size_of_val(&*self.table.lines)).unwrap_or(u64::MAX)
    }

    /// Counts a match of what `key` is about, and says what follows under `limit`.
    pub fn count(&self, key: &Key, limit: &Limit, now: Timestamp) -> Counted {
        let now = micros(now);
        match self.table.change(self.hasher.hash(key), now, |slot| limit.step(slot, now)) {
            Some(ruling) => Counted { ruling, refused: false },
            None => Counted { ruling: limit.kind.without_state(), refused: true },
        }
    }

    /// Counts a match of what `key` is about by its port: `limit` is about how many different ports matched within its
    /// time. Each port takes an entry of its own, until there are more than `limit.count`.
    ///
    /// The time begins with the first match; with the first after its end another begins, of which nothing is known.
    pub fn count_distinct(&self, key: &Key, port: u16, limit: &Limit, now: Timestamp) -> Counted {
        let now = micros(now);
        let refused = Counted { ruling: limit.kind.without_state(), refused: true };
        let ruling = |count| if count > limit.count { Ruling::Apply } else { Ruling::Nothing };
        let whole = self.hasher.hash(key);
        let fresh = Slot { end: micros_after(now, limit.seconds), count: 0, acting: false };
        let begin = |slot: Option<Slot>| (slot.unwrap_or(fresh), slot.unwrap_or(fresh));
        let Some(known) = self.table.change(whole, now, begin) else { return refused };
        if known.count > limit.count {
            return Counted { ruling: ruling(known.count), refused: false };
        }
        // A port is known if it was seen in the same time; of several workers one is told that it is not.
        let seen = |slot: Option<Slot>| {
            (Slot { end: known.end, count: 1, acting: false }, slot.is_none_or(|slot| slot.end != known.end))
        };
        let Some(is_new) = self.table.change(self.hasher.hash(&key.with_port(port)), now, seen) else {
            return refused;
        };
        let count = if is_new {
            let more = |slot: Option<Slot>| {
                let slot = slot.unwrap_or(known).count_to(limit.count + 1);
                (slot, slot.count)
            };
            self.table.change(whole, now, more)
        } else {
            Some(known.count)
        };
        count.map_or(refused, |count| Counted { ruling: ruling(count), refused: false })
    }

    /// Is the bit set?
    #[must_use]
    pub fn is_set(&self, key: &Key, now: Timestamp) -> bool {
        self.table.find(self.hasher.hash(key), micros(now)).is_some_and(|slot| slot.count > 0)
    }

    /// Sets a bit for `seconds` from now, whether or not it was set before.
    ///
    /// # Errors
    /// No place for it: it stays unset. To be counted.
    pub fn set(&self, key: &Key, now: Timestamp, seconds: u32) -> Result<(), Refused> {
        let bit = bit(micros(now), seconds);
        self.table.change(self.hasher.hash(key), micros(now), |_| (bit, ())).ok_or(Refused)
    }

    /// Unsets a bit.
    pub fn unset(&self, key: &Key, now: Timestamp) {
        self.table.remove(self.hasher.hash(key), micros(now));
    }

    /// Unsets a bit that is set; sets one that is not, for `seconds`.
    ///
    /// # Errors
    /// As for [`set`](Self::set).
    pub fn toggle(&self, key: &Key, now: Timestamp, seconds: u32) -> Result<(), Refused> {
        let now = micros(now);
        let flip = |slot: Option<Slot>| match slot {
            Some(slot) if slot.count > 0 => (Slot { count: 0, end: 0, acting: false }, ()),
            _ => (bit(now, seconds), ()),
        };
        self.table.change(self.hasher.hash(key), now, flip).ok_or(Refused)
    }
}

impl fmt::Debug for HostTable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HostTable").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

fn bit(now: u64, seconds: u32) -> Slot {
    Slot { end: micros_after(now, seconds), count: 1, acting: false }
}

/// A word that threads share; another one in the tests that look at every order of events. All threads
/// agree on the order of all changes and looks: of two that each put a copy and then look for another, one
/// at least must see it.
trait Cell {
    fn empty() -> Self;
    fn load(&self) -> u128;
    /// Puts `new` where `old` is; `false` where it is not.
    fn replace(&self, old: u128, new: u128) -> bool;
}

impl Cell for AtomicU128 {
    fn empty() -> Self {
        Self::new(EMPTY)
    }

    fn load(&self) -> u128 {
        self.load(Ordering::SeqCst)
    }

    fn replace(&self, old: u128, new: u128) -> bool {
        self.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

#[repr(align(64))]
struct Line<C, const LANES: usize>([C; LANES]);

struct Table<C, const LANES: usize> {
    lines: Box<[Line<C, LANES>]>,
}

impl<C: Cell, const LANES: usize> Table<C, LANES> {
    fn new(lines: usize) -> Self {
        let line = |_| Line(std::array::from_fn(|_| C::empty()));
        Self { lines: (0..lines).map(line).collect() }
    }

    /// The entry's state, if it still counts.
    fn find(&self, hashed: Hashed, now: u64) -> Option<Slot> {
        let words = self.window(hashed.place).map(Cell::load);
        let mut own = words.filter(|word| tag(*word) == hashed.tag).map(Slot::unpack);
        own.find(|slot| slot.counts_at(now))
    }

    /// Puts what `step` makes of an entry's state in its place; gives what it says. `None`: no place.
    fn change<R>(
        &self,
        hashed: Hashed,
        now: u64,
        mut step: impl FnMut(Option<Slot>) -> (Slot, R),
    ) -> Option<R> {
        // More than one where a copy was taken back in which others had counted, too.
        let mut events = 1;
        'again: for _ in 0..TRIES {
            let mut free = None;
            for cell in self.window(hashed.place) {
                let word = cell.load();
                let slot = Slot::unpack(word);
                let counts = slot.counts_at(now);
                if tag(word) == hashed.tag {
                    let (next, answer) = steps(counts.then_some(slot), events, &mut step);
                    let next = next.pack(hashed.tag);
                    // What stays as it is need not be written: a count at its end costs others nothing.
                    if next == word || cell.replace(word, next) {
                        return Some(answer);
                    }
                    continue 'again;
                }
                if !counts && free.is_none() {
                    free = Some((cell, word));
                }
            }
            let (cell, word) = free?;
            let (next, answer) = steps(None, events, &mut step);
            if !cell.replace(word, next.pack(hashed.tag)) {
                continue;
            }
            match self.take_back(hashed, cell) {
                None => return Some(answer),
                Some(counted) => events = counted,
            }
        }
        None
    }

    /// After a new entry was put into `own`: if it has a second one, takes it back and says how many
    /// matches it had counted.
    fn take_back(&self, hashed: Hashed, own: &C) -> Option<u32> {
        let mut others = self.window(hashed.place).filter(|cell| !std::ptr::eq(*cell, own));
        if !others.any(|cell| tag(cell.load()) == hashed.tag) {
            return None;
        }
        for _ in 0..TRIES {
            let word = own.load();
            if tag(word) != hashed.tag {
                return None;
            }
            if own.replace(word, EMPTY) {
                return Some(Slot::unpack(word).count.max(1));
            }
        }
        None
    }

    /// Empties the entry's place.
    fn remove(&self, hashed: Hashed, now: u64) {
        for cell in self.window(hashed.place) {
            for _ in 0..TRIES {
                let word = cell.load();
                let own = tag(word) == hashed.tag && Slot::unpack(word).counts_at(now);
                if !own || cell.replace(word, EMPTY) {
                    break;
                }
            }
        }
    }

    /// The places that a key may be in, always in the same order.
    fn window(&self, place: u64) -> impl Iterator<Item = &C> {
        let lines = self.lines.len();
        let first = (u128::from(place) * lines as u128) >> u64::BITS;
        let first = usize::try_from(first).unwrap_or(0);
        let around =
            self.lines.get(first..).unwrap_or(&[]).iter().chain(self.lines.get(..first).unwrap_or(&[]));
        around.take(WINDOW.min(lines)).flat_map(|line| &line.0)
    }
}

fn steps<R>(slot: Option<Slot>, events: u32, step: &mut impl FnMut(Option<Slot>) -> (Slot, R)) -> (Slot, R) {
    let mut stepped = step(slot);
    for _ in 1..events {
        stepped = step(Some(stepped.0));
    }
    stepped
}

#[cfg(test)]
mod tests;
