//! Overlapping segments: inline the first data wins and the rest is rewritten; else the receiver's
//! system decides.

use crate::script::{check, ids, inline};
use portcullis_flow::Direction;
use portcullis_stream::StreamSettings;
use portcullis_wire::{Network, NetworkMap, TargetOs};

const OPEN: &str = "> S 100 -> syn_sent
    < SA 300 101 -> syn_recv
    > A 101 301 -> established\n";

#[test]
fn inline_the_first_wins() {
    let run = |rest: &str| {
        check(&inline(), &format!("{OPEN}{rest}"));
    };
    run("> A 101 301 \"GOOD\" -> established added \"|GOOD\"
         > A 101 301 \"EVIL\" -> established pkt_retransmission reassembly_overlap_different_data added conflict \"|GOOD\"");
    run("> A 103 301 \"cdef\" -> established added \"|cdef\"
         > A 101 301 \"ABCDEFGH\" -> established reassembly_overlap_different_data added conflict \"|ABcdefGH\"
         > A 101 301 \"ABcdefGH\" -> established pkt_retransmission added \"|ABcdefGH\"");
    // After it was acknowledged, too, as long as it is kept.
    run("> A 101 301 \"GOOD\" -> established added \"|GOOD\"
         < A 301 105 -> established
         > A 101 301 \"EVIL\" -> established est_pkt_before_last_ack pkt_spurious_retransmission reassembly_overlap_different_data added conflict \"|GOOD\"
         > A 103 301 \"XXYY\" -> established reassembly_overlap_different_data added conflict \"GO|ODYY\"");
}

/// What a receiver makes of "aaaabbbb" at 4 and 8, and then "XXXXXXXX" at `at`.
fn put_together(os: TargetOs, at: u32) -> String {
    let all = Network::new(4, [0; 16], 0).expect("a network");
    let settings = StreamSettings { host_os: NetworkMap::new(vec![(all, os)]), ..ids() };
    let mut rig = check(&settings, OPEN);
    for (seq, text) in [(101, "...."), (105, "aaaa"), (109, "bbbb"), (101 + at, "XXXXXXXX")] {
        let told = crate::script::tell(&format!("> A {seq} 301 \"{text}\""));
        let _ = rig.packet(&told);
    }
    let _ = rig.packet(&crate::script::tell("< A 301 117"));
    rig.rest(Direction::ToServer).concat()
}

#[test]
fn each_receiver_puts_together_its_own_way() {
    let check = |os: TargetOs, before: &str, same: &str, inside: &str| {
        let found = [2, 4, 6].map(|at| put_together(os, at));
        let expected = [before, same, inside].map(|text| format!("\"|{text}\""));
        assert_eq!(found, expected, "{os:?}");
    };
    // From 2 to 10, from 4 to 12, from 6 to 14.
    check(TargetOs::First, "....aaaabbbb", "....aaaabbbb", "....aaaabbbbXX");
    check(TargetOs::Last, "..XXXXXXXXbb", "....XXXXXXXX", "....aaXXXXXXXX");
    check(TargetOs::Bsd, "....XXXXXXbb", "....aaaaXXXX", "....aaaaXXXXXX");
    check(TargetOs::Linux, "....XXXXXXbb", "....XXXXXXXX", "....aaaaXXXXXX");
    check(TargetOs::OldLinux, "....XXXXXXbb", "....XXXXXXXX", "....aaaaXXXXXX");
    check(TargetOs::Windows, "....XXXXbbbb", "....aaaabbbb", "....aaaaXXXXXX");
    check(TargetOs::Solaris, "..XXXXXXXXbb", "....XXXXXXXX", "....aaXXXXXXXX");
    check(TargetOs::Vista, "....aaaabbbb", "....aaaabbbb", "....aaaabbbbXX");
}
