//! The one seam to xsk-rs: the UMEM and the sockets over it, with frames that cannot be copied instead of
//! descriptors that can.
#![expect(unsafe_code, reason = "xsk-rs leaves the ownership of frames to its caller")]

mod arena;
mod open;

pub(crate) use arena::{Arena, Shape};

use crate::frames::{Filled, Frame, Place};
use crate::kernel_stats::KernelStats;
use arrayvec::ArrayVec;
use portcullis_capture::BURST;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use xsk_rs::{CompQueue, FillQueue, FrameDesc, RxQueue, TxQueue};

/// Frames that are moved to a fill ring or from a completion ring at a time.
const BATCH: usize = 64;

/// Most frames of a packet: the kernel's own limit (`MAX_SKB_FRAGS`), and the first.
const MAX_SEGMENTS: usize = 18;

/// A socket on one queue of one port, with its four rings.
#[derive(Debug)]
pub(crate) struct Lane {
    name: String,
    queue: u32,
    rx: RxQueue,
    tx: TxQueue,
    fill: FillQueue,
    completion: CompQueue,
    ring_size: u32,
    /// Frames that the kernel has of us: to receive into, and to send.
    in_fill: u32,
    in_transmit: u32,
    /// Descriptors from the kernel that made no sense.
    invalid: u64,
    /// A packet of which the end has not been received.
    partial: Option<Partial>,
    /// Do we run the queue's receive loop?
    polls: bool,
}

/// A packet of several frames so far: its first, the others in reverse, its bytes.
#[derive(Debug)]
struct Partial {
    frames: ArrayVec<Filled, MAX_SEGMENTS>,
    length: usize,
}

/// What [`Lane::receive`] took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// Whole packets.
    pub(crate) packets: usize,
    /// Was nothing left on the ring?
    pub(crate) is_empty: bool,
}

