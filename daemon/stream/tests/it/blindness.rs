//! Sessions of which packets passed unseen: they go on from where they are, and are held to that again.

use crate::script::{Rig, check, inline, tell};
use portcullis_flow::Direction;
use portcullis_stream::Fate;

const OPEN: &str = "> S 100 ws=7 -> syn_sent
    < SA 300 101 w=65535 ws=7 -> syn_recv
    > A 101 301 -> established
    < A 301 101 w=65535 -> established\n";

/// An open session after a time that nobody saw.
fn unseen() -> Rig {
    let mut rig = check(&inline(), OPEN);
    rig.streams.resync(rig.session.expect("a session"));
    rig
}

#[test]
fn what_moved_on_is_taken_and_inspected_from_there() {
    let mut rig = unseen();
    rig.run(
        "> A 200101 90301 \"GET /evil\" -> established reassembly_seq_gap added \"|GET /evil\"
         < A 90301 200110 w=65535 -> established reassembly_seq_gap
         > A 200110 90301 \" now\" -> established added \"GET /evil| now\"",
    );
    let summary = rig.streams.summary(rig.session.unwrap()).unwrap();
    assert!(summary.to_server.gap);
}

#[test]
fn each_side_is_believed_once() {
    let mut rig = unseen();
    rig.run(
        "> A 200101 90301 \"one\" -> established reassembly_seq_gap added \"|one\"
         > A 40000101 90301 \"two\" -> established est_packet_out_of_window invalid
         < A 90301 200104 w=65535 \"three\" -> established reassembly_seq_gap added \"|three\"
         < A 99000301 200104 w=65535 \"four\" -> established est_packet_out_of_window invalid",
    );
}

#[test]
fn what_is_sent_again_is_no_news() {
    unseen().run(
        "> A 101 301 \"old\" -> established added \"|old\"
         < A 301 104 w=65535 -> established",
    );
    let mut rig = check(&inline(), &format!("{OPEN}> A 101 301 \"old\" -> established added \"|old\""));
    rig.streams.resync(rig.session.unwrap());
    rig.run(
        "> A 101 301 \"old\" -> established pkt_retransmission added \"|old\"
         > A 200101 301 \"new\" -> established added \"|new\"",
    );
}

#[test]
fn resets_and_fins_end_it_where_it_is_now() {
    unseen().run("> R 200101 -> closed");
    unseen().run(
        "> FA 200101 90301 -> close_wait reassembly_seq_gap
         < FA 90301 200102 w=65535 -> last_ack reassembly_seq_gap
         > A 200102 90302 -> closed",
    );
}

#[test]
fn a_handshake_that_was_not_seen_is_over() {
    let mut rig = check(&inline(), "> S 100 ws=7 -> syn_sent");
    rig.streams.resync(rig.session.unwrap());
    rig.run("< A 5301 900 w=65535 \"hello\" -> established added \"|hello\"");
    let mut rig = check(&inline(), "> S 100 ws=7 -> syn_sent\n< SA 300 101 w=65535 ws=7 -> syn_recv");
    rig.streams.resync(rig.session.unwrap());
    rig.run("> A 5101 901 \"hello\" -> established reassembly_seq_gap added \"|hello\"");
}

#[test]
fn another_connection_between_the_same_ports_is_taken_as_it_is() {
    let mut rig = check(&inline(), &format!("{OPEN}> A 101 301 \"abc\" -> established added \"|abc\""));
    rig.streams.resync(rig.session.unwrap());
    rig.run(
        "> A 3000000000 2900000000 \"hello\" -> established added \"|hello\"
         < A 2900000000 3000000005 w=65535 \"you\" -> established added \"|you\"",
    );
    assert!(rig.streams.summary(rig.session.unwrap()).unwrap().to_server.gap);
}

#[test]
fn one_whose_beginning_was_not_seen_is_picked_up_if_that_is_forgiven() {
    let mut rig = Rig::new(&inline());
    let told = tell("> A 101 301 \"abc\"");
    let seen = rig.streams.packet(None, &told.segment());
    assert_eq!((seen.fate, seen.session, seen.forgiven), (Fate::Midstream, None, false));
    let seen = rig.streams.packet(None, &portcullis_stream::Segment { pick_up: true, ..told.segment() });
    assert!(seen.fate == Fate::Valid && seen.session.is_some() && seen.forgiven);
    let sent = rig.streams.summary(seen.session.unwrap()).unwrap();
    assert_eq!((sent.to_server.sent, told.direction), (4, Direction::ToServer));
}
