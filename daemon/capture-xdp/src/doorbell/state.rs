//! Whether a sleeper has to be rung for. The sleeper lies down, looks, and then sleeps; whoever has something
//! for it pushes that and then asks. Either the sleeper's look finds it, or the asker finds the sleeper lying.

use super::sync::{AtomicU8, Ordering, fence};

const AWAKE: u8 = 0;
/// Asleep; a packet to judge wakes.
const ASLEEP: u8 = 1;
/// Asleep with too few frames on its fill rings; a frame coming home wakes, too.
const HUNGRY: u8 = 2;

/// What somebody has for the sleeper.
#[derive(Clone, Copy, Debug)]
pub(super) enum Need {
    /// A packet to judge.
    Judging,
    /// A frame of its own.
    Frame,
}

/// The sleeper's state.
#[derive(Debug)]
pub(super) struct State(AtomicU8);

impl State {
    pub(super) fn new() -> Self {
        Self(AtomicU8::new(AWAKE))
    }

    /// After something was pushed: must the sleeper be woken? `true` once for each time it lies down.
    pub(super) fn must_ring(&self, need: Need) -> bool {
        let least = match need {
            Need::Judging => ASLEEP,
            Need::Frame => HUNGRY,
        };
        // Pairs with the fence in `lie_down`: either the sleeper sees what was pushed, or we see that it sleeps.
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) >= least && self.0.swap(AWAKE, Ordering::AcqRel) != AWAKE
    }

    /// Says that sleep is near; look at every ring after this and before sleeping.
    pub(super) fn lie_down(&self, is_hungry: bool) {
        self.0.store(if is_hungry { HUNGRY } else { ASLEEP }, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Awake again.
    pub(super) fn get_up(&self) {
        self.0.store(AWAKE, Ordering::Relaxed);
    }
}
