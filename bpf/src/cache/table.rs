//! The cache's memory, and where in it an entry is.
//!
//! An entry is in one of the [`NEAR`] lines from its home on, and the home has a bit for each of them. Whatever looks an
//! entry up sees it from the moment that bit is set, when all of the line is written, or in its home that its verdict is,
//! which is written last, until both are cleared; a line that was cleared rests until no program can be reading it any more, and only then may be another entry's.

use super::line::{Key, nanos, stamp, time};
use super::{CacheAction, CacheEntry, CacheError};
use crate::mapping::{CacheHeader, CacheLine, Mapping};
use crate::sys;
use crate::tuple::Tuple;
use rustix::mm::ProtFlags;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `CACHE_NEAR`.
const NEAR: u32 = 16;

/// Homes for each entry that there may be: with half of them free, hardly an entry finds none.
const HOMES_PER_ENTRY: u32 = 2;

/// What is needed to reach the cache: a descriptor and a size, which another process can be given.
#[derive(Debug)]
pub struct CacheMap {
    /// The map.
    pub lines: OwnedFd,
    /// Its lines.
    pub line_count: u32,
}

impl CacheMap {
    /// Lines of a map for so many entries.
    pub(crate) const fn lines(entries: u32) -> u32 {
        if entries == 0 { 1 } else { entries.saturating_mul(HOMES_PER_ENTRY).saturating_add(NEAR) }
    }
}

/// The verdict cache of a gate.
#[derive(Debug)]
pub struct VerdictCache {
    mapping: Mapping,
    lines: usize,
    /// Made when it is first filled.
    state: Mutex<Option<State>>,
}

/// What only user space knows, by line.
#[derive(Debug)]
struct State {
    /// Entries that there are.
    entries: usize,
    /// Packets so far, of which the line has the lower half.
    packets: Vec<u64>,
    /// Was the line cleared, and may a program still be reading it?
    rests: Vec<bool>,
    resting: Vec<usize>,
}

