//! The counters that a worker publishes, all in one block of plain numbers.
//!
//! Each is named as Suricata names it in its statistics. Those that Suricata does not have are
//! marked "ours"; no name of theirs is one of Suricata's.

mod sources;

/// Defines [`Counters`] from one table: doc, field, how two workers' values become one, name.
macro_rules! counters {
    ($($(#[doc = $doc:literal])* $field:ident: $merge:ident $name:literal,)+) => {
        /// One worker's counters, or the merged ones of several. Publish the whole block at once,
        /// so that a reader never sees a torn set.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $(#[doc = concat!("`", $name, "` (merged: ", stringify!($merge), ")")] $(#[doc = $doc])* pub $field: u64,)+
        }

        impl Counters {
            /// Names of all counters, in the order of [`iter`](Self::iter): dotted, so that each
            /// is a path in a tree.
            pub const NAMES: &'static [&'static str] = &[$($name,)+];

            /// Names and values.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                Self::NAMES.iter().copied().zip(self.values())
            }

            /// Takes in another worker's counters.
            pub fn merge(&mut self, other: &Self) {
                $(self.$field = $merge(self.$field, other.$field);)+
                self.update_averages();
            }

            pub(crate) const fn values(&self) -> [u64; Self::NAMES.len()] {
                [$(self.$field,)+]
            }

            pub(crate) const fn from_values(values: [u64; Self::NAMES.len()]) -> Self {
                let [$($field,)+] = values;
                Self { $($field,)+ }
            }
        }
    };
}

