//! What a worker's sessions count, by the names of EVE's `tcp.*`.

use crate::events::{StreamEvent, StreamEvents};

/// Counters from 0 at start, but for the gauges, which say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStats {
    /// `tcp.active_sessions`, a gauge.
    pub active_sessions: u64,
    /// `tcp.sessions`
    pub sessions: u64,
    /// `tcp.ssn_memcap_drop`: segments that should have begun a session and could not.
    pub ssn_memcap_drop: u64,
    /// `tcp.ssn_from_cache`: sessions in memory that was used before or made ready at start.
    pub ssn_from_cache: u64,
    /// `tcp.ssn_from_pool`: sessions in new memory.
    pub ssn_from_pool: u64,
    /// `tcp.pseudo`: inspections without a packet, when flows end.
    pub pseudo: u64,
    /// `tcp.invalid_checksum`: segments that were not looked at for that.
    pub invalid_checksum: u64,
    /// `tcp.midstream_pickups`
    pub midstream_pickups: u64,
    /// `tcp.ack_unseen_data`: acknowledgements of data that was not seen.
    pub ack_unseen_data: u64,
    /// `tcp.segment_memcap_drop`: segments that there was no memory for.
    pub segment_memcap_drop: u64,
    /// `tcp.segment_from_cache`: pages for payload that were used before or made ready at start.
    pub segment_from_cache: u64,
    /// `tcp.segment_from_pool`: pages for payload in new memory.
    pub segment_from_pool: u64,
    /// `tcp.stream_depth_reached`
    pub stream_depth_reached: u64,
    /// `tcp.reassembly_gap`
    pub reassembly_gap: u64,
    /// `tcp.overlap`
    pub overlap: u64,
    /// `tcp.overlap_diff_data`
    pub overlap_diff_data: u64,
    /// `tcp.insert_data_normal_fail`: segments refused for another reason than memory.
    pub insert_data_normal_fail: u64,
    /// `tcp.insert_data_overlap_fail`: the same, of segments that overlap.
    pub insert_data_overlap_fail: u64,
    /// `tcp.urgent_oob_data`: bytes kept out of the stream.
    pub urgent_oob_data: u64,
    /// `tcp.memuse` in bytes, a gauge.
    pub memuse: u64,
    /// `tcp.reassembly_memuse` in bytes, a gauge.
    pub reassembly_memuse: u64,
    /// `stream.*`, by the number of the event.
    pub events: [u64; StreamEvent::COUNT],
}

impl Default for StreamStats {
    fn default() -> Self {
        Self {
            active_sessions: 0,
            sessions: 0,
            ssn_memcap_drop: 0,
            ssn_from_cache: 0,
            ssn_from_pool: 0,
            pseudo: 0,
            invalid_checksum: 0,
            midstream_pickups: 0,
            ack_unseen_data: 0,
            segment_memcap_drop: 0,
            segment_from_cache: 0,
            segment_from_pool: 0,
            stream_depth_reached: 0,
            reassembly_gap: 0,
            overlap: 0,
            overlap_diff_data: 0,
            insert_data_normal_fail: 0,
            insert_data_overlap_fail: 0,
            urgent_oob_data: 0,
            memuse: 0,
            reassembly_memuse: 0,
            events: [0; StreamEvent::COUNT],
        }
    }
}

impl StreamStats {
    /// Counts the events of one segment.
    #[inline]
    pub(crate) fn count(&mut self, events: StreamEvents) {
        for event in events.iter() {
            if let Some(count) = self.events.get_mut(event as usize) {
                *count += 1;
            }
        }
    }
}
