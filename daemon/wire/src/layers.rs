//! The layers that decoding met, for the `decoder.*` counters of EVE's stats record.

/// A layer that is counted. A layer counts as met when its decoder was entered, so also for a
/// packet that turns out invalid in it, as in Suricata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Layer {
    /// An Ethernet header.
    Ethernet,
    /// Link type null or loop.
    Null,
    /// Point-to-point protocol.
    Ppp,
    /// A packet without link header.
    Raw,
    /// Cooked capture.
    Sll,
    /// Cooked capture, second version.
    Sll2,
    /// Cisco HDLC.
    Chdlc,
    /// The outermost VLAN tag.
    Vlan,
    /// A second VLAN tag.
    VlanQinq,
    /// A third VLAN tag.
    VlanQinqinq,
    /// ARP.
    Arp,
    /// An EtherType without a decoder here, and IEEE 802.3 frames that have none.
    UnknownEthertype,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// Encapsulating security payload.
    Esp,
    /// ICMP for IPv4.
    Icmpv4,
    /// ICMP for IPv6.
    Icmpv6,
    /// PPP over Ethernet, discovery or session.
    Pppoe,
    /// Geneve.
    Geneve,
    /// GRE.
    Gre,
    /// VXLAN.
    Vxlan,
    /// Cisco's virtual NIC tag.
    Vntag,
    /// An E-TAG (IEEE 802.1BR).
    Etag,
    /// Provider backbone bridging (IEEE 802.1ah).
    Ieee8021ah,
    /// Teredo.
    Teredo,
    /// IPv4 within IPv4.
    Ipv4InIpv4,
    /// IPv6 within IPv4.
    Ipv6InIpv4,
    /// IPv4 within IPv6.
    Ipv4InIpv6,
    /// IPv6 within IPv6.
    Ipv6InIpv6,
    /// MPLS labels.
    Mpls,
    /// ERSPAN.
    Erspan,
    /// A network service header.
    Nsh,
    /// More layers than are looked into: none of them is this one.
    TooManyLayers,
}

impl Layer {
    /// Every layer, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Ethernet,
        Self::Null,
        Self::Ppp,
        Self::Raw,
        Self::Sll,
        Self::Sll2,
        Self::Chdlc,
        Self::Vlan,
        Self::VlanQinq,
        Self::VlanQinqinq,
        Self::Arp,
        Self::UnknownEthertype,
        Self::Ipv4,
        Self::Ipv6,
        Self::Tcp,
        Self::Udp,
        Self::Sctp,
        Self::Esp,
        Self::Icmpv4,
        Self::Icmpv6,
        Self::Pppoe,
        Self::Geneve,
        Self::Gre,
        Self::Vxlan,
        Self::Vntag,
        Self::Etag,
        Self::Ieee8021ah,
        Self::Teredo,
        Self::Ipv4InIpv4,
        Self::Ipv6InIpv4,
        Self::Ipv4InIpv6,
        Self::Ipv6InIpv6,
        Self::Mpls,
        Self::Erspan,
        Self::Nsh,
        Self::TooManyLayers,
    ];

    /// How many layers there are: numbers (`layer as usize`) are below.
    pub const COUNT: usize = 36;

    /// The counter's key under `decoder`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ethernet => "ethernet",
            Self::Null => "null",
            Self::Ppp => "ppp",
            Self::Raw => "raw",
            Self::Sll => "sll",
            Self::Sll2 => "sll2",
            Self::Chdlc => "chdlc",
            Self::Vlan => "vlan",
            Self::VlanQinq => "vlan_qinq",
            Self::VlanQinqinq => "vlan_qinqinq",
            Self::Arp => "arp",
            Self::UnknownEthertype => "unknown_ethertype",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
            Self::Esp => "esp",
            Self::Icmpv4 => "icmpv4",
            Self::Icmpv6 => "icmpv6",
            Self::Pppoe => "pppoe",
            Self::Geneve => "geneve",
            Self::Gre => "gre",
            Self::Vxlan => "vxlan",
            Self::Vntag => "vntag",
            Self::Etag => "etag",
            Self::Ieee8021ah => "ieee8021ah",
            Self::Teredo => "teredo",
            Self::Ipv4InIpv4 => "ipv4_in_ipv4",
            Self::Ipv6InIpv4 => "ipv6_in_ipv4",
            Self::Ipv4InIpv6 => "ipv4_in_ipv6",
            Self::Ipv6InIpv6 => "ipv6_in_ipv6",
            Self::Mpls => "mpls",
            Self::Erspan => "erspan",
            Self::Nsh => "nsh",
            Self::TooManyLayers => "too_many_layers",
        }
    }
}

/// The layers of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Layers(u64);

impl Layers {
    /// None.
    pub const EMPTY: Self = Self(0);

    /// Adds a layer.
    pub const fn insert(&mut self, layer: Layer) {
        self.0 |= 1 << layer as u8;
    }

    /// Was the layer met?
    #[must_use]
    pub const fn contains(self, layer: Layer) -> bool {
        self.0 >> layer as u8 & 1 == 1
    }

    /// A place for these layers in a table of `places`, a power of two: mostly another one for other layers.
    #[must_use]
    #[inline]
    pub const fn place(self, places: usize) -> usize {
        // Fibonacci hashing: the highest bits of a product with 2^64 by the golden ratio.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = (self.0.wrapping_mul(SPREAD) >> 48) as usize;
        mixed & (places - 1)
    }

    /// The layers that were met, in the order of [`Layer::ALL`]; the cost is one step for each.
    pub fn iter(self) -> impl Iterator<Item = Layer> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let layer = Layer::ALL.get(left.trailing_zeros() as usize).copied()?;
            left &= left - 1;
            Some(layer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense() {
        for (number, layer) in Layer::ALL.iter().enumerate() {
            assert_eq!(number, usize::from(*layer as u8), "{}", layer.name());
        }
    }

    #[test]
    fn a_set_yields_what_was_inserted() {
        let mut layers = Layers::default();
        assert_eq!(layers.iter().count(), 0);
        for layer in [Layer::Icmpv6, Layer::Ethernet, Layer::Vlan, Layer::Vlan] {
            layers.insert(layer);
        }
        assert!(layers.contains(Layer::Vlan) && !layers.contains(Layer::Tcp));
        assert_eq!(layers.iter().collect::<Vec<_>>(), [Layer::Ethernet, Layer::Vlan, Layer::Icmpv6]);
    }
}
