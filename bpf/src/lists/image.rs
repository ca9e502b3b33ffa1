//! A generation of lists as the program reads it: lines of 64 bytes, described in `lists.h`.

use super::{ListsError, MAX_BYPASSES};
use crate::layout::{
    LIST_AROUND4, LIST_BUCKETS, LIST_BYPASS, LIST_KINDS4, LIST_LENGTHS4, LIST_LONG6, LIST_SHORT6,
};
use portcullis_lists::{Entry, Marks, Net, Table, Word};
use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// A cache line.
pub(crate) type Line = [u64; 8];

/// Entries of IPv4 in a line.
const SLOTS4: usize = 8;

/// Entries of IPv6 in a line.
const SLOTS6: usize = 3;

/// `LIST_LONGER`.
const LONGER: u8 = 0x80;

/// The longest network of IPv4 that is told by the byte of each /24 in it, not by hash.
const AROUND: u8 = 24;

/// Different marks that these bytes tell apart.
const KINDS: usize = 127;

/// Entries that are moved to make room for one; where that is not enough, another seed is tried.
const MOVES: usize = 500;

/// Seeds that are tried. At the loads that [`buckets`] leaves the first one practically always does.
const SEEDS: u64 = 16;

/// Traffic between two networks that goes to the peer port in the kernel, in both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bypass {
    /// Where one end is: an address and how many of its bits count.
    pub network: (IpAddr, u8),
    /// Where the other end is; `None`: anywhere.
    pub peer: Option<(IpAddr, u8)>,
    /// The protocol; `None`: any.
    pub protocol: Option<u8>,
    /// Ports of TCP or UDP, of which either end has to have one; `None`: any, or none. Fragments have no ports.
    pub ports: Option<RangeInclusive<u16>>,
}

/// What being on a list means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListPolicy {
    /// Lists that a packet's source is looked up in.
    pub sources: Marks,
    /// Lists that its destination is looked up in.
    pub destinations: Marks,
    /// Lists that drop; those that are neither here nor in `allow` count and note only.
    pub drop: Marks,
    /// Lists that exempt from all others.
    pub allow: Marks,
    /// Do frames leave through the peer port? Where not, what is bypassed goes nowhere.
    pub forward: bool,
    /// One packet in so many that a list drops or tells of becomes a sample; 0: none does.
    pub sample_every: u32,
    /// Most samples a second, for each list and CPU.
    pub sample_most: u32,
}

/// The lines for so many entries: of IPv4, of IPv6. At least one each.
pub(crate) fn buckets(entries: usize, entries_v6: usize) -> (usize, usize) {
    // Three quarters full, and two thirds.
    ((entries * 4).div_ceil(3 * SLOTS4).max(1), (entries_v6 * 3).div_ceil(2 * SLOTS6).max(1))
}

/// Makes a generation of at most `room` lines.
pub(crate) fn build(
    table: &Table,
    bypasses: &[Bypass],
    policy: &ListPolicy,
    room: usize,
    seed: u64,
) -> Result<Vec<Line>, ListsError> {
    if bypasses.len() > MAX_BYPASSES {
        return Err(ListsError::TooManyBypasses(bypasses.len()));
    }
    let Split { kinds, around, hashed } = split(table.v4());
    let v6 = halved(table.v6());
    let no_room = || ListsError::NoRoom { entries: hashed.len(), entries_v6: v6.len() };
    let (buckets4, buckets6) = buckets(hashed.len(), v6.len());
    let lines = LIST_BUCKETS + buckets4 + buckets6;
    if lines > room {
        return Err(no_room());
    }
    for seed in (0..SEEDS).map(|turn| mix(seed ^ turn)) {
        let mut image = Image { lines: vec![[0; 8]; lines], seed, buckets4, buckets6 };
        if hashed.iter().all(|entry| image.add4(entry)) && v6.iter().all(|entry| image.add6(entry)) {
            image.around(&kinds, &around);
            image.header(policy, bypasses.len(), table.v4().len() + table.v6().len());
            bypasses.iter().enumerate().for_each(|(index, rule)| image.bypass(index, rule));
            return Ok(image.lines);
        }
    }
    Err(no_room())
}

