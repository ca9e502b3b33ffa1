//! Link types: what the first byte of a frame is.

/// The header a frame starts with, by the numbers of capture files
/// (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum LinkType {
    /// `LINKTYPE_ETHERNET` (1).
    #[default]
    Ethernet,
    /// `LINKTYPE_NULL` (0) and `LINKTYPE_LOOP` (108): four bytes of address family.
    Null,
    /// `LINKTYPE_PPP` (9).
    Ppp,
    /// `LINKTYPE_RAW` (101, also 12 and 14): no link header at all.
    Raw,
    /// `LINKTYPE_IPV4` (228): decoded as [`Raw`](Self::Raw), as in Suricata.
    Ipv4,
    /// `LINKTYPE_IPV6` (229): the same.
    Ipv6,
    /// `LINKTYPE_LINUX_SLL` (113): cooked capture.
    LinuxSll,
    /// `LINKTYPE_LINUX_SLL2` (276): cooked capture, second version.
    LinuxSll2,
    /// `LINKTYPE_C_HDLC` (104).
    CiscoHdlc,
    /// Any other number: frames are counted as invalid.
    Other(u32),
}

impl LinkType {
    /// The link type that a capture file calls `number`.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Ethernet,
            0 | 108 => Self::Null,
            9 => Self::Ppp,
            12 | 14 | 101 => Self::Raw,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            113 => Self::LinuxSll,
            276 => Self::LinuxSll2,
            104 => Self::CiscoHdlc,
            other => Self::Other(other),
        }
    }

    /// The number a capture file and EVE's `packet_info` give this link type.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Ethernet => 1,
            Self::Null => 0,
            Self::Ppp => 9,
            Self::Raw => 101,
            Self::Ipv4 => 228,
            Self::Ipv6 => 229,
            Self::LinuxSll => 113,
            Self::LinuxSll2 => 276,
            Self::CiscoHdlc => 104,
            Self::Other(number) => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_names_its_link_type() {
        for number in [0, 1, 9, 101, 104, 113, 147, 228, 229, 276] {
            assert_eq!(LinkType::from_number(number).number(), number);
        }
        assert_eq!(LinkType::from_number(12), LinkType::Raw);
    }
}
