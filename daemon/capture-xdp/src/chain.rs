//! Packets of several frames: which frame follows which.
#![expect(
    unsafe_code,
    reason = "a cell of the table belongs to whoever holds the frame, which types cannot say"
)]

use crate::frames::Filled;
use std::cell::UnsafeCell;
use std::sync::Arc;

/// What follows each frame, by its number. Empty where every packet is one frame.
///
/// A cell belongs to whoever holds the frame of its number: there is one [`Filled`] for it at a time, and it passes from
/// one worker to another over rings only.
#[derive(Clone, Debug)]
pub(crate) struct Chains {
    next: Arc<[Cell]>,
}

#[derive(Debug)]
struct Cell(UnsafeCell<Option<Filled>>);

// SAFETY: a cell is looked at by the holder of its frame only, and the rings between workers order what one wrote and
// the next reads.
unsafe impl Sync for Cell {}

impl Chains {
    /// Room for what follows each of `frames` frames.
    pub(crate) fn new(frames: u32) -> Self {
        Self { next: (0..frames).map(|_| Cell(UnsafeCell::new(None))).collect() }
    }

    /// Puts what follows into a frame's place; gives back what was there.
    pub(crate) fn replace(&self, frame: &mut Filled, next: Option<Filled>) -> Option<Filled> {
        let Some(cell) = self.next.get(frame.number() as usize) else { return next };
        // SAFETY: `frame` is borrowed for writing, and there is no other for its number.
        let place = unsafe { &mut *cell.0.get() };
        std::mem::replace(place, next)
    }

    /// Frames of a packet.
    pub(crate) fn count(&self, packet: &Filled) -> usize {
        let (mut count, mut number) = (1, packet.number());
        // A packet is never as long as all frames there are: this ends also where a chain is broken.
        while let Some(cell) = self.next.get(number as usize)
            && count < self.next.len()
        {
            // SAFETY: `packet` is borrowed, and with it all frames that follow.
            let Some(next) = (unsafe { &*cell.0.get() }) else { break };
            number = next.number();
            count += 1;
        }
        count
    }

    /// Takes a packet apart into its frames.
    #[inline]
    pub(crate) fn each(&self, packet: Filled, mut each: impl FnMut(Filled)) {
        let mut left = Some(packet);
        while let Some(mut frame) = left {
            left = if frame.has_more() { self.replace(&mut frame, None) } else { None };
            each(frame);
        }
    }
}
