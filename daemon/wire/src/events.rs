//! Decoder events: what is wrong or remarkable about a frame, by the names that Suricata's
//! `decode-event` keyword gives them.

/// Declares the events once: variant, name, and the list of all.
macro_rules! decode_events {
    ($($(#[$note:meta])* $variant:ident => $name:literal,)+) => {
        /// What is wrong or remarkable about a frame, by Suricata's event names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum DecodeEvent {
            $(
                #[doc = concat!("`", $name, "`")]
                $(#[$note])*
                $variant,
            )+
        }

        impl DecodeEvent {
            /// Every event, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The event as a rule's `decode-event` names it (Suricata logs it with `decoder.`
            /// before).
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

decode_events! {
    EthernetTooSmall => "ethernet.pkt_too_small",
    EthernetUnknownEthertype => "ethernet.unknown_ethertype",
    DceTooSmall => "dce.pkt_too_small",
    VlanTooSmall => "vlan.header_too_small",
    /// Not invalid, unlike in Suricata: tagged control protocols are legitimate traffic.
    VlanUnknownType => "vlan.unknown_type",
    VlanTooManyLayers => "vlan.too_many_layers",
    RawInvalidVersion => "ipraw.invalid_ip_version",
    NullTooSmall => "ltnull.pkt_too_small",
    NullUnsupportedType => "ltnull.unsupported_type",
    PppTooSmall => "ppp.pkt_too_small",
    PppWrongType => "ppp.wrong_type",
    PppUnsupportedProtocol => "ppp.unsup_proto",
    SllTooSmall => "sll.pkt_too_small",
    Sll2TooSmall => "sll2.pkt_too_small",
    ChdlcTooSmall => "chdlc.pkt_too_small",
    /// Suricata refuses such a source instead; here every frame of it is invalid.
    UnknownLinkType => "unknown_link_type",
    TooManyLayers => "too_many_layers",
    Ipv4TooSmall => "ipv4.pkt_too_small",
    Ipv4HeaderTooSmall => "ipv4.hlen_too_small",
    Ipv4LengthBelowHeader => "ipv4.iplen_smaller_than_hlen",
    Ipv4Truncated => "ipv4.trunc_pkt",
    Ipv4WrongVersion => "ipv4.wrong_ip_version",
    Ipv4OptionInvalidLength => "ipv4.opt_invalid_len",
    Ipv4OptionEolRequired => "ipv4.opt_eol_required",
    /// As that of IPv6.
    Ipv4FragmentTooLarge => "ipv4.frag_pkt_too_large",
    Ipv4Icmpv6 => "ipv4.icmpv6",
    Ipv6TooSmall => "ipv6.pkt_too_small",
    Ipv6Truncated => "ipv6.trunc_pkt",
    Ipv6TruncatedExtension => "ipv6.trunc_exthdr",
    Ipv6WrongVersion => "ipv6.wrong_ip_version",
    Ipv6DuplicateFragmentHeader => "ipv6.exthdr_dupl_fh",
    Ipv6UselessFragmentHeader => "ipv6.exthdr_useless_fh",
    Ipv6DuplicateRoutingHeader => "ipv6.exthdr_dupl_rh",
    Ipv6DuplicateHopOptions => "ipv6.exthdr_dupl_hh",
    Ipv6DuplicateDestinationOptions => "ipv6.exthdr_dupl_dh",
    Ipv6DuplicateAuthentication => "ipv6.exthdr_dupl_ah",
    Ipv6RoutingType0 => "ipv6.rh_type_0",
    Ipv6FragmentReserved => "ipv6.fh_non_zero_reserved_field",
    Ipv6FragmentInvalidLength => "ipv6.frag_invalid_length",
    /// The fragment ends beyond the largest packet. Met here, by a fragment alone; in Suricata when it is
    /// to be put together.
    Ipv6FragmentTooLarge => "ipv6.frag_pkt_too_large",
    Ipv6DataAfterNone => "ipv6.data_after_none_header",
    Ipv6UnknownNextHeader => "ipv6.unknown_next_header",
    Ipv6Icmpv4 => "ipv6.icmpv4",
    TcpTooSmall => "tcp.pkt_too_small",
    /// The data offset points behind the end of the packet.
    TcpHeaderTooSmall => "tcp.hlen_too_small",
    /// The data offset is below the 20 bytes of a header.
    TcpInvalidOptionLength => "tcp.invalid_optlen",
    TcpOptionInvalidLength => "tcp.opt_invalid_len",
    UdpHeaderTooSmall => "udp.hlen_too_small",
    /// The length field is more than the IP packet holds.
    UdpTooSmall => "udp.pkt_too_small",
    /// The length field is below the 8 bytes of a header.
    UdpLengthInvalid => "udp.len_invalid",
    SctpTooSmall => "sctp.pkt_too_small",
    EspTooSmall => "esp.pkt_too_small",
    Icmpv4TooSmall => "icmpv4.pkt_too_small",
    Icmpv4UnknownType => "icmpv4.unknown_type",
    Icmpv4UnknownCode => "icmpv4.unknown_code",
    Icmpv4QuoteTruncated => "icmpv4.ipv4_trunc_pkt",
    Icmpv4QuoteUnknownVersion => "icmpv4.ipv4_unknown_ver",
    Icmpv6TooSmall => "icmpv6.pkt_too_small",
    Icmpv6UnknownType => "icmpv6.unknown_type",
    Icmpv6UnknownCode => "icmpv6.unknown_code",
    Icmpv6QuoteTruncated => "icmpv6.ipv6_trunc_pkt",
    Icmpv6QuoteUnknownVersion => "icmpv6.ipv6_unknown_version",
    Icmpv6UnassignedType => "icmpv6.unassigned_type",
    Icmpv6ExperimentationType => "icmpv6.experimentation_type",
}

// A set of events is one machine word.
const _: () = assert!(DecodeEvent::ALL.len() <= 64);

/// A set of [`DecodeEvent`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DecodeEvents(u64);

impl DecodeEvents {
    /// Adds an event; adding it again changes nothing.
    pub const fn insert(&mut self, event: DecodeEvent) {
        self.0 |= 1 << event as u8;
    }

    /// Is the event in the set?
    #[must_use]
    pub const fn contains(self, event: DecodeEvent) -> bool {
        self.0 >> event as u8 & 1 == 1
    }

    /// Is there none, as for almost every packet?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The events of the set, in the order of [`DecodeEvent::ALL`].
    pub fn iter(self) -> impl Iterator<Item = DecodeEvent> {
        DecodeEvent::ALL.iter().copied().filter(move |&event| self.contains(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_numbers_dense() {
        let names: HashSet<_> = DecodeEvent::ALL.iter().map(|event| event.name()).collect();
        assert_eq!(names.len(), DecodeEvent::ALL.len());
        for (number, event) in DecodeEvent::ALL.iter().enumerate() {
            assert_eq!(number, usize::from(*event as u8));
        }
    }

    #[test]
    fn a_set_holds_what_was_inserted() {
        let mut set = DecodeEvents::default();
        assert!(set.is_empty());
        let last = *DecodeEvent::ALL.last().unwrap();
        set.insert(last);
        set.insert(DecodeEvent::TcpTooSmall);
        set.insert(last);
        assert!(set.contains(last) && !set.contains(DecodeEvent::UdpTooSmall));
        assert_eq!(set.iter().collect::<Vec<_>>(), [DecodeEvent::TcpTooSmall, last]);
    }
}
