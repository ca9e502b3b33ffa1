//! Trials of every sender over forwarders that do no harm, and what they say of forwarders that do.

use crate::rig::{Forwarder, lab, outcome, through};
use portcullis_trial::{Outcome, Protocol, Rate, Size, Trial, Via};

/// Nothing is lost, doubled, disordered or changed.
fn check(arguments: &[&str], mtu: u32, change: impl FnOnce(Trial) -> Trial) -> Outcome {
    let lab = lab(mtu);
    let forwarder = Forwarder::start(&lab, arguments);
    let outcome = outcome(&change(Trial {
        seconds: 20.0,
        count: Some(2000),
        rate: Rate::PerSecond(20_000),
        ..through(&lab)
    }));
    let forwarded = forwarder.end();
    let Outcome { sent, received, duplicated, reordered, corrupted, .. } = outcome;
    assert!(sent > 0);
    assert_eq!(
        [received, duplicated, reordered, corrupted],
        [sent, 0, 0, 0],
        "{:?} {forwarded:?}",
        outcome.trial
    );
    assert!(forwarded.forwarded >= received);
    outcome
}

#[test]
fn live_frames_of_all_kinds_arrive_whole() {
    check(&[], 1500, |trial| trial);
    check(&[], 1500, |trial| Trial { size: Size::Imix, flows: 100_000, churn: 0.5, sources: 9, ..trial });
    check(&[], 1500, |trial| Trial { size: Size::Bytes(1507), flows: 1, ..trial });
    check(&[], 1500, |trial| Trial { protocol: Protocol::Syn, churn: 1.0, ..trial });
    check(&[], 3400, |trial| Trial { size: Size::Bytes(3400), ..trial });
}

#[test]
fn bursts_are_sent_whole() {
    let outcome = check(&[], 1500, |trial| Trial {
        rate: Rate::Max,
        burst: Some(128),
        pause_us: 5000,
        count: Some(640),
        ..trial
    });
    assert_eq!(outcome.sent, 640);
    assert!(outcome.seconds >= 4.0 * 0.005, "{}", outcome.seconds);
}

#[test]
fn af_xdp_frames_arrive_whole() {
    check(&[], 1500, |trial| Trial { via: Via::Xdp, size: Size::Imix, churn: 0.1, ..trial });
    check(&[], 1500, |trial| Trial { via: Via::Xdp, protocol: Protocol::TcpEstablished, flows: 16, ..trial });
}

#[test]
fn trafgen_frames_arrive_whole() {
    check(&[], 1500, |trial| Trial { via: Via::Trafgen, rate: Rate::Max, count: Some(5000), ..trial });
    check(&[], 1500, |trial| Trial {
        via: Via::Trafgen,
        size: Size::Imix,
        churn: 1.0,
        count: Some(300),
        ..trial
    });
    check(&[], 9000, |trial| Trial { via: Via::Trafgen, size: Size::Bytes(9000), count: Some(100), ..trial });
}

#[test]
fn frames_of_a_capture_arrive_as_they_are_in_it() {
    let scratch = tempfile::tempdir().unwrap();
    let capture = scratch.path().join("some.pcap");
    portcullis_testkit::Traffic::new(200, 10).write_pcap(&capture).unwrap();
    let outcome = check(&[], 1600, |trial| Trial {
        via: Via::Trafgen,
        capture: Some(capture),
        count: Some(500),
        ..trial
    });
    assert_eq!(outcome.sent, 500);
}

#[test]
fn answers_come_back() {
    let outcome = check(&[], 1500, |trial| Trial { return_every: Some(1), ..trial });
    let returned = outcome.returned.unwrap();
    assert_eq!((returned.sent, returned.received, returned.lost), (2000, 2000, 0));
    let (there, back) = (outcome.latency.unwrap(), returned.round_trip.unwrap());
    assert!(back.min_ns > there.min_ns);
}

#[test]
fn connections_are_opened_and_acknowledged() {
    let flows = 250;
    for size in [Size::Bytes(60), Size::Imix] {
        let outcome =
            check(&[], 1500, |trial| Trial { protocol: Protocol::TcpEstablished, size, flows, ..trial });
        assert_eq!(outcome.established, Some(flows));
        let returned = outcome.returned.unwrap();
        // Each second of a flow's eight.
        assert_eq!((returned.sent, returned.received), (1000, 1000));
    }
}

#[test]
fn the_bare_af_xdp_forwarder_forwards() {
    let outcome = check(&["--how", "xsk", "--cpus", "0"], 1500, |trial| Trial {
        return_every: Some(4),
        flows: 10,
        ..trial
    });
    assert_eq!(outcome.returned.unwrap().received, 500);
}
