//! The flow worker of one thread.
//!
//! A burst goes through it in passes, so that the memory of the later ones is on its way while
//! the earlier ones work: prefetch the headers; decode, find the owner, hash and prefetch the
//! index; prefetch the flows; then judge in order.

use crate::columns::Columns;
use crate::drops::{DropNote, Explained, Question};
use crate::handover::Head;
use crate::judge::{Fragments, Judge, Sought, Unwrapping};
use crate::offload::OffloadLink;
use crate::owner::Owner;
use crate::publish::Publisher;
use crate::rules::{NewRules, Rules};
use crate::scopes::Scopes;
use crate::settings::{EngineSettings, LiveSettings, SetupError};
use crate::witness::Witness;
use portcullis_capture::burst::ChecksumStatus;
use portcullis_capture::{BURST, Burst, CaptureStats, Verdict, WorkerId};
use portcullis_event::{Reporter, RingMode};
use portcullis_flow::{
    Blind, Callbacks, FlowGuess, FlowKey, FlowSelector, FlowSettings, FlowTable, IdleTimeouts, Share,
    TimeoutOverride, TimeoutOverrides, prefetch_start,
};
use portcullis_stream::{self as stream, Streams};
use portcullis_wire::{Decoded, Decoder, Timestamp};
use std::sync::Arc;

/// Ended flows that are finished for each packet judged, as in Suricata.
const FINISH_PER_PACKET: usize = 2;

/// Slots that are looked at for expiry after each burst: 10 million flows in half a second at
/// 10 million packets a second, for about 5 ns a packet.
const SWEEP_PER_BURST: usize = 64;

/// Slots looked at, and flows finished, in one go by a worker that has nothing else to do.
const IDLE_BATCH: usize = 1024;

/// What a worker is made of besides its settings.
#[derive(Debug)]
pub struct WorkerParts {
    /// Its number.
    pub id: WorkerId,
    /// How many workers there are: 1 to 255.
    pub workers: u8,
    /// The rules to begin with.
    pub rules: Arc<Rules>,
    /// Lifecycle callbacks made for this worker.
    pub callbacks: Callbacks,
    /// Where records go.
    pub reporter: Reporter,
    /// Where counters go.
    pub publisher: Publisher,
    /// The time at start, which flow ids are salted with.
    pub start: Timestamp,
}

/// One thread's engine: flow table, rules, callbacks, counters. Shares nothing that changes.
#[derive(Debug)]
pub struct FlowWorker {
    id: WorkerId,
    decoder: Decoder,
    owner: Owner,
    scopes: Scopes,
    pub(crate) table: FlowTable,
    pub(crate) judge: Judge,
    /// What its flows are told with.
    pub(crate) head: Head,
    publisher: Publisher,
    lanes: Box<[Lane; BURST]>,
}

/// What the passes over a burst know about one packet.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    decoded: Decoded,
    sought: Option<Sought>,
    steer: Option<WorkerId>,
}

impl FlowWorker {
    /// Sets up a worker; its memory is mapped here and grows by blocks up to its share of
    /// `flow.memcap`.
    ///
    /// # Errors
    /// Flow table, streams or defragmenter cannot be had: see [`SetupError`].
    pub fn new(settings: &EngineSettings, parts: WorkerParts) -> Result<Self, SetupError> {
        let WorkerParts { id, workers, rules, mut callbacks, reporter, publisher, start } = parts;
        let share = Share { worker: id.0, workers };
        let mut storage = callbacks.take_storage();
        let mut columns = Columns::add(&mut storage, &settings.records);
        if settings.offload {
            columns = columns.with_offloaded(&mut storage);
        }
        let streams = Streams::new(&settings.stream, stream::Share { workers, seed: settings.seed })?;
        // Streams tell better what a session is.
        let flow = FlowSettings { follow_tcp: false, ..settings.flow };
        let mut table = FlowTable::with_storage(&flow, share, settings.seed, start, storage)?;
        override_timeouts(&mut table, &settings.timeout_overrides);
        let fragments = Fragments::new(settings, workers)?;
        let Unwrapping { decoder, scopes } = Unwrapping::new(settings);
        Ok(Self {
            id,
            decoder,
            owner: Owner::new(workers, settings.seed).with_spread(settings.spread.clone()),
            scopes,
            table,
            judge: Judge::new(settings, share, rules, callbacks, columns, reporter, (fragments, streams)),
            head: Head::new(settings),
            publisher,
            lanes: Box::new([Lane::default(); BURST]),
        })
    }

