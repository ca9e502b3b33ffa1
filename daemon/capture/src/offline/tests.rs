//! Many workers, small bounds, threads, and everything that can go wrong on the way.

mod forging;

use super::{Offline, OfflineOptions};
use crate::burst::Burst;
use crate::frame::{Frame, FrameSink, FrameSource, Read};
use crate::module::{PacketModule, Poll};
use crate::verdict::{DropReason, Verdict, WorkerId};
use portcullis_wire::{LinkType, Timestamp};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct Broken(&'static str);

/// Frames that hold their own number, until the end or a failure.
#[derive(Debug)]
struct Numbers {
    next: u64,
    count: u64,
    fails: bool,
}

impl FrameSource for Numbers {
    type Error = Broken;

    fn read(&mut self, frame: &mut Frame) -> Result<Read, Broken> {
        if self.next == self.count {
            return if self.fails { Err(Broken("source")) } else { Ok(Read::End) };
        }
        frame.bytes.clear();
        frame.bytes.extend_from_slice(&self.next.to_be_bytes());
        frame.meta.id = self.next + 1;
        // Every seventh stamp goes back.
        let at = if self.next % 7 == 6 { self.next / 2 } else { self.next };
        frame.meta.timestamp = Timestamp::from_nanos(1_000 + at);
        self.next += 1;
        Ok(Read::Frame)
    }

    fn link(&self) -> LinkType {
        LinkType::Ethernet
    }
}

/// Keeps the numbers of what left; fails at one of them.
#[derive(Clone, Debug, Default)]
struct Kept {
    numbers: Arc<Mutex<Vec<u64>>>,
    flushed: Arc<Mutex<u32>>,
    fails_at: Option<u64>,
}

impl Kept {
    fn numbers(&self) -> Vec<u64> {
        self.numbers.lock().unwrap().clone()
    }
}

impl FrameSink for Kept {
    type Error = Broken;

    fn write(&mut self, frame: &Frame) -> Result<(), Broken> {
        let number = number(&frame.bytes);
        if self.fails_at == Some(number) {
            return Err(Broken("sink"));
        }
        self.numbers.lock().unwrap().push(number);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Broken> {
        *self.flushed.lock().unwrap() += 1;
        Ok(())
    }
}

type State = Offline<Numbers, Kept>;

fn open(count: u64, fails: bool, sink: &Kept, options: OfflineOptions) -> Vec<State> {
    Offline::open_with(Numbers { next: 0, count, fails }, Some(sink.clone()), options)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().copied().map_or(u64::MAX, u64::from_be_bytes)
}

/// Judges by number: owner is the number over all workers, every fifth is dropped.
fn by_number(worker: usize, workers: usize, burst: &mut Burst<'_>) {
    for index in 0..burst.len() {
        let packet = &burst.packets()[index];
        let number = number(packet.bytes());
        let owner = usize::try_from(number).unwrap() % workers;
        let verdict = if owner != worker {
            assert!(!packet.meta.steered);
            Verdict::Steer(WorkerId(u8::try_from(owner).unwrap()))
        } else if number.is_multiple_of(5) {
            Verdict::Drop(DropReason::Rules)
        } else {
            Verdict::Accept
        };
        burst.judge(index, verdict);
    }
}

fn accepted(count: u64) -> Vec<u64> {
    (0..count).filter(|number| number % 5 != 0).collect()
}

fn poll_until_end(states: &mut [State], mut order: impl FnMut(usize) -> usize) -> Result<(), Broken> {
    let workers = states.len();
    let mut polls = 0;
    let mut ended = vec![false; workers];
    while !ended.iter().all(|ended| *ended) {
        let worker = order(polls) % workers;
        let polled = states[worker].poll(&mut |burst| by_number(worker, workers, burst))?;
        ended[worker] = polled == Poll::End;
        polls += 1;
        assert!(polls < 1_000_000, "it never ends");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bounds_any_turns_keep_all_frames_in_order(
        count in 0_u64..600,
        workers in 1_usize..6,
        frames in 1_usize..80,
        ring in 1_usize..40,
        turns in proptest::collection::vec(0_usize..6, 1..40),
    ) {
        let sink = Kept::default();
        let mut states = open(count, false, &sink, OfflineOptions { workers, frames, ring });
        // Turns at random, and everybody's now and then.
        poll_until_end(&mut states, |n| if n % 3 == 0 { n / 3 } else { turns[n % turns.len()] }).unwrap();
        prop_assert_eq!(sink.numbers(), accepted(count));
        prop_assert_eq!(*sink.flushed.lock().unwrap(), 1);
        let end = states[0].now();
        prop_assert!(states.iter().all(|state| state.now() == end));
        let stats: Vec<_> = states.iter().map(PacketModule::stats).collect();
        for stats in &stats {
            let came = stats.received + stats.reentered + stats.steered_in;
            prop_assert_eq!(came, stats.accepted + stats.dropped + stats.steered_out);
            prop_assert_eq!(stats.errors, 0);
        }
        prop_assert_eq!(stats.iter().map(|stats| stats.accepted + stats.dropped).sum::<u64>(), count);
    }
}

/// Polls and waits on a thread of its own until the end.
fn work(mut state: State, worker: usize, workers: usize) -> Result<State, Broken> {
    loop {
        match state.poll(&mut |burst| by_number(worker, workers, burst))? {
            Poll::Received(_) => {}
            Poll::Empty => {
                state.wait(Timestamp::NEVER)?;
            }
            Poll::End => return Ok(state),
        }
    }
}

#[test]
fn threads_that_sleep_when_idle_keep_all_frames_in_order() {
    for (workers, frames, ring) in [(1, 1, 1), (2, 3, 1), (2, 1_024, 1_024), (4, 64, 7), (8, 4_096, 64)] {
        let sink = Kept::default();
        let states = open(20_000, false, &sink, OfflineOptions { workers, frames, ring });
        std::thread::scope(|scope| {
            let threads = states.into_iter().enumerate();
            let threads: Vec<_> =
                threads.map(|(at, state)| scope.spawn(move || work(state, at, workers).unwrap())).collect();
            let ended = threads.into_iter().map(|thread| thread.join().unwrap());
            // Kept until all are at their end: none leaves early.
            let ended: Vec<State> = ended.collect();
            assert!(ended.iter().all(|state| state.now() == ended[0].now()));
        });
        assert_eq!(sink.numbers(), accepted(20_000), "{workers} workers");
    }
}

#[test]
fn a_thread_that_dies_loses_its_frames_and_nothing_else() {
    let workers = 3;
    let sink = Kept::default();
    let mut states = open(5_000, false, &sink, OfflineOptions { workers, frames: 32, ring: 4 });
    let mut dying = states.remove(1);
    let last = states.remove(1);
    let reader = states.remove(0);
    let reader = std::thread::scope(|scope| {
        let dies = scope.spawn(move || {
            let mut judged = 0;
            while judged < 50 {
                let poll = dying.poll(&mut |burst| by_number(1, workers, burst)).unwrap();
                match poll {
                    Poll::Received(count) => judged += count,
                    _ => drop(dying.wait(Timestamp::NEVER).unwrap()),
                }
            }
        });
        let last = scope.spawn(move || work(last, 2, workers).map(drop));
        let reader = work(reader, 0, workers).unwrap();
        dies.join().unwrap();
        last.join().unwrap().unwrap();
        reader
    });
    let numbers = sink.numbers();
    assert!(numbers.is_sorted());
    let of_living = |numbers: &[u64]| numbers.iter().copied().filter(|n| n % 3 != 1).collect::<Vec<_>>();
    assert_eq!(of_living(&numbers), of_living(&accepted(5_000)));
    assert!(numbers.iter().filter(|n| *n % 3 == 1).count() >= 40);
    let stats = reader.stats();
    assert_eq!(stats.received, 5_000);
    assert!(stats.errors > 0, "{stats:?}");
}

/// The reader sleeps, with every frame it has at a worker that never looks and then goes.
#[test]
fn a_worker_that_goes_wakes_the_reader() {
    let sink = Kept::default();
    let mut states = open(12, false, &sink, OfflineOptions { workers: 2, frames: 4, ring: 4 });
    let follower = states.remove(1);
    let mut reader = states.remove(0);
    let (told, asleep) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            loop {
                let polled = reader.poll(&mut |burst| {
                    for index in 0..burst.len() {
                        burst.judge(index, Verdict::Steer(WorkerId(1)));
                    }
                });
                match polled.unwrap() {
                    Poll::Received(_) => {}
                    Poll::Empty => {
                        told.send(()).unwrap();
                        reader.wait(Timestamp::NEVER).unwrap();
                    }
                    Poll::End => return reader.stats(),
                }
            }
        });
        asleep.recv().unwrap();
        // Time to fall asleep: the test holds without it, and tries less.
        std::thread::sleep(std::time::Duration::from_millis(20));
        drop(follower);
        let stats = thread.join().unwrap();
        assert_eq!((stats.received, stats.errors), (12, 12));
        assert_eq!((stats.steered_out, stats.dropped), (4, 8));
    });
}

