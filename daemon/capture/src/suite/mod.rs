//! Test support: what every packet module must do, row by row of Haka's packet module, as one
//! suite over a [`Fixture`].
//!
//! A module's crate enables the feature `suite` in its dev-dependencies, writes a fixture and
//! expands [`packet_module_suite!`](crate::packet_module_suite) in a test module of its own:
//!
//! ```text
//! portcullis_capture::packet_module_suite!(MyFixture);
//! ```
//!
//! - [`rows`]: receive, verdict, release, state, identity and time
//! - [`sending`]: what the outbox makes of packets, and pass-through
//! - [`workers`]: several states, steering, the end
//!
//! Frames of the suite carry an EtherType of their own, and others are passed over, so that a
//! real port may have noise of its own. Nothing is timed: the suite waits for what must come, and
//! has what must not come followed by something that must.

pub mod rows;
pub mod sending;
pub mod workers;

use crate::burst::{Burst, PacketMeta};
use crate::module::{PacketModule, Poll};
use crate::verdict::PortId;
use portcullis_wire::Timestamp;
use std::time::Duration;

/// A module between two outsides, ports 0 and 1.
pub trait Fixture {
    /// The module under test.
    type Module: PacketModule;

    /// Can frames arrive while it is open? A file's cannot: then nothing is injected after the
    /// states were first asked for, and rows about waiting for more do not apply.
    const IS_LIVE: bool = true;

    /// Opens `workers` states, 1 to 3, now or when they are first asked for; in `pass_through` the
    /// module only reads.
    fn open(workers: usize, pass_through: bool) -> Self;

    /// The states, by worker. The suite may drop some.
    fn states(&mut self) -> &mut Vec<Self::Module>;

    /// Lets a frame arrive at a port; stamped `at` where the module has no time of its own.
    fn inject(&mut self, port: PortId, frame: &[u8], at: Timestamp);

    /// What has left through a port since the last call, in order. Where leaving takes time, it
    /// waits until `expected` frames of the suite (see [`is_ours`]) have.
    fn departed(&mut self, port: PortId, expected: usize) -> Vec<Vec<u8>>;

    /// No frame will follow. A real-time module, which never ends, has nothing to do.
    fn end(&mut self);
}

/// Expands to one test a row, for a [`Fixture`](crate::suite::Fixture). With `if CONDITION`, no
/// test does anything unless the condition holds.
#[macro_export]
macro_rules! packet_module_suite {
    ($fixture:ty) => { $crate::packet_module_suite!($fixture, if true); };
    ($fixture:ty, if $condition:expr) => {
        $crate::packet_module_suite!(@rows $fixture, $condition, rows:
            receive_lends_in_order_and_never_nothing, receive_is_interrupted_by_the_waker,
            receive_times_out, verdict_accept_leaves_through_the_peer, verdict_drop_goes_nowhere,
            verdict_second_is_no_op, verdict_accept_sends_what_was_written,
            release_without_verdict_drops, state_is_normal_then_sent,
            id_counts_from_one, timestamp_and_clock_never_go_back, mtu_and_kind_are_told,
            stats_balance);
        $crate::packet_module_suite!(@rows $fixture, $condition, sending:
            forged_starts_zeroed, forged_reenters_as_new, forged_reentry_can_be_dropped,
            forged_by_the_engine_is_not_judged, forged_without_room_is_refused,
            pass_through_refuses_to_send, pass_through_never_changes_traffic);
        $crate::packet_module_suite!(@rows $fixture, $condition, workers:
            each_worker_has_a_state, steered_is_judged_by_its_owner, steered_to_nobody_is_dropped,
            steered_twice_is_dropped, forged_by_any_worker_is_judged,
            dropped_state_does_not_stop_the_others, end_comes_last_and_at_one_time);
    };
    (@rows $fixture:ty, $condition:expr, $module:ident: $($row:ident),+) => {
        $(
            #[test]
            fn $row() {
                if $condition {
                    $crate::suite::$module::$row::<$fixture>();
                }
            }
        )+
    };
}

