//! Fragments: what completes a datagram is judged by the whole, and what a receiver could put together is
//! what was judged.

use crate::rig::{CLIENT, Rig, SERVER, ethernet, handshake, inline};
use portcullis_capture::{DropReason, Verdict};
use portcullis_engine::{EngineSettings, ExceptionPolicies, ExceptionPolicy, Faults};
use portcullis_event::{PacketSource, Record};
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;
use portcullis_wire::{Decoder, LinkType};

const INNER_DROP: Verdict = Verdict::Drop(DropReason::TunnelPacketDrop);
const DEFRAG_ERROR: Verdict = Verdict::Drop(DropReason::DefragError);
const KEYWORD: &[u8] = b"forbidden fruit";
const RULE: &str = r#"drop udp any any -> any 53 (content:"forbidden fruit"; sid:1;)"#;
/// The same words, but not in a row.
const BENIGN: &[u8] = b"fruit forbidden";

fn datagram(version: u8, payload: &[u8]) -> PacketBuilder<'_> {
    let builder = match version {
        4 => ethernet().ipv4(CLIENT, SERVER),
        _ => ethernet().ipv6([0x20; 16], [0x30; 16]),
    };
    builder.ip_id(77).udp(1000, 53).payload(payload)
}

/// Every order of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let longer = |order: &Vec<usize>| {
        let order = order.clone();
        (0..count).map(move |place| {
            let mut order = order.clone();
            order.insert(place, count - 1);
            order
        })
    };
    shorter.iter().flat_map(longer).collect()
}

/// What receivers may make of the fragments that went out: those that take what came first, and those that
/// take what came last. Nothing where a part is missing.
fn received(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let made = |first: bool| {
        let mut bytes: Vec<Option<u8>> = Vec::new();
        let mut end = None;
        for frame in frames {
            let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, frame);
            let Some(fragment) = decoded.fragment else { continue };
            let start = usize::try_from(fragment.offset).unwrap();
            let data = decoded.ip_payload.of(frame);
            bytes.resize(bytes.len().max(start + data.len()), None);
            for (place, byte) in bytes[start..].iter_mut().zip(data) {
                if place.is_none() || !first {
                    *place = Some(*byte);
                }
            }
            if !fragment.more {
                end = Some(start + data.len());
            }
        }
        bytes.get(..end?)?.iter().copied().collect::<Option<Vec<u8>>>()
    };
    [made(true), made(false)].into_iter().flatten().collect()
}