impl VerdictCache {
    /// Maps it. What is in it stays so, and in force.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(map: &CacheMap) -> io::Result<Self> {
        let lines = map.line_count as usize;
        let both = ProtFlags::READ | ProtFlags::WRITE;
        let mapping = Mapping::new(map.lines.as_fd(), lines * size_of::<CacheLine>(), 0, both)?;
        let cache = Self { mapping, lines, state: Mutex::new(None) };
        let homes = map.line_count.saturating_sub(NEAR);
        let header = cache.header();
        if header.homes.load(Ordering::Relaxed) == 0 && homes > 0 {
            // The standard library seeds it from the system's entropy. Nothing is looked up before there is a generation.
            header.seed.store(RandomState::new().hash_one(0_u8), Ordering::Relaxed);
            header.homes.store(homes, Ordering::Release);
        }
        Ok(cache)
    }

    /// Which generation of rules entries must be of; 0 while none holds.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.header().generation.load(Ordering::Relaxed)
    }

    /// Says so. What was decided by others holds no more, from the next packet on.
    pub fn set_generation(&self, generation: u32) {
        let header = self.header();
        header.generation.store(generation, Ordering::Relaxed);
        header.stamp.store(stamp(generation), Ordering::Release);
    }

    /// Puts an entry, in the place of the one that was there for the same packets.
    ///
    /// # Errors
    /// [`CacheError::Full`].
    pub fn put(&self, tuple: &Tuple, entry: &CacheEntry) -> Result<(), CacheError> {
        let key = Key::of(tuple);
        let mut state = self.state();
        let state = self.known(&mut state);
        let (home, found) = self.find(&key);
        if let Some(at) = found {
            self.write(state, at, &key, entry);
            return Ok(());
        }
        let homes = self.lines.saturating_sub(NEAR as usize);
        if state.entries >= homes / HOMES_PER_ENTRY as usize {
            return Err(CacheError::Full);
        }
        let is_free = |at: &usize| {
            self.line(*at).is_some_and(|line| line.verdict.load(Ordering::Relaxed) == 0)
                && state.rests.get(*at) == Some(&false)
        };
        let at = (home..home + NEAR as usize).find(is_free).ok_or(CacheError::Full)?;
        self.write(state, at, &key, entry);
        state.entries += 1;
        if let Some(line) = self.line(home) {
            line.near.fetch_or(1 << (at - home), Ordering::Release);
        }
        Ok(())
    }

    /// An entry as it stands; `None` where there is none.
    #[must_use]
    pub fn get(&self, tuple: &Tuple) -> Option<CacheEntry> {
        let mut state = self.state();
        let state = self.known(&mut state);
        let (_, found) = self.find(&Key::of(tuple));
        self.read(state, found?).map(|(_, entry)| entry)
    }

    /// Takes an entry out, and tells how far it had come. A packet that is being answered at that very moment may be missing.
    pub fn take(&self, tuple: &Tuple) -> Option<CacheEntry> {
        let mut state = self.state();
        let state = self.known(&mut state);
        let (home, found) = self.find(&Key::of(tuple));
        let at = found?;
        self.line(home)?.near.fetch_and(!(1 << (at - home)), Ordering::Relaxed);
        // In its home an entry is found without its bit, too: from here on it is not.
        let verdict = self.line(at)?.verdict.swap(0, Ordering::AcqRel);
        let taken = self.read_as(state, at, verdict);
        state.entries = state.entries.saturating_sub(1);
        if let Some(rests) = state.rests.get_mut(at) {
            *rests = true;
            state.resting.push(at);
        }
        if state.resting.len() > self.lines / 8 {
            state.wake();
        }
        taken.map(|(_, entry)| entry)
    }

    /// Every entry.
    #[must_use]
    pub fn entries(&self) -> Vec<(Tuple, CacheEntry)> {
        let mut state = self.state();
        let state = self.known(&mut state);
        if state.entries == 0 {
            // Nobody has to look at megabytes to learn that.
            return Vec::new();
        }
        (1..self.lines).filter_map(|at| self.read(state, at)).collect()
    }

    /// Makes the lines of entries that were taken out others' again, which waits until no program can be reading them: some
    /// milliseconds. To be called now and then by whoever takes entries out; otherwise [`take`](Self::take) does it at times.
    pub fn recycle(&self) {
        if let Some(state) = self.state().as_mut().filter(|state| !state.resting.is_empty()) {
            state.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, made of what is there where this is the first to ask.
    fn known<'a>(&self, state: &'a mut Option<State>) -> &'a mut State {
        state.get_or_insert_with(|| self.survey())
    }

    /// Looks at all lines. One who died while it wrote may have left a line that no home knows, or a home that knows a line
    /// that is none.
    fn survey(&self) -> State {
        let mut state = State {
            entries: 0,
            packets: vec![0; self.lines],
            rests: vec![false; self.lines],
            resting: Vec::new(),
        };
        let mut near = vec![0_u16; self.lines];
        for at in 1..self.lines {
            let Some(line) = self.line(at).filter(|line| line.verdict.load(Ordering::Relaxed) != 0) else {
                continue;
            };
            let home = self.home(&key_of(line));
            match near.get_mut(home).filter(|_| (home..home + NEAR as usize).contains(&at)) {
                Some(bits) => {
                    *bits |= 1 << (at - home);
                    state.entries += 1;
                    let packets = line.packets.load(Ordering::Relaxed).into();
                    state.packets.get_mut(at).into_iter().for_each(|known| *known = packets);
                }
                None => line.verdict.store(0, Ordering::Relaxed),
            }
        }
        for (at, bits) in near.into_iter().enumerate().skip(1) {
            if let Some(line) = self.line(at) {
                line.near.store(bits, Ordering::Release);
            }
        }
        state
    }

    /// The home of a key, and its line, where it has one.
    fn find(&self, key: &Key) -> (usize, Option<usize>) {
        let home = self.home(key);
        let near = self.line(home).map_or(0, |line| line.near.load(Ordering::Relaxed));
        let is_it = |at: &usize| self.line(*at).is_some_and(|line| key_of(line) == *key);
        (home, (0..NEAR as usize).filter(|bit| near >> bit & 1 == 1).map(|bit| home + bit).find(is_it))
    }

    fn home(&self, key: &Key) -> usize {
        let CacheHeader { seed, homes, .. } = self.header();
        1 + key.home(seed.load(Ordering::Relaxed), homes.load(Ordering::Relaxed)) as usize
    }

    /// All of a line but which lines its home knows.
    fn write(&self, state: &mut State, at: usize, key: &Key, entry: &CacheEntry) {
        let Some(line) = self.line(at) else { return };
        for (word, value) in line.addresses.iter().zip(key.addresses) {
            word.store(value, Ordering::Relaxed);
        }
        let put = |word: &AtomicU32, value| word.store(value, Ordering::Relaxed);
        put(&line.ports, key.ports);
        put(&line.ids, key.ids);
        put(&line.kind, key.kind);
        put(&line.until, time(entry.until));
        #[expect(clippy::cast_possible_truncation, reason = "the line has the lower half")]
        put(&line.packets, entry.packets as u32);
        line.bytes.store(entry.bytes, Ordering::Relaxed);
        if let Some(packets) = state.packets.get_mut(at) {
            *packets = entry.packets;
        }
        let action = match entry.action {
            CacheAction::Drop => 0,
            CacheAction::Pass => 1,
        };
        let verdict = u16::try_from(stamp(entry.generation) << 1 | action).unwrap_or(0);
        line.verdict.store(verdict, Ordering::Release);
    }

    fn read(&self, state: &mut State, at: usize) -> Option<(Tuple, CacheEntry)> {
        let verdict = self.line(at)?.verdict.load(Ordering::Acquire);
        self.read_as(state, at, verdict)
    }

    /// Reads a line that has, or had, this verdict.
    fn read_as(&self, state: &mut State, at: usize, verdict: u16) -> Option<(Tuple, CacheEntry)> {
        let (line, verdict) = (self.line(at)?, u32::from(verdict));
        if verdict == 0 {
            return None;
        }
        let (packets, lower) = (state.packets.get_mut(at)?, line.packets.load(Ordering::Relaxed));
        #[expect(clippy::cast_possible_truncation, reason = "the line has the lower half")]
        let more = lower.wrapping_sub(*packets as u32);
        *packets += u64::from(more);
        let current = self.generation();
        let entry = CacheEntry {
            packets: *packets,
            bytes: line.bytes.load(Ordering::Relaxed),
            until: nanos(line.until.load(Ordering::Relaxed)),
            generation: if verdict >> 1 == stamp(current) { current } else { verdict >> 1 },
            action: if verdict & 1 == 0 { CacheAction::Drop } else { CacheAction::Pass },
        };
        Some((key_of(line).tuple(), entry))
    }

    fn header(&self) -> &CacheHeader {
        self.mapping.cache_header()
    }

    fn line(&self, at: usize) -> Option<&CacheLine> {
        self.mapping.cache_lines().get(..self.lines)?.get(at)
    }
}

impl State {
    fn wake(&mut self) {
        sys::wait_for_readers();
        for at in self.resting.drain(..) {
            if let Some(rests) = self.rests.get_mut(at) {
                *rests = false;
            }
        }
    }
}

fn key_of(line: &CacheLine) -> Key {
    let load = |word: &AtomicU32| word.load(Ordering::Relaxed);
    Key {
        addresses: line.addresses.each_ref().map(|word| word.load(Ordering::Relaxed)),
        ports: load(&line.ports),
        ids: load(&line.ids),
        kind: load(&line.kind),
    }
}

#[cfg(test)]
mod tests;
