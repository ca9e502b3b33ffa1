//! What TCP streams count, under the names of `tcp.*` and `stream.*`.

use portcullis_event::Counters;
use portcullis_stream::{StreamEvent, StreamStats};

/// Takes over what a worker's streams counted.
pub(crate) fn streams(counters: &mut Counters, stats: &StreamStats) {
    counters.tcp_active_sessions = stats.active_sessions;
    counters.tcp_sessions = stats.sessions;
    counters.tcp_ssn_memcap_drop = stats.ssn_memcap_drop;
    counters.tcp_ssn_from_cache = stats.ssn_from_cache;
    counters.tcp_ssn_from_pool = stats.ssn_from_pool;
    counters.tcp_pseudo = stats.pseudo;
    counters.tcp_midstream_pickups = stats.midstream_pickups;
    counters.tcp_ack_unseen_data = stats.ack_unseen_data;
    counters.tcp_segment_memcap_drop = stats.segment_memcap_drop;
    counters.tcp_segment_from_cache = stats.segment_from_cache;
    counters.tcp_segment_from_pool = stats.segment_from_pool;
    counters.tcp_stream_depth_reached = stats.stream_depth_reached;
    counters.tcp_reassembly_gap = stats.reassembly_gap;
    counters.tcp_overlap = stats.overlap;
    counters.tcp_overlap_diff_data = stats.overlap_diff_data;
    counters.tcp_insert_data_normal_fail = stats.insert_data_normal_fail;
    counters.tcp_insert_data_overlap_fail = stats.insert_data_overlap_fail;
    counters.tcp_urgent_oob_data = stats.urgent_oob_data;
    counters.tcp_memuse = stats.memuse;
    counters.tcp_reassembly_memuse = stats.reassembly_memuse;
    for (event, count) in StreamEvent::ALL.iter().zip(stats.events) {
        if let Some(counter) = event_counter(counters, *event) {
            *counter = count;
        }
    }
}