/// Sends frames and returns those that went out, with the verdicts.
fn through(rig: &mut Rig, frames: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<Verdict>) {
    let verdicts = rig.send(frames);
    let accepted = frames.iter().zip(&verdicts).filter(|(_, verdict)| **verdict == Verdict::Accept);
    (accepted.map(|(frame, _)| frame.clone()).collect(), verdicts)
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn a_split_keyword_does_not_get_through_in_any_order() {
    for version in [4, 6] {
        let fragments = datagram(version, KEYWORD).to_fragments(8);
        let harmless = datagram(version, BENIGN).to_fragments(8);
        // The UDP header, and the keyword in two.
        assert_eq!(fragments.len(), 3);
        for order in orders(3) {
            let frames: Vec<_> = order.iter().map(|place| fragments[*place].clone()).collect();
            let mut rig = Rig::new(&inline(), RULE);
            let (out, verdicts) = through(&mut rig, &frames);
            assert_eq!(verdicts, [Verdict::Accept, Verdict::Accept, INNER_DROP], "{order:?}");
            assert!(received(&out).is_empty());
            // Nor does it when it is sent again.
            let (again, verdicts) = through(&mut rig, &frames);
            assert_eq!(verdicts, [DEFRAG_ERROR; 3]);
            assert!(again.is_empty());
            let counters = rig.finish();
            assert_eq!((counters.ips_accepted, counters.ips_blocked, counters.detect_alert), (2, 4, 1));
            assert_eq!((counters.ips_drop_reason_defrag_error, counters.defrag_late), (3, 3));
            assert_eq!(counters.ips_drop_reason_tunnel_packet_drop, 1);
            let reassembled = counters.defrag_ipv4_reassembled + counters.defrag_ipv6_reassembled;
            assert_eq!((reassembled, counters.flow_total, counters.decoder_udp), (1, 1, 1));

            let frames: Vec<_> = order.iter().map(|place| harmless[*place].clone()).collect();
            let mut rig = Rig::new(&inline(), RULE);
            let (out, _) = through(&mut rig, &frames);
            assert_eq!(out, frames);
            let whole = received(&out);
            assert!(!whole.is_empty() && whole.iter().all(|whole| whole.ends_with(BENIGN)));
        }
    }
}

/// Ways to make a receiver see something else than what was judged: none may get the keyword through,
/// whatever the receiver does with overlaps.
#[test]
fn overlaps_do_not_hide_a_keyword() {
    for version in [4, 6] {
        let real = datagram(version, KEYWORD).to_fragments(8);
        let chaff = datagram(version, &[b'x'; KEYWORD.len()]).to_fragments(8);
        let short = datagram(version, KEYWORD).to_fragments(16);
        let lists: [Vec<&Vec<u8>>; 9] = [
            // Chaff first, then the real thing, and the other way round.
            vec![&real[0], &chaff[1], &real[1], &real[2]],
            vec![&real[0], &real[1], &chaff[1], &real[2]],
            vec![&real[0], &real[2], &chaff[1], &real[1]],
            // One fragment over two.
            vec![&real[0], &chaff[1], &short[1], &short[0]],
            vec![&short[1], &real[1], &chaff[0], &real[0], &real[2]],
            // The end twice.
            vec![&chaff[2], &real[0], &real[1], &real[2]],
            vec![&real[0], &chaff[2], &real[1], &real[2]],
            // After the datagram is whole, a part of it again.
            vec![&real[0], &chaff[1], &real[2], &real[1], &real[0], &real[2]],
            vec![&real[1], &real[2], &real[0], &real[0], &real[1], &real[2]],
        ];
        for (number, list) in lists.iter().enumerate() {
            let frames: Vec<Vec<u8>> = list.iter().map(|frame| (*frame).clone()).collect();
            let mut rig = Rig::new(&inline(), RULE);
            let (out, _) = through(&mut rig, &frames);
            for whole in received(&out) {
                assert!(!holds(&whole, KEYWORD), "IPv{version}, list {number}");
            }
        }
    }
}

/// Fragments that die on their way to the receiver, which then waits for others in their place.
#[test]
fn a_fragment_that_dies_on_its_way_is_not_replaced() {
    for version in [4, 6] {
        let real = datagram(version, KEYWORD).to_fragments(8);
        let chaff = datagram(version, &[b'x'; KEYWORD.len()]).ttl(1).to_fragments(8);
        let frames = [&real[0], &chaff[1], &real[2], &real[1]].map(Clone::clone);
        let mut rig = Rig::new(&inline(), RULE);
        let (out, verdicts) = through(&mut rig, &frames);
        assert_eq!(verdicts[3], DEFRAG_ERROR);
        let arrived: Vec<Vec<u8>> = out.into_iter().filter(|frame| *frame != chaff[1]).collect();
        assert!(received(&arrived).is_empty());
    }
}

#[test]
fn faulty_fragments_are_dropped_and_told() {
    let rules = r#"
        alert pkthdr any any -> any any (decode-event:ipv4.frag_overlap; sid:1;)
        alert pkthdr any any -> any any (decode-event:ipv4.frag_pkt_too_large; sid:2;)
        alert pkthdr any any -> any any (decode-event:ipv6.frag_overlap; sid:3;)
    "#;
    let part = |offset: u16, more: bool, data: &[u8]| {
        let builder = ethernet().ipv4(CLIENT, SERVER).ip_id(5).protocol(17);
        builder.fragment(offset, more).payload(data).to_vec()
    };
    let frames = [
        part(0, true, &[1; 24]),
        part(16, true, &[2; 24]),
        part(65_528, false, &[3; 100]),
        part(64, true, &[]),
    ];
    let mut rig = Rig::new(&inline(), rules);
    assert_eq!(rig.send(&frames), [Verdict::Accept, DEFRAG_ERROR, DEFRAG_ERROR, DEFRAG_ERROR]);
    let shown = rig.records(|record| match record {
        Record::Alert(alert) => Some(format!("alert {}", alert.alert.sid)),
        Record::Drop(drop) => Some(drop.reason.name().to_owned()),
        _ => None,
    });
    assert_eq!(shown, ["alert 1", "defrag error", "alert 2", "defrag error", "defrag error"]);
    let counters = rig.finish();
    assert_eq!((counters.defrag_overlaps_refused, counters.defrag_malformed), (1, 2));
    // Watching, they pass; only the events are told.
    let mut rig = Rig::new(&EngineSettings::default(), rules);
    assert_eq!(rig.send(&frames), [Verdict::Accept; 4]);
    assert_eq!(rig.finish().detect_alert, 2);
}

/// The whole is a packet of its flow, the fragments are not.
#[test]
fn the_whole_is_what_its_flow_gets() {
    let rule = r#"alert tcp any any -> any 80 (flow:established,to_server; content:"fruit"; sid:1;)"#;
    let mut rig = Rig::new(&inline(), rule);
    let _ = rig.send(&handshake());
    let segment = ethernet().ipv4(CLIENT, SERVER).ip_id(9).tcp(40_000, 80);
    let segment = segment.flags(TcpFlags::ACK | TcpFlags::PSH).seq(101).ack(501).payload(KEYWORD);
    assert_eq!(rig.send(&segment.to_fragments(16)), [Verdict::Accept; 3]);
    let counters = rig.finish();
    assert_eq!((counters.flow_total, counters.decoder_pkts, counters.decoder_tcp), (1, 6, 4));
    assert_eq!((counters.decoder_ethernet, counters.decoder_ipv4), (6, 7));
    assert_eq!((counters.defrag_ipv4_fragments, counters.defrag_ipv4_reassembled), (3, 1));
    let shown = rig.records(|record| match record {
        Record::Alert(alert) => {
            assert_eq!(alert.common.pkt_src, Some(PacketSource::Defrag));
            Some((u64::from(alert.common.source_port), alert.common.pcap_cnt.unwrap()))
        }
        Record::Flow(flow) => Some((flow.counts.pkts_toserver, flow.counts.bytes_toserver)),
        _ => None,
    });
    // The number of the fragment that completed it; and its length as a frame of its own.
    let lengths = u64::try_from(54 + 54 + 54 + KEYWORD.len()).unwrap();
    assert_eq!(shown, [(40_000, 6), (3, lengths)]);
}

/// Fragments of a tunnel's packet, and fragments in a tunnel.
#[test]
fn fragments_and_tunnels() {
    let gre = |packet: &[u8]| [&[0, 0, 8, 0], packet].concat();
    let outer = || PacketBuilder::ethernet([6; 6], [8; 6]).ipv4([192, 0, 2, 1], [192, 0, 2, 2]).ip_id(3);
    let whole = datagram(4, KEYWORD).to_vec();
    let payload = gre(&whole[14..]);
    let mut rig = Rig::new(&inline(), RULE);
    let outside = outer().protocol(47).payload(&payload).to_fragments(16);
    let verdicts = rig.send(&outside);
    assert_eq!(verdicts, [Verdict::Accept, Verdict::Accept, INNER_DROP]);

    let parts = datagram(4, KEYWORD).to_fragments(8);
    let inside: Vec<Vec<u8>> =
        parts.iter().map(|part| outer().protocol(47).payload(&gre(&part[14..])).to_vec()).collect();
    let mut rig = Rig::new(&inline(), RULE);
    assert_eq!(rig.send(&inside), [Verdict::Accept, Verdict::Accept, INNER_DROP]);

    // Both at once: the last fragment of the outer packet completes the last one of the inner.
    let mut rig = Rig::new(&inline(), RULE);
    assert_eq!(rig.send(&inside[..2]), [Verdict::Accept; 2]);
    let carried = gre(&parts[2][14..]);
    let last = outer().protocol(47).payload(&carried).ip_id(4);
    assert_eq!(rig.send(&last.to_fragments(16)), [Verdict::Accept, INNER_DROP]);
}

#[test]
fn no_memory_is_decided_by_policy() {
    let check =
        |policy: ExceptionPolicy, inline_mode: bool, expected: Verdict, counter: &str, alerts: u64| {
            let policies = ExceptionPolicies { defrag_memcap: policy, ..ExceptionPolicies::default() };
            let faults = Faults { defrag_memcap: Some(2), ..Faults::default() };
            let mut settings = EngineSettings { policies, faults, inline: inline_mode, ..inline() };
            settings.defrag.inline = inline_mode;
            let rules = "alert pkthdr any any -> any any (decode-event:ipv4.frag_ignored; sid:1;)";
            let mut rig = Rig::new(&settings, rules);
            let frames = datagram(4, KEYWORD).to_fragments(8);
            assert_eq!(rig.send(&frames), [Verdict::Accept, expected, Verdict::Accept], "{policy:?}");
            let counters = rig.counters();
            let counted: Vec<_> = counters
                .iter()
                .filter(|(name, value)| name.starts_with("exception_policy.") && *value > 0)
                .map(|(name, value)| (name.trim_start_matches("exception_policy.defrag.memcap."), value))
                .collect();
            let wanted: Vec<_> = Some((counter, 1)).filter(|_| !counter.is_empty()).into_iter().collect();
            assert_eq!(counted, wanted, "{policy:?}");
            assert_eq!(counters.detect_alert, alerts, "{policy:?}");
            assert_eq!(counters.ips_drop_reason_defrag_memcap, u64::from(expected != Verdict::Accept));
        };
    use ExceptionPolicy as Policy;
    const MEMCAP: Verdict = Verdict::Drop(DropReason::DefragMemcap);
    check(Policy::Ignore, true, Verdict::Accept, "", 1);
    check(Policy::PassPacket, true, Verdict::Accept, "pass_packet", 0);
    check(Policy::DropPacket, true, MEMCAP, "drop_packet", 0);
    check(Policy::DropFlow, true, MEMCAP, "drop_packet", 0);
    check(Policy::Bypass, true, Verdict::Accept, "", 1);
    check(Policy::Reject, true, MEMCAP, "reject", 0);
    check(Policy::DropPacket, false, Verdict::Accept, "", 1);
}

/// A rejected datagram is answered, as far as one that was not in fragments would be.
#[test]
fn a_rejected_datagram_is_answered() {
    let rule = r#"reject tcp any any -> any 80 (content:"fruit"; sid:1;)"#;
    let mut rig = Rig::new(&EngineSettings { may_send: true, ..inline() }, rule);
    let segment = ethernet().ipv4(CLIENT, SERVER).ip_id(9).tcp(40_000, 80);
    let segment = segment.flags(TcpFlags::ACK | TcpFlags::PSH).seq(101).ack(501).payload(KEYWORD);
    assert_eq!(rig.send(&segment.to_fragments(24)).last(), Some(&INNER_DROP));
    let forged = rig.take_forged();
    assert_eq!(forged.len(), 1);
    let answer = Decoder::default().decode(LinkType::Ethernet, None, false, &forged[0].1);
    assert_eq!((answer.invalid, answer.source_port, answer.destination_port), (None, 80, 40_000));
}
