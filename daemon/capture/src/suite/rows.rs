//! Receive, verdict, release, state, identity and time.

use super::{Fixture, departed_tags, drive, frame, inject_tags, is_ours, is_realtime, stamp, total};
use crate::burst::PacketState;
use crate::module::{PacketModule, Wake};
use crate::verdict::{DropReason, PortId, Verdict};
use portcullis_wire::Timestamp;
use std::time::Duration;

const REFUSED: Verdict = Verdict::Drop(DropReason::Rules);

/// More packets than a burst holds come in their order, in bursts that are never empty.
pub fn receive_lends_in_order_and_never_nothing<F: Fixture>() {
    let mut fixture = F::open(1, false);
    inject_tags(&mut fixture, 0..100);
    let lent = drive(&mut fixture, 100, &mut |_, burst, index| {
        burst.judge(index, Verdict::Accept);
    });
    let tags: Vec<u8> = lent.iter().map(|lent| lent.tag).collect();
    assert_eq!(tags, (0..100).collect::<Vec<u8>>());
    assert!(lent.iter().all(|lent| lent.meta.ingress == PortId(0) && lent.meta.wire_length == 60));
}

/// The waker ends a wait, used before or while it sleeps, from another thread.
pub fn receive_is_interrupted_by_the_waker<F: Fixture>() {
    if !F::IS_LIVE {
        return;
    }
    let mut fixture = F::open(1, false);
    let state = fixture.states().first_mut().expect("a state");
    let waker = state.waker();
    waker.wake_by_ref();
    wait_for(state, Wake::Woken, Timestamp::NEVER);
    std::thread::scope(|scope| {
        scope.spawn(|| waker.wake_by_ref());
        wait_for(state, Wake::Woken, Timestamp::NEVER);
    });
}

/// A wait without packets ends at its time.
pub fn receive_times_out<F: Fixture>() {
    if !F::IS_LIVE {
        return;
    }
    let mut fixture = F::open(1, false);
    let state = fixture.states().first_mut().expect("a state");
    let until = state.now().after(Duration::from_millis(2));
    wait_for(state, Wake::TimedOut, until);
}

/// Waits, passing over noise, until a wait ends as it should.
fn wait_for<M: PacketModule>(state: &mut M, expected: Wake, until: Timestamp) {
    for _ in 0..super::PATIENCE {
        let wake = state.wait(until).expect("waiting");
        if wake == expected {
            return;
        }
        assert_eq!(wake, Wake::Ready, "waiting for {expected:?}");
        state.poll(&mut |_| {}).expect("polling");
    }
    panic!("never {expected:?}");
}

/// What is accepted leaves through the other port, either way.
pub fn verdict_accept_leaves_through_the_peer<F: Fixture>() {
    let mut fixture = F::open(1, false);
    fixture.inject(PortId(0), &frame(1), stamp(0));
    fixture.inject(PortId(1), &frame(2), stamp(1));
    let mut fresh = true;
    drive(&mut fixture, 2, &mut |_, burst, index| fresh &= burst.judge(index, Verdict::Accept));
    assert!(fresh);
    assert_eq!(departed_tags(&mut fixture, PortId(1), 1), [1]);
    assert_eq!(departed_tags(&mut fixture, PortId(0), 1), [2]);
}

/// What is dropped goes nowhere, and is counted.
pub fn verdict_drop_goes_nowhere<F: Fixture>() {
    let mut fixture = F::open(1, false);
    inject_tags(&mut fixture, [1, 2, 3]);
    drive(&mut fixture, 3, &mut |_, burst, index| {
        let verdict = if burst.packets()[index].bytes()[14] == 2 { REFUSED } else { Verdict::Accept };
        burst.judge(index, verdict);
    });
    assert_eq!(departed_tags(&mut fixture, PortId(1), 2), [1, 3]);
    assert!(total(&mut fixture, |stats| stats.dropped) >= 1);
}

/// The first verdict counts, whichever it is.
pub fn verdict_second_is_no_op<F: Fixture>() {
    let mut fixture = F::open(1, false);
    inject_tags(&mut fixture, [1, 2]);
    drive(&mut fixture, 2, &mut |_, burst, index| {
        let (first, second) = match burst.packets()[index].bytes()[14] {
            1 => (REFUSED, Verdict::Accept),
            _ => (Verdict::Accept, REFUSED),
        };
        assert!(burst.judge(index, first));
        assert!(!burst.judge(index, second));
        assert_eq!(burst.verdict(index), Some(first));
    });
    assert_eq!(departed_tags(&mut fixture, PortId(1), 1), [2]);
}

