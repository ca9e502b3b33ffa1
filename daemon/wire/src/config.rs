//! How frames are decoded.

/// Most ports that a tunnel protocol may be looked for on, as in Suricata.
pub const PORTS: usize = 4;

/// The UDP ports that a tunnel protocol is looked for on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Where there are fewer, the first one again.
    list: [u16; PORTS],
    count: u8,
    any: bool,
}

impl Ports {
    /// None: the protocol is not looked for.
    pub const NONE: Self = Self { list: [0; PORTS], count: 0, any: false };
    /// Whatever the port is.
    pub const ANY: Self = Self { list: [0; PORTS], count: 0, any: true };

    /// These ports; `None` where there are more than [`PORTS`].
    #[must_use]
    pub fn new(ports: &[u16]) -> Option<Self> {
        let mut list = [ports.first().copied().unwrap_or(0); PORTS];
        list.get_mut(..ports.len())?.copy_from_slice(ports);
        Some(Self { list, count: u8::try_from(ports.len()).ok()?, any: false })
    }

    /// Is the protocol looked for on this port?
    #[must_use]
    #[inline]
    pub fn contains(&self, port: u16) -> bool {
        let listed = self.list.iter().fold(false, |listed, own| listed | (*own == port));
        self.any || self.count > 0 && listed
    }

    /// The ports one by one; `None` where every port is one.
    #[must_use]
    pub fn listed(&self) -> Option<&[u16]> {
        if self.any { None } else { self.list.get(..usize::from(self.count)) }
    }

    fn filter(&self) -> u64 {
        let bits = self.list.iter().take(usize::from(self.count)).map(|port| 1 << PortFilter::place(*port));
        if self.any { u64::MAX } else { bits.fold(0, |all, bit: u64| all | bit) }
    }
}

/// A set of ports in a word: says "no" to nearly every port that is not in it, and never to one
/// that is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PortFilter(u64);

impl PortFilter {
    #[inline]
    pub(crate) const fn has_either(self, one: u16, other: u16) -> bool {
        (self.0 >> Self::place(one) | self.0 >> Self::place(other)) & 1 == 1
    }

    /// Both halves of the number, for 53 and 4789 end alike.
    const fn place(port: u16) -> u16 {
        (port ^ port >> 6) & 63
    }
}

/// How frames are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderConfig {
    /// Are checksums looked at? Wrong ones are reported in
    /// [`bad_checksums`](crate::decoded::Decoded::bad_checksums) and change nothing else.
    pub validate_checksums: bool,
    /// `decoder.max-layers`: most headers and tags, 1 to 255, that are decoded beyond a link and a
    /// network header, through all the packets in each other. A frame with more is invalid.
    pub max_layers: u8,
    /// `decoder.vxlan.ports`: destination ports of VXLAN.
    pub vxlan: Ports,
    /// `decoder.geneve.ports`: destination ports of Geneve.
    pub geneve: Ports,
    /// `decoder.teredo.ports`: ports of Teredo, on either side.
    pub teredo: Ports,
    /// `decoder.erspan.typeI.enabled`: is GRE without a sequence number, where it says ERSPAN, taken
    /// for ERSPAN of the first type, which has no header of its own?
    pub erspan_type1: bool,
}

impl Default for DecoderConfig {
    /// As the `suricata.yaml` that is shipped with Suricata has it, checksums looked at.
    fn default() -> Self {
        let one = |port| Ports { list: [port; PORTS], count: 1, any: false };
        Self {
            validate_checksums: true,
            max_layers: 16,
            vxlan: one(4789),
            geneve: one(6081),
            teredo: one(3544),
            erspan_type1: false,
        }
    }
}

impl DecoderConfig {
    /// Without a look at checksums, all else as by default.
    #[must_use]
    pub fn without_checksums() -> Self {
        Self { validate_checksums: false, ..Self::default() }
    }

    /// The ports that may be a tunnel's.
    pub(crate) fn tunnel_ports(&self) -> PortFilter {
        PortFilter(self.vxlan.filter() | self.geneve.filter() | self.teredo.filter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        let check = |ports: &Ports, port: u16, expected: bool| {
            assert_eq!(ports.contains(port), expected, "{ports:?} {port}");
            let config = DecoderConfig {
                vxlan: *ports,
                geneve: Ports::NONE,
                teredo: Ports::NONE,
                ..DecoderConfig::default()
            };
            assert!(config.tunnel_ports().has_either(port, port) || !expected);
        };
        let two = Ports::new(&[0, 65_535]).unwrap();
        check(&two, 0, true);
        check(&two, 65_535, true);
        check(&two, 1, false);
        check(&Ports::NONE, 0, false);
        check(&Ports::ANY, 7, true);
        assert_eq!((two.listed(), Ports::NONE.listed()), (Some(&[0, 65_535][..]), Some(&[][..])));
        assert_eq!(Ports::ANY.listed(), None);
        assert_eq!(Ports::new(&[1, 2, 3, 4]).map(|ports| ports.contains(4)), Some(true));
        assert_eq!(Ports::new(&[1, 2, 3, 4, 5]), None);
    }
}
