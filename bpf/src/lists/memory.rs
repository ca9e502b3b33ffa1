//! Memory that is shared with the program: the generations, the counts, and the ring of samples.

use super::image::{self, Bypass, ListPolicy};
use super::sample::ListSample;
use super::{ListHits, ListsError, MAX_BYPASSES};
use crate::layout::{LIST_COUNTERS, LIST_SAMPLES};
use crate::mapping::Mapping;
use crate::sys;
use portcullis_lists::{ListId, Table};
use rustix::mm::ProtFlags;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of a line.
const WORDS: usize = 8;

/// What is needed to reach the lists: descriptors and sizes, which another process can be given.
#[derive(Debug)]
pub struct ListMaps {
    /// The map of both generations.
    pub lines: OwnedFd,
    /// The map of counts.
    pub hits: OwnedFd,
    /// The ring of samples.
    pub samples: OwnedFd,
    /// Lines of the first.
    pub line_count: u32,
    /// Lines of the second.
    pub hit_count: u32,
}

impl ListMaps {
    /// The same once more.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            lines: self.lines.try_clone()?,
            hits: self.hits.try_clone()?,
            samples: self.samples.try_clone()?,
            line_count: self.line_count,
            hit_count: self.hit_count,
        })
    }
}

/// The lists in the kernel.
#[derive(Debug)]
pub struct Lists {
    lines: Mapping,
    hits: Mapping,
    consumer: Mapping,
    ring: Mapping,
    /// Lines of a generation.
    room: usize,
    /// Lines of counts.
    hit_count: usize,
    /// What was counted before this one was opened, by list and bypass.
    before: Vec<ListHits>,
}

impl Lists {
    /// Maps the memory. Counts begin at 0 with it; the lists that are in force stay in force.
    ///
    /// # Errors
    /// [`ListsError::Map`].
    pub fn open(maps: &ListMaps) -> Result<Self, ListsError> {
        let page = rustix::param::page_size();
        let read = ProtFlags::READ;
        let both = ProtFlags::READ | ProtFlags::WRITE;
        let (lines, hits) = (maps.line_count as usize, maps.hit_count as usize);
        let map = |map: &OwnedFd, bytes, offset, protection| {
            let mapping = Mapping::new(map.as_fd(), bytes, offset, protection);
            mapping.map_err(|error| ListsError::Map(error.to_string()))
        };
        let mut lists = Self {
            lines: map(&maps.lines, lines * WORDS * 8, 0, both)?,
            hits: map(&maps.hits, hits * WORDS * 8, 0, read)?,
            consumer: map(&maps.samples, page, 0, both)?,
            // The producer's page, and the data twice, so that no sample is broken in two.
            ring: map(&maps.samples, page + 2 * LIST_SAMPLES, page as u64, read)?,
            room: lines.saturating_sub(1) / 2,
            hit_count: hits,
            before: Vec::new(),
        };
        lists.before = (0..LIST_COUNTERS).map(|counter| lists.counted(counter)).collect();
        Ok(lists)
    }

    /// Puts lists and bypasses in force, all at once, while traffic passes; what was in force before stays so where
    /// this fails. Takes some 0.1 s for a million entries.
    ///
    /// # Errors
    /// There are more than there is room for.
    pub fn publish(
        &mut self,
        table: &Table,
        bypasses: &[Bypass],
        policy: &ListPolicy,
    ) -> Result<(), ListsError> {
        if bypasses.is_empty() && table.v4().is_empty() && table.v6().is_empty() {
            self.put_in_force(0);
            return Ok(());
        }
        // The standard library seeds it from the system's entropy.
        let seed = RandomState::new().hash_one(0_u8);
        let image = image::build(table, bypasses, policy, self.room, seed)?;
        let first = if self.in_force() == 1 { 1 + self.room } else { 1 };
        // Until here a frame may still be looked up in what was in force before what is now.
        sys::wait_for_readers();
        let words = self.lines.words().get(first * WORDS..).unwrap_or_default();
        for (word, value) in words.iter().zip(image.as_flattened()) {
            word.store(*value, Ordering::Relaxed);
        }
        self.put_in_force(first);
        Ok(())
    }

    /// Are there lists or bypasses in force?
    #[must_use]
    pub fn any_in_force(&self) -> bool {
        self.in_force() != 0
    }

    /// How often a list was met since this was opened.
    #[must_use]
    pub fn hits(&self, list: ListId) -> ListHits {
        self.since(list.number())
    }

    /// How often the bypass of this number was met.
    #[must_use]
    pub fn bypass_hits(&self, number: usize) -> ListHits {
        if number < MAX_BYPASSES { self.since(ListId::MAX + number) } else { ListHits::default() }
    }

    /// Takes the samples that are there out of the ring, at most `most`.
    pub fn samples(&mut self, most: usize) -> Vec<ListSample> {
        const BUSY: u32 = 1 << 31;
        const DISCARDED: u32 = 1 << 30;
        const HEADER: usize = 8;
        let mut samples = Vec::new();
        let (Some(consumer), Some(producer)) = (self.consumer.words().first(), self.ring.words().first())
        else {
            return samples;
        };
        let mut at = consumer.load(Ordering::Relaxed);
        let end = producer.load(Ordering::Acquire);
        while at < end && samples.len() < most {
            let offset = usize::try_from(at % LIST_SAMPLES as u64).unwrap_or(0);
            let first = (rustix::param::page_size() + offset) / 8;
            // The length and its flags are the lower half of the word in memory.
            let Some(header) = self.ring.words().get(first) else { break };
            let [a, b, c, d, ..] = header.load(Ordering::Acquire).to_ne_bytes();
            let header = u32::from_ne_bytes([a, b, c, d]);
            if header & BUSY != 0 {
                break;
            }
            let length = (header & !DISCARDED) as usize;
            if header & DISCARDED == 0 {
                let words = self.ring.words().get(first + 1..first + 1 + length / 8).unwrap_or_default();
                samples.extend(ListSample::from_words(words.iter().map(|word| word.load(Ordering::Relaxed))));
            }
            at += (length.next_multiple_of(8) + HEADER) as u64;
            consumer.store(at, Ordering::Release);
        }
        samples
    }

    fn control(&self) -> Option<&AtomicU64> {
        self.lines.words().first()
    }

    fn in_force(&self) -> usize {
        let first = self.control().map_or(0, |word| word.load(Ordering::Relaxed));
        usize::try_from(first).unwrap_or(0)
    }

    fn put_in_force(&self, first: usize) {
        if let Some(word) = self.control() {
            word.store(first as u64, Ordering::Release);
        }
    }

    fn since(&self, counter: usize) -> ListHits {
        let (now, before) = (self.counted(counter), self.before.get(counter).copied().unwrap_or_default());
        ListHits {
            packets: now.packets.saturating_sub(before.packets),
            bytes: now.bytes.saturating_sub(before.bytes),
            samples_lost: now.samples_lost.saturating_sub(before.samples_lost),
        }
    }

    fn counted(&self, counter: usize) -> ListHits {
        let mut total = ListHits::default();
        for line in (counter..self.hit_count).step_by(LIST_COUNTERS) {
            let words = self.hits.words().get(line * WORDS..).unwrap_or_default();
            let [packets, bytes, lost, ..] = words else { continue };
            total.packets += packets.load(Ordering::Relaxed);
            total.bytes += bytes.load(Ordering::Relaxed);
            total.samples_lost += lost.load(Ordering::Relaxed);
        }
        total
    }
}
