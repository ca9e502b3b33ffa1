//! Where counters come from: each part's own block of counts, under the names they have here.

use super::Counters;
use crate::flow::{ExceptionPolicy as Policy, ExceptionTarget as Target};
use crate::record::Class;
use crate::ring::Reporter;
use portcullis_capture::{CaptureStats, DropReason};
use portcullis_defrag::DefragStats;
use portcullis_flow::FlowStats;

impl Counters {
    /// The counter of `reason`, below `ips.drop_reason`.
    pub fn drop_reason_mut(&mut self, reason: DropReason) -> &mut u64 {
        match reason {
            DropReason::DecodeError => &mut self.ips_drop_reason_decode_error,
            DropReason::DefragError => &mut self.ips_drop_reason_defrag_error,
            DropReason::DefragMemcap => &mut self.ips_drop_reason_defrag_memcap,
            DropReason::FlowMemcap => &mut self.ips_drop_reason_flow_memcap,
            DropReason::FlowDrop => &mut self.ips_drop_reason_flow_drop,
            DropReason::ExceptionPolicyFlowDrop => &mut self.ips_drop_reason_exception_policy_flow_drop,
            DropReason::StreamError => &mut self.ips_drop_reason_stream_error,
            DropReason::StreamMemcap => &mut self.ips_drop_reason_stream_memcap,
            DropReason::StreamMidstream => &mut self.ips_drop_reason_stream_midstream,
            DropReason::StreamUrgent => &mut self.ips_drop_reason_stream_urgent,
            DropReason::StreamReassembly => &mut self.ips_drop_reason_stream_reassembly,
            DropReason::ApplayerError => &mut self.ips_drop_reason_applayer_error,
            DropReason::ApplayerMemcap => &mut self.ips_drop_reason_applayer_memcap,
            DropReason::Rules => &mut self.ips_drop_reason_rules,
            DropReason::ThresholdDetectionFilter => &mut self.ips_drop_reason_threshold_detection_filter,
            DropReason::TunnelPacketDrop => &mut self.ips_drop_reason_tunnel_packet_drop,
            DropReason::Callback => &mut self.ips_drop_reason_callback,
            DropReason::DetectLimit => &mut self.ips_drop_reason_detect_limit,
            DropReason::NoVerdict => &mut self.ips_drop_reason_no_verdict,
        }
    }

    /// The counter of `policy` for `target`, below `exception_policy`; `None` for `ignore`, which Suricata does
    /// not count, and for a policy that the target cannot have.
    pub fn exception_mut(&mut self, target: Target, policy: Policy) -> Option<&mut u64> {
        Some(match target {
            Target::FlowMemcap => match policy {
                Policy::PassPacket => &mut self.exception_policy_flow_memcap_pass_packet,
                Policy::Bypass => &mut self.exception_policy_flow_memcap_bypass,
                Policy::DropPacket => &mut self.exception_policy_flow_memcap_drop_packet,
                Policy::Reject => &mut self.exception_policy_flow_memcap_reject,
                Policy::RejectBoth => &mut self.exception_policy_flow_memcap_reject_both,
                Policy::Ignore | Policy::PassFlow | Policy::DropFlow => return None,
            },
            Target::DefragMemcap => match policy {
                Policy::PassPacket => &mut self.exception_policy_defrag_memcap_pass_packet,
                Policy::Bypass => &mut self.exception_policy_defrag_memcap_bypass,
                Policy::DropPacket => &mut self.exception_policy_defrag_memcap_drop_packet,
                Policy::Reject => &mut self.exception_policy_defrag_memcap_reject,
                Policy::RejectBoth => &mut self.exception_policy_defrag_memcap_reject_both,
                Policy::Ignore | Policy::PassFlow | Policy::DropFlow => return None,
            },
            Target::StreamMemcap => match policy {
                Policy::PassPacket => &mut self.exception_policy_tcp_ssn_memcap_pass_packet,
                Policy::PassFlow => &mut self.exception_policy_tcp_ssn_memcap_pass_flow,
                Policy::Bypass => &mut self.exception_policy_tcp_ssn_memcap_bypass,
                Policy::DropPacket => &mut self.exception_policy_tcp_ssn_memcap_drop_packet,
                Policy::DropFlow => &mut self.exception_policy_tcp_ssn_memcap_drop_flow,
                Policy::Reject => &mut self.exception_policy_tcp_ssn_memcap_reject,
                Policy::RejectBoth => &mut self.exception_policy_tcp_ssn_memcap_reject_both,
                Policy::Ignore => return None,
            },
            Target::StreamReassemblyMemcap => match policy {
                Policy::PassPacket => &mut self.exception_policy_tcp_reassembly_pass_packet,
                Policy::PassFlow => &mut self.exception_policy_tcp_reassembly_pass_flow,
                Policy::Bypass => &mut self.exception_policy_tcp_reassembly_bypass,
                Policy::DropPacket => &mut self.exception_policy_tcp_reassembly_drop_packet,
                Policy::DropFlow => &mut self.exception_policy_tcp_reassembly_drop_flow,
                Policy::Reject => &mut self.exception_policy_tcp_reassembly_reject,
                Policy::RejectBoth => &mut self.exception_policy_tcp_reassembly_reject_both,
                Policy::Ignore => return None,
            },
            Target::StreamMidstream => match policy {
                Policy::PassFlow => &mut self.exception_policy_tcp_midstream_pass_flow,
                Policy::Bypass => &mut self.exception_policy_tcp_midstream_bypass,
                Policy::DropFlow => &mut self.exception_policy_tcp_midstream_drop_flow,
                Policy::Reject => &mut self.exception_policy_tcp_midstream_reject,
                Policy::RejectBoth => &mut self.exception_policy_tcp_midstream_reject_both,
                Policy::Ignore | Policy::PassPacket | Policy::DropPacket => return None,
            },
            Target::AppLayerError => match policy {
                Policy::PassPacket => &mut self.exception_policy_app_layer_error_pass_packet,
                Policy::PassFlow => &mut self.exception_policy_app_layer_error_pass_flow,
                Policy::Bypass => &mut self.exception_policy_app_layer_error_bypass,
                Policy::DropPacket => &mut self.exception_policy_app_layer_error_drop_packet,
                Policy::DropFlow => &mut self.exception_policy_app_layer_error_drop_flow,
                Policy::Reject => &mut self.exception_policy_app_layer_error_reject,
                Policy::RejectBoth => &mut self.exception_policy_app_layer_error_reject_both,
                Policy::Ignore => return None,
            },
        })
    }

