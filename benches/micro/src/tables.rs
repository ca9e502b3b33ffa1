//! The flow table and the hash tables it is measured against, behind one seam. All find a
//! packet's flow by its key, or make it, and bring counters, time and TTL up to date; the flow
//! table also does what else it does for a packet.

use crate::flows::{Prepared, packet};
use hashbrown::HashTable;
use portcullis_capture::PortId;
use portcullis_flow::{
    FlowHash, FlowKey, FlowSettings, FlowTable, Keyed, SetupError, Share, Tracked, TrackedInput,
};
use portcullis_wire::Timestamp;
use std::collections::HashMap;
use std::hint::black_box;

/// Packets in a burst.
pub const BURST: usize = 32;
/// Slots that the flow worker looks at for expiry after each burst, and ended flows it finishes.
const SWEEP_PER_BURST: usize = 64;
/// Fewest flows of a table.
const LEAST_FLOWS: u64 = 16;
/// What packets count as, in bytes.
const LENGTH: u32 = 64;
/// The time at which measurements begin.
pub const START: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A table that packets are looked up in.
pub trait Table {
    /// What it is, for the report.
    fn name(&self) -> &'static str;
    /// Takes packets in, in order; the flows of `gone` are no more afterwards.
    fn take(&mut self, packets: &[Prepared], gone: &[Keyed], now: Timestamp);
    /// Flows in it.
    fn len(&self) -> u64;
    /// No flow?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Fills a table with flows from 0, each at its time.
pub fn fill(table: &mut dyn Table, flows: u64, ip_version: u8, time: impl Fn(u64) -> Timestamp) {
    let mut chunk = Vec::with_capacity(BURST);
    for flow in 0..flows {
        chunk.push(packet(flow, ip_version));
        if chunk.len() == BURST || flow + 1 == flows {
            table.take(&chunk, &[], time(flow));
            chunk.clear();
        }
    }
}

/// A flow table with room for so many flows, all its memory there.
///
/// # Panics
/// Where the memory cannot be had.
#[must_use]
pub fn flow_table(flows: u64) -> FlowTable {
    let memcap = memory_for(flows);
    let settings = FlowSettings { memcap, prealloc: u32::MAX, populate: true, ..FlowSettings::default() };
    match FlowTable::new(&settings, Share { worker: 0, workers: 1 }, 0x5eed, START) {
        Ok(table) => table,
        Err(error) => panic!("{error}"),
    }
}

/// Bytes that so many flows need: each its own, as the table says when it gets too little, and its
/// share of the index, which has a 64-byte bucket for each 5.5.
///
/// # Panics
/// Where a byte is enough for a table.
#[must_use]
pub fn memory_for(flows: u64) -> u64 {
    let index = |flows: u64| (flows * 18).div_ceil(100) * 64;
    let settings = FlowSettings { memcap: 1, ..FlowSettings::default() };
    let refused = FlowTable::new(&settings, Share { worker: 0, workers: 1 }, 0, START);
    let Err(SetupError::MemcapTooSmall { least, .. }) = refused else { panic!("a table of one byte") };
    flows * ((least - index(LEAST_FLOWS)) / LEAST_FLOWS) + index(flows)
}

/// The flow table, in bursts, as the flow worker uses it.
#[derive(Debug)]
pub struct Ours {
    /// The table.
    pub table: FlowTable,
    /// Does it look for expired flows after each burst?
    pub sweeping: bool,
}

impl Table for Ours {
    fn name(&self) -> &'static str {
        if self.sweeping { "flow table, with its sweep" } else { "flow table" }
    }

    fn take(&mut self, packets: &[Prepared], _: &[Keyed], now: Timestamp) {
        for burst in packets.chunks(BURST) {
            track_burst(&mut self.table, burst, now);
            if self.sweeping {
                self.table.sweep(now, SWEEP_PER_BURST);
                self.table.finish(SWEEP_PER_BURST, &mut |flow| {
                    black_box(flow.id());
                });
            }
        }
    }

    fn len(&self) -> u64 {
        self.table.active()
    }
}

/// Takes one burst through the table, as the flow worker does. Returns how many were refused.
pub fn track_burst(table: &mut FlowTable, burst: &[Prepared], now: Timestamp) -> usize {
    let mut hashes = [FlowHash(0); BURST];
    for (packet, hash) in burst.iter().zip(&mut hashes) {
        *hash = table.hash(&packet.keyed.key);
        table.prefetch_bucket(*hash);
    }
    for hash in hashes.iter().take(burst.len()) {
        table.prefetch_flow(*hash);
    }
    let mut refused = 0;
    for (packet, hash) in burst.iter().zip(&hashes) {
        let Prepared { decoded, keyed } = packet;
        let input = TrackedInput {
            keyed,
            hash: *hash,
            decoded,
            length: LENGTH,
            now,
            ingress: PortId(0),
            may_create: true,
        };
        match table.track(&input) {
            Tracked::Known(flow, direction) | Tracked::New(flow, direction) => {
                black_box((flow.state(), direction));
            }
            Tracked::Untracked | Tracked::Refused => refused += 1,
        }
    }
    refused
}

/// What all but the flow table keep of a flow besides its key.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Counters {
    last_seen: u64,
    flags: u64,
    packets: [u64; 2],
    bytes: [u64; 2],
    ttl_min: [u8; 2],
    ttl_max: [u8; 2],
}