/// The EtherType of the suite's frames: the first one for local experiments (IEEE 802).
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];

/// A frame of the suite, told from others by its tag.
#[must_use]
pub fn frame(tag: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.extend_from_slice(&ETHERTYPE);
    frame.resize(60, tag);
    frame
}

/// Is it a frame of the suite?
#[must_use]
pub fn is_ours(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(ETHERTYPE.as_slice()) && frame.len() == 60
}

/// A packet that was lent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lent {
    pub(crate) worker: usize,
    pub(crate) tag: u8,
    pub(crate) meta: PacketMeta,
}

/// Judges one packet of the suite: the worker, the burst, its place in it.
pub(crate) type Judge<'a> = dyn FnMut(usize, &mut Burst<'_>, usize) + 'a;

/// The rounds without any packet after which what was expected is given up.
const PATIENCE: usize = 500;

/// Stamp of the suite's `n`th frame.
pub(crate) const fn stamp(n: u64) -> Timestamp {
    Timestamp::from_secs(1_000 + n)
}

/// Lets one frame a tag arrive at port 0, stamped one second apart.
pub(crate) fn inject_tags<F: Fixture>(fixture: &mut F, tags: impl IntoIterator<Item = u8>) {
    for (n, tag) in (0..).zip(tags) {
        fixture.inject(PortId(0), &frame(tag), stamp(n));
    }
}

/// Polls all states in turn until `expected` packets of the suite were lent, and then until
/// nothing is on its way any more.
pub(crate) fn drive<F: Fixture>(fixture: &mut F, expected: usize, judge: &mut Judge<'_>) -> Vec<Lent> {
    let mut lent = Vec::new();
    let mut idle_rounds = 0;
    while lent.len() < expected {
        if poll_all(fixture, judge, &mut lent) {
            idle_rounds = 0;
            continue;
        }
        idle_rounds += 1;
        assert!(idle_rounds < PATIENCE, "only {} of {expected} packets came", lent.len());
        for state in fixture.states() {
            let until = state.now().after(Duration::from_millis(2));
            state.wait(until).expect("waiting");
        }
    }
    while poll_all(fixture, judge, &mut lent) {}
    lent
}

/// Polls every state once; did any receive?
pub(crate) fn poll_all<F: Fixture>(fixture: &mut F, judge: &mut Judge<'_>, lent: &mut Vec<Lent>) -> bool {
    let mut any = false;
    for (worker, state) in fixture.states().iter_mut().enumerate() {
        let mut calls = 0;
        let mut count = 0;
        let polled = state.poll(&mut |burst| {
            calls += 1;
            count = burst.len();
            for index in 0..burst.len() {
                let packet = &burst.packets()[index];
                if is_ours(packet.bytes()) {
                    lent.push(Lent { worker, tag: packet.bytes()[14], meta: packet.meta });
                    judge(worker, burst, index);
                }
            }
        });
        match polled.expect("polling") {
            Poll::Received(received) => {
                assert_eq!((calls, count), (1, received), "one loan a poll, of as many as were received");
                assert_ne!(received, 0, "an empty burst is no reception");
                any = true;
            }
            Poll::Empty | Poll::End => assert_eq!(calls, 0, "nothing came, and yet something was lent"),
        }
    }
    any
}

/// Tags of the suite's frames that left through a port.
pub(crate) fn departed_tags<F: Fixture>(fixture: &mut F, port: PortId, expected: usize) -> Vec<u8> {
    let frames = fixture.departed(port, expected);
    frames.iter().filter(|frame| is_ours(frame)).map(|frame| frame[14]).collect()
}

/// Is the module's time its own?
pub(crate) fn is_realtime<F: Fixture>(fixture: &mut F) -> bool {
    fixture.states().first().is_some_and(|state| state.properties().is_realtime)
}

/// The states' counts, added up.
pub(crate) fn total<F: Fixture>(fixture: &mut F, count: fn(crate::CaptureStats) -> u64) -> u64 {
    fixture.states().iter().map(|state| count(state.stats())).sum()
}
