//! Payload in order, out of order, missing, too much.

use crate::script::{Rig, check, ids, inline, tell};
use portcullis_flow::Direction;
use portcullis_stream::{Fate, StreamSettings};

const OPEN: &str = "> S 100 -> syn_sent
    < SA 300 101 -> syn_recv
    > A 101 301 -> established\n";

fn open(settings: &StreamSettings, rest: &str) -> Rig {
    check(settings, &format!("{OPEN}{rest}"))
}

#[test]
fn out_of_order_inline() {
    open(
        &inline(),
        "> A 105 301 \"EFGH\" -> established added \"|EFGH\"
         > A 113 301 \"MNOP\" -> established added \"|MNOP\"
         > A 101 301 \"ABCD\" -> established pkt_retransmission added \"|ABCDEFGH\"
         > A 109 301 \"IJKL\" -> established pkt_retransmission added \"ABCDEFGH|IJKLMNOP\"
         > A 117 301 \"Q\" -> established added \"ABCDEFGHIJKLMNOP|Q\"",
    );
}

#[test]
fn rules_look_back_as_far_as_they_need() {
    let mut rig = Rig::new(&inline());
    rig.streams.set_reach(Some(4));
    rig.run(&format!(
        "{OPEN}> A 101 301 \"abcdef\" -> established added \"|abcdef\"
         > A 107 301 \"ghi\" -> established added \"def|ghi\"
         > A 120 301 \"xyz\" -> established added \"|xyz\"
         > A 110 301 \"0123456789\" -> established pkt_retransmission added \"ghi|0123456789xyz\""
    ));
    // No rule looks at streams: nothing is kept, and packets are to be inspected by themselves.
    let mut rig = Rig::new(&inline());
    rig.streams.set_reach(None);
    rig.run(&format!(
        "{OPEN}> A 101 301 \"abcdef\" -> established
         > A 107 301 \"ghi\" -> established"
    ));
    assert_eq!(rig.stats().segment_from_cache + rig.stats().segment_from_pool, 0);
    // Later one does.
    rig.streams.set_reach(Some(4));
    rig.run(
        "> A 110 301 \"jkl\" -> established added \"|jkl\"
         > A 113 301 \"mno\" -> established added \"jkl|mno\"",
    );
}

#[test]
fn what_was_acknowledged_before_it_came_is_inspected_whole() {
    let mut rig = open(
        &inline(),
        "< AF 2344 101 \"end\" -> fin_wait1 added \"|end\"
         > A 101 5326 -> fin_wait2 reassembly_seq_gap",
    );
    // That FIN did not count, and what is beyond it was acknowledged already.
    let late = tell("< A 2338 101 x=2805");
    let seen = rig.packet(&late);
    assert!(seen.added && seen.fate == Fate::Valid);
    let session = rig.session.unwrap();
    let window = rig.streams.window(session, Direction::ToClient, &late.payload).unwrap();
    assert_eq!((window.new_from, window.offset, window.bytes.len()), (0, 2037, 2805));
    // With the next segment it is not wanted any more.
    let kept = rig.stats().reassembly_memuse;
    let _ = rig.packet(&tell("> A 101 5326"));
    assert!(rig.stats().reassembly_memuse < kept);
}

#[test]
fn what_will_be_dropped_is_not_taken_in() {
    open(
        &inline(),
        "> A 101 301 \"abc\" lost -> established
         > A 101 301 \"abc\" -> established pkt_retransmission added \"|abc\"",
    );
}

#[test]
fn acknowledged_data_is_inspected_by_chunks() {
    let mut settings = ids();
    settings.reassembly.toserver_chunk_size = 8;
    let mut rig = open(
        &settings,
        "> A 101 301 \"abcd\" -> established added
         > A 105 301 \"efgh\" -> established added
         < A 301 108 -> established
         > A 109 301 \"ijkl\" -> established added
         < A 301 109 -> established
         > A 113 301 -> established \"|abcdefgh\"
         < A 301 113 -> established
         > A 113 301 \"mn\" -> established added",
    );
    // At the end the rest, acknowledged or not.
    assert_eq!(rig.rest(Direction::ToServer), ["\"bcdefgh|ijklmn\""]);
    assert_eq!(rig.rest(Direction::ToServer), [""; 0]);
    assert_eq!(rig.stats().pseudo, 1);
}