    /// Takes over the counts of a packet module.
    pub fn set_capture(&mut self, stats: &CaptureStats) {
        self.capture_kernel_packets =
            stats.received.saturating_add(stats.kernel_drops).saturating_add(stats.late_drops);
        self.capture_kernel_drops = stats.kernel_drops;
        self.capture_late_drops = stats.late_drops;
        self.capture_errors = stats.errors;
        self.capture_reentered = stats.reentered;
        self.capture_forged = stats.forged;
        self.capture_forged_refused = stats.forged_refused;
        self.capture_send_errors = stats.send_errors;
        self.worker_steered_in = stats.steered_in;
        self.worker_steered_out = stats.steered_out;
        self.worker_steer_refused = stats.steer_refused;
    }

    /// Takes over what a defragmenter counted.
    pub const fn set_defrag(&mut self, stats: &DefragStats) {
        let DefragStats {
            ipv4_fragments,
            ipv4_reassembled,
            ipv6_fragments,
            ipv6_reassembled,
            max_trackers_reached,
            max_frags_reached,
            memcap_reached,
            tracker_soft_reuse,
            tracker_hard_reuse,
            wrk_tracker_timeout,
            mgr_tracker_timeout,
            memuse,
            overlaps_refused,
            malformed,
            late,
        } = *stats;
        self.defrag_ipv4_fragments = ipv4_fragments;
        self.defrag_ipv4_reassembled = ipv4_reassembled;
        self.defrag_ipv6_fragments = ipv6_fragments;
        self.defrag_ipv6_reassembled = ipv6_reassembled;
        self.defrag_max_trackers_reached = max_trackers_reached;
        self.defrag_max_frags_reached = max_frags_reached;
        self.defrag_memcap_reached = memcap_reached;
        self.defrag_tracker_soft_reuse = tracker_soft_reuse;
        self.defrag_tracker_hard_reuse = tracker_hard_reuse;
        self.defrag_wrk_tracker_timeout = wrk_tracker_timeout;
        self.defrag_mgr_tracker_timeout = mgr_tracker_timeout;
        self.defrag_memuse = memuse;
        self.defrag_overlaps_refused = overlaps_refused;
        self.defrag_malformed = malformed;
        self.defrag_late = late;
    }

