//! The verdict cache's other half: a thread that puts in what workers put forward, takes out what has had its time, and
//! tells the flows' workers what was answered. Workers make no system call for it and never wait.

use super::verdict_table::{PutError, VerdictTable};
use crate::exit::Failure;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use portcullis_bpf::pulse::coarse_now;
use portcullis_bpf::{CacheAction, CacheEntry, Side, Tuple};
use portcullis_engine::{Answered, Offer, OffloadAction, OffloadDesk, OffloadRequest};
use portcullis_event::Counters;
use portcullis_flow::{Direction, FlowKey};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often to look for requests while there are some: how late a verdict may be in the kernel.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How often once there have been none for long: how late the first verdict may be after such a time.
const LOOK_AT_LEAST: Duration = Duration::from_millis(20);

/// Looks without a request after which the next ones come half as often.
const LOOKS: u32 = 20;

/// How often to read what was answered.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Requests of one worker that are worked off in one go.
const MOST_REQUESTS: usize = 4096;

/// How long to wait, in all, for workers to take counts.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long whoever asks waits for an answer.
const ANSWER: Duration = Duration::from_secs(2);

/// What the thread is made of.
#[derive(Debug)]
pub(crate) struct CacheParts {
    pub(crate) cache: Arc<dyn VerdictTable>,
    /// The other ends of the workers' links, by worker.
    pub(crate) desks: Vec<OffloadDesk>,
    /// The inline set of each port.
    pub(crate) inline_sets: Vec<u8>,
    /// How long a verdict holds.
    pub(crate) lifetime: Duration,
}

/// The entries of a flow.
type Found = Vec<(Direction, CacheEntry)>;

/// The thread, seen from the supervisor.
#[derive(Debug)]
pub(crate) struct CacheThread {
    cache: Arc<dyn VerdictTable>,
    orders: Sender<Order>,
    tally: Arc<Tally>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Order {
    /// The cache is this gate's from now on: the first of all.
    Begin,
    /// Tell workers everything that was answered so far, and then this one.
    Report(Sender<()>),
    /// Tell what there is of a flow.
    Find(u64, Sender<Found>),
    /// End, with nothing in force. Whoever only goes away leaves what is cached in force.
    End,
}

#[derive(Debug, Default)]
struct Tally {
    full: AtomicU64,
    entries: AtomicU64,
}

impl CacheThread {
    /// Starts it; it touches nothing until it is told to [`begin`](Self::begin), for the cache may be another gate's.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(parts: CacheParts) -> Result<Self, Failure> {
        let fail = |error: io::Error| Failure::Runtime(format!("cannot keep the verdict cache: {error}"));
        let (orders, waiting) = bounded(4);
        let tally = Arc::<Tally>::default();
        let cache = Arc::clone(&parts.cache);
        let work = Work { parts, tally: Arc::clone(&tally), kept: HashMap::new(), flows: HashMap::new() };
        let thread = std::thread::Builder::new().name("verdict-cache".to_owned());
        let thread = thread.spawn(move || work.run(&waiting)).map_err(fail)?;
        Ok(Self { cache, orders, tally, thread: Some(thread) })
    }

    /// Takes the cache over: only verdicts of rules of this generation hold from now on.
    pub(crate) fn begin(&self, generation: u32) {
        self.set_generation(generation);
        if self.orders.send(Order::Begin).is_err() {
            tracing::error!("the verdict cache's thread ended early");
        }
    }

    /// From the next packet on, only verdicts of rules of this generation hold.
    pub(crate) fn set_generation(&self, generation: u32) {
        self.cache.set_generation(generation);
    }

    /// Has workers told what was answered so far.
    pub(crate) fn report(&self) {
        let (answer, done) = bounded(1);
        if self.orders.send(Order::Report(answer)).is_ok() {
            // Where it takes too long, a second's worth of counts comes too late for flows that end now.
            let _ = done.recv_timeout(ANSWER);
        }
    }

