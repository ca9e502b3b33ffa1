//! What a flow table counts. Every field is a counter or gauge of Suricata's, by its name under
//! `flow.`; those without a counterpart there say so.

use crate::flow::FlowState;
use crate::tcp::TcpState;

/// Counters and gauges of one worker's table. Sums over workers are the process's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowStats {
    /// `flow.total`: flows created.
    pub total: u64,
    /// Flows taken over from another process, which created them. Ours.
    pub taken_over: u64,
    /// Flows that another process went on with, or had ended after they were taken over from it. Ours; not among
    /// [`end`](Self::end), so `total + taken_over == active + end.total() + handed_over`.
    pub handed_over: u64,
    /// Flows that ended after they were copied for another process, which could not be told, too many waiting: it ends
    /// them once more. Ours.
    pub departed_refused: u64,
    /// Flows that were there while packets passed unjudged. Ours.
    pub uninspected: u64,
    /// Flows taken over whose bits there was no room for. Ours.
    pub bits_lost: u64,
    /// `flow.active`: flows created or taken over and not ended, those in the work queue included.
    pub active: u64,
    /// `flow.tcp`: TCP flows created.
    pub tcp: u64,
    /// `flow.udp`
    pub udp: u64,
    /// `flow.icmpv4`
    pub icmpv4: u64,
    /// `flow.icmpv6`
    pub icmpv6: u64,
    /// `flow.tcp_reuse`: TCP flows replaced by a new one with the same ports.
    pub tcp_reuse: u64,
    /// `flow.memcap`: packets that were refused a flow.
    pub memcap: u64,
    /// Newcomers refused because the buckets that could hold their key were full: none by chance, so
    /// a sign of chosen keys. Ours; part of [`memcap`](Self::memcap).
    pub index_refused: u64,
    /// `flow.elephant`: flows that became elephants, in whatever direction.
    pub elephant: u64,
    /// `flow.elephant_toserver`: of them those to the server.
    pub elephant_toserver: u64,
    /// `flow.elephant_toclient`: of them those to the client.
    pub elephant_toclient: u64,
    /// `flow.get_used`: flows evicted for a newcomer.
    pub get_used: u64,
    /// `flow.get_used_eval`: flows looked at for eviction.
    pub get_used_eval: u64,
    /// `flow.get_used_eval_reject`: of them still alive.
    pub get_used_eval_reject: u64,
    /// `flow.get_used_failed`: searches that found no flow to evict.
    pub get_used_failed: u64,
    /// `flow.spare`: flows ready for use (a gauge).
    pub spare: u64,
    /// `flow.emerg_mode_entered`
    pub emerg_mode_entered: u64,
    /// `flow.emerg_mode_over`
    pub emerg_mode_over: u64,
    /// TCP packets that began no session, came in emergency mode and were not given a flow. Ours.
    pub emerg_untracked: u64,
    /// `flow.memuse` in bytes (a gauge); never above the worker's share of `flow.memcap`.
    pub memuse: u64,
    /// `flow.wrk.*`
    pub wrk: WorkerStats,
    /// `flow.end.*`
    pub end: EndStats,
}

/// `flow.wrk.*`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerStats {
    /// `flow.wrk.spare_sync`: times the spare pool was empty and a block was asked for.
    pub spare_sync: u64,
    /// `flow.wrk.spare_sync_incomplete`: of them those that brought less than a block.
    pub spare_sync_incomplete: u64,
    /// `flow.wrk.spare_sync_empty`: of them those that brought nothing.
    pub spare_sync_empty: u64,
    /// Spare flows that all of them brought: `flow.wrk.spare_sync_avg` is how many one brought that brought any.
    pub spare_synced: u64,
    /// `flow.wrk.flows_evicted`: flows moved to the work queue, for whatever reason.
    pub flows_evicted: u64,
    /// `flow.wrk.flows_injected`: flows ended because somebody asked for it.
    pub flows_injected: u64,
    /// `flow.wrk.flows_injected_max`: most of them for one request (a gauge).
    pub flows_injected_max: u64,
    /// Requests to end flows that were refused, too many waiting. Ours.
    pub injections_refused: u64,
    /// Slots looked at by the sweep. Ours.
    pub slots_swept: u64,
    /// Most slots looked at in one sweep (a gauge). Ours.
    pub slots_swept_max: u64,
    /// Most buckets of the index that one insertion had to look at (a gauge). Ours.
    pub probe_max: u64,
}

/// `flow.end.*`: flows ended, by how they were then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndStats {
    /// `flow.end.state.new`
    pub state_new: u64,
    /// `flow.end.state.established`
    pub state_established: u64,
    /// `flow.end.state.closed`
    pub state_closed: u64,
    /// `flow.end.state.local_bypassed`
    pub state_local_bypassed: u64,
    /// `flow.end.state.capture_bypassed`
    pub state_capture_bypassed: u64,
    /// `flow.end.tcp_state.*`, by [`TcpState`]'s discriminant: TCP sessions ended, by state.
    pub tcp_state: [u64; TcpState::ALL.len()],
}

impl EndStats {
    /// Flows ended, in whatever state.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.state_new
            + self.state_established
            + self.state_closed
            + self.state_local_bypassed
            + self.state_capture_bypassed
    }

    pub(crate) fn count(&mut self, state: FlowState, capture: bool, tcp: Option<TcpState>) {
        match state {
            FlowState::New => self.state_new += 1,
            FlowState::Established => self.state_established += 1,
            FlowState::Closed => self.state_closed += 1,
            FlowState::Bypassed if capture => self.state_capture_bypassed += 1,
            FlowState::Bypassed => self.state_local_bypassed += 1,
        }
        if let Some(tcp) = tcp {
            self.tcp_state[tcp as usize] += 1;
        }
    }
}
