//! Sleeping and waking: an eventfd that is written only when somebody sleeps.

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task;

#[cfg(test)]
mod model;
mod state;

/// What threads share is made of these; the model of it has its own.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU8, Ordering, fence};
}

use self::state::{Need, State};

/// One worker's bell.
#[derive(Debug)]
pub(crate) struct Doorbell {
    fd: OwnedFd,
    state: State,
    woken: AtomicBool,
}

impl Doorbell {
    pub(crate) fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { fd, state: State::new(), woken: AtomicBool::new(false) })
    }

    /// There is a packet to judge on a ring to the sleeper.
    pub(crate) fn ring(&self) {
        self.ring_for(Need::Judging);
    }

    /// There is a frame on a ring home to the sleeper.
    pub(crate) fn ring_home(&self) {
        self.ring_for(Need::Frame);
    }

    fn ring_for(&self, need: Need) {
        if self.state.must_ring(need) {
            self.write();
        }
    }

    /// Says that sleep is near; look at every ring after this and before sleeping.
    pub(crate) fn lie_down(&self, is_hungry: bool) {
        self.state.lie_down(is_hungry);
    }

    /// Awake again.
    pub(crate) fn get_up(&self) {
        self.state.get_up();
    }

    /// Empties the eventfd.
    pub(crate) fn silence(&self) {
        let mut count = [0_u8; 8];
        // Nothing in it is no error: another ring may have been emptied together with this one.
        let _ = read(&self.fd, &mut count);
    }

    /// Was the waker used since the last time this was asked?
    pub(crate) fn take_woken(&self) -> bool {
        self.woken.load(Ordering::Relaxed) && self.woken.swap(false, Ordering::AcqRel)
    }

    fn write(&self) {
        // It fails only when the counter is full, and then it is readable anyway.
        let _ = write(&self.fd, &1_u64.to_ne_bytes());
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl task::Wake for Doorbell {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::task::Wake;

    fn is_rung(bell: &Doorbell) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(bell, PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    #[test]
    fn only_a_sleeper_is_rung_for() {
        let bell = Doorbell::new().unwrap();
        bell.ring();
        assert!(!is_rung(&bell), "awake");
        bell.lie_down(false);
        bell.ring_home();
        assert!(!is_rung(&bell), "asleep, but it has frames enough");
        bell.ring();
        assert!(is_rung(&bell));
        bell.silence();
        bell.ring();
        assert!(!is_rung(&bell), "rung for already");
        bell.lie_down(true);
        bell.ring_home();
        assert!(is_rung(&bell));
        bell.silence();
        bell.lie_down(true);
        bell.get_up();
        bell.ring();
        assert!(!is_rung(&bell), "awake again");
        assert!(!bell.take_woken(), "none of this was the waker");
    }

    #[test]
    fn the_waker_is_kept_until_it_is_seen() {
        let bell = Arc::new(Doorbell::new().unwrap());
        bell.wake_by_ref();
        bell.silence();
        assert!(bell.take_woken());
        assert!(!bell.take_woken());
    }
}
