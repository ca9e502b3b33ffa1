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
    Ieee8021ahTooSmall => "ieee8021ah.header_too_small",
    VntagTooSmall => "vntag.header_too_small",
    /// Not invalid, as that of VLAN.
    VntagUnknownType => "vntag.unknown_type",
    EtagTooSmall => "etag.header_too_small",
    /// Not invalid, as that of VLAN.
    EtagUnknownType => "etag.unknown_type",
    RawInvalidVersion => "ipraw.invalid_ip_version",
    NullTooSmall => "ltnull.pkt_too_small",
    NullUnsupportedType => "ltnull.unsupported_type",
    PppTooSmall => "ppp.pkt_too_small",
    PppVjTooSmall => "ppp.vju_pkt_too_small",
    PppIpv4TooSmall => "ppp.ip4_pkt_too_small",
    PppIpv6TooSmall => "ppp.ip6_pkt_too_small",
    PppWrongType => "ppp.wrong_type",
    PppUnsupportedProtocol => "ppp.unsup_proto",
    PppoeTooSmall => "pppoe.pkt_too_small",
    PppoeWrongCode => "pppoe.wrong_code",
    PppoeMalformedTags => "pppoe.malformed_tags",
    SllTooSmall => "sll.pkt_too_small",
    Sll2TooSmall => "sll2.pkt_too_small",
    ChdlcTooSmall => "chdlc.pkt_too_small",
    /// Suricata refuses such a source instead; here every frame of it is invalid.
    UnknownLinkType => "unknown_link_type",
    TooManyLayers => "too_many_layers",
    ArpTooSmall => "arp.pkt_too_small",
    /// Not invalid, unlike in Suricata: there is hardware other than Ethernet.
    ArpUnsupportedHardware => "arp.unsupported_hardware",
    /// Not invalid, unlike in Suricata.
    ArpUnsupportedProtocol => "arp.unsupported_protocol",
    ArpUnsupportedPacket => "arp.unsupported_pkt",
    ArpInvalidHardwareSize => "arp.invalid_hardware_size",
    ArpInvalidProtocolSize => "arp.invalid_protocol_size",
    /// Not invalid, unlike in Suricata.
    ArpUnsupportedOperation => "arp.unsupported_opcode",
    MplsHeaderTooSmall => "mpls.header_too_small",
    MplsTooSmall => "mpls.pkt_too_small",
    MplsRouterAlert => "mpls.bad_label_router_alert",
    MplsImplicitNull => "mpls.bad_label_implicit_null",
    MplsReserved => "mpls.bad_label_reserved",
    MplsUnknownPayload => "mpls.unknown_payload_type",
    NshHeaderTooSmall => "nsh.header_too_small",
    NshUnsupportedVersion => "nsh.unsupported_version",
    NshBadHeaderLength => "nsh.bad_header_length",
    NshReservedType => "nsh.reserved_type",
    NshUnsupportedType => "nsh.unsupported_type",
    NshUnknownPayload => "nsh.unknown_payload",
    Ipv4TooSmall => "ipv4.pkt_too_small",
    Ipv4HeaderTooSmall => "ipv4.hlen_too_small",
    Ipv4LengthBelowHeader => "ipv4.iplen_smaller_than_hlen",
    Ipv4Truncated => "ipv4.trunc_pkt",
    Ipv4WrongVersion => "ipv4.wrong_ip_version",
    /// What a known option says is impossible.
    Ipv4OptionInvalid => "ipv4.opt_invalid",
    Ipv4OptionInvalidLength => "ipv4.opt_invalid_len",
    /// The pointer or the flags of a route or timestamp option are impossible.
    Ipv4OptionMalformed => "ipv4.opt_malformed",
    /// The options' length is no multiple of 8.
    Ipv4OptionPadRequired => "ipv4.opt_pad_required",
    Ipv4OptionEolRequired => "ipv4.opt_eol_required",
    Ipv4OptionDuplicate => "ipv4.opt_duplicate",
    Ipv4OptionUnknown => "ipv4.opt_unknown",
    /// As that of IPv6.
    Ipv4FragmentTooLarge => "ipv4.frag_pkt_too_large",
    /// Remarked by the defragmenter.
    Ipv4FragmentOverlap => "ipv4.frag_overlap",
    /// Remarked by the defragmenter.
    Ipv4FragmentIgnored => "ipv4.frag_ignored",
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
    /// Never remarked: nothing after an ESP header can be read.
    Ipv6DuplicateEsp => "ipv6.exthdr_dupl_eh",
    Ipv6InvalidOptionLength => "ipv6.exthdr_invalid_optlen",
    Ipv6AuthenticationReserved => "ipv6.exthdr_ah_res_not_null",
    Ipv6HopOptionUnknown => "ipv6.hopopts_unknown_opt",
    Ipv6HopOptionsOnlyPadding => "ipv6.hopopts_only_padding",
    Ipv6DestinationOptionUnknown => "ipv6.dstopts_unknown_opt",
    Ipv6DestinationOptionsOnlyPadding => "ipv6.dstopts_only_padding",
    Ipv6ZeroLengthPadding => "ipv6.zero_len_padn",
    Ipv6RoutingType0 => "ipv6.rh_type_0",
    Ipv6FragmentReserved => "ipv6.fh_non_zero_reserved_field",
    Ipv6FragmentInvalidLength => "ipv6.frag_invalid_length",
    /// The fragment ends beyond the largest packet. Met here, by a fragment alone; in Suricata when it is
    /// to be put together.
    Ipv6FragmentTooLarge => "ipv6.frag_pkt_too_large",
    /// Remarked by the defragmenter.
    Ipv6FragmentOverlap => "ipv6.frag_overlap",
    /// Remarked by the defragmenter.
    Ipv6FragmentIgnored => "ipv6.frag_ignored",
    Ipv6DataAfterNone => "ipv6.data_after_none_header",
    Ipv6UnknownNextHeader => "ipv6.unknown_next_header",
    Ipv6Icmpv4 => "ipv6.icmpv4",
    Ipv4InIpv6TooSmall => "ipv6.ipv4_in_ipv6_too_small",
    Ipv4InIpv6WrongVersion => "ipv6.ipv4_in_ipv6_wrong_version",
    Ipv6InIpv6TooSmall => "ipv6.ipv6_in_ipv6_too_small",
    Ipv6InIpv6WrongVersion => "ipv6.ipv6_in_ipv6_wrong_version",
    TcpTooSmall => "tcp.pkt_too_small",
    /// The data offset points behind the end of the packet.
    TcpHeaderTooSmall => "tcp.hlen_too_small",
    /// The data offset is below the 20 bytes of a header.
    TcpInvalidOptionLength => "tcp.invalid_optlen",
    TcpOptionInvalidLength => "tcp.opt_invalid_len",
    TcpOptionDuplicate => "tcp.opt_duplicate",
    UdpHeaderTooSmall => "udp.hlen_too_small",
    /// The length field is more than the IP packet holds.
    UdpTooSmall => "udp.pkt_too_small",
    /// The length field is below the 8 bytes of a header.
    UdpLengthInvalid => "udp.len_invalid",
    SctpTooSmall => "sctp.pkt_too_small",
    EspTooSmall => "esp.pkt_too_small",
    GreTooSmall => "gre.pkt_too_small",
    GreWrongVersion => "gre.wrong_version",
    GreVersion0Recursion => "gre.version0_recur",
    GreVersion0Flags => "gre.version0_flags",
    GreVersion0HeaderTooBig => "gre.version0_hdr_too_big",
    GreVersion0MalformedRoute => "gre.version0_malformed_sre_hdr",
    GreVersion1Checksum => "gre.version1_chksum",
    GreVersion1Routing => "gre.version1_route",
    GreVersion1StrictRoute => "gre.version1_ssr",
    GreVersion1Recursion => "gre.version1_recur",
    GreVersion1Flags => "gre.version1_flags",
    GreVersion1NoKey => "gre.version1_no_key",
    GreVersion1WrongProtocol => "gre.version1_wrong_protocol",
    /// Never remarked: version 1 has no source routes, which is an event of its own.
    GreVersion1MalformedRoute => "gre.version1_malformed_sre_hdr",
    GreVersion1HeaderTooBig => "gre.version1_hdr_too_big",
    ErspanHeaderTooSmall => "erspan.header_too_small",
    ErspanUnsupportedVersion => "erspan.unsupported_version",
    ErspanTooManyVlanLayers => "erspan.too_many_vlan_layers",
    VxlanUnknownPayload => "vxlan.unknown_payload_type",
    GeneveUnknownPayload => "geneve.unknown_payload_type",
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
    /// A multicast listener message with a hop limit other than 1 (RFC 2710 section 3).
    Icmpv6MldHopLimit => "icmpv6.mld_message_with_invalid_hl",
    Icmpv6UnassignedType => "icmpv6.unassigned_type",
    Icmpv6ExperimentationType => "icmpv6.experimentation_type",
}

/// 64-bit words of a set.
const WORDS: usize = 3;

const _: () = assert!(DecodeEvent::ALL.len() <= 64 * WORDS);

/// A set of [`DecodeEvent`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DecodeEvents([u64; WORDS]);

impl DecodeEvents {
    /// Adds an event; adding it again changes nothing.
    pub const fn insert(&mut self, event: DecodeEvent) {
        let (word, bit) = place(event);
        self.0[word] |= bit;
    }

    /// Is the event in the set?
    #[must_use]
    pub const fn contains(&self, event: DecodeEvent) -> bool {
        let (word, bit) = place(event);
        self.0[word] & bit != 0
    }

    /// Is there none, as for almost every packet?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let [first, second, third] = self.0;
        first | second | third == 0
    }

    /// The events of the set, in the order of [`DecodeEvent::ALL`].
    pub fn iter(self) -> impl Iterator<Item = DecodeEvent> {
        DecodeEvent::ALL.iter().copied().filter(move |&event| self.contains(event))
    }
}

const fn place(event: DecodeEvent) -> (usize, u64) {
    let number = event as u8;
    ((number / 64) as usize, 1 << (number % 64))
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