/// Entries of IPv4 by how they are looked up.
struct Split {
    /// The marks that there are around a /24, by number from 1 on.
    kinds: Vec<Marks>,
    /// Networks no longer than a /24, the shortest first, and the number of their marks.
    around: Vec<(Net<u32>, u8)>,
    hashed: Vec<Entry<u32>>,
}

fn split(entries: &[Entry<u32>]) -> Split {
    let (mut short, mut hashed): (Vec<_>, Vec<_>) =
        entries.iter().copied().partition(|entry| entry.net.length() <= AROUND);
    short.sort_by_key(|entry| entry.net.length());
    let (mut kinds, mut around) = (Vec::new(), Vec::new());
    let mut others = Vec::new();
    for Entry { net, marks } in short {
        if kinds.len() < KINDS && !kinds.contains(&marks) {
            kinds.push(marks);
        }
        let known = kinds.iter().position(|kind| *kind == marks);
        match known.and_then(|number| u8::try_from(number + 1).ok()) {
            Some(number) => around.push((net, number)),
            None => others.push(Entry { net, marks }),
        }
    }
    // More different marks than hardly anybody has: such a network is the two halves of each /24 in it that is in no longer
    // one of the table, unless they have entries of their own.
    let mut seen: HashSet<Net<u32>> = hashed.iter().map(|entry| entry.net).collect();
    for entry in others.iter().rev() {
        let inner = |net: Net<u32>| {
            around.iter().any(|(other, _)| entry.net.length() < other.length() && other.covers(net))
        };
        for first in (entry.net.first()..=entry.net.last()).step_by(1 << 7) {
            let net = Net::around(first, AROUND + 1);
            if !inner(net) && seen.insert(net) {
                hashed.push(Entry { net, ..*entry });
            }
        }
    }
    Split { kinds, around, hashed }
}

/// A network of no length has no bit in the words of lengths: its two halves do, unless they have entries of their own.
fn halved<W: Word>(entries: &[Entry<W>]) -> Cow<'_, [Entry<W>]> {
    match entries.split_first() {
        Some((whole, rest)) if whole.net.length() == 0 => {
            let halves = [whole.net.first(), W::mask(1)].map(|first| Net::around(first, 1));
            let missing = halves.into_iter().filter(|half| rest.iter().all(|entry| entry.net != *half));
            let missing = missing.map(|net| Entry { net, ..*whole });
            Cow::Owned(missing.chain(rest.iter().copied()).collect())
        }
        _ => Cow::Borrowed(entries),
    }
}