    /// Judges every packet of the burst that this worker owns, and steers the others to theirs.
    pub fn inspect(&mut self, burst: &mut Burst<'_>) {
        // Another core or a device wrote the headers: they are in no cache of ours.
        for packet in burst.packets() {
            prefetch_start(packet.bytes());
        }
        for (packet, lane) in burst.packets().iter().zip(self.lanes.iter_mut()) {
            let meta = &packet.meta;
            let trusted = !matches!(meta.checksum, ChecksumStatus::Unknown);
            self.decoder.decode_into(meta.link, meta.vlan, trusted, packet.bytes(), &mut lane.decoded);
            lane.steer = if meta.steered { None } else { self.owner.of(&lane.decoded) };
            lane.steer = lane.steer.filter(|owner| *owner != self.id);
            lane.sought = None;
            if lane.steer.is_none()
                && let Some(keyed) = FlowKey::of(&lane.decoded, self.scopes.at(meta.ingress))
            {
                let hash = self.table.hash(&keyed.key);
                self.table.prefetch_bucket(hash);
                lane.sought = Some(Sought { keyed, hash, guess: FlowGuess::NONE });
            }
        }
        for lane in self.lanes.get_mut(..burst.len()).unwrap_or_default() {
            if let Some(sought) = &mut lane.sought {
                sought.guess = self.table.prefetch_flow(sought.hash);
            }
        }
        for index in 0..burst.len() {
            let Some(verdict) = self.judge_one(burst, index) else { break };
            burst.judge(index, verdict);
        }
    }

    /// What has to be done between bursts: a bounded look for expired flows, a bounded number of
    /// ended ones finished, counters published.
    pub fn keep_house(&mut self, now: Timestamp, capture: &CaptureStats) {
        self.judge.take_answered(&mut self.table, now, SWEEP_PER_BURST);
        self.judge.grace.begin(now);
        self.table.sweep(now, SWEEP_PER_BURST);
        self.judge.fragments.sweep(now, SWEEP_PER_BURST);
        self.table.work_injected(SWEEP_PER_BURST);
        self.finish_flows(BURST * FINISH_PER_PACKET, now);
        self.publish(capture);
    }

    /// What a worker does when no packet waits: more of the same.
    pub fn idle(&mut self, now: Timestamp, capture: &CaptureStats) {
        self.judge.take_answered(&mut self.table, now, usize::MAX);
        self.table.sweep(now, IDLE_BATCH);
        self.judge.fragments.sweep(now, IDLE_BATCH);
        self.table.work_injected(IDLE_BATCH);
        self.finish_flows(IDLE_BATCH, now);
        self.publish(capture);
    }

    /// Ends all flows: those that are over at `now` by timeout, the others by shutdown. Their
    /// records wait for room from here on, rather than being refused.
    pub fn finish(&mut self, now: Timestamp, capture: &CaptureStats) {
        self.judge.reporter.set_mode(RingMode::Lossless);
        self.judge.take_answered(&mut self.table, now, usize::MAX);
        loop {
            let done = self.table.retire_all(now, IDLE_BATCH);
            while self.finish_flows(IDLE_BATCH, now) > 0 {}
            if done {
                break;
            }
        }
        self.publish(capture);
    }

    /// Puts decided flows forward at `link`, if [`EngineSettings::offload`] is on. Before the first packet.
    pub fn offload_to(&mut self, link: OffloadLink) {
        self.judge.set_offload(link);
    }

