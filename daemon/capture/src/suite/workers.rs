//! Several states: one a worker, steering between them, and the end of them all.

use super::{Fixture, departed_tags, drive, frame, inject_tags, is_realtime, stamp, total};
use crate::burst::{Burst, PacketState};
use crate::module::{PacketModule, Poll};
use crate::outbox::Origin;
use crate::verdict::{PortId, Verdict, WorkerId};

/// Owner by tag, over all workers; steers what is not this worker's, accepts the rest.
fn by_tag(workers: usize) -> impl FnMut(usize, &mut Burst<'_>, usize) {
    move |worker, burst, index| {
        let packet = &burst.packets()[index];
        let owner = usize::from(packet.bytes()[14]) % workers;
        if owner == worker {
            burst.judge(index, Verdict::Accept);
        } else {
            assert!(!packet.meta.steered, "steered to worker {worker}, but {owner}'s");
            burst.judge(index, steer_to(owner));
        }
    }
}

fn steer_to(worker: usize) -> Verdict {
    Verdict::Steer(WorkerId(u8::try_from(worker).expect("few workers")))
}

/// As many states as were asked for, if the module says it can.
pub fn each_worker_has_a_state<F: Fixture>() {
    let mut fixture = F::open(1, false);
    assert_eq!(fixture.states().len(), 1);
    if fixture.states()[0].properties().multi_threaded {
        drop(fixture);
        let mut fixture = F::open(3, false);
        let states = fixture.states();
        assert_eq!(states.len(), 3);
        assert!(states.iter().all(|state| state.properties() == states[0].properties()));
    }
}

/// A steered packet comes to its owner once, marked, with what was known of it; and leaves.
pub fn steered_is_judged_by_its_owner<F: Fixture>() {
    for workers in [2, 3] {
        let mut fixture = F::open(workers, false);
        inject_tags(&mut fixture, 0..100);
        let mut judge = by_tag(workers);
        let first = drive(&mut fixture, 100, &mut judge);
        let mut lent = first;
        let steered = |lent: &[super::Lent]| lent.iter().filter(|lent| lent.meta.steered).count();
        let received = |lent: &[super::Lent]| lent.iter().filter(|lent| !lent.meta.steered).count();
        while received(&lent) < 100 || owed(&lent, workers) > steered(&lent) {
            lent.extend(drive(&mut fixture, 1, &mut judge));
        }
        for lent in lent.iter().filter(|lent| lent.meta.steered) {
            assert_eq!(lent.worker, usize::from(lent.tag) % workers);
            assert_eq!(lent.meta.ingress, PortId(0));
            assert_ne!(lent.meta.id, 0);
        }
        let mut departed = departed_tags(&mut fixture, PortId(1), 100);
        if !is_realtime(&mut fixture) {
            assert!(departed.is_sorted(), "in the order they were read");
        }
        departed.sort_unstable();
        assert_eq!(departed, (0..100).collect::<Vec<u8>>());
        let steered = steered(&lent) as u64;
        assert!(total(&mut fixture, |stats| stats.steered_in) >= steered);
        assert_eq!(
            total(&mut fixture, |stats| stats.steered_in),
            total(&mut fixture, |stats| stats.steered_out)
        );
    }
}

/// How many of the packets received must have been steered.
fn owed(lent: &[super::Lent], workers: usize) -> usize {
    let is_owed = |lent: &&super::Lent| !lent.meta.steered && lent.worker != usize::from(lent.tag) % workers;
    lent.iter().filter(is_owed).count()
}

/// A packet steered to a worker that there is not is dropped.
pub fn steered_to_nobody_is_dropped<F: Fixture>() {
    let mut fixture = F::open(1, false);
    inject_tags(&mut fixture, [1, 2, 3]);
    drive(&mut fixture, 3, &mut |worker, burst, index| {
        let verdict = match burst.packets()[index].bytes()[14] {
            1 => steer_to(200),
            2 => steer_to(worker),
            _ => Verdict::Accept,
        };
        burst.judge(index, verdict);
    });
    assert_eq!(departed_tags(&mut fixture, PortId(1), 1), [3]);
    let stats = fixture.states()[0].stats();
    assert_eq!(stats.received, stats.accepted + stats.dropped + stats.steered_out, "{stats:?}");
}

