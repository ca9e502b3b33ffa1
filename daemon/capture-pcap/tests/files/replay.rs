//! A file through the packet module.

use crate::common::{Capture, Expected, every_variant, file, read_all};
use portcullis_capture::outbox::Origin;
use portcullis_capture::{CaptureStats, PacketModule, Poll, PortId, Verdict, WorkerId};
use portcullis_capture_pcap::{PcapError, PcapModule, PcapOptions};
use portcullis_wire::Timestamp;
use std::path::Path;

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

/// What one worker is lent.
fn lent(path: &Path) -> (Vec<Expected>, Option<PcapError>) {
    let mut module = match PcapModule::open(path, PcapOptions::for_workers(1)) {
        Ok(mut states) => states.remove(0),
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut packets = Vec::new();
    loop {
        let polled = module.poll(&mut |burst| {
            for packet in burst.packets() {
                packets.push(Expected {
                    id: packet.meta.id,
                    nanos: packet.meta.timestamp.as_nanos(),
                    wire_length: packet.meta.wire_length,
                    link: packet.meta.link,
                    bytes: packet.bytes().to_vec(),
                });
            }
        });
        match polled {
            Ok(Poll::End) => return (packets, None),
            Ok(_) => {}
            Err(error) => return (packets, Some(error)),
        }
    }
}

/// One worker is lent frames where they were read; the reader copies them.
fn check_alike(path: &Path) {
    let ((lent, fault), (read, other)) = (lent(path), read_all(path));
    assert_eq!(lent, read);
    assert_eq!(fault.map(|error| error.to_string()), other.map(|error| error.to_string()));
}

#[test]
fn what_is_lent_where_it_lies_is_what_a_reader_copies() {
    for (_, capture, _) in every_variant() {
        for cut in 0..=capture.bytes.len() {
            let (_folder, path) = file(&capture.bytes[..cut]);
            check_alike(&path);
        }
    }
}

#[test]
fn a_capture_of_many_buffers_is_lent_whole() {
    let mut capture = Capture::classic(false, 0xa1b2_c3d4, 1);
    let large: Vec<u8> = (0..=255).cycle().take(262_144).collect();
    for n in 0..4_000 {
        let length = if n % 1000 == 7 { large.len() } else { usize::try_from(n).unwrap() % 1500 };
        capture.record(n, 1, &large[..length], 262_144, 0);
    }
    let (_folder, path) = file(&capture.bytes);
    check_alike(&path);
    // A record that claims too much, after all of these.
    let mut damaged = capture.bytes.clone();
    damaged.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 0, 0, 0, 0, 0, 0]);
    std::fs::write(&path, damaged).unwrap();
    check_alike(&path);
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
