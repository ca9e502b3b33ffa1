//! Established: windows, acknowledgements, timestamps, SYNs that come again.

use crate::script::{check, ids, inline};
use portcullis_flow::Direction;
use portcullis_stream::{StreamSettings, UrgentPolicy};
use portcullis_wire::{Network, NetworkMap, TargetOs};

const OPEN: &str = "> S 100 -> syn_sent
    < SA 300 101 -> syn_recv
    > A 101 301 -> established\n";

fn open(settings: &StreamSettings, rest: &str) {
    check(settings, &format!("{OPEN}{rest}"));
}

#[test]
fn windows() {
    open(
        &inline(),
        "> A 8290 301 \"xxx\" -> established added \"|xxx\"
         > A 8292 301 \"xx\" -> established est_packet_out_of_window invalid
         > A 8293 301 \"x\" -> established est_packet_out_of_window invalid",
    );
    // Scaled where both sides said so, and never in a SYN.
    check(
        &inline(),
        "> S 100 ws=2 -> syn_sent
         < SA 300 101 w=100 ws=3 -> syn_recv
         > A 101 301 -> established
         > A 201 301 \"x\" -> established est_packet_out_of_window invalid
         < A 301 101 w=100 -> established
         > A 900 301 \"x\" -> established added \"|x\"
         > A 901 301 \"x\" -> established est_packet_out_of_window invalid",
    );
    check(
        &inline(),
        "> S 100 -> syn_sent
         < SA 300 101 w=100 ws=3 -> syn_recv
         > A 101 301 -> established
         < A 301 101 w=100 -> established
         > A 202 301 \"x\" -> established est_packet_out_of_window invalid",
    );
}

#[test]
fn a_closed_window_is_probed() {
    open(
        &inline(),
        "> A 101 301 \"ab\" -> established added \"|ab\"
         < A 301 8293 w=0 -> established reassembly_seq_gap
         > A 8293 301 \"c\" -> established added \"|c\"
         > A 8294 301 \"de\" -> established est_packet_out_of_window invalid",
    );
}

#[test]
fn acknowledgements() {
    open(
        &inline(),
        "> A 101 8494 -> established est_invalid_ack pkt_invalid_ack invalid
         > A 101 301 \"ab\" -> established added \"|ab\"
         < A 301 103 -> established
         < A 301 101 -> established
         < A 301 9000 -> established est_invalid_ack pkt_invalid_ack invalid
         < - 301 \"no ack\" -> established invalid
         < - 301 ack=5 -> established pkt_broken_ack invalid",
    );
    // Older than anything that can still be on its way.
    open(&inline(), "< A 301 4294900000 \"x\" -> established est_invalid_ack pkt_invalid_ack invalid");
}

#[test]
fn retransmissions() {
    open(
        &inline(),
        "> A 101 301 \"abcd\" -> established added \"|abcd\"
         > A 101 301 \"abcd\" -> established pkt_retransmission added \"|abcd\"
         < A 301 105 -> established
         > A 101 301 \"abcd\" -> established est_pkt_before_last_ack pkt_spurious_retransmission added \"|abcd\"
         > A 104 301 -> established
         > A 104 301 \"d\" -> established",
    );
}

#[test]
fn a_keep_alive_is_not_data() {
    open(
        &inline(),
        "> A 101 301 \"abcd\" -> established added \"|abcd\"
         < A 301 105 -> established
         > A 104 301 \"?\" -> established
         < A 301 105 -> established",
    );
    // But what looks like one and was not acknowledged yet is data.
    open(
        &inline(),
        "> A 101 301 \"abcd\" -> established added \"|abcd\"
         > A 104 301 \"?\" -> established pkt_retransmission reassembly_overlap_different_data added conflict \"abc|d\"",
    );
}

