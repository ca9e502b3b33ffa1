use super::*;

/// Plays segments, given as `c:SA 100/300+5`: sender (c or s), flags, sequence number,
/// acknowledgement number, bytes of data; and returns the states after each.
fn play(midstream: bool, segments: &[&str]) -> (Session, Vec<&'static str>) {
    let mut session = Session::default();
    let mut states = Vec::new();
    for segment in segments {
        let (direction, tcp, payload) = parse(segment);
        session.observe(direction, &tcp, payload, midstream);
        states.push(session.state().name());
    }
    (session, states)
}

fn parse(segment: &str) -> (Direction, Tcp, usize) {
    let (sender, rest) = segment.split_once(':').expect("a sender");
    let (flags, numbers) = rest.split_once(' ').expect("flags");
    let (seq, rest) = numbers.split_once('/').expect("a sequence number");
    let (ack, payload) = rest.split_once('+').unwrap_or((rest, "0"));
    let bit = |flag| match flag {
        'F' => TcpFlags::FIN,
        'S' => TcpFlags::SYN,
        'R' => TcpFlags::RST,
        'P' => TcpFlags::PSH,
        'A' => TcpFlags::ACK,
        'E' => TcpFlags::ECN,
        'C' => TcpFlags::CWR,
        _ => 0,
    };
    let flags = flags.chars().map(bit).fold(0, |all, bit| all | bit);
    let number = |text: &str| text.parse().expect("a number");
    let tcp = Tcp { seq: number(seq), ack: number(ack), flags: TcpFlags(flags), ..Tcp::default() };
    let direction = if sender == "c" { Direction::ToServer } else { Direction::ToClient };
    (direction, tcp, payload.parse().expect("a length"))
}

fn check(segments: &[&str], expected: &[&str]) {
    assert_eq!(play(false, segments).1, expected, "{segments:?}");
}

const SHAKEN: [&str; 3] = ["c:S 100/0", "s:SA 300/101", "c:A 101/301"];

fn check_after_handshake(segments: &[&str], expected: &[&str]) {
    let all: Vec<&str> = SHAKEN.iter().chain(segments).copied().collect();
    let expected: Vec<&str> =
        ["syn_sent", "syn_recv", "established"].iter().chain(expected).copied().collect();
    check(&all, &expected);
}

#[test]
fn handshakes() {
    check_after_handshake(&["c:PA 101/301+10", "s:A 301/111"], &["established", "established"]);
    // ECN; a SYN sent again, also with another number; a SYN/ACK sent again.
    check(&["c:SEC 100/0", "c:SEC 100/0", "s:SAE 300/101"], &["syn_sent", "syn_sent", "syn_recv"]);
    check(&["c:S 100/0", "c:S 900/0", "s:SA 300/901"], &["syn_sent", "syn_sent", "syn_recv"]);
    check(&["c:S 100/0", "s:SA 300/101", "s:SA 300/101"], &["syn_sent", "syn_recv", "syn_recv"]);
    // Sequence numbers at the end of their circle.
    let wrapping = ["c:S 4294967295/0", "s:SA 4294967295/0", "c:A 0/0"];
    check(&wrapping, &["syn_sent", "syn_recv", "established"]);
    // The acknowledgement was lost before us: later ones show it.
    check(&["c:S 100/0", "s:SA 300/101", "c:PA 101/301+5"], &["syn_sent", "syn_recv", "established"]);
    check(&["c:S 100/0", "s:SA 300/101", "s:A 301/106"], &["syn_sent", "syn_recv", "established"]);
    // Both open at once.
    let both = ["c:S 100/0", "s:S 300/0", "c:SA 100/301", "s:SA 300/101"];
    check(&both, &["syn_sent", "syn_recv", "established", "established"]);
}