#[test]
fn a_reader_that_dies_ends_the_others() {
    let sink = Kept::default();
    let mut states = open(1_000, false, &sink, OfflineOptions { workers: 2, frames: 8, ring: 8 });
    let follower = states.remove(1);
    let mut reader = states.remove(0);
    std::thread::scope(|scope| {
        let follower = scope.spawn(move || work(follower, 1, 2).map(|state| state.stats()));
        reader.poll(&mut |burst| by_number(0, 2, burst)).unwrap();
        drop(reader);
        let stats = follower.join().unwrap().unwrap();
        assert_eq!(stats.steered_in, 4);
    });
}

#[test]
fn a_source_that_fails_is_told_after_all_before_was_carried_out() {
    for workers in [1, 3] {
        let sink = Kept::default();
        let mut states = open(100, true, &sink, OfflineOptions { workers, frames: 16, ring: 4 });
        let failure = poll_until_end(&mut states, |n| n);
        assert_eq!(failure, Err(Broken("source")));
        assert_eq!(sink.numbers(), accepted(100));
        assert_eq!(*sink.flushed.lock().unwrap(), 1);
        poll_until_end(&mut states, |n| n).unwrap();
    }
}

#[test]
fn a_sink_that_fails_ends_all() {
    for workers in [1, 3] {
        let sink = Kept { fails_at: Some(51), ..Kept::default() };
        let mut states = open(100, false, &sink, OfflineOptions { workers, frames: 16, ring: 4 });
        assert_eq!(poll_until_end(&mut states, |n| n), Err(Broken("sink")));
        assert_eq!(sink.numbers(), accepted(51));
        poll_until_end(&mut states, |n| n).unwrap();
    }
}

#[test]
fn time_is_the_largest_stamp_so_far_for_every_worker() {
    let sink = Kept::default();
    let mut states = open(200, false, &sink, OfflineOptions { workers: 2, frames: 16, ring: 16 });
    let mut clocks = [Timestamp::ZERO; 2];
    for turn in 0..200 {
        let worker = turn % 2;
        let mut largest = clocks[worker];
        states[worker]
            .poll(&mut |burst| {
                for packet in burst.packets() {
                    assert!(packet.meta.clock >= largest && packet.meta.clock >= packet.meta.timestamp);
                    largest = packet.meta.clock;
                }
                by_number(worker, 2, burst);
            })
            .unwrap();
        assert!(states[worker].now() >= largest);
        clocks[worker] = largest;
    }
    assert!(states.iter().all(|state| state.now() == Timestamp::from_nanos(1_000 + 199)));
}
