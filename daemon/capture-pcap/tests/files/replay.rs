//! A file through the packet module.

use crate::common::{Capture, every_variant, file};
use portcullis_capture::outbox::Origin;
use portcullis_capture::{CaptureStats, PacketModule, Poll, PortId, Verdict, WorkerId};
use portcullis_capture_pcap::{PcapError, PcapModule, PcapOptions};
use portcullis_wire::Timestamp;

/// Packets by id, with the worker that judged each; by how it ended.
type Judged = (Vec<(u64, usize)>, Result<(), PcapError>);

/// Polls all states in turn to the end; packet `id` is worker `id % workers`'s.
fn replay(states: &mut [PcapModule]) -> Judged {
    let workers = states.len();
    let mut judged = Vec::new();
    let mut ended = vec![false; workers];
    while !ended.iter().all(|ended| *ended) {
        for (worker, state) in states.iter_mut().enumerate() {
            let polled = state.poll(&mut |burst| {
                for index in 0..burst.len() {
                    let id = burst.packets()[index].meta.id;
                    let owner = usize::try_from(id).unwrap() % workers;
                    if owner == worker {
                        judged.push((id, worker));
                        burst.judge(index, Verdict::Accept);
                    } else {
                        burst.judge(index, Verdict::Steer(WorkerId(u8::try_from(owner).unwrap())));
                    }
                }
            });
            match polled {
                Ok(poll) => ended[worker] = poll == Poll::End,
                Err(error) => {
                    judged.sort_unstable();
                    return (judged, Err(error));
                }
            }
        }
    }
    judged.sort_unstable();
    (judged, Ok(()))
}

#[test]
fn any_number_of_workers_judges_every_packet_once() {
    let mut capture = Capture::classic(true, 0xa1b2_3c4d, 1);
    for n in 0..1_000 {
        capture.record(n, n, &[1; 60], 60, 0);
    }
    let (_folder, path) = file(&capture.bytes);
    for workers in [1, 2, 4, 8] {
        let mut states = PcapModule::open(&path, PcapOptions::for_workers(workers)).unwrap();
        let (judged, result) = replay(&mut states);
        result.unwrap();
        let expected: Vec<_> = (1..=1_000).map(|id| (id, usize::try_from(id).unwrap() % workers)).collect();
        assert_eq!(judged, expected);
        assert!(states.iter().all(|state| state.now() == Timestamp::from_nanos(999_000_000_999)));
        let progress = states[workers - 1].progress();
        assert_eq!(progress.read(), progress.total());
    }
}

#[test]
fn damage_is_told_when_everything_before_it_was_judged_and_stored() {
    for (name, capture, expected) in every_variant() {
        for workers in [1, 3] {
            let (folder, path) = file(&capture.bytes[..capture.bytes.len() - 1]);
            let write = folder.path().join("out.pcap");
            let mut options = PcapOptions::for_workers(workers);
            // Only pcapng files here have several link types, which pcap cannot hold.
            options.write = (name != "pcapng").then(|| write.clone());
            let (judged, result) = replay(&mut PcapModule::open(&path, options).unwrap());
            // In a pcapng file here, a block without a packet is the last.
            let whole = if name == "pcapng" { expected.len() } else { expected.len() - 1 };
            assert_eq!(judged.len(), whole, "{name}");
            assert!(
                matches!(result, Err(PcapError::Damaged { packets, .. }) if packets == whole as u64),
                "{name}"
            );
            if name != "pcapng" {
                let (stored, error) = crate::common::read_all(&write);
                assert!(error.is_none());
                assert_eq!(stored, expected[..whole], "{name}");
            }
        }
    }
}

#[test]
fn sending_is_refused_unless_the_replay_is_inline() {
    let mut capture = Capture::classic(false, 0xa1b2_c3d4, 1);
    capture.record(1, 1, &[1; 60], 60, 0);
    let (_folder, path) = file(&capture.bytes);
    let send = |simulate_ips: bool| -> CaptureStats {
        let options = PcapOptions { simulate_ips, ..PcapOptions::for_workers(1) };
        let mut states = PcapModule::open(&path, options).unwrap();
        assert_eq!(states[0].properties().pass_through, !simulate_ips);
        while states[0]
            .poll(&mut |burst| {
                for index in 0..burst.len() {
                    if burst.packets()[index].meta.id == 1 {
                        burst.outbox.forge(60, PortId(1), Origin::Hook).unwrap();
                    }
                    burst.judge(index, Verdict::Accept);
                }
            })
            .unwrap()
            != Poll::End
        {}
        states[0].stats()
    };
    let stats = send(false);
    assert_eq!((stats.forged, stats.forged_refused, stats.reentered, stats.accepted), (0, 1, 0, 1));
    let stats = send(true);
    assert_eq!((stats.forged, stats.forged_refused, stats.reentered, stats.accepted), (1, 0, 1, 2));
}