#[test]
fn what_is_no_handshake() {
    check(&["c:S 100/0", "s:SA 300/999"], &["syn_sent", "syn_sent"]);
    check(&["c:S 100/0", "s:SA 300/101", "c:A 101/299"], &["syn_sent", "syn_recv", "syn_recv"]);
    check(&["c:S 100/0", "s:A 300/101"], &["syn_sent", "syn_sent"]);
    check(&["s:SA 300/101", "c:A 101/301"], &["none", "none"]);
    for first in ["c:A 5/6", "c:PA 5/6+7", "c:F 5/0", "c:FA 5/6", "c:R 5/0", "c:SF 5/0", "c:SR 5/0", "c: 5/0"]
    {
        let (session, states) = play(false, &[first]);
        assert_eq!((states, session.summary().session), (vec!["none"], false), "{first}");
        assert_eq!(session.summary().flags(), TcpFlags(0), "no session, no flags");
    }
}

#[test]
fn the_client_closes_first() {
    check_after_handshake(
        &["c:FA 101/301", "s:A 301/102", "s:FA 301/102", "c:A 102/302"],
        &["close_wait", "close_wait", "last_ack", "closed"],
    );
    check_after_handshake(
        &["c:FA 101/301+9", "s:FA 301/111", "c:A 111/301"],
        &["close_wait", "last_ack", "last_ack"],
    );
}

#[test]
fn the_server_closes_first() {
    check_after_handshake(
        &["s:FA 301/101", "c:A 101/302", "c:FA 101/302", "s:A 302/102"],
        &["fin_wait1", "fin_wait2", "time_wait", "closed"],
    );
    check_after_handshake(
        &["s:FA 301/101", "c:FA 101/302", "s:A 302/102"],
        &["fin_wait1", "time_wait", "closed"],
    );
    check_after_handshake(
        &["s:FA 301/101", "c:FA 101/301", "c:A 102/302", "s:A 302/102"],
        &["fin_wait1", "closing", "time_wait", "closed"],
    );
    check_after_handshake(
        &["s:FA 301/101+50", "c:A 101/302", "s:FA 301/101+50", "c:A 101/352"],
        &["fin_wait1", "fin_wait1", "fin_wait1", "fin_wait2"],
    );
}

#[test]
fn resets() {
    check_after_handshake(&["s:R 301/0", "c:A 101/301", "c:FA 101/301"], &["closed"; 3]);
    check(&["c:S 100/0", "s:RA 0/101"], &["syn_sent", "closed"]);
    check(&["c:S 100/0", "s:RA 0/55", "s:R 0/0"], &["syn_sent"; 3]);
    check(&["c:S 100/0", "c:R 101/0"], &["syn_sent", "closed"]);
    check(&["c:S 100/0", "s:SA 300/101", "c:R 101/0"], &["syn_sent", "syn_recv", "closed"]);
    check(&["c:S 100/0", "s:SA 300/101", "s:R 301/0"], &["syn_sent", "syn_recv", "closed"]);
    // Ten bytes were sent; the server has or has not acknowledged them.
    check_after_handshake(&["c:PA 101/301+10", "c:R 111/0"], &["established", "closed"]);
    check_after_handshake(&["c:PA 101/301+10", "c:R 101/0"], &["established", "closed"]);
    check_after_handshake(&["c:PA 101/301+10", "s:A 301/111", "c:R 101/0"], &["established"; 3]);
    // After a FIN.
    check_after_handshake(&["c:FA 101/301", "c:RA 102/301"], &["close_wait", "closed"]);
}

#[test]
fn a_reset_that_its_receiver_ignores_is_ignored() {
    for reset in ["c:R 100/0", "c:R 102/0", "c:RA 5000/301", "s:R 300/0", "s:RA 302/101"] {
        check_after_handshake(&[reset, "c:A 101/301"], &["established", "established"]);
    }
    check(&["c:S 100/0", "c:R 100/0", "c:R 5/0"], &["syn_sent"; 3]);
    check(&["c:S 100/0", "s:SA 300/101", "s:R 300/0"], &["syn_sent", "syn_recv", "syn_recv"]);
    assert!(!play(false, &["c:S 100/0", "c:R 5/0"]).0.is_replaced_by(&parse("c:S 200/0").1, false, false));
}

