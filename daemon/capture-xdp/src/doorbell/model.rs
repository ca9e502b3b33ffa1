//! Every order in which a sleeper and those who push for it may meet, gone through by loom. Counters stand for
//! the rings (rtrb's), which are written with release and read with acquire order; a notification stands for
//! the eventfd, which, too, remembers that it was written to.

mod sync {
    pub(super) use loom::sync::atomic::{AtomicU8, Ordering, fence};
}
#[expect(clippy::duplicate_mod, reason = "the same code, with loom's atomics")]
#[path = "state.rs"]
mod state;

use self::state::{Need, State};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;

struct Shared {
    state: State,
    steered: AtomicUsize,
    returned: AtomicUsize,
    eventfd: Notify,
}

impl Shared {
    fn ring(&self, need: Need) -> &AtomicUsize {
        match need {
            Need::Judging => &self.steered,
            Need::Frame => &self.returned,
        }
    }
}

/// One thread for each of `needs` pushes and rings; the sleeper sleeps until all is there. A ring that was
/// lost leaves it asleep for ever, which loom reports.
fn check(needs: &'static [Need], is_hungry: bool) {
    // Orders in which a thread is interrupted more than twice would take minutes.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let (steered, returned) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let shared = Arc::new(Shared { state: State::new(), steered, returned, eventfd: Notify::new() });
        let pushers: Vec<_> = needs
            .iter()
            .map(|need| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.ring(*need).fetch_add(1, Ordering::Release);
                    if shared.state.must_ring(*need) {
                        shared.eventfd.notify();
                    }
                })
            })
            .collect();
        loop {
            shared.state.lie_down(is_hungry);
            let there: usize = [Need::Judging, Need::Frame]
                .map(|need| shared.ring(need).load(Ordering::Acquire))
                .into_iter()
                .sum();
            if there == needs.len() {
                shared.state.get_up();
                break;
            }
            shared.eventfd.wait();
            shared.state.get_up();
        }
        for pusher in pushers {
            pusher.join().unwrap();
        }
    });
}

#[test]
fn a_packet_wakes_whoever_sleeps() {
    check(&[Need::Judging], false);
    check(&[Need::Judging], true);
}

#[test]
fn a_frame_wakes_whoever_is_short_of_them() {
    check(&[Need::Frame], true);
}

#[test]
fn two_at_once_lose_nothing() {
    check(&[Need::Judging, Need::Judging], false);
    check(&[Need::Judging, Need::Frame], true);
}