impl Counters {
    /// Takes a packet in.
    #[inline]
    pub fn update(&mut self, packet: &Prepared, now: Timestamp) {
        let side = usize::from(packet.keyed.swapped);
        let ttl = packet.decoded.ttl;
        let first = self.flags & 1 << side == 0;
        self.flags |= 1 << side;
        self.last_seen = self.last_seen.max(now.as_nanos());
        self.packets[side] += 1;
        self.bytes[side] += u64::from(LENGTH);
        self.ttl_min[side] = if first { ttl } else { self.ttl_min[side].min(ttl) };
        self.ttl_max[side] = self.ttl_max[side].max(ttl);
    }
}

/// Key and counters in two cache lines, as the flow table's part for every packet.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub struct Entry {
    /// The flow's key.
    pub key: FlowKey,
    /// What was counted.
    pub counters: Counters,
}

const _: () = assert!(size_of::<Entry>() == 128);

impl Entry {
    /// Of a flow of which nothing was seen.
    #[must_use]
    pub fn new(key: FlowKey) -> Self {
        Self { key, ..Self::default() }
    }
}

/// The standard library's map with its default hasher, one packet at a time. Keys and counters lie
/// in the map itself.
#[derive(Debug)]
pub struct Std(HashMap<FlowKey, Counters>);

impl Std {
    /// With room for so many flows.
    #[must_use]
    pub fn new(flows: u64) -> Self {
        Self(HashMap::with_capacity(usize::try_from(flows).unwrap_or(0)))
    }
}

impl Table for Std {
    fn name(&self) -> &'static str {
        "std HashMap"
    }

    fn take(&mut self, packets: &[Prepared], gone: &[Keyed], now: Timestamp) {
        for packet in packets {
            self.0.entry(packet.keyed.key).or_default().update(packet, now);
        }
        for keyed in gone {
            self.0.remove(&keyed.key);
        }
    }

    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

/// hashbrown's table of (tag, place) over entries in a vector, hashed as the flow table does it.
#[derive(Debug)]
pub struct Brown {
    places: HashTable<(u32, u32)>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// There for its hash function.
    hasher: FlowTable,
    /// Whether a burst is hashed and probed as a whole before the first flow is touched.
    pub batched: bool,
}

impl Brown {
    /// With room for so many flows.
    #[must_use]
    pub fn new(flows: u64, batched: bool) -> Self {
        let room = usize::try_from(flows).unwrap_or(0);
        Self {
            places: HashTable::with_capacity(room),
            entries: Vec::with_capacity(room),
            free: Vec::with_capacity(room),
            hasher: flow_table(64),
            batched,
        }
    }

    fn find(&self, hash: FlowHash, key: &FlowKey) -> Option<u32> {
        let tag = tag(hash);
        let is_it = |at: &(u32, u32)| at.0 == tag && self.entries[at.1 as usize].key == *key;
        self.places.find(hash.0, is_it).map(|at| at.1)
    }

    fn take_one(&mut self, packet: &Prepared, hash: FlowHash, guess: Option<u32>, now: Timestamp) {
        let key = &packet.keyed.key;
        let guess = guess.filter(|place| self.entries[*place as usize].key == *key);
        let place = guess.or_else(|| self.find(hash, key)).unwrap_or_else(|| self.make(hash, key));
        self.entries[place as usize].counters.update(packet, now);
    }

    fn make(&mut self, hash: FlowHash, key: &FlowKey) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        self.entries[place as usize] = Entry::new(*key);
        let Self { places, entries, hasher, .. } = self;
        let rehash = |at: &(u32, u32)| hasher.hash(&entries[at.1 as usize].key).0;
        places.insert_unique(hash.0, (tag(hash), place), rehash);
        place
    }

    fn remove(&mut self, key: &FlowKey) {
        let hash = self.hasher.hash(key);
        let tag = tag(hash);
        let Self { places, entries, free, .. } = self;
        let found = places.find_entry(hash.0, |at| at.0 == tag && entries[at.1 as usize].key == *key);
        if let Ok(entry) = found {
            free.push(entry.remove().0.1);
        }
    }
}

impl Table for Brown {
    fn name(&self) -> &'static str {
        if self.batched { "hashbrown, batched" } else { "hashbrown" }
    }

    fn take(&mut self, packets: &[Prepared], gone: &[Keyed], now: Timestamp) {
        let burst_of = if self.batched { BURST } else { 1 };
        for burst in packets.chunks(burst_of) {
            if let ([packet], false) = (burst, self.batched) {
                let hash = self.hasher.hash(&packet.keyed.key);
                self.take_one(packet, hash, None, now);
                continue;
            }
            let mut hashes = [FlowHash(0); BURST];
            let mut guesses = [None; BURST];
            for (packet, hash) in burst.iter().zip(&mut hashes) {
                *hash = self.hasher.hash(&packet.keyed.key);
            }
            for (hash, guess) in hashes.iter().take(burst.len()).zip(&mut guesses) {
                let tag = tag(*hash);
                *guess = self.places.find(hash.0, |at| at.0 == tag).map(|at| at.1);
                if let Some(place) = *guess {
                    crate::floor::prefetch(&self.entries[place as usize]);
                }
            }
            for ((packet, hash), guess) in burst.iter().zip(&hashes).zip(&guesses) {
                self.take_one(packet, *hash, *guess, now);
            }
        }
        for keyed in gone {
            self.remove(&keyed.key);
        }
    }

    fn len(&self) -> u64 {
        self.places.len() as u64
    }
}

/// Other bits than hashbrown takes (the lowest for the place, the highest for its own tag).
fn tag(hash: FlowHash) -> u32 {
    u32::try_from(hash.0 >> 25 & 0xffff_ffff).unwrap_or(0)
}