/// A packet that was steered is not steered again, but dropped.
pub fn steered_twice_is_dropped<F: Fixture>() {
    let mut fixture = F::open(2, false);
    inject_tags(&mut fixture, [1, 2]);
    let lent = drive(&mut fixture, 4, &mut |worker, burst, index| {
        let packet = &burst.packets()[index];
        let verdict = match (packet.bytes()[14], packet.meta.steered) {
            (2, true) => Verdict::Accept,
            _ => steer_to(1 - worker),
        };
        burst.judge(index, verdict);
    });
    assert_eq!(lent.len(), 4, "each was lent twice");
    assert_eq!(departed_tags(&mut fixture, PortId(1), 1), [2]);
}

/// What any worker's hook forges is received again and can be steered like anything else.
pub fn forged_by_any_worker_is_judged<F: Fixture>() {
    let mut fixture = F::open(2, false);
    inject_tags(&mut fixture, [10, 11]);
    let mut forged = Vec::new();
    drive(&mut fixture, 2, &mut |worker, burst, index| {
        let (tag, state) = {
            let packet = &burst.packets()[index];
            (packet.bytes()[14], packet.meta.state)
        };
        if state == PacketState::Forged {
            forged.push(tag);
        }
        let owner = usize::from(tag) % 2;
        if owner != worker {
            burst.judge(index, steer_to(owner));
            return;
        }
        if state == PacketState::Normal {
            // Owned by the other worker.
            let bytes = burst.outbox.forge(60, PortId(1), Origin::Hook).expect("room in the outbox");
            bytes.copy_from_slice(&frame(tag + 21));
        }
        burst.judge(index, Verdict::Accept);
    });
    while !(forged.contains(&31) && forged.contains(&32)) {
        drive(&mut fixture, 1, &mut |_, burst, index| {
            forged.push(burst.packets()[index].bytes()[14]);
            burst.judge(index, Verdict::Accept);
        });
    }
    let mut departed = departed_tags(&mut fixture, PortId(1), 4);
    departed.sort_unstable();
    assert_eq!(departed, [10, 11, 31, 32]);
}

/// A worker that is gone loses what is steered to it; the others go on. Where each worker has a
/// queue of a device, what arrives there is another matter.
pub fn dropped_state_does_not_stop_the_others<F: Fixture>() {
    let mut fixture = F::open(2, false);
    inject_tags(&mut fixture, [1, 2, 3, 4]);
    if is_realtime(&mut fixture) {
        return;
    }
    drop(fixture.states().pop());
    drive(&mut fixture, 4, &mut |_, burst, index| {
        let verdict = if burst.packets()[index].bytes()[14] == 2 { steer_to(1) } else { Verdict::Accept };
        burst.judge(index, verdict);
    });
    assert_eq!(departed_tags(&mut fixture, PortId(1), 3), [1, 3, 4]);
}

/// Where there is an end, it comes to every state when every verdict has been carried out, and
/// then all tell the same time.
pub fn end_comes_last_and_at_one_time<F: Fixture>() {
    let mut fixture = F::open(3, false);
    inject_tags(&mut fixture, 0..20);
    fixture.inject(PortId(0), &frame(20), stamp(3));
    fixture.end();
    if is_realtime(&mut fixture) {
        return;
    }
    let mut judge = by_tag(3);
    drive(&mut fixture, 21, &mut judge);
    let mut ended = [false; 3];
    for _ in 0..super::PATIENCE {
        for (state, ended) in fixture.states().iter_mut().zip(&mut ended) {
            let polled = state.poll(&mut |burst| {
                for index in 0..burst.len() {
                    burst.judge(index, Verdict::Accept);
                }
            });
            *ended = polled.expect("polling") == Poll::End;
        }
    }
    assert_eq!(ended, [true; 3]);
    assert_eq!(departed_tags(&mut fixture, PortId(1), 21).len(), 21);
    assert!(fixture.states().iter().all(|state| state.now() == stamp(19)));
}