/// `list_mix`.
fn mix(key: u64) -> u64 {
    let key = (key ^ key >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ key >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ key >> 31
}

/// `list_place`: one of `buckets`, by half a hash.
fn place(half: u64, buckets: usize) -> usize {
    usize::try_from(((half & 0xffff_ffff) * buckets as u64) >> 32).unwrap_or(0)
}

fn both_places(hash: u64, buckets: usize) -> [usize; 2] {
    [place(hash, buckets), place(hash >> 32, buckets)]
}

const fn halves_of(net: u128) -> (u64, u64) {
    #[expect(clippy::cast_possible_truncation, reason = "its lower half")]
    ((net >> 64) as u64, net as u64)
}

struct Image {
    lines: Vec<Line>,
    seed: u64,
    buckets4: usize,
    buckets6: usize,
}

/// Whose entry makes room: any of a bucket, but not of the one that the last entry was just put into.
struct Walk {
    state: u64,
    before: Option<usize>,
}

impl Walk {
    const fn new(state: u64) -> Self {
        Self { state, before: None }
    }

    fn next(&mut self, places: [usize; 2], slots: usize) -> (usize, usize) {
        self.state = mix(self.state.wrapping_add(0x9e37_79b9_7f4a_7c15));
        let [one, other] = places;
        let first = match self.before {
            Some(before) => before != one,
            None => self.state & 1 == 0,
        };
        let place = if first { one } else { other };
        self.before = Some(place);
        (place, usize::try_from(self.state >> 32).unwrap_or(0) % slots)
    }
}

/// An entry of IPv6 as it stands in a bucket.
#[derive(Clone, Copy)]
struct Slot6 {
    high: u64,
    low: u64,
    /// Length and marks.
    meta: u32,
}

impl Image {
    fn set_bit(&mut self, first: usize, bit: usize) {
        if let Some(word) = self.lines.get_mut(first + bit / 512).and_then(|line| line.get_mut(bit / 64 % 8))
        {
            *word |= 1 << (bit % 64);
        }
    }

    fn set_byte(&mut self, first: usize, index: usize, change: impl Fn(u8) -> u8) {
        let word = self.lines.get_mut(first + index / 64).and_then(|line| line.get_mut(index / 8 % 8));
        if let Some(word) = word {
            let mut bytes = word.to_ne_bytes();
            bytes[index % 8] = change(bytes[index % 8]);
            *word = u64::from_ne_bytes(bytes);
        }
    }

    /// The marks around each /24.
    fn around(&mut self, kinds: &[Marks], networks: &[(Net<u32>, u8)]) {
        for (number, kind) in (1..).zip(kinds) {
            let word =
                self.lines.get_mut(LIST_KINDS4 + number / 16).and_then(|line| line.get_mut(number / 2 % 8));
            if let Some(word) = word {
                let [mut even, mut odd] = words_of(*word);
                *if number.is_multiple_of(2) { &mut even } else { &mut odd } = kind.bits();
                *word = word_of(even, odd);
            }
        }
        for (net, number) in networks {
            for around in net.first() >> 8..=net.last() >> 8 {
                self.set_byte(LIST_AROUND4, around as usize, |byte| byte & LONGER | number);
            }
        }
    }

    /// `false` where no room could be made.
    fn add4(&mut self, entry: &Entry<u32>) -> bool {
        let (first, length) = (entry.net.first(), usize::from(entry.net.length()));
        self.set_byte(LIST_AROUND4, (first >> 8) as usize, |byte| byte | LONGER);
        self.set_byte(LIST_LENGTHS4, (first >> 16) as usize, |byte| byte | 1 << (32 - length));
        let mut carried = u64::from(first) << 32 | (length as u64) << 24 | u64::from(entry.marks.bits());
        let mut walk = Walk::new(carried);
        for _ in 0..MOVES {
            let places = both_places(mix((carried & !0x00ff_ffff) ^ self.seed), self.buckets4);
            for place in places {
                let Some(line) = self.lines.get_mut(LIST_BUCKETS + place) else { return false };
                if let Some(free) = line.iter_mut().find(|slot| **slot == 0) {
                    *free = carried;
                    return true;
                }
            }
            let (place, victim) = walk.next(places, SLOTS4);
            let line = self.lines.get_mut(LIST_BUCKETS + place);
            let Some(slot) = line.and_then(|line| line.get_mut(victim)) else { return false };
            std::mem::swap(slot, &mut carried);
        }
        false
    }

    fn add6(&mut self, entry: &Entry<u128>) -> bool {
        let (first, length) = (entry.net.first(), usize::from(entry.net.length()));
        let (high, low) = halves_of(first);
        let sixteen = |net: u128| usize::try_from(net >> 112).unwrap_or(0);
        match length {
            0..=32 => {
                for word in sixteen(first)..=sixteen(entry.net.last()) {
                    self.set_bit(LIST_SHORT6, word * 32 + 32 - length);
                }
            }
            _ => {
                let place = usize::try_from(mix(high >> 32 ^ self.seed) & 0xffff).unwrap_or(0);
                self.set_bit(LIST_LONG6, place * 128 + 128 - length);
            }
        }
        let meta = u32::from(entry.net.length()) << 24 | entry.marks.bits();
        let mut carried = Slot6 { high, low, meta };
        let mut walk = Walk::new(high ^ low);
        for _ in 0..MOVES {
            let length = u64::from(carried.meta >> 24);
            let hash = mix(mix(carried.high ^ self.seed) ^ carried.low ^ length << 56);
            let places = both_places(hash, self.buckets6);
            for place in places {
                for index in 0..SLOTS6 {
                    if self.slot6(place, index).meta == 0 {
                        self.set_slot6(place, index, carried);
                        return true;
                    }
                }
            }
            let (place, index) = walk.next(places, SLOTS6);
            let victim = self.slot6(place, index);
            self.set_slot6(place, index, carried);
            carried = victim;
        }
        false
    }

    fn slot6(&self, place: usize, index: usize) -> Slot6 {
        let line = self.lines.get(LIST_BUCKETS + self.buckets4 + place).copied().unwrap_or_default();
        let word = |at: usize| line.get(at).copied().unwrap_or_default();
        let [even, odd] = words_of(word(2 * SLOTS6 + index / 2));
        Slot6 {
            high: word(2 * index),
            low: word(2 * index + 1),
            meta: if index.is_multiple_of(2) { even } else { odd },
        }
    }

    fn set_slot6(&mut self, place: usize, index: usize, slot: Slot6) {
        let Some(line) = self.lines.get_mut(LIST_BUCKETS + self.buckets4 + place) else { return };
        let mut set = |at: usize, value: u64| {
            if let Some(word) = line.get_mut(at) {
                *word = value;
            }
        };
        set(2 * index, slot.high);
        set(2 * index + 1, slot.low);
        let at = 2 * SLOTS6 + index / 2;
        let [mut even, mut odd] = words_of(line.get(at).copied().unwrap_or_default());
        *if index.is_multiple_of(2) { &mut even } else { &mut odd } = slot.meta;
        if let Some(word) = line.get_mut(at) {
            *word = word_of(even, odd);
        }
    }

    fn header(&mut self, policy: &ListPolicy, bypasses: usize, entries: usize) {
        let ListPolicy { sources, destinations, drop, allow, forward, sample_every, sample_most } = *policy;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let line = [
            word_of(number(self.buckets4), number(self.buckets6)),
            self.seed,
            word_of(sources.bits(), destinations.bits()),
            word_of(drop.bits(), allow.bits()),
            word_of(number(bypasses), sample_every),
            word_of(sample_most, number(entries)),
            word_of(forward.into(), 0),
            0,
        ];
        if let Some(first) = self.lines.first_mut() {
            *first = line;
        }
    }

    fn bypass(&mut self, index: usize, rule: &Bypass) {
        let Bypass { network, peer, protocol, ports } = rule;
        let [network, mask] = net_and_mask(*network);
        let [peer, peer_mask] = peer.map_or([0; 2], net_and_mask);
        let mut nets = [0; 8];
        let halves = [network, mask, peer, peer_mask].map(halves_of);
        for (pair, (high, low)) in nets.as_chunks_mut::<2>().0.iter_mut().zip(halves) {
            *pair = [high, low];
        }
        let protocol = protocol.map_or(256, u16::from);
        let (low, high) = ports.as_ref().map_or((0, u16::MAX), |ports| (*ports.start(), *ports.end()));
        let mut bytes = [0; 8];
        for (slot, value) in bytes.as_chunks_mut::<2>().0.iter_mut().zip([protocol, low, high]) {
            *slot = value.to_ne_bytes();
        }
        let at = LIST_BYPASS + 2 * index;
        if let Some([one, other]) = self.lines.get_mut(at..at + 2) {
            *one = nets;
            *other = [u64::from_ne_bytes(bytes), 0, 0, 0, 0, 0, 0, 0];
        }
    }
}

/// Two fields of 32 bits, as they follow each other in memory.
const fn word_of(first: u32, second: u32) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

const fn words_of(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
}

/// A network and its mask, of IPv4 in the mapped form.
fn net_and_mask((address, length): (IpAddr, u8)) -> [u128; 2] {
    let (address, length) = match address {
        IpAddr::V4(address) => (address.to_ipv6_mapped(), length.min(32) + 96),
        IpAddr::V6(address) => (address, length.min(128)),
    };
    let mask = u128::mask(length);
    [u128::from(address) & mask, mask]
}

#[cfg(test)]
mod tests;
