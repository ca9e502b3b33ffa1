//! The frame memory that all sockets of a set share.

use super::open::{errno, io_error};
use crate::chain::Chains;
use crate::error::XdpError;
use crate::frames::{Filled, Frame, Ledger, Place};
use std::num::NonZeroU32;
use std::sync::Arc;
use xsk_rs::config::{FrameSize, QueueSize, UmemConfig};
use xsk_rs::{FrameDesc, Umem};

/// The shared frame memory, and what an empty frame's descriptor is.
#[derive(Clone, Debug)]
pub(crate) struct Arena {
    pub(super) umem: Umem,
    pub(super) blanks: Arc<[FrameDesc]>,
    pub(super) frame_size: u32,
    pub(super) capacity: usize,
    pub(super) segments: usize,
    pub(super) chains: Chains,
    pub(crate) ledger: Ledger,
}

/// How packets lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes of a frame.
    pub(crate) frame_size: u32,
    /// Frames that the longest packet takes.
    pub(crate) segments: u32,
}

impl Arena {
    /// Maps and registers memory for `frames` frames; every one of them is handed out once.
    pub(crate) fn new(
        frames: NonZeroU32,
        shape: Shape,
        ring_size: u32,
        huge_pages: bool,
    ) -> Result<(Self, Vec<Frame>), XdpError> {
        let Shape { frame_size, segments } = shape;
        let invalid = |error: &dyn std::fmt::Display| XdpError::Invalid(error.to_string());
        let ring = QueueSize::new(ring_size).map_err(|error| invalid(&error))?;
        let config = UmemConfig::builder()
            .frame_size(FrameSize::new(frame_size).map_err(|error| invalid(&error))?)
            .fill_queue_size(ring)
            .comp_queue_size(ring)
            .build()
            .map_err(|error| invalid(&error))?;
        let bytes = u64::from(frames.get()) * u64::from(frame_size);
        let created = Umem::new(config, frames, huge_pages);
        let (umem, blanks) = created.map_err(|error| umem_error(&error, bytes))?;
        let arena = Self {
            umem,
            blanks: blanks.into(),
            frame_size,
            capacity: config.mtu() as usize,
            segments: segments as usize,
            chains: Chains::new(if segments > 1 { frames.get() } else { 0 }),
            ledger: Ledger::new(frames.get()),
        };
        Ok((arena, (0..frames.get()).map(Frame::new).collect()))
    }

    /// Most bytes of a packet.
    pub(crate) const fn longest(&self) -> usize {
        self.capacity * self.segments
    }

    /// May packets take several frames?
    pub(crate) const fn has_chains(&self) -> bool {
        self.segments > 1
    }

    /// Which frame follows which.
    pub(crate) const fn chains(&self) -> &Chains {
        &self.chains
    }

    /// Copies a packet of several frames to `target`, or with `back` from there; false where it does not fit.
    pub(crate) fn copy(&self, packet: &mut Filled, target: &mut [u8], back: bool) -> bool {
        let bytes = self.bytes(packet);
        let Some((own, rest)) = target.split_at_mut_checked(bytes.len()) else { return false };
        if back {
            bytes.copy_from_slice(own);
        } else {
            own.copy_from_slice(bytes);
        }
        if !packet.has_more() {
            return true;
        }
        // As deep as a packet has frames.
        let Some(mut next) = self.chains.replace(packet, None) else { return false };
        let fits = self.copy(&mut next, rest, back);
        self.chains.replace(packet, Some(next));
        fits
    }

    /// The packet in a frame, or the first part of one in several.
    pub(crate) fn bytes<'a>(&'a self, frame: &'a mut Filled) -> &'a mut [u8] {
        // SAFETY: the descriptor was checked to lie within one frame of this UMEM when `frame` was made; `frame`
        // is the only value for it, and while it exists the frame is on none of the kernel's rings.
        let mut data = unsafe { self.umem.data_mut(&mut frame.desc) };
        let bytes = data.contents_mut();
        let (start, length) = (bytes.as_mut_ptr(), bytes.len());
        // SAFETY: the same bytes for as long as both the arena and the frame are borrowed, which `data` as a local
        // cannot say; `data` itself is not used any more.
        unsafe { std::slice::from_raw_parts_mut(start, length) }
    }

    /// Puts a packet of our own into an empty frame; the frame comes back where it is too long.
    pub(crate) fn write(&self, frame: Frame, packet: &[u8]) -> Result<Filled, Frame> {
        let Some(blank) = self.blanks.get(frame.number() as usize) else { return Err(frame) };
        let mut filled = Filled::new(frame.number(), *blank);
        if packet.len() > self.capacity {
            return Err(filled.empty());
        }
        // SAFETY: a blank descriptor lies within its frame, which is ours alone as `frame` was.
        let mut data = unsafe { self.umem.data_mut(&mut filled.desc) };
        let mut cursor = data.cursor();
        cursor.set_pos(packet.len());
        data.contents_mut().copy_from_slice(packet);
        self.ledger.moved(filled.number(), Place::Pool, Place::Held);
        Ok(filled)
    }

    /// The number of the frame that a descriptor of the kernel's points into; `None` where it does not lie within
    /// one frame.
    pub(super) fn number(&self, desc: &FrameDesc) -> Option<u32> {
        let size = self.frame_size as usize;
        let number = desc.addr() / size;
        let fits = desc.addr() % size + desc.lengths().data() <= size && number < self.blanks.len();
        fits.then(|| u32::try_from(number).ok()).flatten()
    }
}

fn umem_error(error: &xsk_rs::umem::UmemCreateError, bytes: u64) -> XdpError {
    match errno(error) {
        Some(libc::EPERM) => XdpError::NoCapability,
        Some(libc::ENOMEM | libc::ENOBUFS | libc::EAGAIN) => XdpError::NoMemory { bytes },
        code => XdpError::System { action: "register frame memory", source: io_error(code, error) },
    }
}
