//! A classic capture file replayed by one worker from which nothing leaves: frames are lent where they were read, so
//! that none is copied, and no window keeps their order. A long file is read ahead ([`crate::ahead`]).

use crate::ahead::{Piece, Pieces};
use crate::classic::{Classic, Step};
use crate::error::{Damage, PcapError};
use crate::input::{Progress, Unread};
use portcullis_capture::{
    BURST, Burst, CaptureStats, Outbox, Packet, PacketMeta, PacketModule, Poll, Properties, Wake,
};
use portcullis_wire::{LinkType, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task;

/// The largest frame a port here is said to send, as [`Offline`](portcullis_capture::Offline) has it.
const MTU: u32 = 1514;

/// The only worker's state.
#[derive(Debug)]
pub(crate) struct Direct {
    path: PathBuf,
    pieces: Pieces,
    classic: Classic,
    link: LinkType,
    /// What was read and not lent yet.
    piece: Piece,
    /// There is nothing more to be read.
    is_read: bool,
    /// Where in the file `piece` goes on.
    offset: u64,
    progress: Progress,
    clock: Timestamp,
    outbox: Outbox,
    stats: CaptureStats,
    woken: Arc<Woken>,
    ended: bool,
}

#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Direct {
    /// Goes on where a reader is that has read the file header.
    pub(crate) fn new(path: PathBuf, classic: Classic, unread: Unread) -> Self {
        let Unread { file, bytes, offset, progress } = unread;
        let length = (progress.total() > 0).then(|| progress.total().saturating_sub(offset));
        Self {
            path,
            pieces: Pieces::of(file, length),
            link: LinkType::from_number(classic.link()),
            classic,
            piece: Piece::holding(&bytes),
            is_read: false,
            offset,
            progress,
            clock: Timestamp::ZERO,
            outbox: Outbox::default(),
            stats: CaptureStats::default(),
            woken: Arc::default(),
            ended: false,
        }
    }

    /// Lends what is there, up to a burst. How many packets that were, or why none.
    fn lend(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<usize, Step> {
        let mut burst = Burst::new(&mut self.outbox);
        let mut rest = self.piece.rest_mut();
        let held = rest.len();
        let stopped = loop {
            if burst.len() == BURST {
                break Step::More { missing: 0 };
            }
            let record = match self.classic.step(rest) {
                Step::Record(record) => record,
                other => break other,
            };
            let (_, after) = std::mem::take(&mut rest).split_at_mut(self.classic.header());
            let (bytes, after) = after.split_at_mut(record.captured as usize);
            rest = after;
            self.stats.received += 1;
            self.stats.received_bytes += bytes.len() as u64;
            self.clock = self.clock.max(record.timestamp);
            let meta = PacketMeta {
                id: self.stats.received,
                timestamp: record.timestamp,
                clock: self.clock,
                wire_length: record.wire_length,
                link: self.link,
                ..PacketMeta::default()
            };
            burst.push(Packet::new(bytes, meta));
        };
        let lent = held - rest.len();
        let count = burst.len();
        if count == 0 {
            return Err(stopped);
        }
        inspect(&mut burst);
        for judgement in burst.into_judgements() {
            // There is no other worker, and it goes nowhere.
            let _ = self.stats.count_final(judgement.verdict);
        }
        self.stats.forged_refused += self.outbox.forged().count() as u64;
        self.outbox.clear();
        self.piece.take(lent);
        self.offset += lent as u64;
        self.progress.set(self.offset);
        Ok(count)
    }

    /// Reads on, after what is left.
    fn fill(&mut self) -> Result<(), PcapError> {
        match self.pieces.next(&mut self.piece) {
            Ok(is_more) => self.is_read = !is_more,
            Err(source) => {
                return Err(PcapError::Read { path: self.path.clone(), offset: self.offset, source });
            }
        }
        Ok(())
    }

    fn damaged(&self, reason: Damage) -> PcapError {
        let (path, offset, packets) = (self.path.clone(), self.offset, self.stats.received);
        PcapError::Damaged { path, offset, packets, reason }
    }

    fn round(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, PcapError> {
        loop {
            match self.lend(inspect) {
                Ok(count) => return Ok(Poll::Received(count)),
                Err(Step::Damaged(reason)) => return Err(self.damaged(reason)),
                Err(Step::More { missing }) if self.is_read => {
                    let is_whole = self.piece.rest().is_empty();
                    return if is_whole {
                        Ok(Poll::End)
                    } else {
                        Err(self.damaged(Damage::Truncated { missing }))
                    };
                }
                Err(_) => self.fill()?,
            }
        }
    }
}

impl PacketModule for Direct {
    type Error = PcapError;

    fn poll(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, PcapError> {
        if self.ended {
            return Ok(Poll::End);
        }
        let result = self.round(inspect);
        self.ended = matches!(result, Ok(Poll::End) | Err(_));
        result
    }

    /// There is always something to be done: a packet to be lent, or the end to be told.
    fn wait(&mut self, _until: Timestamp) -> Result<Wake, PcapError> {
        let was_woken = self.woken.0.swap(false, Ordering::AcqRel);
        Ok(if was_woken { Wake::Woken } else { Wake::Ready })
    }

    fn waker(&self) -> task::Waker {
        task::Waker::from(Arc::clone(&self.woken))
    }

    fn properties(&self) -> Properties {
        Properties {
            multi_threaded: true,
            pass_through: true,
            is_realtime: false,
            mtu: vec![MTU; 2],
            link: self.link,
        }
    }

    fn now(&self) -> Timestamp {
        self.clock
    }

    fn stats(&self) -> CaptureStats {
        CaptureStats { forged_refused: self.stats.forged_refused + self.outbox.refused(), ..self.stats }
    }
}
