//! A classic capture file replayed by one worker from which nothing leaves: frames are lent where they were read, so
//! that none is copied, and no window keeps their order.

use crate::classic::{Classic, Step};
use crate::error::{Damage, PcapError};
use crate::input::{Progress, Unread};
use crate::reader::MAX_CAPTURED;
use portcullis_capture::{
    BURST, Burst, CaptureStats, Outbox, Packet, PacketMeta, PacketModule, Poll, Properties, Wake,
};
use portcullis_wire::{LinkType, Timestamp};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task;

/// Bytes held at a time: a record of the largest packet always fits, and the caches hold what was just read.
const BUFFER: usize = 2 * MAX_CAPTURED as usize;

/// The largest frame a port here is said to send, as [`Offline`](portcullis_capture::Offline) has it.
const MTU: u32 = 1514;

/// The only worker's state.
#[derive(Debug)]
pub(crate) struct Direct {
    path: PathBuf,
    file: std::fs::File,
    classic: Classic,
    link: LinkType,
    /// What was read and not lent yet is between `start` and `end`.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// There is nothing more to be read.
    is_read: bool,
    /// Where in the file `start` is.
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
        let mut buffer = vec![0; BUFFER.max(bytes.len())].into_boxed_slice();
        if let Some(place) = buffer.get_mut(..bytes.len()) {
            place.copy_from_slice(&bytes);
        }
        Self {
            path,
            file,
            link: LinkType::from_number(classic.link()),
            classic,
            buffer,
            start: 0,
            end: bytes.len(),
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
        let mut rest = self.buffer.get_mut(self.start..self.end).unwrap_or_default();
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
        self.start += lent;
        self.offset += lent as u64;
        self.progress.set(self.offset);
        Ok(count)
    }

    /// Reads on, after what is left; one call of the system.
    fn fill(&mut self) -> Result<(), PcapError> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        match self.file.read(room) {
            Ok(0) => self.is_read = true,
            Ok(count) => self.end += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
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
                    let is_whole = self.start == self.end;
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
