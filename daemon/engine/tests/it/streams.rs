//! Rules on TCP streams, judged by what got out.

use crate::rig::{CLIENT, SERVER};
use crate::rig::{Rig, ethernet, inline};
use portcullis_capture::{DropReason, Verdict};
use portcullis_engine::EngineSettings;
use portcullis_wire::decoded::TcpFlags;

const RULE: &str = r#"drop tcp any any -> any any (content:"forbidden"; sid:1;)"#;

fn tcp(to_server: bool, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let builder = match to_server {
        true => ethernet().ipv4(CLIENT, SERVER).tcp(1024, 80),
        false => ethernet().ipv4(SERVER, CLIENT).tcp(80, 1024),
    };
    builder.flags(flags).seq(seq).ack(ack).payload(payload).to_vec()
}

fn opened(isn: u32) -> Rig {
    opened_with(RULE, isn)
}

fn opened_with(rules: &str, isn: u32) -> Rig {
    opened_as(&inline(), rules, isn)
}

fn opened_as(settings: &EngineSettings, rules: &str, isn: u32) -> Rig {
    let mut rig = Rig::new(settings, rules);
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    let next = isn.wrapping_add(1);
    let handshake = [
        tcp(true, syn, isn, 0, b""),
        tcp(false, syn | ack, 500, next, b""),
        tcp(true, ack, next, 501, b""),
        tcp(false, ack, 501, next, b""),
    ];
    assert_eq!(rig.send(&handshake), [Verdict::Accept; 4]);
    rig
}

/// Pieces of the client's stream, by place; is the keyword kept from the server?
fn check(isn: u32, pieces: &[(u32, &[u8])], blocked: bool) {
    let mut rig = opened(isn);
    let data = TcpFlags::PSH | TcpFlags::ACK;
    let frame = |(at, bytes): &(u32, &[u8])| tcp(true, data, isn.wrapping_add(1 + at), 501, bytes);
    let frames: Vec<_> = pieces.iter().map(frame).collect();
    let verdicts = rig.send(&frames);
    let passed = verdicts.iter().all(|verdict| *verdict == Verdict::Accept);
    assert_eq!(passed, !blocked, "{pieces:?}: {verdicts:?}");
}

#[test]
fn a_keyword_split_over_segments_does_not_get_out() {
    for isn in [100, u32::MAX - 3] {
        check(isn, &[(0, b"for"), (3, b"bid"), (6, b"den")], true);
        check(isn, &[(6, b"den"), (3, b"bid"), (0, b"for")], true);
        check(isn, &[(3, b"bid"), (0, b"for"), (6, b"den")], true);
        check(isn, &[(0, b"forbid"), (3, b"bidden")], true);
        check(isn, &[(0, b"f"), (0, b"f"), (1, b"orbidde"), (8, b"n")], true);
        check(isn, &[(0, b"forbid"), (6, b"ten")], false);
    }
}

#[test]
fn what_is_asked_of_the_flow_does_not_keep_a_rule_from_its_streams() {
    let asked = ["flowbits:isset,seen", "flowint:n,==,1", "flow.pkts:toserver,>2", "stream_size:client,>,1"];
    for asked in asked {
        let marks = r#"alert tcp any any -> any any (content:"mark"; flowbits:set,seen; flowint:n,=,1; noalert; sid:2;)"#;
        let rules = format!("{marks}\ndrop tcp any any -> any any ({asked}; content:\"forbidden\"; sid:1;)");
        let mut rig = opened_with(&rules, 100);
        let data = TcpFlags::PSH | TcpFlags::ACK;
        let pieces = [(0, "mark"), (4, "forb"), (8, "idden")];
        let frames = pieces.map(|(at, bytes)| tcp(true, data, 101 + at, 501, bytes.as_bytes()));
        let verdicts = rig.send(&frames);
        assert!(
            matches!(verdicts[..], [Verdict::Accept, Verdict::Accept, Verdict::Drop(_)]),
            "{asked}: {verdicts:?}"
        );
    }
}

