//! From nothing to established.

use crate::script::{check, ids, inline};
use portcullis_stream::StreamSettings;

#[test]
fn three_way() {
    check(
        &inline(),
        "> S 100 -> syn_sent
         < SA 300 101 -> syn_recv
         > A 101 301 -> established
         > PA 101 301 \"GET \" -> established added \"|GET \"
         < A 301 105 -> established
         < PA 301 105 \"OK\" -> established added \"|OK\"
         > PA 105 303 \"more\" -> established added \"GET |more\"",
    );
}

#[test]
fn with_ecn_and_data_on_the_last_acknowledgement() {
    check(
        &inline(),
        "> SE 100 -> syn_sent
         < SAE 300 101 -> syn_recv
         > PA 101 301 \"data\" -> established added \"|data\"",
    );
}

#[test]
fn retransmitted() {
    check(
        &inline(),
        "> S 100 -> syn_sent
         > S 100 -> syn_sent
         < SA 300 101 -> syn_recv
         < SA 300 101 -> syn_recv
         > S 100 -> syn_recv
         > A 101 301 -> established
         < SA 300 101 -> established",
    );
}

#[test]
fn across_the_end_of_sequence_numbers() {
    check(
        &inline(),
        "> S 4294967295 -> syn_sent
         < SA 4294967290 0 -> syn_recv
         > A 0 4294967291 -> established
         < A 4294967291 0 \"0123456789\" -> established added \"|0123456789\"
         > A 0 5 -> established
         < A 5 0 \"ab\" -> established added \"0123456789|ab\"",
    );
}

#[test]
fn syn_ack_oddities() {
    let begin = |rest: &str| {
        check(&inline(), &format!("> S 100 -> syn_sent\n{rest}"));
    };
    begin("> SA 100 301 -> syn_sent 3whs_synack_in_wrong_direction invalid");
    begin("< SA 300 100 -> syn_sent 3whs_synack_with_wrong_ack invalid");
    begin("< SA 300 102 -> syn_sent 3whs_synack_with_wrong_ack invalid");
    begin(
        "< SA 300 101 -> syn_recv
         > SA 100 301 -> syn_recv 3whs_synack_toserver_on_syn_recv invalid
         < SA 300 102 -> syn_recv 3whs_synack_resend_with_different_ack invalid
         < S 300 -> syn_recv 3whs_syn_toclient_on_syn_recv invalid
         > S 101 -> syn_recv 3whs_syn_resend_diff_seq_on_syn_recv invalid
         < A 301 101 -> syn_recv 3whs_ack_in_wrong_dir invalid
         > A 101 302 -> syn_recv 3whs_right_seq_wrong_ack_evasion invalid
         > A 102 99 -> syn_recv 3whs_wrong_seq_wrong_ack invalid
         < A 301 101 \"early\" -> syn_recv 3whs_ack_data_inject invalid
         > A 101 301 -> established",
    );
    // Not inline, nothing can be kept from the client.
    check(
        &ids(),
        "> S 100 -> syn_sent
         < SA 300 101 -> syn_recv
         < A 301 101 \"early\" -> syn_recv 3whs_ack_in_wrong_dir invalid",
    );
}

#[test]
fn the_syn_that_is_answered_counts() {
    check(
        &inline(),
        "> S 100 -> syn_sent
         > S 200 -> syn_sent
         > S 700 -> syn_sent
         < SA 300 201 -> syn_recv
         > A 201 301 \"data\" -> established added \"|data\"",
    );
    let settings = StreamSettings { max_syn_queued: 1, ..inline() };
    check(
        &settings,
        "> S 100 -> syn_sent
         > S 200 -> syn_sent
         > S 300 -> syn_sent 3whs_syn_flood invalid
         > S 200 -> syn_sent
         < SA 500 101 -> syn_recv",
    );
}

#[test]
fn the_syn_ack_that_is_acknowledged_counts() {
    check(
        &inline(),
        "> S 100 -> syn_sent
         < SA 300 101 -> syn_recv
         < SA 500 101 -> syn_recv 3whs_synack_resend_with_diff_seq
         > A 101 501 -> established
         < PA 501 101 \"hi\" -> established added \"|hi\"",
    );
    let settings = StreamSettings { max_synack_queued: 1, ..inline() };
    check(
        &settings,
        "> S 100 -> syn_sent
         < SA 300 101 -> syn_recv
         < SA 500 101 -> syn_recv 3whs_synack_resend_with_diff_seq
         < SA 700 101 -> syn_recv 3whs_synack_resend_with_diff_seq 3whs_synack_flood invalid",
    );
}

#[test]
fn split_and_simultaneous() {
    check(
        &inline(),
        "> S 1000 -> syn_sent
         < S 3000 -> syn_sent
         > SA 1000 3001 -> syn_recv
         < A 3001 1001 -> established
         > A 1001 3001 \"EVIL\" -> established added \"|EVIL\"",
    );
    check(
        &inline(),
        "> S 1000 -> syn_sent
         < A 0 1001 -> syn_sent
         < S 3000 -> syn_sent
         > SA 1000 3001 -> syn_recv
         < A 3001 1001 -> established
         > A 1001 3001 \"EVIL\" -> established added \"|EVIL\"",
    );
    check(
        &inline(),
        "> S 1000 -> syn_sent
         < S 3000 -> syn_sent
         > SA 1000 3002 -> syn_sent 4whs_synack_with_wrong_ack invalid
         > SA 1001 3001 -> syn_sent 4whs_synack_with_wrong_syn invalid
         > SA 1000 3001 -> syn_recv
         < SA 3000 1001 -> syn_recv
         < A 3002 1001 -> syn_recv 4whs_wrong_seq invalid
         < A 3001 1002 -> syn_recv 4whs_invalid_ack invalid
         < A 3001 1001 -> established",
    );
}

