//! What reject rules send, and what is said about it.

use crate::rig::{CLIENT, Rig, SERVER, ethernet, handshake, inline, tcp, udp};
use portcullis_capture::{DropReason, Verdict};
use portcullis_engine::EngineSettings;
use portcullis_event::{AlertAction, Record};
use portcullis_wire::decoded::TcpFlags;

const RULES: Verdict = Verdict::Drop(DropReason::Rules);

fn sending() -> EngineSettings {
    EngineSettings { may_send: true, ..inline() }
}

/// Of each verdict in the records: `drop` or `alert`, and whom it says was told.
fn verdicts(rig: &mut Rig) -> Vec<(&'static str, Option<&'static str>)> {
    let verdict = |verdict: portcullis_event::PacketVerdict| {
        (verdict.action.name(), verdict.reject.map(portcullis_event::RejectTarget::name))
    };
    rig.records(|record| match record {
        Record::Alert(alert) => alert.verdict.map(verdict),
        Record::Drop(drop) => drop.verdict.map(verdict),
        _ => None,
    })
}

#[test]
fn each_reject_action_tells_whom_it_says() {
    let check = |action: &str, ports: &[u8], target: &str| {
        let rule = format!("{action} tcp any any -> any 80 (flags:S; sid:1;)");
        let mut rig = Rig::new(&sending(), &rule);
        assert_eq!(rig.send(&handshake()[..1]), [RULES], "{action}");
        let forged = rig.take_forged();
        assert_eq!(forged.iter().map(|(port, _)| *port).collect::<Vec<_>>(), ports, "{action}");
        assert_eq!(verdicts(&mut rig), [("drop", Some(target)); 2], "{action}");
        let counters = rig.counters();
        assert_eq!((counters.ips_rejected, counters.ips_blocked, counters.ips_accepted), (1, 0, 0));
        assert_eq!((counters.reject_sent, counters.reject_refused), (ports.len() as u64, 0));
        assert_eq!(counters.ips_drop_reason_rules, 1);
    };
    check("reject", &[0], "to_client");
    check("rejectsrc", &[0], "to_client");
    check("rejectdst", &[1], "to_server");
    check("rejectboth", &[0, 1], "both");
}

#[test]
fn a_connection_is_reset_at_both_ends_once() {
    let rule = r#"rejectboth tcp any any -> any 80 (flow:established; content:"secret"; sid:1;)"#;
    let mut rig = Rig::new(&sending(), rule);
    let _ = rig.send(&handshake());
    let bad = tcp(true, TcpFlags::ACK | TcpFlags::PSH, 101, 501, b"the secret");
    // The flow is dropped with it, and a retransmission gets no other answer.
    assert_eq!(rig.send(&[bad.clone(), bad]), [RULES, Verdict::Drop(DropReason::FlowDrop)]);
    let forged = rig.take_forged();
    let [(0, back), (1, onward)] = forged.as_slice() else { panic!("{forged:?}") };
    // Sequence and acknowledgement numbers, from the TCP header after 34 bytes.
    assert_eq!((&back[38..42], &back[42..46]), (&501_u32.to_be_bytes()[..], &111_u32.to_be_bytes()[..]));
    assert_eq!((&onward[38..42], &onward[42..46]), (&101_u32.to_be_bytes()[..], &501_u32.to_be_bytes()[..]));
    let counters = rig.counters();
    assert_eq!((counters.ips_rejected, counters.ips_blocked), (1, 1));
}

#[test]
fn what_cannot_be_answered_is_dropped_without_a_word() {
    let mut rig = Rig::new(&sending(), "reject ip any any -> any any (sid:1;)");
    let frames = [
        tcp(true, TcpFlags::RST, 1, 0, b""),
        ethernet().ipv4(CLIENT, [224, 1, 1, 1]).udp(1, 2).to_vec(),
        ethernet().ipv4(SERVER, CLIENT).udp(3, 4).fragment(0, true).to_vec(),
    ];
    assert_eq!(rig.send(&frames), [RULES; 3]);
    assert!(rig.take_forged().is_empty());
    assert_eq!(verdicts(&mut rig), [("drop", None); 6]);
    assert_eq!((rig.counters().ips_blocked, rig.counters().ips_rejected), (3, 0));
}

#[test]
fn nobody_is_told_where_traffic_is_only_watched() {
    // A tap says what an inline gate would have done.
    let rule = "reject udp any any -> any any (sid:1;)";
    let frame = udp((CLIENT, 1), (SERVER, 2), b"");
    let mut rig = Rig::new(&inline(), rule);
    assert_eq!(rig.send(std::slice::from_ref(&frame)), [RULES]);
    assert!(rig.take_forged().is_empty());
    assert_eq!(verdicts(&mut rig), [("drop", Some("to_client")); 2]);
    // Who only listens has rejected nothing.
    let mut rig = Rig::new(&EngineSettings::default(), rule);
    assert_eq!(rig.send(&[frame]), [Verdict::Accept]);
    assert!(rig.take_forged().is_empty());
    let shown = rig.records(|record| match record {
        Record::Alert(alert) => Some((alert.alert.action, alert.verdict.unwrap().reject)),
        _ => None,
    });
    assert_eq!(shown, [(AlertAction::Allowed, None)]);
    assert_eq!((rig.counters().ips_accepted, rig.counters().ips_rejected), (1, 0));
}
