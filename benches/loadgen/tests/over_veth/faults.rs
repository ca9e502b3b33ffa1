//! What a trial says of known loss, delay, reordering, doubling and harm.

use crate::rig::{Forwarder, lab, outcome, through};
use portcullis_trial::{Forwarded, Outcome, Rate, Trial};

const COUNT: u32 = 1200;

fn with_faults(arguments: &[&str]) -> (Outcome, Forwarded) {
    let lab = lab(1500);
    let forwarder = Forwarder::start(&lab, &[&["--how", "faulty"], arguments].concat());
    let trial = Trial {
        rate: Rate::PerSecond(5000),
        seconds: 60.0,
        count: Some(COUNT),
        flows: 7,
        settle_ms: 1000,
        ..through(&lab)
    };
    let outcome = outcome(&trial);
    let done = forwarder.end();
    assert_eq!((outcome.sent, done.received, done.overflowed), (u64::from(COUNT), u64::from(COUNT), 0));
    (outcome, done)
}

#[test]
fn without_faults_there_are_none() {
    let (outcome, done) = with_faults(&[]);
    assert_eq!((outcome.lost, outcome.duplicated, outcome.reordered, outcome.corrupted), (0, 0, 0, 0));
    assert_eq!(done.forwarded, u64::from(COUNT));
}

#[test]
fn loss_is_counted_exactly() {
    let (outcome, done) = with_faults(&["--lose", "37"]);
    assert_eq!(done.lost, u64::from(COUNT) / 37);
    assert_eq!(
        (outcome.lost, outcome.duplicated, outcome.reordered, outcome.corrupted),
        (done.lost, 0, 0, 0)
    );
}

#[test]
fn doubling_is_counted_exactly() {
    let (outcome, done) = with_faults(&["--double", "41"]);
    assert_eq!(done.doubled, u64::from(COUNT) / 41);
    assert_eq!(
        (outcome.lost, outcome.duplicated, outcome.reordered, outcome.corrupted),
        (0, done.doubled, 0, 0)
    );
}

/// A swapped frame comes one place late, and after no other of its flow.
#[test]
fn reordering_is_counted_exactly() {
    let (outcome, done) = with_faults(&["--swap", "43"]);
    assert_eq!(done.swapped, u64::from(COUNT) / 43);
    assert_eq!(
        (outcome.lost, outcome.duplicated, outcome.reordered, outcome.corrupted),
        (0, 0, done.swapped, 0)
    );
    assert_eq!((outcome.reordered_in_flow, outcome.reordered_furthest), (0, 1));
}

#[test]
fn harm_is_counted_exactly() {
    let (outcome, done) = with_faults(&["--corrupt", "47"]);
    assert_eq!(done.corrupted, u64::from(COUNT) / 47);
    assert_eq!((outcome.lost, outcome.duplicated, outcome.corrupted), (done.corrupted, 0, done.corrupted));
}

/// Without delay, a frame may take however long this machine pleases; with it, none takes less.
#[test]
fn delay_is_in_the_latency() {
    let (outcome, _) = with_faults(&["--delay-us", "20000"]);
    let latency = outcome.latency.unwrap();
    assert!(latency.min_ns >= 20_000_000, "{}", latency.min_ns);
    assert!(
        latency.min_ns <= latency.p50_ns
            && latency.p50_ns <= latency.p999_ns
            && latency.p999_ns <= latency.max_ns
    );
    assert!((20e6..=latency.max_ns as f64).contains(&latency.mean_ns));
    assert_eq!(outcome.lost, 0);
}

/// All at once: no frame is due for two of them below 37 * 41.
#[test]
fn faults_are_told_apart() {
    let (outcome, done) =
        with_faults(&["--lose", "37", "--double", "41", "--swap", "1000", "--delay-us", "500"]);
    assert_eq!(
        (outcome.lost, outcome.duplicated, outcome.reordered),
        (done.lost, done.doubled, done.swapped)
    );
    assert_eq!((done.lost, done.doubled, done.swapped), (32, 29, 1));
}
