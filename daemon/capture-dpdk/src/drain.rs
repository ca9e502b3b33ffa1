//! The graceful end of a worker: what its rings held when it was told is still judged and sent.

use crate::module::DpdkModule;
use portcullis_capture::mesh::Farewell;

/// How far the end has come.
#[derive(Debug)]
pub(crate) struct Drain {
    farewell: Farewell,
    ended: bool,
    /// Packets that each lane is still asked for once the end has begun.
    left: Vec<u32>,
}

impl Drain {
    /// For lanes whose receive rings hold so many packets each.
    pub(crate) fn new(rings: impl Iterator<Item = u32>) -> Self {
        Self { farewell: Farewell::default(), ended: false, left: rings.collect() }
    }

    pub(crate) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// How many packets to ask a lane for, if there is room for so many: as traffic never ends, not for ever.
    pub(crate) fn limit(&self, is_draining: bool, lane: usize, room: usize) -> usize {
        if !is_draining {
            return room;
        }
        self.left.get(lane).map_or(0, |left| room.min(*left as usize))
    }

    /// A lane was asked for so many and gave so many.
    pub(crate) fn took(&mut self, is_draining: bool, lane: usize, taken: usize, asked: usize) {
        if is_draining
            && asked > 0
            && let Some(left) = self.left.get_mut(lane)
        {
            let taken = u32::try_from(taken).unwrap_or(u32::MAX);
            *left = if taken == 0 { 0 } else { left.saturating_sub(taken) };
        }
    }
}

impl DpdkModule {
    /// One round of ending, after a poll that brought `count` packets; has the end come?
    pub(crate) fn drain(&mut self, count: usize) -> bool {
        if !self.draining.farewell.may_end(&self.shared.ending, self.worker, count) {
            return false;
        }
        self.refresh_losses(true);
        self.shared.ending.set_ended(self.worker);
        self.draining.ended = true;
        true
    }
}