#[test]
fn data_in_the_syn() {
    check(&["c:S 100/0+20", "s:SA 300/121", "c:A 121/301"], &["syn_sent", "syn_recv", "established"]);
    check(&["c:S 100/0+20", "s:SA 300/101", "c:A 101/301+20"], &["syn_sent", "syn_recv", "established"]);
    check(&["c:S 100/0+20", "s:RA 0/121"], &["syn_sent", "closed"]);
    check(&["c:S 100/0+20", "s:SA 300/122", "s:RA 0/122"], &["syn_sent"; 3]);
}

#[test]
fn midstream() {
    assert_eq!(
        play(true, &["c:PA 50/60+5", "s:FA 60/55", "c:A 55/61"]).1,
        ["established", "fin_wait1", "fin_wait2",]
    );
    assert_eq!(play(true, &["s:SA 300/101", "c:A 101/301"]).1, ["syn_recv", "established"]);
    assert_eq!(
        play(true, &["c:A 50/60", "c:R 51/0", "s:R 60/0"]).1,
        ["established", "established", "closed"]
    );
    assert_eq!(play(true, &["c:A 50/60", "c:R 50/0"]).1, ["established", "closed"]);
    assert_eq!(play(true, &["c:R 5/0", "c: 5/0"]).1, ["none", "none"]);
    let (_, syn_ack, _) = parse("s:SA 300/101");
    assert_eq!(Session::first_direction(&syn_ack, true), Direction::ToClient);
    assert_eq!(Session::first_direction(&syn_ack, false), Direction::ToServer);
}

#[test]
fn flags_are_remembered_by_direction() {
    let summary = play(false, &SHAKEN).0.summary();
    assert_eq!((summary.flags_ts.0, summary.flags_tc.0, summary.flags().0), (0x12, 0x12, 0x12));
    let summary = play(false, &["c:SEC 1/0", "s:RA 0/2"]).0.summary();
    assert_eq!((summary.flags_ts.0, summary.flags_tc.0, summary.flags().0), (0xc2, 0x14, 0xd6));
}

#[test]
fn reuse_needs_a_new_number_and_an_old_session() {
    let replaced = |before: &[&str], segment: &str, midstream| {
        play(midstream, before).0.is_replaced_by(&parse(segment).1, midstream, false)
    };
    let closed = ["c:S 100/0", "c:R 101/0"];
    assert!(replaced(&closed, "c:S 200/0", false));
    assert!(!replaced(&closed, "c:S 100/0", false), "the same number is the same SYN sent again");
    assert!(!replaced(&closed, "c:A 200/0", false));
    assert!(!replaced(&closed, "s:SA 900/201", false));
    assert!(!replaced(&SHAKEN, "c:S 200/0", false), "an established session is not replaced");
    assert!(!replaced(&["c:S 100/0"], "c:S 200/0", false));
    assert!(replaced(&["c:A 5/6"], "c:S 200/0", false), "there is no session");
    let last_ack: Vec<&str> = SHAKEN.iter().chain(&["c:FA 101/301", "s:FA 301/102"]).copied().collect();
    assert!(replaced(&last_ack, "c:S 200/0", false));
    assert!(replaced(&["c:R 5/0"], "s:SA 900/201", true));
}

#[test]
fn states_are_named_and_ordered_as_in_suricata() {
    assert!(TcpState::ALL.is_sorted());
    assert!(TcpState::ALL.iter().enumerate().all(|(index, state)| *state as usize == index));
    let names = TcpState::ALL.map(TcpState::name).join(" ");
    let expected = "none syn_sent syn_recv established fin_wait1 fin_wait2 time_wait last_ack close_wait \
                    closing closed";
    assert_eq!(names, expected);
}
