//! Every order in which threads may meet in what they share here, gone through by loom. The rings between
//! them are rtrb's; a counter stands for one.

mod sync {
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
}
#[expect(clippy::duplicate_mod, reason = "the same code, with loom's atomics")]
#[path = "ending.rs"]
mod ending;
#[expect(clippy::duplicate_mod, reason = "the same code, with loom's atomics")]
#[path = "reasons.rs"]
mod reasons;

use self::reasons::{READY, Reasons, WOKEN};
use crate::module::Wake;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;
use portcullis_wire::Timestamp;

/// A sleeper and what others push for it.
struct Shared {
    reasons: Reasons,
    ring: AtomicUsize,
    /// As crossbeam's parker, it remembers that it was used.
    parker: Notify,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { reasons: Reasons::new(), ring: AtomicUsize::new(0), parker: Notify::new() })
    }

    /// Pushes, gives a reason, and wakes: as a bell is rung.
    fn give(&self, pushed: usize, reason: u8) {
        self.ring.fetch_add(pushed, Ordering::Release);
        self.reasons.add(reason);
        self.parker.notify();
    }
}

/// As `Sleeper::wait` without a deadline: a wake-up that is lost leaves it parked for ever, which loom
/// reports.
fn wait(shared: &Shared, taken: usize) -> Wake {
    loop {
        let look = shared.reasons.look(|_| shared.ring.load(Ordering::Acquire) > taken);
        match look {
            Some(wake) => return wake,
            None => shared.parker.wait(),
        }
    }
}

#[test]
fn nothing_that_is_pushed_is_slept_through() {
    loom::model(|| {
        let shared = Shared::new();
        let theirs = Arc::clone(&shared);
        let pusher = thread::spawn(move || (0..2).for_each(|_| theirs.give(1, READY)));
        let mut taken = 0;
        while taken < 2 {
            assert_eq!(wait(&shared, taken), Wake::Ready);
            taken = shared.ring.load(Ordering::Acquire);
        }
        pusher.join().unwrap();
    });
}

#[test]
fn the_waker_is_seen_and_takes_no_work_away() {
    let mut model = loom::model::Builder::new();
    // Orders in which a thread is interrupted more than twice would take minutes.
    model.preemption_bound = Some(2);
    model.check(|| {
        let shared = Shared::new();
        let others = [(1, READY), (0, WOKEN)].map(|(pushed, reason)| {
            let theirs = Arc::clone(&shared);
            thread::spawn(move || theirs.give(pushed, reason))
        });
        let (mut woken, mut taken) = (false, 0);
        while !woken || taken == 0 {
            match wait(&shared, taken) {
                Wake::Woken => woken = true,
                Wake::Ready => taken = shared.ring.load(Ordering::Acquire),
                Wake::TimedOut => unreachable!("there is no deadline"),
            }
        }
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn whoever_sees_the_end_knows_its_time() {
    loom::model(|| {
        let ending = Arc::new(ending::Ending::default());
        let theirs = Arc::clone(&ending);
        let reader = thread::spawn(move || theirs.come(Timestamp::from_nanos(7)));
        if ending.has_come() {
            assert_eq!(ending.time(), Timestamp::from_nanos(7));
        }
        reader.join().unwrap();
        assert!(ending.has_come());
    });
}
