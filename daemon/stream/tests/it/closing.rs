//! FINs and resets.

use crate::script::{check, ids, inline};
use portcullis_stream::StreamSettings;
use portcullis_wire::{Network, NetworkMap, TargetOs};

const OPEN: &str = "> S 100 -> syn_sent
    < SA 300 101 -> syn_recv
    > A 101 301 -> established
    < A 301 101 -> established\n";

fn open(settings: &StreamSettings, rest: &str) {
    check(settings, &format!("{OPEN}{rest}"));
}

#[test]
fn the_client_first() {
    open(
        &inline(),
        "> FA 101 301 -> close_wait
         < A 301 102 -> close_wait
         < FA 301 102 -> last_ack
         > A 102 302 -> closed",
    );
    open(&inline(), "> FA 101 301 -> close_wait\n< FA 301 102 -> last_ack\n> A 102 302 -> closed");
}

#[test]
fn the_server_first() {
    open(
        &inline(),
        "< FA 301 101 -> fin_wait1
         > A 101 302 -> fin_wait2
         > A 101 302 \"last\" -> fin_wait2 added \"|last\"
         > FA 105 302 -> time_wait
         < A 302 106 -> closed",
    );
}

#[test]
fn both_at_once() {
    open(
        &inline(),
        "< FA 301 101 -> fin_wait1
         > FA 101 301 -> closing
         > A 102 302 -> time_wait
         < A 302 102 -> closed",
    );
}

#[test]
fn wrong_while_closing() {
    open(
        &inline(),
        "> FA 101 9000 -> established fin_invalid_ack pkt_invalid_ack invalid
         > FA 9000 301 -> established fin_out_of_window invalid
         > A 101 301 \"abc\" -> established added \"|abc\"
         > FA 102 301 -> established fin_out_of_window invalid
         > FA 104 301 -> close_wait
         > FA 104 301 -> close_wait
         > FA 103 301 -> close_wait closewait_fin_out_of_window invalid
         > S 100 -> close_wait shutdown_syn_resend invalid
         < A 301 9000 -> close_wait closewait_invalid_ack pkt_invalid_ack invalid
         < A 9900 105 \"x\" -> close_wait closewait_ack_out_of_window invalid
         < A 301 105 -> close_wait
         > A 101 301 \"abc\" -> close_wait closewait_pkt_before_last_ack pkt_spurious_retransmission added \"|abc\"
         < FA 301 105 -> last_ack
         > A 105 9900 -> last_ack lastack_invalid_ack pkt_invalid_ack invalid
         > A 9900 301 \"x\" -> last_ack lastack_ack_wrong_seq invalid",
    );
    open(
        &inline(),
        "< FA 301 101 -> fin_wait1
         > A 101 9900 -> fin_wait1 fin1_invalid_ack pkt_invalid_ack invalid
         > A 9900 301 \"x\" -> fin_wait1 fin1_ack_wrong_seq invalid
         > FA 9900 301 -> fin_wait1 fin1_fin_wrong_seq invalid
         > A 101 302 -> fin_wait2
         > A 101 9900 -> fin_wait2 fin2_invalid_ack pkt_invalid_ack invalid
         > A 9900 302 \"x\" -> fin_wait2 fin2_ack_wrong_seq invalid
         > FA 9900 302 -> fin_wait2 fin2_fin_wrong_seq invalid
         > FA 101 302 -> time_wait
         < A 302 9900 -> time_wait timewait_invalid_ack pkt_invalid_ack invalid
         < A 9900 101 \"x\" -> time_wait timewait_ack_wrong_seq invalid",
    );
    open(
        &inline(),
        "< FA 301 101 -> fin_wait1
         > FA 101 301 -> closing
         > A 102 9900 -> closing closing_invalid_ack pkt_invalid_ack invalid
         > A 9900 302 \"x\" -> closing closing_ack_wrong_seq invalid",
    );
}

#[test]
fn a_fin_that_nobody_believed() {
    open(
        &inline(),
        "> FA 101 301 -> close_wait
         > A 101 301 \"EVIL\" -> established added \"|EVIL\"
         > FA 105 301 -> close_wait",
    );
    // Another further on was not acknowledged by what acknowledged the first: what is between may still come.
    open(
        &inline(),
        "> FA 101 301 -> close_wait
         < A 301 102 -> close_wait
         > FA 7001 301 -> close_wait reassembly_seq_gap
         > A 150 301 \"EVIL\" -> close_wait pkt_retransmission added \"|EVIL\"",
    );
    // One that comes before what it follows.
    open(
        &inline(),
        "> FA 105 301 -> close_wait
         > A 101 301 \"last\" -> close_wait pkt_retransmission added \"|last\"",
    );
}

#[test]
fn resets() {
    open(&inline(), "> R 101 -> closed");
    open(&inline(), "> RA 101 301 -> closed");
    open(&inline(), "> RA 101 301 \"why\" -> closed rst_with_data");
    open(&inline(), "> RA 101 9900 -> established rst_invalid_ack invalid");
    open(&inline(), "> R 102 -> established invalid");
    open(&inline(), "> R 100 -> established invalid");
    // Something before it was lost.
    open(
        &inline(),
        "> A 150 301 \"abc\" -> established added \"|abc\"
         > R 101 -> closed",
    );
}

#[test]
fn resets_by_receiver() {
    let with = |os: TargetOs| {
        let all = Network::new(4, [0; 16], 0).unwrap();
        StreamSettings { host_os: NetworkMap::new(vec![(all, os)]), ..ids() }
    };
    open(&with(TargetOs::Linux), "> R 150 -> closed");
    open(&with(TargetOs::Linux), "> R 9900 -> established invalid");
    open(&with(TargetOs::Bsd), "> R 150 -> established invalid");
    open(&with(TargetOs::Hpux11), "> R 9900 -> closed");
    // Inline no system is taken at its weakest.
    open(&StreamSettings { inline: true, ..with(TargetOs::Linux) }, "> R 150 -> established invalid");
}

#[test]
fn after_a_reset() {
    // Made up, or lost before its receiver: the session goes on, and is inspected.
    open(
        &inline(),
        "> R 101 -> closed
         > A 101 301 -> closed
         > A 101 301 \"EVIL\" -> established suspected_rst_inject added \"|EVIL\"
         < A 301 105 -> established",
    );
    // On its way already.
    open(
        &inline(),
        "> R 101 -> closed
         < A 301 101 \"more\" -> closed added \"|more\"
         > R 101 -> closed
         < A 9900 101 \"x\" -> closed est_packet_out_of_window invalid",
    );
}
