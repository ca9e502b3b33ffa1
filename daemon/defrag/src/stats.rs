//! What a defragmenter counts, by the names of Suricata's `defrag.*` counters.

/// One worker's `defrag.*` counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefragStats {
    /// `ipv4.fragments`: fragments that came.
    pub ipv4_fragments: u64,
    /// `ipv4.reassembled`: datagrams put together.
    pub ipv4_reassembled: u64,
    /// `ipv6.fragments`
    pub ipv6_fragments: u64,
    /// `ipv6.reassembled`
    pub ipv6_reassembled: u64,
    /// `max_trackers_reached`: fragments refused because as many datagrams as may be are being put
    /// together.
    pub max_trackers_reached: u64,
    /// `max_frags_reached`: fragments refused because as many as may be are kept.
    pub max_frags_reached: u64,
    /// Fragments refused for want of memory (ours).
    pub memcap_reached: u64,
    /// `tracker_soft_reuse`: trackers of finished datagrams taken for new ones.
    pub tracker_soft_reuse: u64,
    /// `tracker_hard_reuse`: trackers of unfinished datagrams taken for new ones; never inline.
    pub tracker_hard_reuse: u64,
    /// `wrk.tracker_timeout`: datagrams that were found too old by a fragment that came.
    pub wrk_tracker_timeout: u64,
    /// `mgr.tracker_timeout`: datagrams that were found too old by the sweep.
    pub mgr_tracker_timeout: u64,
    /// `memuse`: bytes taken, of `memcap`.
    pub memuse: u64,
    /// Fragments refused for what they overlap or contradict (ours).
    pub overlaps_refused: u64,
    /// Fragments refused for what they are by themselves (ours).
    pub malformed: u64,
    /// Fragments refused because their datagram was dropped or let through before (ours).
    pub late: u64,
}