counters! {
    capture_kernel_packets: sum "capture.kernel_packets",
    capture_kernel_drops: sum "capture.kernel_drops",
    capture_errors: sum "capture.errors",
    #[doc = "Packets dropped unjudged because their worker was taken for dead while they waited (ours)."]
    capture_late_drops: sum "capture.late_drops",
    #[doc = "Forged packets that came in again as if received, to be judged (ours)."]
    capture_reentered: sum "capture.reentered",
    #[doc = "Forged packets that were sent (ours)."]
    capture_forged: sum "capture.forged",
    #[doc = "Forged packets that could not be sent (ours)."]
    capture_forged_refused: sum "capture.forged_refused",
    #[doc = "Accepted packets that could not be sent (ours)."]
    capture_send_errors: sum "capture.send_errors",

    decoder_pkts: sum "decoder.pkts",
    decoder_bytes: sum "decoder.bytes",
    decoder_invalid: sum "decoder.invalid",
    decoder_ipv4: sum "decoder.ipv4",
    decoder_ipv6: sum "decoder.ipv6",
    decoder_ethernet: sum "decoder.ethernet",
    decoder_arp: sum "decoder.arp",
    decoder_unknown_ethertype: sum "decoder.unknown_ethertype",
    decoder_chdlc: sum "decoder.chdlc",
    decoder_raw: sum "decoder.raw",
    decoder_null: sum "decoder.null",
    decoder_sll: sum "decoder.sll",
    decoder_sll2: sum "decoder.sll2",
    decoder_tcp: sum "decoder.tcp",
    decoder_udp: sum "decoder.udp",
    decoder_sctp: sum "decoder.sctp",
    decoder_esp: sum "decoder.esp",
    decoder_icmpv4: sum "decoder.icmpv4",
    decoder_icmpv6: sum "decoder.icmpv6",
    decoder_ppp: sum "decoder.ppp",
    decoder_pppoe: sum "decoder.pppoe",
    decoder_geneve: sum "decoder.geneve",
    decoder_gre: sum "decoder.gre",
    decoder_vlan: sum "decoder.vlan",
    decoder_vlan_qinq: sum "decoder.vlan_qinq",
    decoder_vlan_qinqinq: sum "decoder.vlan_qinqinq",
    decoder_vxlan: sum "decoder.vxlan",
    decoder_vntag: sum "decoder.vntag",
    decoder_etag: sum "decoder.etag",
    decoder_ieee8021ah: sum "decoder.ieee8021ah",
    decoder_teredo: sum "decoder.teredo",
    decoder_ipv4_in_ipv4: sum "decoder.ipv4_in_ipv4",
    decoder_ipv6_in_ipv4: sum "decoder.ipv6_in_ipv4",
    decoder_ipv4_in_ipv6: sum "decoder.ipv4_in_ipv6",
    decoder_ipv6_in_ipv6: sum "decoder.ipv6_in_ipv6",
    decoder_mpls: sum "decoder.mpls",
    #[doc = "Bytes by packets: worked out, never counted."]
    decoder_avg_pkt_size: max "decoder.avg_pkt_size",
    decoder_max_pkt_size: max "decoder.max_pkt_size",
    #[doc = "Most source addresses of Ethernet seen of one flow; known only where records show them."]
    decoder_max_mac_addrs_src: max "decoder.max_mac_addrs_src",
    #[doc = "The same of destination addresses."]
    decoder_max_mac_addrs_dst: max "decoder.max_mac_addrs_dst",
    decoder_erspan: sum "decoder.erspan",
    decoder_nsh: sum "decoder.nsh",
    decoder_too_many_layers: sum "decoder.too_many_layers",

    defrag_ipv4_fragments: sum "defrag.ipv4.fragments",
    #[doc = "Datagrams put together."]
    defrag_ipv4_reassembled: sum "defrag.ipv4.reassembled",
    defrag_ipv6_fragments: sum "defrag.ipv6.fragments",
    defrag_ipv6_reassembled: sum "defrag.ipv6.reassembled",
    #[doc = "Fragments that were not taken in because `defrag.trackers` was reached."]
    defrag_max_trackers_reached: sum "defrag.max_trackers_reached",
    #[doc = "Fragments that were not taken in because `defrag.max-frags` was reached."]
    defrag_max_frags_reached: sum "defrag.max_frags_reached",
    #[doc = "Trackers of finished datagrams taken for new ones."]
    defrag_tracker_soft_reuse: sum "defrag.tracker_soft_reuse",
    #[doc = "Trackers of unfinished datagrams taken for new ones; never inline."]
    defrag_tracker_hard_reuse: sum "defrag.tracker_hard_reuse",
    #[doc = "Datagrams given up because their time was over, found by a fragment."]
    defrag_wrk_tracker_timeout: sum "defrag.wrk.tracker_timeout",
    #[doc = "The same, found by the sweep."]
    defrag_mgr_tracker_timeout: sum "defrag.mgr.tracker_timeout",
    #[doc = "Bytes that the defragmenters take now."]
    defrag_memuse: sum "defrag.memuse",
    #[doc = "Fragments that were not taken in for want of memory (ours)."]
    defrag_memcap_reached: sum "defrag.memcap_reached",
    #[doc = "Fragments refused for what they overlap or contradict (ours)."]
    defrag_overlaps_refused: sum "defrag.overlaps_refused",
    #[doc = "Fragments refused for what they are by themselves (ours)."]
    defrag_malformed: sum "defrag.malformed",
    #[doc = "Fragments refused because their datagram was dropped or let through before (ours)."]
    defrag_late: sum "defrag.late",

    #[doc = "Packets that needed a flow and got none for want of memory."]
    flow_memcap: sum "flow.memcap",
    #[doc = "Flows made since start. With `flow.taken_over` always as many as `flow.active`, all of `flow.end.state`, and `flow.handed_over`."]
    flow_total: sum "flow.total",
    #[doc = "Flows that another process made and this one went on with (ours)."]
    flow_taken_over: sum "flow.taken_over",
    #[doc = "Flows that another process went on with, or ended after all (ours)."]
    flow_handed_over: sum "flow.handed_over",
    #[doc = "Flows that another process told of and that could not be taken over (ours)."]
    flow_take_over_refused: sum "flow.take_over_refused",
    #[doc = "Flows that ended here, which another process that has a copy could not be told: it ends them once more (ours)."]
    flow_departed_refused: sum "flow.departed_refused",
    #[doc = "Flows taken over whose flow bits there was no memory for (ours)."]
    flow_bits_lost: sum "flow.bits_lost",
    #[doc = "Flows of which packets may have passed unjudged: there in a blind time, or picked up by grace (ours)."]
    flow_uninspected: sum "flow.uninspected",
    #[doc = "Flows in the table now."]
    flow_active: sum "flow.active",
    flow_tcp: sum "flow.tcp",
    flow_udp: sum "flow.udp",
    flow_icmpv4: sum "flow.icmpv4",
    flow_icmpv6: sum "flow.icmpv6",
    flow_tcp_reuse: sum "flow.tcp_reuse",
    #[doc = "Flows that became elephants (`flow.rate-tracking`)."]
    flow_elephant: sum "flow.elephant",
    flow_elephant_toserver: sum "flow.elephant_toserver",
    flow_elephant_toclient: sum "flow.elephant_toclient",
    #[doc = "Flows evicted by force to make room."]
    flow_get_used: sum "flow.get_used",
    flow_get_used_eval: sum "flow.get_used_eval",
    #[doc = "Flows looked at for eviction, but still alive."]
    flow_get_used_eval_reject: sum "flow.get_used_eval_reject",
    #[doc = "Searches for a flow to evict that found none."]
    flow_get_used_failed: sum "flow.get_used_failed",
    #[doc = "Flows made in advance and not in use."]
    flow_spare: sum "flow.spare",
    flow_emerg_mode_entered: sum "flow.emerg_mode_entered",
    flow_emerg_mode_over: sum "flow.emerg_mode_over",
    #[doc = "Bytes that flows take now."]
    flow_memuse: sum "flow.memuse",
    flow_wrk_spare_sync_avg: max "flow.wrk.spare_sync_avg",
    flow_wrk_spare_sync: sum "flow.wrk.spare_sync",
    flow_wrk_spare_sync_incomplete: sum "flow.wrk.spare_sync_incomplete",
    flow_wrk_spare_sync_empty: sum "flow.wrk.spare_sync_empty",
    flow_wrk_flows_evicted_needs_work: sum "flow.wrk.flows_evicted_needs_work",
    flow_wrk_flows_evicted_pkt_inject: sum "flow.wrk.flows_evicted_pkt_inject",
    flow_wrk_flows_evicted: sum "flow.wrk.flows_evicted",
    flow_wrk_flows_injected: sum "flow.wrk.flows_injected",
    flow_wrk_flows_injected_max: max "flow.wrk.flows_injected_max",
    #[doc = "Requests to end flows that were refused, too many waiting (ours)."]
    flow_wrk_injections_refused: sum "flow.wrk.injections_refused",
    flow_end_state_new: sum "flow.end.state.new",
    flow_end_state_established: sum "flow.end.state.established",
    flow_end_state_closed: sum "flow.end.state.closed",
    flow_end_state_local_bypassed: sum "flow.end.state.local_bypassed",
    flow_end_state_capture_bypassed: sum "flow.end.state.capture_bypassed",
    flow_end_tcp_state_none: sum "flow.end.tcp_state.none",
    flow_end_tcp_state_syn_sent: sum "flow.end.tcp_state.syn_sent",
    flow_end_tcp_state_syn_recv: sum "flow.end.tcp_state.syn_recv",
    flow_end_tcp_state_established: sum "flow.end.tcp_state.established",
    flow_end_tcp_state_fin_wait1: sum "flow.end.tcp_state.fin_wait1",
    flow_end_tcp_state_fin_wait2: sum "flow.end.tcp_state.fin_wait2",
    flow_end_tcp_state_time_wait: sum "flow.end.tcp_state.time_wait",
    flow_end_tcp_state_last_ack: sum "flow.end.tcp_state.last_ack",
    flow_end_tcp_state_close_wait: sum "flow.end.tcp_state.close_wait",
    flow_end_tcp_state_closing: sum "flow.end.tcp_state.closing",
    flow_end_tcp_state_closed: sum "flow.end.tcp_state.closed",
    flow_end_tcp_liberal: sum "flow.end.tcp_liberal",
    #[doc = "New flows refused because the buckets for their key were full (ours)."]
    flow_index_refused: sum "flow.index_refused",
    #[doc = "TCP packets without a flow that could not begin a session and, in emergency mode, got none (ours)."]
    flow_emerg_untracked: sum "flow.emerg_untracked",
    #[doc = "Bits that rules could not set, the flow having as many as it can or memcap no room (ours)."]
    flow_bits_refused: sum "flow.bits_refused",
    host_memuse: max "host.memuse",
    host_memcap: max "host.memcap",
    #[doc = "Counts and bits of hosts that there was no room for in `host.memcap` (ours)."]
    host_refused: sum "host.refused",
    #[doc = "Slots that the search for expired flows looked at (ours)."]
    flow_wrk_slots_swept: sum "flow.wrk.slots_swept",
    #[doc = "Most slots that it looked at in one burst (ours)."]
    flow_wrk_slots_swept_max: max "flow.wrk.slots_swept_max",
    #[doc = "Most buckets that one insertion had to look at (ours)."]
    flow_wrk_probe_max: max "flow.wrk.probe_max",
    #[doc = "Init callbacks run: once a flow made (ours)."]
    flow_callbacks_init: sum "flow.callbacks.init",
    #[doc = "Finish callbacks run: once a flow ended (ours)."]
    flow_callbacks_finish: sum "flow.callbacks.finish",
    flow_bypassed_local_pkts: sum "flow_bypassed.local_pkts",
    flow_bypassed_local_bytes: sum "flow_bypassed.local_bytes",
    flow_bypassed_local_capture_pkts: sum "flow_bypassed.local_capture_pkts",
    flow_bypassed_local_capture_bytes: sum "flow_bypassed.local_capture_bytes",
    flow_bypassed_closed: sum "flow_bypassed.closed",
    flow_bypassed_pkts: sum "flow_bypassed.pkts",
    flow_bypassed_bytes: sum "flow_bypassed.bytes",
    #[doc = "Percentage in use of the worker's fullest memory bound, now."]
    memcap_pressure: max "memcap.pressure",
    #[doc = "The largest that `memcap.pressure` ever was."]
    memcap_pressure_max: max "memcap.pressure_max",

    tcp_syn: sum "tcp.syn",
    tcp_synack: sum "tcp.synack",
    tcp_rst: sum "tcp.rst",
    tcp_urg: sum "tcp.urg",
    tcp_active_sessions: sum "tcp.active_sessions",
    tcp_sessions: sum "tcp.sessions",
    tcp_ssn_memcap_drop: sum "tcp.ssn_memcap_drop",
    tcp_pseudo: sum "tcp.pseudo",
    tcp_invalid_checksum: sum "tcp.invalid_checksum",
    tcp_midstream_pickups: sum "tcp.midstream_pickups",
    #[doc = "Connections picked up by `stream.midstream-grace`, of those picked up (ours)."]
    tcp_midstream_grace: sum "tcp.midstream_grace",
    tcp_ssn_from_cache: sum "tcp.ssn_from_cache",
    tcp_ssn_from_pool: sum "tcp.ssn_from_pool",
    tcp_pkt_on_wrong_thread: sum "tcp.pkt_on_wrong_thread",
    tcp_ack_unseen_data: sum "tcp.ack_unseen_data",
    tcp_segment_memcap_drop: sum "tcp.segment_memcap_drop",
    tcp_segment_from_cache: sum "tcp.segment_from_cache",
    tcp_segment_from_pool: sum "tcp.segment_from_pool",
    tcp_stream_depth_reached: sum "tcp.stream_depth_reached",
    tcp_reassembly_gap: sum "tcp.reassembly_gap",
    tcp_overlap: sum "tcp.overlap",
    tcp_overlap_diff_data: sum "tcp.overlap_diff_data",
    tcp_insert_data_normal_fail: sum "tcp.insert_data_normal_fail",
    tcp_insert_data_overlap_fail: sum "tcp.insert_data_overlap_fail",
    tcp_urgent_oob_data: sum "tcp.urgent_oob_data",
    #[doc = "Bytes that sessions take now."]
    tcp_memuse: sum "tcp.memuse",
    #[doc = "Bytes that payload takes now."]
    tcp_reassembly_memuse: sum "tcp.reassembly_memuse",

    stream_3whs_ack_in_wrong_dir: sum "stream.3whs_ack_in_wrong_dir",
    stream_3whs_async_wrong_seq: sum "stream.3whs_async_wrong_seq",
    stream_3whs_right_seq_wrong_ack_evasion: sum "stream.3whs_right_seq_wrong_ack_evasion",
    stream_3whs_synack_in_wrong_direction: sum "stream.3whs_synack_in_wrong_direction",
    stream_3whs_synack_resend_with_different_ack: sum "stream.3whs_synack_resend_with_different_ack",
    stream_3whs_synack_resend_with_diff_seq: sum "stream.3whs_synack_resend_with_diff_seq",
    stream_3whs_synack_toserver_on_syn_recv: sum "stream.3whs_synack_toserver_on_syn_recv",
    stream_3whs_synack_with_wrong_ack: sum "stream.3whs_synack_with_wrong_ack",
    stream_3whs_synack_flood: sum "stream.3whs_synack_flood",
    stream_3whs_synack_tfo_data_ignored: sum "stream.3whs_synack_tfo_data_ignored",
    stream_3whs_syn_resend_diff_seq_on_syn_recv: sum "stream.3whs_syn_resend_diff_seq_on_syn_recv",
    stream_3whs_syn_toclient_on_syn_recv: sum "stream.3whs_syn_toclient_on_syn_recv",
    stream_3whs_syn_flood: sum "stream.3whs_syn_flood",
    stream_3whs_wrong_seq_wrong_ack: sum "stream.3whs_wrong_seq_wrong_ack",
    stream_3whs_ack_data_inject: sum "stream.3whs_ack_data_inject",
    stream_4whs_synack_with_wrong_ack: sum "stream.4whs_synack_with_wrong_ack",
    stream_4whs_synack_with_wrong_syn: sum "stream.4whs_synack_with_wrong_syn",
    stream_4whs_wrong_seq: sum "stream.4whs_wrong_seq",
    stream_4whs_invalid_ack: sum "stream.4whs_invalid_ack",
    stream_closewait_ack_out_of_window: sum "stream.closewait_ack_out_of_window",
    stream_closewait_fin_out_of_window: sum "stream.closewait_fin_out_of_window",
    stream_closewait_pkt_before_last_ack: sum "stream.closewait_pkt_before_last_ack",
    stream_closewait_invalid_ack: sum "stream.closewait_invalid_ack",
    stream_closing_ack_wrong_seq: sum "stream.closing_ack_wrong_seq",
    stream_closing_invalid_ack: sum "stream.closing_invalid_ack",
    stream_est_packet_out_of_window: sum "stream.est_packet_out_of_window",
    stream_est_pkt_before_last_ack: sum "stream.est_pkt_before_last_ack",
    stream_est_synack_resend: sum "stream.est_synack_resend",
    stream_est_synack_resend_with_different_ack: sum "stream.est_synack_resend_with_different_ack",
    stream_est_synack_resend_with_diff_seq: sum "stream.est_synack_resend_with_diff_seq",
    stream_est_synack_toserver: sum "stream.est_synack_toserver",
    stream_est_syn_resend: sum "stream.est_syn_resend",
    stream_est_syn_resend_diff_seq: sum "stream.est_syn_resend_diff_seq",
    stream_est_syn_toclient: sum "stream.est_syn_toclient",
    stream_est_invalid_ack: sum "stream.est_invalid_ack",
    stream_fin_invalid_ack: sum "stream.fin_invalid_ack",
    stream_fin1_ack_wrong_seq: sum "stream.fin1_ack_wrong_seq",
    stream_fin1_fin_wrong_seq: sum "stream.fin1_fin_wrong_seq",
    stream_fin1_invalid_ack: sum "stream.fin1_invalid_ack",
    stream_fin2_ack_wrong_seq: sum "stream.fin2_ack_wrong_seq",
    stream_fin2_fin_wrong_seq: sum "stream.fin2_fin_wrong_seq",
    stream_fin2_invalid_ack: sum "stream.fin2_invalid_ack",
    stream_fin_but_no_session: sum "stream.fin_but_no_session",
    stream_fin_out_of_window: sum "stream.fin_out_of_window",
    stream_fin_syn: sum "stream.fin_syn",
    stream_lastack_ack_wrong_seq: sum "stream.lastack_ack_wrong_seq",
    stream_lastack_invalid_ack: sum "stream.lastack_invalid_ack",
    stream_rst_but_no_session: sum "stream.rst_but_no_session",
    stream_rst_invalid_ack: sum "stream.rst_invalid_ack",
    stream_rst_with_data: sum "stream.rst_with_data",
    stream_timewait_ack_wrong_seq: sum "stream.timewait_ack_wrong_seq",
    stream_timewait_invalid_ack: sum "stream.timewait_invalid_ack",
    stream_shutdown_syn_resend: sum "stream.shutdown_syn_resend",
    stream_pkt_invalid_timestamp: sum "stream.pkt_invalid_timestamp",
    stream_pkt_invalid_ack: sum "stream.pkt_invalid_ack",
    stream_pkt_broken_ack: sum "stream.pkt_broken_ack",
    stream_pkt_retransmission: sum "stream.pkt_retransmission",
    stream_pkt_spurious_retransmission: sum "stream.pkt_spurious_retransmission",
    stream_pkt_bad_window_update: sum "stream.pkt_bad_window_update",
    stream_suspected_rst_inject: sum "stream.suspected_rst_inject",
    stream_wrong_thread: sum "stream.wrong_thread",
    stream_reassembly_segment_before_base_seq: sum "stream.reassembly_segment_before_base_seq",
    stream_reassembly_no_segment: sum "stream.reassembly_no_segment",
    stream_reassembly_seq_gap: sum "stream.reassembly_seq_gap",
    stream_reassembly_overlap_different_data: sum "stream.reassembly_overlap_different_data",
    stream_reassembly_depth_reached: sum "stream.reassembly_depth_reached",
    stream_reassembly_insert_invalid: sum "stream.reassembly_insert_invalid",
    stream_reassembly_insert_limit: sum "stream.reassembly_insert_limit",
    stream_reassembly_insert_memcap: sum "stream.reassembly_insert_memcap",
    stream_urgent_oob_limit_reached: sum "stream.urgent_oob_limit_reached",

    detect_alert: sum "detect.alert",
    detect_alert_queue_overflow: sum "detect.alert_queue_overflow",
    detect_alerts_suppressed: sum "detect.alerts_suppressed",

    ips_accepted: sum "ips.accepted",
    ips_blocked: sum "ips.blocked",
    ips_rejected: sum "ips.rejected",
    ips_replaced: sum "ips.replaced",
    ips_drop_reason_decode_error: sum "ips.drop_reason.decode_error",
    ips_drop_reason_defrag_error: sum "ips.drop_reason.defrag_error",
    ips_drop_reason_defrag_memcap: sum "ips.drop_reason.defrag_memcap",
    ips_drop_reason_flow_memcap: sum "ips.drop_reason.flow_memcap",
    ips_drop_reason_flow_drop: sum "ips.drop_reason.flow_drop",
    ips_drop_reason_exception_policy_flow_drop: sum "ips.drop_reason.exception_policy_flow_drop",
    ips_drop_reason_stream_error: sum "ips.drop_reason.stream_error",
    ips_drop_reason_stream_memcap: sum "ips.drop_reason.stream_memcap",
    ips_drop_reason_stream_midstream: sum "ips.drop_reason.stream_midstream",
    ips_drop_reason_stream_urgent: sum "ips.drop_reason.stream_urgent",
    ips_drop_reason_stream_reassembly: sum "ips.drop_reason.stream_reassembly",
    ips_drop_reason_applayer_error: sum "ips.drop_reason.applayer_error",
    ips_drop_reason_applayer_memcap: sum "ips.drop_reason.applayer_memcap",
    ips_drop_reason_rules: sum "ips.drop_reason.rules",
    ips_drop_reason_threshold_detection_filter: sum "ips.drop_reason.threshold_detection_filter",
    ips_drop_reason_tunnel_packet_drop: sum "ips.drop_reason.tunnel_packet_drop",
    #[doc = "A lifecycle callback asked for it (ours)."]
    ips_drop_reason_callback: sum "ips.drop_reason.callback",
    #[doc = "The work limit left drop rules unasked (ours)."]
    ips_drop_reason_detect_limit: sum "ips.drop_reason.detect_limit",
    #[doc = "Nobody judged the packet (ours)."]
    ips_drop_reason_no_verdict: sum "ips.drop_reason.no_verdict",
    exception_policy_flow_memcap_pass_packet: sum "exception_policy.flow.memcap.pass_packet",
    exception_policy_flow_memcap_bypass: sum "exception_policy.flow.memcap.bypass",
    exception_policy_flow_memcap_drop_packet: sum "exception_policy.flow.memcap.drop_packet",
    exception_policy_flow_memcap_reject: sum "exception_policy.flow.memcap.reject",
    exception_policy_flow_memcap_reject_both: sum "exception_policy.flow.memcap.reject_both",
    exception_policy_defrag_memcap_pass_packet: sum "exception_policy.defrag.memcap.pass_packet",
    exception_policy_defrag_memcap_bypass: sum "exception_policy.defrag.memcap.bypass",
    exception_policy_defrag_memcap_drop_packet: sum "exception_policy.defrag.memcap.drop_packet",
    exception_policy_defrag_memcap_reject: sum "exception_policy.defrag.memcap.reject",
    exception_policy_defrag_memcap_reject_both: sum "exception_policy.defrag.memcap.reject_both",
    exception_policy_tcp_ssn_memcap_pass_packet: sum "exception_policy.tcp.ssn_memcap.pass_packet",
    exception_policy_tcp_ssn_memcap_pass_flow: sum "exception_policy.tcp.ssn_memcap.pass_flow",
    exception_policy_tcp_ssn_memcap_bypass: sum "exception_policy.tcp.ssn_memcap.bypass",
    exception_policy_tcp_ssn_memcap_drop_packet: sum "exception_policy.tcp.ssn_memcap.drop_packet",
    exception_policy_tcp_ssn_memcap_drop_flow: sum "exception_policy.tcp.ssn_memcap.drop_flow",
    exception_policy_tcp_ssn_memcap_reject: sum "exception_policy.tcp.ssn_memcap.reject",
    exception_policy_tcp_ssn_memcap_reject_both: sum "exception_policy.tcp.ssn_memcap.reject_both",
    exception_policy_tcp_reassembly_pass_packet: sum "exception_policy.tcp.reassembly.pass_packet",
    exception_policy_tcp_reassembly_pass_flow: sum "exception_policy.tcp.reassembly.pass_flow",
    exception_policy_tcp_reassembly_bypass: sum "exception_policy.tcp.reassembly.bypass",
    exception_policy_tcp_reassembly_drop_packet: sum "exception_policy.tcp.reassembly.drop_packet",
    exception_policy_tcp_reassembly_drop_flow: sum "exception_policy.tcp.reassembly.drop_flow",
    exception_policy_tcp_reassembly_reject: sum "exception_policy.tcp.reassembly.reject",
    exception_policy_tcp_reassembly_reject_both: sum "exception_policy.tcp.reassembly.reject_both",
    exception_policy_tcp_midstream_pass_flow: sum "exception_policy.tcp.midstream.pass_flow",
    exception_policy_tcp_midstream_bypass: sum "exception_policy.tcp.midstream.bypass",
    exception_policy_tcp_midstream_drop_flow: sum "exception_policy.tcp.midstream.drop_flow",
    exception_policy_tcp_midstream_reject: sum "exception_policy.tcp.midstream.reject",
    exception_policy_tcp_midstream_reject_both: sum "exception_policy.tcp.midstream.reject_both",
    exception_policy_app_layer_error_pass_packet: sum "exception_policy.app_layer.error.pass_packet",
    exception_policy_app_layer_error_pass_flow: sum "exception_policy.app_layer.error.pass_flow",
    exception_policy_app_layer_error_bypass: sum "exception_policy.app_layer.error.bypass",
    exception_policy_app_layer_error_drop_packet: sum "exception_policy.app_layer.error.drop_packet",
    exception_policy_app_layer_error_drop_flow: sum "exception_policy.app_layer.error.drop_flow",
    exception_policy_app_layer_error_reject: sum "exception_policy.app_layer.error.reject",
    exception_policy_app_layer_error_reject_both: sum "exception_policy.app_layer.error.reject_both",

    #[doc = "Resets and ICMP messages that rejected packets were answered with (ours)."]
    reject_sent: sum "reject.sent",
    #[doc = "Answers to rejected packets that the outbox had no room for (ours)."]
    reject_refused: sum "reject.refused",
    #[doc = "Packets let through that rules would have dropped, had they been allowed to (ours)."]
    detect_would_drop: sum "detect.would_drop",
    #[doc = "Packets for which a limit left rules unasked: on work, or of a regular expression (ours)."]
    detect_limit_reached: sum "detect.limit_reached",
    #[doc = "Regular expressions that hit their match limit (ours)."]
    detect_pcre_limit_reached: sum "detect.pcre_limit_reached",
    #[doc = "Frames that the XDP program handed to a worker's socket (ours)."]
    gate_to_worker: sum "gate.to_worker",
    #[doc = "Link-local control frames that went to the peer port in the kernel (ours)."]
    gate_passed_control: sum "gate.passed_control",
    #[doc = "Frames that passed to the peer port uninspected: no worker could take them (ours)."]
    gate_passed_uninspected: sum "gate.passed_uninspected",
    #[doc = "Frames dropped in the kernel because no worker could take them (ours)."]
    gate_dropped_closed: sum "gate.dropped_closed",
    #[doc = "Frames dropped in the kernel for want of a peer port (ours)."]
    gate_dropped_no_peer: sum "gate.dropped_no_peer",
    #[doc = "Frames of interfaces that are not of the set, left to the stack (ours)."]
    gate_foreign: sum "gate.foreign",
    #[doc = "Frames that passed to the peer port uninspected: their worker was too busy (ours)."]
    gate_overload_bypassed: sum "gate.overload_bypassed",
    #[doc = "Frames dropped in the kernel because their worker was too busy (ours)."]
    gate_overload_dropped: sum "gate.overload_dropped",
    #[doc = "Frames that passed to the peer port uninspected: the panic switch was on (ours)."]
    gate_switched: sum "gate.switched",
    #[doc = "Frames that went to the peer port in the kernel: the verdict cache passes their flow (ours)."]
    gate_cache_passed: sum "gate.cache_passed",
    #[doc = "Frames dropped in the kernel: the verdict cache drops their flow (ours)."]
    gate_cache_dropped: sum "gate.cache_dropped",
    #[doc = "Frames that passed to the peer port uninspected: a static bypass says so (ours)."]
    gate_list_bypassed: sum "gate.list_bypassed",
    #[doc = "Frames dropped in the kernel: an address is on a blocklist (ours)."]
    gate_list_dropped: sum "gate.list_dropped",
    #[doc = "Of those that no worker could take: there was no socket (ours)."]
    gate_no_socket: sum "gate.no_socket",
    #[doc = "Of those that no worker could take: its heartbeat was too old (ours)."]
    gate_stale: sum "gate.stale",
    #[doc = "Times in which no worker saw a queue's frames (ours)."]
    gate_blind_windows: sum "gate.blind_windows",
    #[doc = "Queues that were blind too often within a minute and fail as `latched-fail` says (ours)."]
    gate_latched: sum "gate.latched",
    #[doc = "Gates that died and were replaced since the warden's start (ours)."]
    gate_restarts: sum "gate.restarts",
    #[doc = "Those of them that were killed because they hung for `liveness.replace-after` (ours)."]
    gate_hangs: sum "gate.hangs",
    #[doc = "Links that were lost and mirrored to their peers, and times in which ports were down for want of a worker (ours)."]
    links_lost: sum "links.lost",
    #[doc = "Pairs of which a port is held down now, for its peer has no link or nobody judges (ours)."]
    links_held: sum "links.held",
    #[doc = "Ports whose receive queues or MTU are no longer what the gate was started with (ours)."]
    links_misfits: sum "links.misfits",

    #[doc = "Times that a decided flow was put forward for the verdict cache, by direction (ours)."]
    verdict_cache_offered: sum "verdict_cache.offered",
    #[doc = "Of them those for which too many others waited (ours)."]
    verdict_cache_refused: sum "verdict_cache.refused",
    #[doc = "Of them those for which the cache was full (ours)."]
    verdict_cache_full: sum "verdict_cache.full",
    #[doc = "Entries in the verdict cache, a flow having one in each direction (ours, a gauge)."]
    verdict_cache_entries: sum "verdict_cache.entries",

    #[doc = "Packets that another worker passed on to this one (ours)."]
    worker_steered_in: sum "worker.steered_in",
    #[doc = "Packets passed on to the worker that owns their flow (ours)."]
    worker_steered_out: sum "worker.steered_out",
    #[doc = "Packets that could not be passed on, the ring being full (ours)."]
    worker_steer_refused: sum "worker.steer_refused",
    #[doc = "Packets of the busiest worker, in percent of what it would have if all had as many (ours)."]
    worker_imbalance: sum "worker.imbalance",
    #[doc = "Callbacks and hooks that panicked and were disabled (ours)."]
    worker_callback_panics: sum "worker.callback_panics",
    #[doc = "Lines that the log could not take, for want of room on the disk or the like (ours)."]
    log_lines_lost: sum "log.lines.lost",
    #[doc = "Alert and drop records handed to the logger (ours)."]
    log_evidence_pushed: sum "log.evidence.pushed",
    #[doc = "Alert and drop records refused by a full ring (ours)."]
    log_evidence_refused: sum "log.evidence.refused",
    #[doc = "Alert and drop records that were cut to fit (ours)."]
    log_evidence_truncated: sum "log.evidence.truncated",
    #[doc = "Flow and netflow records handed to the logger (ours)."]
    log_flow_pushed: sum "log.flow.pushed",
    #[doc = "Flow and netflow records refused by a full ring (ours)."]
    log_flow_refused: sum "log.flow.refused",
}