    /// Has somebody asked which connections passed unjudged, so that the grace after such a time is for those alone.
    /// Before the first packet.
    pub fn ask(&mut self, witness: Box<dyn Witness>) {
        self.judge.grace.ask(witness);
    }

    /// Says that the flows of another process were taken over, which knew all connections; but for those, until this
    /// time, whose beginning not even that had seen. Before the first packet.
    pub fn follow(&mut self, until: Timestamp) {
        self.judge.grace.follow(until);
    }

    /// Says that packets may have passed unjudged, whichever worker's they were: flows that were there then are
    /// marked as uninspected, their sessions go on from where they are now, and unknown ones get their grace.
    /// Costs nothing for each flow: it is found out when its next packet comes. To be told before that.
    pub fn blind(&mut self, time: Blind) {
        if self.table.blind(time) {
            self.judge.grace.renew(time);
        }
    }

    /// Fills `room`, as far as it goes without growing, with the last drops, the latest first. Between bursts.
    pub fn last_drops(&self, room: &mut Vec<DropNote>) {
        let most = room.capacity() - room.len();
        room.extend(self.judge.drops.latest().take(most));
    }

    /// What is known about two ends here, in whatever inline set. Between bursts.
    pub fn explain(&mut self, question: &Question) -> Explained {
        let mut explained = Explained::default();
        for scope in self.scopes.all() {
            let found = self.judge.explain(&mut self.table, question, scope);
            explained = Explained { flow: explained.flow.or(found.flow), last_drop: found.last_drop };
        }
        explained
    }

    /// Ends the flows that match and are there now, a bounded number of places looked at a burst. A
    /// request beyond those that may wait is refused and counted.
    pub fn end_flows(&mut self, which: FlowSelector) {
        // What is refused is counted by the table.
        let _ = self.table.inject(which);
    }

    /// Goes by these settings from now on. Between bursts: it may allocate.
    pub fn change_settings(&mut self, live: &LiveSettings) {
        self.table.set_timeouts(&live.timeouts);
        override_timeouts(&mut self.table, &live.timeout_overrides);
        self.judge.change_settings(live);
    }

    /// Judges by these rules from now on, and frees the old ones. Where packets wait, see
    /// [`exchange_rules`](Self::exchange_rules).
    pub fn swap_rules(&mut self, rules: impl Into<NewRules>) {
        self.judge.swap_rules(&mut rules.into());
    }

    /// Judges by these rules from now on, which were made elsewhere; the old ones go where these say.
    pub fn exchange_rules(&mut self, mut rules: Box<NewRules>) {
        self.judge.swap_rules(&mut rules);
        rules.give_back();
    }

    #[inline]
    fn judge_one(&mut self, burst: &mut Burst<'_>, index: usize) -> Option<Verdict> {
        let lane = self.lanes.get(index)?;
        if let Some(owner) = lane.steer {
            return Some(Verdict::Steer(owner));
        }
        let (packet, outbox) = burst.packet_and_outbox(index)?;
        Some(self.judge.packet(&mut self.table, &lane.decoded, lane.sought.as_ref(), packet, outbox))
    }

    pub(crate) fn finish_flows(&mut self, budget: usize, now: Timestamp) -> usize {
        let Self { table, judge, .. } = self;
        table.finish(budget, &mut |flow| judge.flow_ended(flow, now))
    }

    fn publish(&mut self, capture: &CaptureStats) {
        self.judge.counters.set_capture(capture);
        self.judge.gather(&self.table);
        self.publisher.publish(&self.judge.counters, self.judge.hook_costs());
    }
}

fn override_timeouts(table: &mut FlowTable, overrides: &[TimeoutOverride]) {
    let list = || Box::new(TimeoutOverrides(overrides.to_vec())) as Box<dyn IdleTimeouts>;
    table.set_idle_timeouts((!overrides.is_empty()).then(list));
}
