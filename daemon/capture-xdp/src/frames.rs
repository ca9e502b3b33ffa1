//! Frames of the UMEM as values that cannot be copied, so that a frame is in one place at a time, and the books
//! that prove it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use xsk_rs::FrameDesc;

/// A frame that is ours and empty.
#[derive(Debug)]
pub(crate) struct Frame {
    number: u32,
}

impl Frame {
    /// Only the UMEM's owner makes frames, one a number.
    pub(crate) const fn new(number: u32) -> Self {
        Self { number }
    }

    pub(crate) const fn number(&self) -> u32 {
        self.number
    }
}

/// A frame that is ours and holds a packet.
#[derive(Debug)]
pub(crate) struct Filled {
    number: u32,
    pub(crate) desc: FrameDesc,
}

impl Filled {
    /// Only `port` makes these, out of what the kernel gave back or of a [`Frame`].
    pub(crate) const fn new(number: u32, desc: FrameDesc) -> Self {
        Self { number, desc }
    }

    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// Does the packet go on in another frame?
    #[inline]
    pub(crate) fn has_more(&self) -> bool {
        self.desc.has_more_frames()
    }

    /// Forgets the packet.
    pub(crate) fn empty(self) -> Frame {
        Frame { number: self.number }
    }
}

/// Where a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Place {
    /// In a worker's pool.
    Pool,
    /// On a fill ring or in the kernel's hands to receive.
    Fill,
    /// In a worker's hands, with a packet.
    Held,
    /// On a transmit or completion ring or in the kernel's hands to send.
    Transmit,
    /// On a ring to another worker, to be judged.
    Steering,
    /// On a ring back to the worker it belongs to.
    Home,
}

/// The place of every frame. Kept in debug builds only: it costs a write a move.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    places: Arc<[AtomicU8]>,
}

impl Ledger {
    pub(crate) fn new(frames: u32) -> Self {
        let kept = if cfg!(debug_assertions) { frames } else { 0 };
        Self { places: (0..kept).map(|_| AtomicU8::new(Place::Pool as u8)).collect() }
    }

    /// Books a move, and in debug builds panics where the frame was not in `from`.
    #[inline]
    pub(crate) fn moved(&self, number: u32, from: Place, to: Place) {
        if cfg!(debug_assertions) {
            let place = self.places.get(number as usize).map(|place| place.swap(to as u8, Ordering::AcqRel));
            assert_eq!(place, Some(from as u8), "frame {number} was not in {from:?} when it went to {to:?}");
        }
    }
}

/// How many frames a worker has where. Over all workers of a set, and while none of them polls, the sum is the
/// number of frames there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameAccount {
    /// In the pool.
    pub pool: u64,
    /// On fill rings and in the kernel's hands to receive.
    pub fill: u64,
    /// Received and not sent yet (forged packets that wait to be judged).
    pub held: u64,
    /// On transmit and completion rings and in the kernel's hands to send.
    pub transmit: u64,
    /// On rings from other workers, to be judged here.
    pub steering: u64,
    /// On rings from other workers, back here.
    pub home: u64,
}

impl FrameAccount {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let Self { pool, fill, held, transmit, steering, home } = *self;
        pool + fill + held + transmit + steering + home
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_is_elsewhere_is_noticed() {
        let ledger = Ledger::new(2);
        ledger.moved(1, Place::Pool, Place::Fill);
        ledger.moved(1, Place::Fill, Place::Held);
        let twice = std::panic::catch_unwind(|| ledger.moved(1, Place::Fill, Place::Held));
        let unknown = std::panic::catch_unwind(|| ledger.moved(2, Place::Pool, Place::Fill));
        assert_eq!((twice.is_err(), unknown.is_err()), (cfg!(debug_assertions), cfg!(debug_assertions)));
        ledger.moved(0, Place::Pool, Place::Fill);
    }
}
