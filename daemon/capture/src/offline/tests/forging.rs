//! Forged frames between workers that wait for each other, fail and go.

use super::{Broken, Kept, State, accepted, by_number, number, open};
use crate::burst::{Burst, PacketState};
use crate::module::{CaptureStats, PacketModule, Poll};
use crate::offline::OfflineOptions;
use crate::outbox::{MAX_FORGED, Origin};
use crate::verdict::PortId;

/// Numbers from here on are forged.
const FORGED: u64 = 1 << 40;

/// Polls in turn until all are at their end, and beyond an error. Everybody forges as much as an
/// outbox holds, of both kinds, for every burst with something new of its own. Tells what was
/// made, and the error.
fn forge_always(states: &mut [State]) -> (Vec<u64>, Option<Broken>) {
    let workers = states.len();
    let mut ended = vec![false; workers];
    let mut made = Vec::new();
    let mut failure = None;
    for turn in 0..1_000_000 {
        let worker = turn % workers;
        let polled = states[worker].poll(&mut |burst| {
            let fresh = burst.packets().iter().find(|packet| {
                let owner = usize::try_from(number(packet.bytes())).unwrap() % workers;
                packet.meta.state == PacketState::Normal && owner == worker
            });
            if let Some(first) = fresh.map(|packet| number(packet.bytes())) {
                for n in 0..MAX_FORGED as u64 {
                    let origin = if n % 2 == 0 { Origin::Hook } else { Origin::Engine };
                    // 2 modulo 5, so that it is accepted; owned by anybody.
                    made.push(FORGED + (first * MAX_FORGED as u64 + n) * 5 + 1);
                    forge(burst, made[made.len() - 1], origin);
                }
            }
            by_number(worker, workers, burst);
        });
        match polled {
            Ok(poll) => ended[worker] = poll == Poll::End,
            Err(error) => failure = Some(error),
        }
        if ended.iter().all(|ended| *ended) {
            return (made, failure);
        }
    }
    panic!("it never ends");
}

/// The bounds are so small that each waits for another all the time: nothing is refused, and all
/// of it leaves.
#[test]
fn forging_without_end_waits_and_loses_nothing() {
    for workers in [1, 2, 4] {
        let sink = Kept::default();
        let mut states = open(300, false, &sink, OfflineOptions { workers, frames: 5, ring: 1 });
        let (mut made, failure) = forge_always(&mut states);
        assert_eq!(failure, None);
        let total =
            |count: fn(CaptureStats) -> u64| -> u64 { states.iter().map(|state| count(state.stats())).sum() };
        assert_eq!(total(|stats| stats.forged_refused), 0);
        assert_eq!(total(|stats| stats.forged), made.len() as u64);
        assert_eq!(total(|stats| stats.reentered), made.len() as u64 / 2);
        let (mut forged, read): (Vec<u64>, Vec<u64>) =
            sink.numbers().into_iter().partition(|number| *number >= FORGED);
        assert_eq!(read, accepted(300));
        forged.sort_unstable();
        made.sort_unstable();
        assert_eq!(forged, made);
    }
}

fn forge(burst: &mut Burst<'_>, says: u64, origin: Origin) {
    burst.outbox.forge(8, PortId(1), origin).unwrap().copy_from_slice(&says.to_be_bytes());
}

/// Polls one state, which forges as much as it can, all of it one number, if it received.
fn poll_forging(states: &mut [State], worker: usize, workers: usize, origin: Origin, says: u64) {
    states[worker]
        .poll(&mut |burst| {
            (0..MAX_FORGED).for_each(|_| forge(burst, says, origin));
            by_number(worker, workers, burst);
        })
        .unwrap();
}

fn poll(states: &mut [State], worker: usize, workers: usize) -> Result<Poll, Broken> {
    states[worker].poll(&mut |burst| by_number(worker, workers, burst))
}

#[test]
fn an_error_ends_a_worker_that_waits_for_its_parcels() {
    let says = FORGED + 1;
    let sink = Kept { fails_at: Some(says), ..Kept::default() };
    let mut states = open(300, false, &sink, OfflineOptions { workers: 2, frames: 300, ring: 300 });
    while poll(&mut states, 0, 2).unwrap() != Poll::Empty {}
    // Twice, and all its parcels are on their way home, with more to judge here.
    poll_forging(&mut states, 1, 2, Origin::Engine, says);
    poll_forging(&mut states, 1, 2, Origin::Engine, says);
    assert_eq!(poll(&mut states, 1, 2), Ok(Poll::Empty));
    assert_eq!(poll(&mut states, 0, 2), Err(Broken("sink")));
    let rest = (0..10).map(|_| poll(&mut states, 1, 2).unwrap()).collect::<Vec<_>>();
    assert_eq!(rest.last(), Some(&Poll::End), "{rest:?}");
}

#[test]
fn parcels_lost_with_a_worker_are_made_up_for() {
    // 2 modulo 3: the last worker's, which never looks at what it is sent.
    let says = FORGED + 1;
    assert_eq!(says % 3, 2);
    let sink = Kept::default();
    let mut states = open(600, false, &sink, OfflineOptions { workers: 3, frames: 600, ring: 1_000 });
    while poll(&mut states, 0, 3).unwrap() != Poll::Empty {}
    poll_forging(&mut states, 1, 3, Origin::Hook, says);
    poll_forging(&mut states, 1, 3, Origin::Hook, says);
    while poll(&mut states, 0, 3).unwrap() != Poll::Empty {}
    assert_eq!(states[0].stats().reentered, 2 * MAX_FORGED as u64);
    // All its parcels are with the last worker: it waits, until that one is gone.
    assert_eq!(poll(&mut states, 1, 3), Ok(Poll::Empty));
    drop(states.pop());
    let mut last = [Poll::Empty; 2];
    for _ in 0..50 {
        last = [0, 1].map(|worker| poll(&mut states, worker, 3).unwrap());
    }
    assert_eq!(last, [Poll::End; 2]);
    let of_living = |number: &u64| number % 3 != 2;
    assert_eq!(sink.numbers(), accepted(600).into_iter().filter(of_living).collect::<Vec<_>>());
    assert_eq!(states[0].stats().errors, 200 + 2 * MAX_FORGED as u64);
}
