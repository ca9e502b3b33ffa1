//! Stream events: what is wrong or remarkable about a segment, by the names that Suricata's
//! `stream-event` keyword gives them.

/// Declares the events once: variant, name, and the list of all.
macro_rules! stream_events {
    ($($(#[$note:meta])* $variant:ident => $name:literal,)+) => {
        /// What is wrong or remarkable about a segment, by Suricata's event names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum StreamEvent {
            $(
                #[doc = concat!("`", $name, "`")]
                $(#[$note])*
                $variant,
            )+
        }

        impl StreamEvent {
            /// Every event, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The event as a rule's `stream-event` names it. In EVE's counters it stands under
            /// `stream`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

stream_events! {
    HandshakeAckInWrongDirection => "3whs_ack_in_wrong_dir",
    HandshakeAsyncWrongSeq => "3whs_async_wrong_seq",
    HandshakeRightSeqWrongAck => "3whs_right_seq_wrong_ack_evasion",
    HandshakeSynAckInWrongDirection => "3whs_synack_in_wrong_direction",
    HandshakeSynAckResendDifferentAck => "3whs_synack_resend_with_different_ack",
    HandshakeSynAckResendDifferentSeq => "3whs_synack_resend_with_diff_seq",
    HandshakeSynAckToServerOnSynRecv => "3whs_synack_toserver_on_syn_recv",
    HandshakeSynAckWrongAck => "3whs_synack_with_wrong_ack",
    HandshakeSynAckFlood => "3whs_synack_flood",
    HandshakeSynAckFastOpenIgnored => "3whs_synack_tfo_data_ignored",
    HandshakeSynResendDifferentSeqOnSynRecv => "3whs_syn_resend_diff_seq_on_syn_recv",
    HandshakeSynToClientOnSynRecv => "3whs_syn_toclient_on_syn_recv",
    HandshakeSynFlood => "3whs_syn_flood",
    HandshakeWrongSeqWrongAck => "3whs_wrong_seq_wrong_ack",
    HandshakeAckDataInject => "3whs_ack_data_inject",
    FourWaySynAckWrongAck => "4whs_synack_with_wrong_ack",
    FourWaySynAckWrongSyn => "4whs_synack_with_wrong_syn",
    FourWayWrongSeq => "4whs_wrong_seq",
    FourWayInvalidAck => "4whs_invalid_ack",
    CloseWaitAckOutOfWindow => "closewait_ack_out_of_window",
    CloseWaitFinOutOfWindow => "closewait_fin_out_of_window",
    CloseWaitPacketBeforeLastAck => "closewait_pkt_before_last_ack",
    CloseWaitInvalidAck => "closewait_invalid_ack",
    ClosingAckWrongSeq => "closing_ack_wrong_seq",
    ClosingInvalidAck => "closing_invalid_ack",
    EstablishedOutOfWindow => "est_packet_out_of_window",
    EstablishedBeforeLastAck => "est_pkt_before_last_ack",
    EstablishedSynAckResend => "est_synack_resend",
    EstablishedSynAckResendDifferentAck => "est_synack_resend_with_different_ack",
    EstablishedSynAckResendDifferentSeq => "est_synack_resend_with_diff_seq",
    EstablishedSynAckToServer => "est_synack_toserver",
    EstablishedSynResend => "est_syn_resend",
    EstablishedSynResendDifferentSeq => "est_syn_resend_diff_seq",
    EstablishedSynToClient => "est_syn_toclient",
    EstablishedInvalidAck => "est_invalid_ack",
    FinInvalidAck => "fin_invalid_ack",
    Fin1AckWrongSeq => "fin1_ack_wrong_seq",
    Fin1FinWrongSeq => "fin1_fin_wrong_seq",
    Fin1InvalidAck => "fin1_invalid_ack",
    Fin2AckWrongSeq => "fin2_ack_wrong_seq",
    Fin2FinWrongSeq => "fin2_fin_wrong_seq",
    Fin2InvalidAck => "fin2_invalid_ack",
    FinNoSession => "fin_but_no_session",
    FinOutOfWindow => "fin_out_of_window",
    FinSyn => "fin_syn",
    LastAckWrongSeq => "lastack_ack_wrong_seq",
    LastAckInvalidAck => "lastack_invalid_ack",
    ResetNoSession => "rst_but_no_session",
    ResetInvalidAck => "rst_invalid_ack",
    ResetWithData => "rst_with_data",
    TimeWaitAckWrongSeq => "timewait_ack_wrong_seq",
    TimeWaitInvalidAck => "timewait_invalid_ack",
    ShutdownSynResend => "shutdown_syn_resend",
    InvalidTimestamp => "pkt_invalid_timestamp",
    InvalidAck => "pkt_invalid_ack",
    BrokenAck => "pkt_broken_ack",
    Retransmission => "pkt_retransmission",
    SpuriousRetransmission => "pkt_spurious_retransmission",
    BadWindowUpdate => "pkt_bad_window_update",
    SuspectedResetInject => "suspected_rst_inject",
    /// Never raised: a flow has one worker.
    WrongThread => "wrong_thread",
    SegmentBeforeBase => "reassembly_segment_before_base_seq",
    NoSegment => "reassembly_no_segment",
    SequenceGap => "reassembly_seq_gap",
    OverlapDifferentData => "reassembly_overlap_different_data",
    DepthReached => "reassembly_depth_reached",
    InsertInvalid => "reassembly_insert_invalid",
    InsertLimit => "reassembly_insert_limit",
    InsertMemcap => "reassembly_insert_memcap",
    UrgentLimitReached => "urgent_oob_limit_reached",
}

impl StreamEvent {
    /// How many events there are: numbers (`event as usize`) are below.
    pub const COUNT: usize = Self::ALL.len();

    /// The event of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.name() == name)
    }
}

/// The events of one segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StreamEvents(u128);

const _: () = assert!(StreamEvent::COUNT <= 128);

impl StreamEvents {
    /// No event.
    pub const NONE: Self = Self(0);

    /// Adds an event.
    pub const fn insert(&mut self, event: StreamEvent) {
        self.0 |= 1 << event as u8;
    }

    /// Was the event met?
    #[must_use]
    pub const fn contains(self, event: StreamEvent) -> bool {
        self.0 >> event as u8 & 1 == 1
    }

    /// Was there none?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The events that were met, in the order of [`StreamEvent::ALL`].
    pub fn iter(self) -> impl Iterator<Item = StreamEvent> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let event = StreamEvent::ALL.get(left.trailing_zeros() as usize).copied()?;
            left &= left - 1;
            Some(event)
        })
    }
}

impl FromIterator<StreamEvent> for StreamEvents {
    fn from_iter<T: IntoIterator<Item = StreamEvent>>(events: T) -> Self {
        let mut set = Self::default();
        for event in events {
            set.insert(event);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (number, event) in StreamEvent::ALL.iter().enumerate() {
            assert_eq!(number, usize::from(*event as u8), "{}", event.name());
            assert_eq!(StreamEvent::named(event.name()), Some(*event));
        }
        assert_eq!(StreamEvent::named("stream.est_synack_resend"), None);
    }

    #[test]
    fn a_set_yields_what_was_inserted() {
        let events = [StreamEvent::UrgentLimitReached, StreamEvent::HandshakeAckInWrongDirection];
        let set: StreamEvents = events.into_iter().collect();
        assert!(set.contains(StreamEvent::UrgentLimitReached) && !set.contains(StreamEvent::NoSegment));
        let inserted = [StreamEvent::HandshakeAckInWrongDirection, StreamEvent::UrgentLimitReached];
        assert_eq!(set.iter().collect::<Vec<_>>(), inserted);
        assert!(StreamEvents::default().is_empty());
    }
}