#[test]
fn data_is_of_no_session_that_only_has_a_syn() {
    // Of one before, perhaps, of which the other side knows better than we do that it is not over.
    for data in ["> A 90000 4001", "> AF 90000 4001", "> - 90000", "< A 4001 1001", "< - 4001"] {
        check(
            &inline(),
            &format!(
                "> S 1000 -> syn_sent
                 {data} -> syn_sent
                 {data} \"EVIL\" -> syn_sent invalid"
            ),
        );
    }
}

#[test]
fn fast_open() {
    check(
        &inline(),
        "> S 100 \"abc\" tfo -> syn_sent added \"|abc\"
         < SA 300 104 -> syn_recv
         < A 301 104 \"answer\" -> established added \"|answer\"
         > A 104 307 \"def\" -> established added \"abc|def\"",
    );
    // The server does not take it: it comes again, and may be different then.
    check(
        &inline(),
        "> S 100 \"abc\" tfo -> syn_sent added \"|abc\"
         < SA 300 101 -> syn_recv 3whs_synack_tfo_data_ignored
         > A 101 301 \"xyz\" -> established added \"|xyz\"",
    );
    check(
        &inline(),
        "> S 100 \"abc\" -> syn_sent
         < SA 300 101 -> syn_recv
         > A 101 301 \"xyz\" -> established added \"|xyz\"",
    );
    // Without fast open, its receiver may still take it.
    check(
        &inline(),
        "> S 100 \"abc\" -> syn_sent
         < SA 300 104 -> syn_recv
         > A 104 301 \"xyz\" -> established added \"abc|xyz\"",
    );
}

#[test]
fn a_lost_acknowledgement() {
    check(
        &inline(),
        "> S 100 -> syn_sent
         < SA 300 101 -> syn_recv
         > A 105 301 \"EFGH\" -> established added \"|EFGH\"
         > A 101 301 \"ABCD\" -> established pkt_retransmission added \"|ABCDEFGH\"",
    );
    check(
        &inline(),
        "> S 100 -> syn_sent
         < SA 300 101 -> syn_recv
         < A 301 105 \"answer\" -> established reassembly_seq_gap added \"|answer\"",
    );
}

#[test]
fn without_session() {
    let check = |line: &str| {
        check(&inline(), line);
    };
    check("> A 101 301 \"data\" -> none midstream");
    check("< SA 300 101 -> none midstream");
    check("> FA 101 301 \"data\" -> none fin_but_no_session midstream");
    check("> R 101 -> none rst_but_no_session");
    check("> F 101 -> none fin_but_no_session");
    check("> SF 101 -> none fin_but_no_session");
}

#[test]
fn picked_up_midstream() {
    let settings = StreamSettings { midstream: true, ..inline() };
    let rig = check(
        &settings,
        "> PA 5000 9000 \"abc\" -> established midstream added \"|abc\"
         < PA 9000 5003 \"answer\" -> established added \"|answer\"
         > PA 5003 9006 \"def\" -> established added \"abc|def\"
         > FA 5006 9006 -> close_wait
         < FA 9006 5007 -> last_ack
         > A 5007 9007 -> closed",
    );
    assert_eq!((rig.stats().midstream_pickups, rig.stats().sessions), (1, 1));
    check(
        &settings,
        "< SA 300 101 -> syn_recv midstream
         > A 101 301 \"data\" -> established added \"|data\"",
    );
}

#[test]
fn one_sided() {
    let settings = StreamSettings { async_oneside: true, ..inline() };
    check(
        &settings,
        "> S 100 -> syn_sent
         > A 101 301 -> established
         > A 101 301 \"abc\" -> established added \"|abc\"
         > A 104 350 \"def\" -> established added \"abc|def\"",
    );
    check(&settings, "> S 100 -> syn_sent\n> A 150 301 -> syn_sent 3whs_async_wrong_seq invalid");
    let settings = StreamSettings { async_oneside: true, midstream: true, ..inline() };
    check(
        &settings,
        "< SA 300 101 -> syn_recv midstream
         < A 301 101 \"abc\" -> established added \"|abc\"
         < A 304 130 \"def\" -> established added \"abc|def\"",
    );
}

#[test]
fn refused() {
    let begin = |rest: &str| {
        check(&inline(), &format!("> S 100 -> syn_sent\n{rest}"));
    };
    begin("< RA 0 101 -> closed");
    begin("< R 0 -> syn_sent rst_invalid_ack invalid");
    begin("< RA 0 102 -> syn_sent rst_invalid_ack invalid");
    begin("> R 101 -> closed");
    check(
        &inline(),
        "> S 100 ts=90000000 -> syn_sent
         < RA 0 101 ts=100 -> syn_sent pkt_invalid_timestamp invalid
         < FA 0 101 ts=100 -> syn_sent pkt_invalid_timestamp invalid
         < RA 0 101 -> closed",
    );
    begin("> R 150 -> syn_sent invalid");
    begin("< SA 300 101 -> syn_recv\n> R 101 -> closed");
    begin("< SA 300 101 -> syn_recv\n> R 109 -> syn_recv invalid");
}