/// A packet changed in place leaves as changed.
pub fn verdict_accept_sends_what_was_written<F: Fixture>() {
    let mut fixture = F::open(1, false);
    inject_tags(&mut fixture, [1]);
    drive(&mut fixture, 1, &mut |_, burst, index| {
        burst.packets_mut()[index].bytes_mut()[20] = 0xee;
        burst.judge(index, Verdict::Accept);
    });
    let mut changed = frame(1);
    changed[20] = 0xee;
    let departed = fixture.departed(PortId(1), 1);
    assert_eq!(departed.into_iter().find(|frame| is_ours(frame)), Some(changed));
}

/// Haka's release rule: a packet that nobody judged is dropped.
pub fn release_without_verdict_drops<F: Fixture>() {
    let mut fixture = F::open(1, false);
    inject_tags(&mut fixture, [1, 2]);
    drive(&mut fixture, 2, &mut |_, burst, index| {
        if burst.packets()[index].bytes()[14] == 2 {
            burst.judge(index, Verdict::Accept);
        }
    });
    assert_eq!(departed_tags(&mut fixture, PortId(1), 1), [2]);
    assert!(total(&mut fixture, |stats| stats.dropped) >= 1);
}

/// A packet is normal until it is judged, and sent after.
pub fn state_is_normal_then_sent<F: Fixture>() {
    let mut fixture = F::open(1, false);
    inject_tags(&mut fixture, [1]);
    let lent = drive(&mut fixture, 1, &mut |_, burst, index| {
        assert_eq!(burst.packets()[index].meta.state, PacketState::Normal);
        burst.judge(index, Verdict::Accept);
        assert_eq!(burst.packets()[index].meta.state, PacketState::Sent);
    });
    assert_eq!(lent[0].meta.state, PacketState::Normal);
}

/// Ids start from 1 and grow; where nothing else arrives, by one.
pub fn id_counts_from_one<F: Fixture>() {
    let mut fixture = F::open(1, false);
    inject_tags(&mut fixture, 0..40);
    let lent = drive(&mut fixture, 40, &mut |_, burst, index| {
        burst.judge(index, REFUSED);
    });
    let ids: Vec<u64> = lent.iter().map(|lent| lent.meta.id).collect();
    if is_realtime(&mut fixture) {
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]) && ids[0] >= 1, "{ids:?}");
    } else {
        assert_eq!(ids, (1..=40).collect::<Vec<u64>>());
    }
}

/// Stamps are those of the capture where there is one; the clock never goes back.
pub fn timestamp_and_clock_never_go_back<F: Fixture>() {
    let mut fixture = F::open(1, false);
    let stamps = [5, 9, 7, 9, 12].map(stamp);
    for (tag, at) in (0..).zip(stamps) {
        fixture.inject(PortId(0), &frame(tag), at);
    }
    let lent = drive(&mut fixture, 5, &mut |_, burst, index| {
        burst.judge(index, Verdict::Accept);
    });
    let clocks: Vec<Timestamp> = lent.iter().map(|lent| lent.meta.clock).collect();
    assert!(clocks.is_sorted(), "{clocks:?}");
    let state = fixture.states().first().expect("a state");
    assert!(state.now() >= clocks[4]);
    if !is_realtime(&mut fixture) {
        let told: Vec<Timestamp> = lent.iter().map(|lent| lent.meta.timestamp).collect();
        assert_eq!(told, stamps);
        assert_eq!(clocks, [5, 9, 9, 9, 12].map(stamp));
    }
}

/// Every port has an MTU that takes the suite's frames, and the module says what it is.
pub fn mtu_and_kind_are_told<F: Fixture>() {
    for pass_through in [false, true] {
        let mut fixture = F::open(1, pass_through);
        let properties = fixture.states().first().expect("a state").properties();
        assert!(properties.mtu.len() >= 2 && properties.mtu.iter().all(|mtu| *mtu >= 60));
        assert_eq!(properties.pass_through, pass_through);
    }
}

/// Every packet received is accounted for by what became of it.
pub fn stats_balance<F: Fixture>() {
    let mut fixture = F::open(1, false);
    inject_tags(&mut fixture, 0..50);
    drive(&mut fixture, 50, &mut |_, burst, index| {
        match burst.packets()[index].bytes()[14] % 3 {
            0 => burst.judge(index, Verdict::Accept),
            1 => burst.judge(index, REFUSED),
            _ => false,
        };
    });
    let stats = fixture.states().first().expect("a state").stats();
    assert!(stats.received >= 50 && stats.received_bytes >= 50 * 60, "{stats:?}");
    assert!(stats.accepted >= 17 && stats.dropped >= 33, "{stats:?}");
    assert_eq!(stats.received, stats.accepted + stats.dropped, "{stats:?}");
}
