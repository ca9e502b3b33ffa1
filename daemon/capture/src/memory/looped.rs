//! The same frames again and again, lent where they lie.

use crate::burst::{BURST, Burst, Packet, PacketMeta};
use crate::module::{CaptureStats, PacketModule, Poll, Properties, Wake};
use crate::outbox::Outbox;
use crate::verdict::PortId;
use portcullis_wire::{LinkType, Timestamp};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task;
use std::time::Duration;

/// Lends preloaded frames round after round without copying them: what is measured through it is
/// the inspection. For one worker; a steered packet is dropped and counted as an error. What an
/// inspection writes into a frame is there again in the next round. Nothing leaves.
#[derive(Debug)]
pub struct LoopModule {
    frames: Vec<Preloaded>,
    rounds: u64,
    round: u64,
    next: usize,
    /// How much later each round is than the one before.
    span: Duration,
    /// What this round's stamps are ahead of the first's.
    ahead: Duration,
    clock: Timestamp,
    outbox: Outbox,
    stats: CaptureStats,
    woken: Arc<Woken>,
}

#[derive(Debug)]
struct Preloaded {
    bytes: Vec<u8>,
    meta: PacketMeta,
}

#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl LoopModule {
    /// Will lend these Ethernet frames `rounds` times. Each round's stamps follow on the last
    /// one's, so that time goes on.
    #[must_use]
    pub fn new(frames: impl IntoIterator<Item = (Timestamp, PortId, Vec<u8>)>, rounds: u64) -> Self {
        let preload = |(timestamp, ingress, bytes): (Timestamp, PortId, Vec<u8>)| {
            let wire_length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            Preloaded { bytes, meta: PacketMeta { timestamp, ingress, wire_length, ..PacketMeta::default() } }
        };
        let frames: Vec<_> = frames.into_iter().map(preload).collect();
        let stamps = || frames.iter().map(|frame| frame.meta.timestamp);
        let first = stamps().min().unwrap_or_default();
        let span = stamps().max().unwrap_or_default().since(first) + Duration::from_micros(1);
        Self {
            rounds: if frames.is_empty() { 0 } else { rounds },
            frames,
            round: 0,
            next: 0,
            span,
            ahead: Duration::ZERO,
            clock: Timestamp::ZERO,
            outbox: Outbox::default(),
            stats: CaptureStats::default(),
            woken: Arc::default(),
        }
    }
}

impl PacketModule for LoopModule {
    type Error = Infallible;

    fn poll(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, Infallible> {
        if self.round == self.rounds {
            return Ok(Poll::End);
        }
        let mut burst = Burst::new(&mut self.outbox);
        for frame in self.frames.iter_mut().skip(self.next).take(BURST) {
            self.stats.received += 1;
            self.stats.received_bytes += frame.bytes.len() as u64;
            let timestamp = frame.meta.timestamp.after(self.ahead);
            self.clock = self.clock.max(timestamp);
            let meta = PacketMeta { id: self.stats.received, timestamp, clock: self.clock, ..frame.meta };
            burst.push(Packet::new(&mut frame.bytes, meta));
        }
        let count = burst.len();
        inspect(&mut burst);
        for judgement in burst.into_judgements() {
            // It goes nowhere.
            let _ = self.stats.count_final(judgement.verdict);
        }
        self.stats.forged_refused += self.outbox.forged().count() as u64;
        self.outbox.clear();
        self.next += count;
        if self.next >= self.frames.len() {
            self.next = 0;
            self.round += 1;
            self.ahead += self.span;
        }
        Ok(Poll::Received(count))
    }

    fn wait(&mut self, _until: Timestamp) -> Result<Wake, Infallible> {
        let was_woken = self.woken.0.swap(false, Ordering::AcqRel);
        Ok(if was_woken { Wake::Woken } else { Wake::Ready })
    }

    fn waker(&self) -> task::Waker {
        task::Waker::from(Arc::clone(&self.woken))
    }

    fn properties(&self) -> Properties {
        Properties {
            multi_threaded: false,
            pass_through: true,
            is_realtime: false,
            mtu: vec![1514; 2],
            link: LinkType::Ethernet,
        }
    }

    fn now(&self) -> Timestamp {
        self.clock
    }

    fn stats(&self) -> CaptureStats {
        CaptureStats { forged_refused: self.stats.forged_refused + self.outbox.refused(), ..self.stats }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    #[test]
    fn frames_come_round_by_round_with_time_going_on() {
        let frames = (0..40_u8).map(|n| (Timestamp::from_secs(1 + u64::from(n)), PortId(0), vec![n; 60]));
        let mut module = LoopModule::new(frames, 3);
        let mut seen = Vec::new();
        let mut last = Timestamp::ZERO;
        while let Poll::Received(_) = module
            .poll(&mut |burst| {
                for index in 0..burst.len() {
                    let packet = &burst.packets()[index];
                    assert!(packet.meta.timestamp > last);
                    last = packet.meta.timestamp;
                    seen.push(packet.bytes()[0]);
                    burst.judge(index, Verdict::Accept);
                }
            })
            .unwrap()
        {}
        let round: Vec<u8> = (0..40).collect();
        assert_eq!(seen, round.repeat(3));
        assert_eq!(module.stats().accepted, 120);
        assert_eq!(module.now(), last);
    }

    #[test]
    fn no_frames_are_the_end() {
        let mut module = LoopModule::new([], 5);
        assert_eq!(module.poll(&mut |_| {}), Ok(Poll::End));
    }
}