#[test]
fn what_was_sent_first_stays() {
    // What the server gets is rewritten to what was inspected.
    let mut rig = opened(100);
    let data = TcpFlags::PSH | TcpFlags::ACK;
    let verdicts = rig.send(&[tcp(true, data, 101, 501, b"forXXXden"), tcp(true, data, 104, 501, b"bid")]);
    assert_eq!(verdicts, [Verdict::Accept; 2]);
    let counters = rig.finish();
    assert_eq!((counters.ips_replaced, counters.tcp_overlap_diff_data), (1, 1));
    assert_eq!(counters.stream_reassembly_overlap_different_data, 1);
}

#[test]
fn a_packet_that_met_its_flow_s_verdict_leaves_nothing_to_the_next() {
    let mut rig = opened(100);
    let data = TcpFlags::PSH | TcpFlags::ACK;
    let stray = tcp(true, data, 0x7000_0000, 501, b"far beyond any window");
    let dropped = rig.send(&[tcp(true, data, 101, 501, b"forbidden"), stray]);
    assert!(dropped.iter().all(|verdict| matches!(verdict, Verdict::Drop(_))), "{dropped:?}");
    let datagram = ethernet().ipv4(CLIENT, SERVER).udp(53, 53).payload(b"harmless").to_vec();
    assert_eq!(rig.send(&[datagram]), [Verdict::Accept], "it has no session to be invalid in");
    assert_eq!(rig.finish().ips_drop_reason_stream_error, 0);
}

#[test]
fn what_is_invalid_in_its_session_is_dropped_unless_that_is_not_wanted() {
    let data = TcpFlags::PSH | TcpFlags::ACK;
    let stray = || tcp(true, data, 0x7000_0000, 501, b"far beyond any window");
    let evil = || tcp(true, data, 0x7000_0000, 501, b"forbidden, and far beyond");
    let good = || tcp(true, data, 101, 501, b"in its place");
    let check = |drop_invalid: bool, inline_mode: bool, expected: Verdict| {
        let mut settings = EngineSettings { stream_drop_invalid: drop_invalid, ..inline() };
        (settings.inline, settings.stream.inline) = (inline_mode, inline_mode);
        let mut rig = opened_as(&settings, RULE, 100);
        let verdicts = rig.send(&[stray(), good()]);
        assert_eq!(verdicts, [expected, Verdict::Accept], "{drop_invalid}, {inline_mode}");
        // A rule sees it all the same, and drops what it must.
        let seen = rig.send(&[evil()]);
        assert_eq!(matches!(seen[..], [Verdict::Drop(_)]), inline_mode, "{drop_invalid}: {seen:?}");
        let counters = rig.finish();
        assert_eq!(counters.ips_drop_reason_stream_error, u64::from(expected != Verdict::Accept));
        assert_eq!(counters.stream_est_packet_out_of_window, 2);
    };
    check(true, true, Verdict::Drop(DropReason::StreamError));
    check(false, true, Verdict::Accept);
    check(true, false, Verdict::Accept);
}

/// A flow has one worker, so no packet is on a wrong one: a rule about that loads, and never matches.
#[test]
fn no_packet_is_on_a_wrong_thread() {
    let rule = "alert tcp any any -> any any (stream-event:wrong_thread; sid:1;)";
    let mut rig = opened_with(rule, 100);
    let data = TcpFlags::PSH | TcpFlags::ACK;
    let _ = rig.send(&[tcp(true, data, 101, 501, b"hello"), tcp(true, data, 0x7000_0000, 501, b"stray")]);
    let counters = rig.finish();
    let told = (counters.detect_alert, counters.tcp_pkt_on_wrong_thread, counters.stream_wrong_thread);
    assert_eq!(told, (0, 0, 0));
}
