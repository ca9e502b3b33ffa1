//! How a worker waits: it looks for a moment, then it sleeps between two looks, longer each time, up to a bound.
//! Nothing wakes it for a packet: what comes meanwhile waits in the device's ring.

use crate::module::DpdkModule;
use portcullis_capture::Wake;
use portcullis_wire::Timestamp;
use std::time::{Duration, Instant};

/// The first sleep.
const SHORTEST: Duration = Duration::from_micros(10);

/// Sleep between two looks while the set ends.
const ENDING: Duration = Duration::from_millis(1);

/// Looks at the rings between two looks at the clock, where the worker does not sleep.
const SPINS: u32 = 64;

impl DpdkModule {
    pub(crate) fn sleep(&mut self, until: Timestamp) -> Wake {
        if self.draining.has_ended() {
            return Wake::Ready;
        }
        crate::sys::register_thread(self.pool.eal());
        let started = Instant::now();
        let mut pause = SHORTEST;
        loop {
            if self.bell.take_woken() {
                return Wake::Woken;
            }
            let now = self.tick();
            self.gather(now);
            if !self.batch.is_empty() {
                return Wake::Ready;
            }
            let left = until.since(self.clock);
            if left.is_zero() {
                return Wake::TimedOut;
            }
            self.refresh_losses(false);
            if self.shared.ending.has_begun() {
                self.parker.park_timeout(ENDING);
                return Wake::Ready;
            }
            if self.longest_sleep.is_zero()
                || (!self.busy_poll.is_zero() && started.elapsed() < self.busy_poll)
            {
                (0..SPINS).for_each(|_| std::hint::spin_loop());
                continue;
            }
            self.bell.set_asleep(true);
            self.parker.park_timeout(pause.min(left));
            self.bell.set_asleep(false);
            pause = (pause * 2).min(self.longest_sleep);
        }
    }
}