fn event_counter(counters: &mut Counters, event: StreamEvent) -> Option<&mut u64> {
    Some(match event {
        StreamEvent::HandshakeAckInWrongDirection => &mut counters.stream_3whs_ack_in_wrong_dir,
        StreamEvent::HandshakeAsyncWrongSeq => &mut counters.stream_3whs_async_wrong_seq,
        StreamEvent::HandshakeRightSeqWrongAck => &mut counters.stream_3whs_right_seq_wrong_ack_evasion,
        StreamEvent::HandshakeSynAckInWrongDirection => &mut counters.stream_3whs_synack_in_wrong_direction,
        StreamEvent::HandshakeSynAckResendDifferentAck => {
            &mut counters.stream_3whs_synack_resend_with_different_ack
        }
        StreamEvent::HandshakeSynAckResendDifferentSeq => {
            &mut counters.stream_3whs_synack_resend_with_diff_seq
        }
        StreamEvent::HandshakeSynAckToServerOnSynRecv => {
            &mut counters.stream_3whs_synack_toserver_on_syn_recv
        }
        StreamEvent::HandshakeSynAckWrongAck => &mut counters.stream_3whs_synack_with_wrong_ack,
        StreamEvent::HandshakeSynAckFlood => &mut counters.stream_3whs_synack_flood,
        StreamEvent::HandshakeSynAckFastOpenIgnored => &mut counters.stream_3whs_synack_tfo_data_ignored,
        StreamEvent::HandshakeSynResendDifferentSeqOnSynRecv => {
            &mut counters.stream_3whs_syn_resend_diff_seq_on_syn_recv
        }
        StreamEvent::HandshakeSynToClientOnSynRecv => &mut counters.stream_3whs_syn_toclient_on_syn_recv,
        StreamEvent::HandshakeSynFlood => &mut counters.stream_3whs_syn_flood,
        StreamEvent::HandshakeWrongSeqWrongAck => &mut counters.stream_3whs_wrong_seq_wrong_ack,
        StreamEvent::HandshakeAckDataInject => &mut counters.stream_3whs_ack_data_inject,
        StreamEvent::FourWaySynAckWrongAck => &mut counters.stream_4whs_synack_with_wrong_ack,
        StreamEvent::FourWaySynAckWrongSyn => &mut counters.stream_4whs_synack_with_wrong_syn,
        StreamEvent::FourWayWrongSeq => &mut counters.stream_4whs_wrong_seq,
        StreamEvent::FourWayInvalidAck => &mut counters.stream_4whs_invalid_ack,
        StreamEvent::CloseWaitAckOutOfWindow => &mut counters.stream_closewait_ack_out_of_window,
        StreamEvent::CloseWaitFinOutOfWindow => &mut counters.stream_closewait_fin_out_of_window,
        StreamEvent::CloseWaitPacketBeforeLastAck => &mut counters.stream_closewait_pkt_before_last_ack,
        StreamEvent::CloseWaitInvalidAck => &mut counters.stream_closewait_invalid_ack,
        StreamEvent::ClosingAckWrongSeq => &mut counters.stream_closing_ack_wrong_seq,
        StreamEvent::ClosingInvalidAck => &mut counters.stream_closing_invalid_ack,
        StreamEvent::EstablishedOutOfWindow => &mut counters.stream_est_packet_out_of_window,
        StreamEvent::EstablishedBeforeLastAck => &mut counters.stream_est_pkt_before_last_ack,
        StreamEvent::EstablishedSynAckResend => &mut counters.stream_est_synack_resend,
        StreamEvent::EstablishedSynAckResendDifferentAck => {
            &mut counters.stream_est_synack_resend_with_different_ack
        }
        StreamEvent::EstablishedSynAckResendDifferentSeq => {
            &mut counters.stream_est_synack_resend_with_diff_seq
        }
        StreamEvent::EstablishedSynAckToServer => &mut counters.stream_est_synack_toserver,
        StreamEvent::EstablishedSynResend => &mut counters.stream_est_syn_resend,
        StreamEvent::EstablishedSynResendDifferentSeq => &mut counters.stream_est_syn_resend_diff_seq,
        StreamEvent::EstablishedSynToClient => &mut counters.stream_est_syn_toclient,
        StreamEvent::EstablishedInvalidAck => &mut counters.stream_est_invalid_ack,
        StreamEvent::FinInvalidAck => &mut counters.stream_fin_invalid_ack,
        StreamEvent::Fin1AckWrongSeq => &mut counters.stream_fin1_ack_wrong_seq,
        StreamEvent::Fin1FinWrongSeq => &mut counters.stream_fin1_fin_wrong_seq,
        StreamEvent::Fin1InvalidAck => &mut counters.stream_fin1_invalid_ack,
        StreamEvent::Fin2AckWrongSeq => &mut counters.stream_fin2_ack_wrong_seq,
        StreamEvent::Fin2FinWrongSeq => &mut counters.stream_fin2_fin_wrong_seq,
        StreamEvent::Fin2InvalidAck => &mut counters.stream_fin2_invalid_ack,
        StreamEvent::FinNoSession => &mut counters.stream_fin_but_no_session,
        StreamEvent::FinOutOfWindow => &mut counters.stream_fin_out_of_window,
        StreamEvent::FinSyn => &mut counters.stream_fin_syn,
        StreamEvent::LastAckWrongSeq => &mut counters.stream_lastack_ack_wrong_seq,
        StreamEvent::LastAckInvalidAck => &mut counters.stream_lastack_invalid_ack,
        StreamEvent::ResetNoSession => &mut counters.stream_rst_but_no_session,
        StreamEvent::ResetInvalidAck => &mut counters.stream_rst_invalid_ack,
        StreamEvent::ResetWithData => &mut counters.stream_rst_with_data,
        StreamEvent::TimeWaitAckWrongSeq => &mut counters.stream_timewait_ack_wrong_seq,
        StreamEvent::TimeWaitInvalidAck => &mut counters.stream_timewait_invalid_ack,
        StreamEvent::ShutdownSynResend => &mut counters.stream_shutdown_syn_resend,
        StreamEvent::InvalidTimestamp => &mut counters.stream_pkt_invalid_timestamp,
        StreamEvent::InvalidAck => &mut counters.stream_pkt_invalid_ack,
        StreamEvent::BrokenAck => &mut counters.stream_pkt_broken_ack,
        StreamEvent::Retransmission => &mut counters.stream_pkt_retransmission,
        StreamEvent::SpuriousRetransmission => &mut counters.stream_pkt_spurious_retransmission,
        StreamEvent::BadWindowUpdate => &mut counters.stream_pkt_bad_window_update,
        StreamEvent::SuspectedResetInject => &mut counters.stream_suspected_rst_inject,
        StreamEvent::WrongThread => &mut counters.stream_wrong_thread,
        StreamEvent::SegmentBeforeBase => &mut counters.stream_reassembly_segment_before_base_seq,
        StreamEvent::NoSegment => &mut counters.stream_reassembly_no_segment,
        StreamEvent::SequenceGap => &mut counters.stream_reassembly_seq_gap,
        StreamEvent::OverlapDifferentData => &mut counters.stream_reassembly_overlap_different_data,
        StreamEvent::DepthReached => &mut counters.stream_reassembly_depth_reached,
        StreamEvent::InsertInvalid => &mut counters.stream_reassembly_insert_invalid,
        StreamEvent::InsertLimit => &mut counters.stream_reassembly_insert_limit,
        StreamEvent::InsertMemcap => &mut counters.stream_reassembly_insert_memcap,
        StreamEvent::UrgentLimitReached => &mut counters.stream_urgent_oob_limit_reached,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_its_counter() {
        let mut counters = Counters::default();
        for (number, event) in (1_u64..).zip(StreamEvent::ALL) {
            *event_counter(&mut counters, *event).unwrap() = number;
        }
        let named: std::collections::HashMap<_, _> = counters.iter().collect();
        for (number, event) in (1_u64..).zip(StreamEvent::ALL) {
            assert_eq!(named.get(format!("stream.{}", event.name()).as_str()), Some(&number));
        }
    }
}