    /// Takes over the counts of a flow table.
    pub fn set_flow(&mut self, stats: &FlowStats) {
        self.flow_memcap = stats.memcap;
        self.flow_total = stats.total;
        self.flow_taken_over = stats.taken_over;
        self.flow_handed_over = stats.handed_over;
        self.flow_departed_refused = stats.departed_refused;
        self.flow_bits_lost = stats.bits_lost;
        self.flow_uninspected = stats.uninspected;
        self.flow_active = stats.active;
        self.flow_tcp = stats.tcp;
        self.flow_udp = stats.udp;
        self.flow_icmpv4 = stats.icmpv4;
        self.flow_icmpv6 = stats.icmpv6;
        self.flow_tcp_reuse = stats.tcp_reuse;
        self.flow_elephant = stats.elephant;
        self.flow_elephant_toserver = stats.elephant_toserver;
        self.flow_elephant_toclient = stats.elephant_toclient;
        self.flow_get_used = stats.get_used;
        self.flow_get_used_eval = stats.get_used_eval;
        self.flow_get_used_eval_reject = stats.get_used_eval_reject;
        self.flow_get_used_failed = stats.get_used_failed;
        self.flow_spare = stats.spare;
        self.flow_emerg_mode_entered = stats.emerg_mode_entered;
        self.flow_emerg_mode_over = stats.emerg_mode_over;
        self.flow_emerg_untracked = stats.emerg_untracked;
        self.flow_memuse = stats.memuse;
        self.flow_index_refused = stats.index_refused;
        let synced = stats.wrk.spare_sync.saturating_sub(stats.wrk.spare_sync_empty);
        self.flow_wrk_spare_sync_avg = stats.wrk.spare_synced.checked_div(synced).unwrap_or(0);
        self.flow_wrk_spare_sync = stats.wrk.spare_sync;
        self.flow_wrk_spare_sync_incomplete = stats.wrk.spare_sync_incomplete;
        self.flow_wrk_spare_sync_empty = stats.wrk.spare_sync_empty;
        self.flow_wrk_flows_evicted = stats.wrk.flows_evicted;
        self.flow_wrk_flows_injected = stats.wrk.flows_injected;
        self.flow_wrk_flows_injected_max = stats.wrk.flows_injected_max;
        self.flow_wrk_injections_refused = stats.wrk.injections_refused;
        self.flow_wrk_slots_swept = stats.wrk.slots_swept;
        self.flow_wrk_slots_swept_max = stats.wrk.slots_swept_max;
        self.flow_wrk_probe_max = stats.wrk.probe_max;
        self.flow_end_state_new = stats.end.state_new;
        self.flow_end_state_established = stats.end.state_established;
        self.flow_end_state_closed = stats.end.state_closed;
        self.flow_end_state_local_bypassed = stats.end.state_local_bypassed;
        self.flow_end_state_capture_bypassed = stats.end.state_capture_bypassed;
        [
            self.flow_end_tcp_state_none,
            self.flow_end_tcp_state_syn_sent,
            self.flow_end_tcp_state_syn_recv,
            self.flow_end_tcp_state_established,
            self.flow_end_tcp_state_fin_wait1,
            self.flow_end_tcp_state_fin_wait2,
            self.flow_end_tcp_state_time_wait,
            self.flow_end_tcp_state_last_ack,
            self.flow_end_tcp_state_close_wait,
            self.flow_end_tcp_state_closing,
            self.flow_end_tcp_state_closed,
        ] = stats.end.tcp_state;
    }

    /// Takes over the counts of a worker's rings.
    pub fn set_log(&mut self, reporter: &Reporter) {
        let (evidence, flow) = (reporter.counts(Class::Evidence), reporter.counts(Class::Flow));
        self.log_evidence_pushed = evidence.pushed;
        self.log_evidence_refused = evidence.refused;
        self.log_evidence_truncated = evidence.truncated;
        self.log_flow_pushed = flow.pushed;
        self.log_flow_refused = flow.refused;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_flow::TcpState;

    fn counted(counters: &Counters) -> Vec<(&'static str, u64)> {
        counters.iter().filter(|(_, value)| *value > 0).collect()
    }

    #[test]
    fn each_drop_reason_has_the_counter_of_its_name() {
        for reason in DropReason::ALL {
            let mut counters = Counters::default();
            *counters.drop_reason_mut(reason) += 1;
            let name = format!("ips.drop_reason.{}", reason.name().replace(' ', "_"));
            assert_eq!(counted(&counters), [(name.as_str(), 1)]);
        }
    }

    #[test]
    fn each_policy_has_the_counter_of_its_name() {
        let path = |target| match target {
            Target::DefragMemcap => "defrag.memcap",
            Target::StreamMemcap => "tcp.ssn_memcap",
            Target::StreamReassemblyMemcap => "tcp.reassembly",
            Target::FlowMemcap => "flow.memcap",
            Target::StreamMidstream => "tcp.midstream",
            Target::AppLayerError => "app_layer.error",
        };
        for (target, policy) in Target::ALL.iter().flat_map(|t| Policy::ALL.iter().map(|p| (*t, *p))) {
            let name = format!("exception_policy.{}.{}", path(target), policy.name());
            let mut counters = Counters::default();
            let Some(counter) = counters.exception_mut(target, policy) else {
                assert!(!Counters::NAMES.contains(&name.as_str()), "{name}");
                continue;
            };
            *counter += 1;
            assert_eq!(counted(&counters), [(name.as_str(), 1)]);
        }
    }

    #[test]
    fn each_tcp_state_has_the_counter_of_its_name() {
        for state in TcpState::ALL {
            let mut stats = FlowStats::default();
            stats.end.tcp_state[state as usize] = 7;
            let mut counters = Counters::default();
            counters.set_flow(&stats);
            let name = format!("flow.end.tcp_state.{}", state.name());
            assert_eq!(counted(&counters), [(name.as_str(), 7)]);
        }
    }

    #[test]
    fn the_kernel_received_what_it_lost_too() {
        let stats = CaptureStats { received: 10, kernel_drops: 3, steered_in: 2, ..CaptureStats::default() };
        let mut counters = Counters::default();
        counters.set_capture(&stats);
        assert_eq!(
            counted(&counters),
            [("capture.kernel_packets", 13), ("capture.kernel_drops", 3), ("worker.steered_in", 2)]
        );
    }
}