impl Counters {
    /// Works out the averages; [`merge`](Self::merge) does it by itself.
    pub fn update_averages(&mut self) {
        self.decoder_avg_pkt_size = self.decoder_bytes.checked_div(self.decoder_pkts).unwrap_or(0);
    }
}

const fn sum(one: u64, other: u64) -> u64 {
    one.saturating_add(other)
}

fn max(one: u64, other: u64) -> u64 {
    one.max(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn numbered(start: u64) -> Counters {
        let mut values = [0; Counters::NAMES.len()];
        for (value, number) in values.iter_mut().zip(start..) {
            *value = number;
        }
        Counters::from_values(values)
    }

    #[test]
    fn names_are_unique_paths_and_no_leaf_has_branches() {
        let names: BTreeSet<_> = Counters::NAMES.iter().copied().collect();
        assert_eq!(names.len(), Counters::NAMES.len());
        for name in &names {
            assert!(name.split('.').all(|part| !part.is_empty()), "{name}");
            assert!(!names.iter().any(|other| other.starts_with(&format!("{name}."))), "{name}");
        }
    }

    #[test]
    fn every_value_comes_under_its_own_name() {
        let counters = numbered(1);
        let pairs: Vec<_> = counters.iter().collect();
        assert_eq!(pairs.len(), Counters::NAMES.len());
        assert_eq!(pairs.first(), Some(&("capture.kernel_packets", 1)));
        assert_eq!(counters.capture_kernel_packets, 1);
        assert_eq!(pairs.last(), Some(&("log.flow.refused", counters.log_flow_refused)));
        assert_eq!(Counters::from_values(counters.values()), counters);
    }

    #[test]
    fn merging_adds_counts_and_keeps_the_larger_gauge() {
        let mut merged = numbered(1);
        merged.merge(&numbered(1000));
        let (one, other) = (numbered(1), numbered(1000));
        assert_eq!(merged.flow_total, one.flow_total + other.flow_total);
        assert_eq!(merged.memcap_pressure, other.memcap_pressure);
        assert_eq!(merged.decoder_avg_pkt_size, merged.decoder_bytes / merged.decoder_pkts);
        let mut empty = Counters::default();
        empty.merge(&Counters::default());
        assert_eq!(empty, Counters::default());
    }
}