#[test]
fn a_session_about_to_end_does_not_wait_for_a_chunk() {
    open(
        &ids(),
        "> A 101 301 \"abcd\" -> established added
         < A 301 105 -> established
         > FA 105 301 -> close_wait \"|abcd\"",
    );
}

#[test]
fn gaps_that_are_acknowledged() {
    let mut rig = open(
        &ids(),
        "> A 101 301 \"VERY\" -> established added
         > A 109 301 \"DATA\" -> established added
         < A 301 113 -> established",
    );
    assert_eq!(rig.rest(Direction::ToServer), ["\"|VERY\"", "\"|DATA\""]);
    assert_eq!(rig.stats().reassembly_gap, 1);
    assert!(rig.streams.summary(rig.session.unwrap()).unwrap().to_server.gap);
    let mut rig = open(
        &ids(),
        "> A 105 301 \"GOOD\" -> established added
         > A 109 301 \"DATA\" -> established added
         < A 301 113 -> established",
    );
    assert_eq!(rig.rest(Direction::ToServer), ["\"|GOODDATA\""]);
    // Inline.
    open(
        &inline(),
        "> A 101 301 \"VERY\" -> established added \"|VERY\"
         > A 109 301 \"DATA\" -> established added \"|DATA\"
         < A 301 113 -> established reassembly_seq_gap
         > A 113 301 \"more\" -> established added \"DATA|more\"",
    );
}

#[test]
fn nothing_beyond_the_depth() {
    let mut settings = inline();
    settings.reassembly.depth = 10;
    settings.bypass = true;
    let rig = open(
        &settings,
        "> A 101 301 \"01234567\" -> established added \"|01234567\"
         > A 109 301 \"89ab\" -> established reassembly_depth_reached added \"01234567|89\"
         > A 113 301 \"cdef\" -> established
         < A 301 117 \"01234567890\" -> established reassembly_depth_reached added bypass \"|0123456789\"",
    );
    assert_eq!(rig.stats().stream_depth_reached, 2);
}

#[test]
fn memory_goes_back() {
    let mut rig = open(&inline(), "> A 101 301 \"abc\" -> established added \"|abc\"");
    let stats = rig.stats();
    assert!(stats.reassembly_memuse > 0);
    assert_eq!((stats.active_sessions, stats.sessions), (1, 1));
    rig.streams.release(rig.session.take().unwrap());
    let stats = rig.stats();
    assert_eq!((stats.reassembly_memuse, stats.active_sessions), (0, 0));
    // What is acknowledged is kept only as far as rules look back and retransmissions go.
    let mut rig = open(&inline(), "< A 301 101 w=65535 -> established");
    for number in 0..1000_u32 {
        let seq = 101 + number * 1000;
        let _ = rig.packet(&tell(&format!("> A {seq} 301 x=1000")));
        let _ = rig.packet(&tell(&format!("< A 301 {} w=65535", seq + 1000)));
    }
    assert!(rig.stats().reassembly_memuse < 8 * 1024, "{}", rig.stats().reassembly_memuse);
}

#[test]
fn data_of_a_syn_that_nobody_answered_is_not_inspected_again() {
    let rest = |trace: &str| check(&StreamSettings::default(), trace).rest(Direction::ToServer);
    assert_eq!(rest("> S 100 \"abc\" -> syn_sent"), [""; 0]);
    assert_eq!(rest("> S 100 \"abc\" -> syn_sent\n< RA 0 104 -> closed"), [""; 0]);
    assert_eq!(rest("> S 100 \"abc\" tfo -> syn_sent added"), ["\"|abc\""]);
    // Its receiver took it, so that it is a part of the stream.
    assert_eq!(
        rest(
            "> S 100 \"abc\" -> syn_sent
             < SA 300 104 -> syn_recv
             > A 104 301 \"def\" -> established added"
        ),
        ["\"|abcdef\""]
    );
}
