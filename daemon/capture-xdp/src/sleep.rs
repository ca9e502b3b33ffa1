//! How a worker waits: it looks for a moment, then it sleeps until a packet, a bell or the time.

use crate::config::MAX_LANES;
use crate::error::XdpError;
use crate::module::XdpModule;
use arrayvec::ArrayVec;
use portcullis_capture::Wake;
use portcullis_wire::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Longest sleep at a time while frames are under way or missing: nobody tells that a frame has been sent.
const SLICE: Duration = Duration::from_millis(5);

/// Longest sleep at a time otherwise, so that the kernel's counters stay fresh.
const LONGEST: Duration = Duration::from_millis(100);

/// Looks at the rings between two looks at the clock.
const SPINS: u32 = 64;

impl XdpModule {
    pub(crate) fn sleep(&mut self, until: Timestamp) -> Result<Wake, XdpError> {
        if self.draining.has_ended() {
            return Ok(Wake::Ready);
        }
        if let Some(wake) = self.look_busily() {
            return Ok(wake);
        }
        loop {
            if self.bell.take_woken() {
                return Ok(Wake::Woken);
            }
            self.tick();
            self.beat();
            let left = until.since(self.clock);
            if left.is_zero() {
                return Ok(if self.has_work() { Wake::Ready } else { Wake::TimedOut });
            }
            self.links.take_returned(&self.arena.ledger, &mut self.pool);
            self.reclaim(true);
            self.transmit()?;
            self.refill()?;
            self.links.notify(&self.shared);
            self.refresh_kernel_stats(false)?;
            let is_restless = self.lanes.iter().any(|lane| lane.in_transmit() > 0) || self.is_hungry();
            let longest = if is_restless || self.shared.ending.has_begun() { SLICE } else { LONGEST };
            let longest = self.hearts.longest_sleep().map_or(longest, |beat| beat.min(longest));
            self.bell.lie_down(self.is_hungry());
            // Only now, so that whoever pushes after this look sees us lying.
            if self.has_work() {
                self.bell.get_up();
                return Ok(Wake::Ready);
            }
            let slept = self.sleep_once(left.min(longest));
            self.bell.get_up();
            if slept? || self.has_work() || self.shared.ending.has_begun() {
                let woken = self.bell.take_woken();
                return Ok(if woken { Wake::Woken } else { Wake::Ready });
            }
        }
    }

    fn look_busily(&mut self) -> Option<Wake> {
        if self.busy_poll.is_zero() {
            return None;
        }
        let started = Instant::now();
        loop {
            for _ in 0..SPINS {
                if self.has_work() {
                    return Some(Wake::Ready);
                }
                std::hint::spin_loop();
            }
            if self.bell.take_woken() {
                return Some(Wake::Woken);
            }
            if started.elapsed() >= self.busy_poll {
                return None;
            }
        }
    }

    fn has_work(&mut self) -> bool {
        !self.reentries.is_empty()
            || self.links.has_steered()
            || self.lanes.iter_mut().any(crate::port::Lane::has_received)
    }

    /// One `ppoll`; was there a packet or a bell? A signal counts as one.
    fn sleep_once(&self, time: Duration) -> Result<bool, XdpError> {
        let wanted = PollFlags::IN;
        let mut fds = ArrayVec::<PollFd<'_>, { MAX_LANES + 1 }>::new();
        fds.push(PollFd::from_borrowed_fd(self.bell.as_fd(), wanted));
        fds.extend(self.lanes.iter().take(MAX_LANES).map(|lane| PollFd::from_borrowed_fd(lane.fd(), wanted)));
        let timeout = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(true),
            Err(error) => return Err(XdpError::System { action: "wait for packets", source: error.into() }),
        }
        if fds.first().is_some_and(|bell| bell.revents().contains(PollFlags::IN)) {
            self.bell.silence();
        }
        Ok(true)
    }
}