    /// The entries of a flow.
    pub(crate) fn find(&self, flow: u64) -> Found {
        let (answer, found) = bounded(1);
        let asked = self.orders.send(Order::Find(flow, answer));
        asked.ok().and_then(|()| found.recv_timeout(ANSWER).ok()).unwrap_or_default()
    }

    /// Takes over what only this thread knows.
    pub(crate) fn count(&self, counters: &mut Counters) {
        counters.verdict_cache_full = self.tally.full.load(Ordering::Relaxed);
        counters.verdict_cache_entries = self.tally.entries.load(Ordering::Relaxed);
    }

    /// Puts the cache out of use, and tells workers all that was answered. Without this, what is cached holds on: that
    /// is for a gate that breaks.
    pub(crate) fn finish(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if self.orders.send(Order::End).is_err() || thread.join().is_err() {
            tracing::error!("the verdict cache's thread ended early");
        }
    }
}

/// Whose an entry is, and what of it was told.
#[derive(Clone, Copy, Debug)]
struct Kept {
    flow: u64,
    key: FlowKey,
    direction: Direction,
    worker: usize,
    packets: u64,
    bytes: u64,
}

struct Work {
    parts: CacheParts,
    tally: Arc<Tally>,
    kept: HashMap<Tuple, Kept>,
    /// The entries of each flow.
    flows: HashMap<u64, [Option<Tuple>; 2]>,
}