impl Lane {
    /// Runs the queue's receive loop once, where that is ours to do.
    pub(crate) fn run_receive_loop(&self) {
        if self.polls {
            let fd = self.rx.fd().as_raw_fd();
            // SAFETY: no buffer is passed; an AF_XDP socket gives no bytes. What it answers does not matter: packets
            // are on the ring or not.
            let _ = unsafe { libc::recv(fd, std::ptr::null_mut(), 0, libc::MSG_DONTWAIT) };
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn queue(&self) -> u32 {
        self.queue
    }

    /// Entries of each of its rings.
    pub(crate) const fn ring_size(&self) -> u32 {
        self.ring_size
    }

    /// Frames that the kernel has to receive into.
    pub(crate) const fn in_fill(&self) -> u32 {
        self.in_fill
    }

    /// Has the kernel left every frame on the fill ring so far?
    pub(crate) fn is_fill_untouched(&mut self) -> bool {
        self.in_fill > 0 && self.ring_size - self.fill.nb_free_exact().min(self.ring_size) >= self.in_fill
    }

    /// Frames that the kernel has to send, or has sent and not been asked for.
    pub(crate) const fn in_transmit(&self) -> u32 {
        self.in_transmit
    }

    /// Descriptors from the kernel that made no sense.
    pub(crate) const fn invalid(&self) -> u64 {
        self.invalid
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the socket is closed when its last queue is dropped, and `self` owns four of them.
        unsafe { BorrowedFd::borrow_raw(self.rx.fd().as_raw_fd()) }
    }

    /// Is a packet waiting?
    pub(crate) fn has_received(&mut self) -> bool {
        self.rx.nb_avail(1) > 0
    }

    /// Frames of a packet of which the end has not been received.
    pub(crate) fn partial(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.frames.len())
    }

    /// Takes at most `limit` received packets; `each` gets them with their lengths.
    pub(crate) fn receive(
        &mut self,
        arena: &Arena,
        limit: usize,
        mut each: impl FnMut(Filled, usize),
    ) -> Received {
        let mut descs = [FrameDesc::default(); BURST];
        let mut packets = 0;
        let Some(room) = descs.get_mut(..limit.min(BURST)) else {
            return Received { packets, is_empty: false };
        };
        // SAFETY: the descriptors become `Filled` values here and nowhere else; what was in them before is a
        // default.
        let count = unsafe { self.rx.consume(room) };
        self.in_fill -= u32::try_from(count).unwrap_or(0).min(self.in_fill);
        for desc in room.iter().take(count) {
            match arena.number(desc) {
                Some(number) => {
                    arena.ledger.moved(number, Place::Fill, Place::Held);
                    let frame = Filled::new(number, *desc);
                    if !frame.has_more() && self.partial.is_none() {
                        packets += 1;
                        each(frame, desc.lengths().data());
                    } else if let Some((packet, length)) = self.append(arena, frame) {
                        packets += 1;
                        each(packet, length);
                    }
                }
                None => self.invalid += 1,
            }
        }
        Received { packets, is_empty: count < room.len() }
    }

    /// Adds a frame to the packet whose end has not been received; the packet where this is its end.
    fn append(&mut self, arena: &Arena, frame: Filled) -> Option<(Filled, usize)> {
        let partial = self.partial.get_or_insert_with(|| Partial { frames: ArrayVec::new(), length: 0 });
        let is_last = !frame.has_more() || partial.frames.remaining_capacity() == 1;
        partial.length += frame.desc.lengths().data();
        partial.frames.push(frame);
        if !is_last {
            return None;
        }
        let Partial { mut frames, length } = self.partial.take()?;
        let mut packet = frames.pop()?;
        while let Some(mut before) = frames.pop() {
            arena.chains.replace(&mut before, Some(packet));
            packet = before;
        }
        Some((packet, length))
    }

    /// Puts frames of the pool on the fill ring until it has `target`, but leaves `keep` in the pool.
    pub(crate) fn refill(
        &mut self,
        arena: &Arena,
        pool: &mut Vec<Frame>,
        target: u32,
        keep: usize,
    ) -> io::Result<()> {
        loop {
            let wanted = target.min(self.ring_size).saturating_sub(self.in_fill) as usize;
            let count = wanted.min(pool.len().saturating_sub(keep)).min(BATCH);
            if count == 0 {
                break;
            }
            let first = pool.len() - count;
            let blank = |frame: &Frame| arena.blanks.get(frame.number() as usize).copied();
            let batch: ArrayVec<FrameDesc, BATCH> = pool.iter().skip(first).filter_map(blank).collect();
            // SAFETY: these frames are of this UMEM and in the pool, thus nowhere else; those that the ring took
            // leave the pool below.
            let taken = unsafe { self.fill.produce(&batch) };
            if taken == 0 {
                break;
            }
            for frame in pool.drain(first..) {
                arena.ledger.moved(frame.number(), Place::Pool, Place::Fill);
            }
            self.in_fill += u32::try_from(taken).unwrap_or(0);
        }
        if self.fill.needs_wakeup() {
            // Only a driver in zero-copy mode asks for it.
            self.fill.wakeup(self.rx.fd_mut(), 0)?;
        }
        Ok(())
    }

    /// The same for packets of several frames, each of which is sent whole or not at all.
    fn send_chains<const N: usize>(&mut self, arena: &Arena, packets: &mut ArrayVec<Filled, N>) {
        let room = self.ring_size.saturating_sub(self.in_transmit);
        let mut room = room.min(self.tx.nb_free(room)) as usize;
        let mut sent = 0;
        for packet in packets.iter() {
            let count = arena.chains.count(packet);
            if count > room.min(MAX_SEGMENTS) {
                break;
            }
            room -= count;
            sent += 1;
        }
        for packet in packets.drain(..sent) {
            let mut descs = ArrayVec::<FrameDesc, MAX_SEGMENTS>::new();
            arena.chains.each(packet, |frame| {
                arena.ledger.moved(frame.number(), Place::Held, Place::Transmit);
                descs.push(frame.desc);
            });
            // SAFETY: these frames are of this UMEM, and were in our hands until now. There is room for all of them.
            let count = unsafe { self.tx.produce(&descs) };
            self.in_transmit += u32::try_from(count).unwrap_or(0);
        }
    }

    /// Queues packets to be sent, as many as there is room for; the rest stays in `packets`, at its front.
    pub(crate) fn send<const N: usize>(&mut self, arena: &Arena, packets: &mut ArrayVec<Filled, N>) {
        if arena.has_chains() {
            return self.send_chains(arena, packets);
        }
        // A completion ring has as many entries as a transmit ring: never more under way than it can tell of.
        let room = self.ring_size.saturating_sub(self.in_transmit);
        let wanted = u32::try_from(packets.len()).unwrap_or(u32::MAX).min(room);
        let count = wanted.min(self.tx.nb_free(wanted)) as usize;
        let descs: ArrayVec<FrameDesc, N> = packets.iter().take(count).map(|packet| packet.desc).collect();
        // SAFETY: these frames are of this UMEM and in our hands, thus nowhere else; all of them leave `packets`
        // below, or none does.
        let sent = unsafe { self.tx.produce(&descs) };
        for packet in packets.drain(..sent) {
            arena.ledger.moved(packet.number(), Place::Held, Place::Transmit);
        }
        self.in_transmit += u32::try_from(sent).unwrap_or(0);
    }

    /// Makes the kernel send what is queued, if it has to be told.
    pub(crate) fn kick(&mut self) -> io::Result<()> {
        let mut queued = self.queued();
        while queued > 0 && self.tx.needs_wakeup() {
            self.tx.wakeup()?;
            // Copy mode sends a bounded number a call, and what it leaves is not sent by itself; a link that is
            // down takes none.
            let left = self.queued();
            if left >= queued {
                break;
            }
            queued = left;
        }
        Ok(())
    }

    /// Packets queued that the kernel has not taken yet.
    pub(crate) fn queued(&mut self) -> u32 {
        if self.in_transmit == 0 { 0 } else { self.ring_size - self.tx.nb_free_exact().min(self.ring_size) }
    }

    /// Takes back frames whose packets have been sent.
    pub(crate) fn reclaim(&mut self, arena: &Arena, mut each: impl FnMut(Frame)) {
        let mut descs = [FrameDesc::default(); BATCH];
        while self.in_transmit > 0 {
            // SAFETY: the descriptors become `Frame` values here and nowhere else.
            let count = unsafe { self.completion.consume(&mut descs) };
            for desc in descs.iter().take(count) {
                match arena.number(desc) {
                    Some(number) => {
                        arena.ledger.moved(number, Place::Transmit, Place::Held);
                        each(Frame::new(number));
                    }
                    None => self.invalid += 1,
                }
            }
            self.in_transmit -= u32::try_from(count).unwrap_or(0).min(self.in_transmit);
            if count < BATCH {
                break;
            }
        }
    }

    /// What the kernel counted for this socket; the socket's error where its interface has gone, of which neither
    /// polling nor the statistics themselves tell.
    pub(crate) fn statistics(&self) -> io::Result<KernelStats> {
        rustix::net::sockopt::socket_error(self.fd())??;
        let stats = self.rx.fd().xdp_statistics()?;
        Ok(KernelStats {
            dropped: stats.rx_dropped(),
            ring_full: stats.rx_ring_full(),
            invalid: stats.rx_invalid_descs() + stats.tx_invalid_descs(),
        })
    }
}
