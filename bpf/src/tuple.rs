//! Who talks to whom, as the program takes it from a frame's headers: the key of what it decides by flow. The C side
//! is `tuple.h`.

/// One direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Who sent it; IPv4 in its mapped form (RFC 4291 section 2.5.5.2).
    pub source: [u8; 16],
    /// Whom it was sent to.
    pub destination: [u8; 16],
    /// Of an ICMP echo its type.
    pub source_port: u16,
    /// Of an ICMP echo its code.
    pub destination_port: u16,
    /// VLAN ids, outermost first; `None` where there is no further tag.
    pub vlans: [Option<u16>; 3],
    /// 4 or 6.
    pub version: u8,
    /// The IANA number of the protocol.
    pub protocol: u8,
    /// The inline set.
    pub set: u8,
    /// By which port of its pair it came in.
    pub side: Side,
}

/// The two ports of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The first: one with an even number.
    First,
    /// The second.
    Second,
}

impl Side {
    /// That of a port of the gate.
    #[must_use]
    pub const fn of(port: u8) -> Self {
        if port & 1 == 0 { Self::First } else { Self::Second }
    }

    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// Tells VLAN 0 from no tag.
const VLAN_PRESENT: u16 = 0x1000;

impl Tuple {
    /// Bytes of the kernel's struct.
    pub const SIZE: usize = 48;

    /// As the kernel has it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let (addresses, rest) = bytes.split_at_mut(32);
        addresses[..16].copy_from_slice(&self.source);
        addresses[16..].copy_from_slice(&self.destination);
        rest[..2].copy_from_slice(&self.source_port.to_be_bytes());
        rest[2..4].copy_from_slice(&self.destination_port.to_be_bytes());
        for (slot, vlan) in rest[4..10].as_chunks_mut::<2>().0.iter_mut().zip(self.vlans) {
            *slot = vlan.map_or(0, |id| id & 0xfff | VLAN_PRESENT).to_ne_bytes();
        }
        let side = u8::from(self.side == Side::Second);
        rest[10..14].copy_from_slice(&[self.version, self.protocol, self.set, side]);
        bytes
    }

    /// What the kernel has.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let word = |at: usize| [bytes[at], bytes[at + 1]];
        let vlan = |at| {
            let tag = u16::from_ne_bytes(word(at));
            (tag & VLAN_PRESENT != 0).then_some(tag & 0xfff)
        };
        let [mut source, mut destination] = [[0; 16]; 2];
        source.copy_from_slice(&bytes[..16]);
        destination.copy_from_slice(&bytes[16..32]);
        Self {
            source,
            destination,
            source_port: u16::from_be_bytes(word(32)),
            destination_port: u16::from_be_bytes(word(34)),
            vlans: [vlan(36), vlan(38), vlan(40)],
            version: bytes[42],
            protocol: bytes[43],
            set: bytes[44],
            side: Side::of(bytes[45]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_back() {
        let tuple = Tuple {
            source: std::array::from_fn(|at| u8::try_from(at).unwrap()),
            destination: [0xfe; 16],
            source_port: 0x0102,
            destination_port: 0xf00d,
            vlans: [Some(0), Some(0xfff), None],
            version: 6,
            protocol: 17,
            set: 3,
            side: Side::Second,
        };
        let bytes = tuple.to_bytes();
        assert_eq!(Tuple::from_bytes(&bytes), tuple);
        assert_eq!(bytes[32..36], [1, 2, 0xf0, 0x0d]);
        assert_eq!(bytes[46..], [0, 0]);
        let first = Tuple { vlans: [None; 3], side: tuple.side.opposite(), ..tuple };
        assert_eq!(Tuple::from_bytes(&first.to_bytes()), first);
    }
}