#[test]
fn timestamps() {
    let stamped = "> S 100 ts=1000 -> syn_sent
         < SA 300 101 ts=50 -> syn_recv
         > A 101 301 ts=1001 -> established\n";
    let after = |settings: &StreamSettings, rest: &str| {
        check(settings, &format!("{stamped}{rest}"));
    };
    after(
        &inline(),
        "> A 101 301 ts=1002 \"ab\" -> established added \"|ab\"
         > A 103 301 ts=1001 \"x\" -> established pkt_invalid_timestamp invalid
         > A 103 301 \"no stamp\" -> established added \"ab|no stamp\"
         > A 111 301 ts=1001 \"x\" t=2073601 -> established added \"abno stamp|x\"",
    );
    after(&inline(), "> A 101 301 ts=0 \"x\" -> established pkt_invalid_timestamp invalid");
    let liberal = StreamSettings { liberal_timestamps: true, ..inline() };
    after(&liberal, "> A 101 301 ts=0 \"x\" -> established added \"|x\"");
    // Stamps that only one side sends mean nothing.
    check(
        &inline(),
        "> S 100 ts=1000 -> syn_sent
         < SA 300 101 -> syn_recv
         > A 101 301 ts=900 -> established",
    );
    // A clock that begins after the SYN.
    check(
        &inline(),
        "> S 100 ts=0 -> syn_sent
         < SA 300 101 ts=5 -> syn_recv
         > A 101 301 ts=4000000000 -> established",
    );
}

#[test]
fn syns_again() {
    open(
        &inline(),
        "> SA 100 301 -> established est_synack_toserver invalid
         < SA 300 102 -> established est_synack_resend_with_different_ack invalid
         < SA 301 101 -> established est_synack_resend_with_diff_seq invalid
         < SA 300 101 -> established
         < S 300 -> established est_syn_toclient invalid
         > S 101 -> established est_syn_resend_diff_seq invalid
         > S 100 -> established
         < A 301 101 -> established
         < SA 300 101 -> established est_synack_resend invalid
         > S 100 -> established est_syn_resend invalid
         > SF 100 -> established fin_syn invalid",
    );
}

#[test]
fn a_bad_window_update_changes_nothing() {
    open(
        &inline(),
        "> A 101 301 \"ab\" -> established added \"|ab\"
         < A 350 200 w=10 -> established pkt_bad_window_update
         > A 103 301 \"0123456789abcdef\" -> established added \"ab|0123456789abcdef\"",
    );
}

#[test]
fn urgent_data_is_out_of_band() {
    open(
        &inline(),
        "> A 101 301 \"EVxIL\" urg=3 -> established added \"|EVIL\"
         > A 106 301 \"yz\" urg=2 -> established added \"EVIL|y\"
         < A 301 108 -> established
         > A 108 301 \"ok\" -> established added \"EVILy|ok\"",
    );
    let mut settings = inline();
    settings.reassembly.urgent.policy = UrgentPolicy::Inline;
    open(&settings, "> A 101 301 \"EVxIL\" urg=3 -> established added \"|EVxIL\"");
    settings.reassembly.urgent.policy = UrgentPolicy::Drop;
    open(&settings, "> A 101 301 \"EVxIL\" urg=3 -> established urgent");
    settings.reassembly.urgent.policy = UrgentPolicy::Gap;
    open(&settings, "> A 101 301 \"EVxIL\" urg=3 -> established");
    let settings = inline();
    open(
        &settings,
        "> A 101 301 \"a\" urg=1 -> established added \"|\"
         > A 102 301 \"b\" urg=1 -> established added \"|\"
         > A 103 301 \"c\" urg=1 -> established added \"|\"
         > A 104 301 \"d\" urg=1 -> established added \"|\"
         > A 105 301 \"e\" urg=1 -> established urgent_oob_limit_reached urgent",
    );
}

#[test]
fn an_urgent_pointer_of_zero_means_what_the_receiver_says() {
    // Inline nothing goes out that one takes for a byte apart and another one for a byte like any other.
    open(&inline(), "> A 101 301 \"xEVIL\" urg=0 -> established urgent");
    let mut settings = inline();
    settings.reassembly.urgent.policy = UrgentPolicy::Inline;
    open(&settings, "> A 101 301 \"xEVIL\" urg=0 -> established added \"|xEVIL\"");
    for (os, read) in [(TargetOs::Linux, "EVIL"), (TargetOs::Bsd, "xEVIL")] {
        let all = Network::new(4, [0; 16], 0).unwrap();
        let settings = StreamSettings { host_os: NetworkMap::new(vec![(all, os)]), ..ids() };
        let mut rig = check(&settings, &format!("{OPEN}> A 101 301 \"xEVIL\" urg=0 -> established added"));
        assert_eq!(rig.rest(Direction::ToServer), [format!("\"|{read}\"")]);
    }
}

#[test]
fn acknowledged_and_never_seen() {
    let rig = check(
        &ids(),
        &format!(
            "{OPEN}< A 301 110 -> established
             > A 110 301 \"late\" -> established added"
        ),
    );
    assert_eq!(rig.stats().ack_unseen_data, 1);
}