impl Work {
    fn run(mut self, orders: &Receiver<Order>) {
        if !matches!(orders.recv(), Ok(Order::Begin)) {
            return;
        }
        let mut read_at = Instant::now();
        let mut idle = 0_u32;
        loop {
            let order = orders.recv_timeout(look_after(idle));
            idle = if self.take_requests() { 0 } else { idle.saturating_add(1) };
            match order {
                Ok(Order::Report(answer)) => {
                    self.read();
                    // Whoever asked may have gone away.
                    let _ = answer.send(());
                }
                Ok(Order::Begin) => {}
                Ok(Order::Find(flow, answer)) => drop(answer.send(self.find(flow))),
                Ok(Order::End) => return self.out_of_use(),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) if read_at.elapsed() < READ_EVERY => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.read();
                    read_at = Instant::now();
                }
            }
            self.tally.entries.store(self.kept.len() as u64, Ordering::Relaxed);
        }
    }

    /// Nothing holds any more; what was answered is told, and all entries are gone.
    fn out_of_use(&mut self) {
        self.parts.cache.set_generation(0);
        self.read();
        self.tally.entries.store(self.kept.len() as u64, Ordering::Relaxed);
    }

    /// Does what workers ask for; false where nobody did.
    fn take_requests(&mut self) -> bool {
        let mut any = false;
        let generation = self.parts.cache.generation();
        for worker in 0..self.parts.desks.len() {
            for _ in 0..MOST_REQUESTS {
                let request = self.parts.desks.get_mut(worker).and_then(OffloadDesk::request);
                any |= request.is_some();
                match request {
                    // One that was decided by other rules is put forward again once the worker has the new ones.
                    Some(OffloadRequest::Put(offer)) if offer.generation != generation => {}
                    Some(OffloadRequest::Put(offer)) => self.put(worker, &offer),
                    Some(OffloadRequest::Withdraw(flow)) => self.withdraw(flow),
                    None => break,
                }
            }
        }
        any
    }

    fn put(&mut self, worker: usize, offer: &Offer) {
        let tuple = self.tuple(offer);
        if self.kept.contains_key(&tuple) {
            // It came to the worker all the same: its time was over.
            self.remove(&tuple);
        }
        let lifetime = u64::try_from(self.parts.lifetime.as_nanos()).unwrap_or(u64::MAX);
        let entry = CacheEntry {
            packets: 0,
            bytes: 0,
            until: coarse_now().saturating_add(lifetime),
            generation: offer.generation,
            action: match offer.action {
                OffloadAction::Drop => CacheAction::Drop,
                OffloadAction::Pass => CacheAction::Pass,
            },
        };
        match self.parts.cache.put(&tuple, &entry) {
            Ok(()) => {}
            Err(PutError::Full) => {
                self.tally.full.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Err(PutError::Unsupported) => return,
        }
        let Offer { flow, key, direction, .. } = *offer;
        self.kept.insert(tuple, Kept { flow, key, direction, worker, packets: 0, bytes: 0 });
        self.flows.entry(flow).or_default()[place(direction)] = Some(tuple);
    }

    /// How the program sees packets like the one that was offered.
    fn tuple(&self, offer: &Offer) -> Tuple {
        let port = usize::from(offer.ingress.0);
        let vlan = |layer: usize| offer.vlans.as_slice().get(layer).copied();
        Tuple {
            source: offer.source,
            destination: offer.destination,
            source_port: offer.ports.0,
            destination_port: offer.ports.1,
            vlans: [vlan(0), vlan(1), vlan(2)],
            version: offer.ip_version,
            protocol: offer.protocol,
            set: self.parts.inline_sets.get(port).copied().unwrap_or(0),
            side: Side::of(offer.ingress.0),
        }
    }

    fn withdraw(&mut self, flow: u64) {
        for tuple in self.flows.remove(&flow).into_iter().flatten().flatten() {
            self.remove(&tuple);
        }
    }

    fn find(&self, flow: u64) -> Found {
        let tuples = self.flows.get(&flow).into_iter().flatten().flatten();
        let entry = |tuple| {
            let direction = self.kept.get(tuple)?.direction;
            Some((direction, self.parts.cache.get(tuple)?))
        };
        tuples.filter_map(entry).collect()
    }

    /// Takes an entry out and tells the rest of what it answered.
    fn remove(&mut self, tuple: &Tuple) {
        if let Some(entry) = self.parts.cache.take(tuple) {
            // Where the worker has no room now, this much is not in the flow's record.
            self.tell(tuple, &entry);
        }
        let Some(kept) = self.kept.remove(tuple) else { return };
        if let Entry::Occupied(mut flow) = self.flows.entry(kept.flow) {
            flow.get_mut()[place(kept.direction)] = None;
            if *flow.get() == [None; 2] {
                flow.remove();
            }
        }
    }

    /// Tells workers what was answered since the last time, and takes out what holds no more.
    fn read(&mut self) {
        let (now, generation) = (coarse_now(), self.parts.cache.generation());
        let deadline = Instant::now() + PATIENCE;
        for (tuple, entry) in self.parts.cache.entries() {
            while !self.tell(&tuple, &entry) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            if entry.until <= now || entry.generation != generation {
                self.remove(&tuple);
            }
        }
        self.parts.cache.recycle();
    }

    /// Tells an entry's worker what is new of it; false where that has no room.
    fn tell(&mut self, tuple: &Tuple, entry: &CacheEntry) -> bool {
        // One that a predecessor left is nobody's.
        let Some(kept) = self.kept.get_mut(tuple) else { return true };
        let (packets, bytes) =
            (entry.packets.saturating_sub(kept.packets), entry.bytes.saturating_sub(kept.bytes));
        if packets == 0 {
            return true;
        }
        let Kept { flow, key, direction, worker, .. } = *kept;
        let Some(desk) = self.parts.desks.get_mut(worker) else { return true };
        let told = desk.tell(Answered { flow, key, direction, packets, bytes });
        if told {
            (kept.packets, kept.bytes) = (entry.packets, entry.bytes);
        }
        told
    }
}

/// How long to wait before the next look, after so many without a request.
fn look_after(idle: u32) -> Duration {
    let doublings = (idle / LOOKS).min(8);
    LOOK_EVERY.saturating_mul(1 << doublings).min(LOOK_AT_LEAST)
}

const fn place(direction: Direction) -> usize {
    match direction {
        Direction::ToServer => 0,
        Direction::ToClient => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_thread_looks_less_and_less_often() {
        let check = |idle, millis| assert_eq!(look_after(idle), Duration::from_millis(millis), "{idle}");
        check(0, 5);
        check(19, 5);
        check(20, 10);
        check(40, 20);
        check(u32::MAX, 20);
    }
}
