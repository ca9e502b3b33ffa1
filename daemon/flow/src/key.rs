//! What makes two packets one flow. Owns the key's layout; never looks at packet bytes.

use portcullis_wire::decoded::{Address, Decoded, Fragment, Icmp, Transport};

/// IANA protocol numbers that the engine treats apart.
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// IPv4 within IP.
    pub const IPV4_IN_IP: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 within IP.
    pub const IPV6_IN_IP: u8 = 41;
    /// Encapsulating security payload.
    pub const ESP: u8 = 50;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// A flow's key: both endpoints, the lower one first, and everything that tells flows between the
/// same endpoints apart. Both directions of a flow have the same key.
///
/// 48 bytes without padding: two addresses; ports and tenant; VLAN ids, protocol, IP version,
/// recursion level and inline set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FlowKey {
    words: [u64; 6],
}

/// The word with the ports (or the SPI) and the tenant.
const PORTS: usize = 4;
/// The word with all the rest but the addresses.
const REST: usize = 5;

/// Which parts of a packet tell flows apart: the `use-for-tracking` settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyOptions {
    /// `vlan.use-for-tracking`, on by default: the same endpoints in two VLANs are two flows.
    pub vlan: bool,
    /// `decoder.recursion-level.use-for-tracking`, on by default: a packet in a tunnel is of
    /// another flow than one outside.
    pub recursion_level: bool,
    /// `livedev.use-for-tracking`, on by default: the same endpoints in two inline sets are two
    /// flows. Never the port, so that the links of one set may be asymmetric.
    pub inline_set: bool,
}

impl Default for KeyOptions {
    fn default() -> Self {
        Self { vlan: true, recursion_level: true, inline_set: true }
    }
}

/// What tells flows apart besides the packet itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyScope {
    /// The `use-for-tracking` settings.
    pub options: KeyOptions,
    /// The tenant the packet belongs to; 0 without tenants.
    pub tenant: u32,
    /// The inline set the packet came in on.
    pub inline_set: u8,
}

/// A packet's key and how the packet stands to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// The key.
    pub key: FlowKey,
    /// Is the packet's source the higher endpoint? For an ICMP error: was it sent towards the
    /// lower endpoint, i.e. is the lower endpoint the source of the packet it quotes?
    pub swapped: bool,
    /// Does the key come from the packet that an ICMP error quotes? Such a packet belongs to the
    /// flow it quotes, in the opposite direction, and never creates one.
    pub quoted: bool,
}

impl FlowKey {
    /// The key of a decoded packet, or `None` where the packet has no flow: it is invalid, not
    /// IP, a fragment (an atomic one is none), an ICMP error whose quoted tuple cannot be read, or
    /// of a protocol that is not tracked (tracked are TCP, UDP, SCTP, ICMP, ESP and IP in IP, as in
    /// Suricata).
    ///
    /// The ports of an ICMP message are its type and its type's counterpart, so that request and
    /// reply are one flow; a type without a counterpart has 0. As in Suricata neither code nor
    /// identifier tells flows apart. ESP has its SPI in place of the ports; as each direction has its
    /// own, so has each its flow.
    #[must_use]
    #[inline]
    pub fn of(decoded: &Decoded, scope: &KeyScope) -> Option<Keyed> {
        if decoded.invalid.is_some() || !matches!(decoded.ip_version, 4 | 6) {
            return None;
        }
        if decoded.fragment.is_some_and(|fragment| !is_atomic(fragment)) {
            return None;
        }
        match (decoded.protocol, &decoded.transport) {
            (protocol::TCP, Transport::Tcp(_)) | (protocol::UDP, Transport::Udp(_)) | (protocol::SCTP, _) => {
                let ports = (decoded.source_port, decoded.destination_port);
                Some(Self::between(decoded, scope, ports))
            }
            _ => Self::without_ports(decoded, scope),
        }
    }

    /// Apart, so that the common way stays small enough to be inlined.
    #[inline(never)]
    fn without_ports(decoded: &Decoded, scope: &KeyScope) -> Option<Keyed> {
        match (decoded.protocol, &decoded.transport) {
            (protocol::ESP, _) => {
                let mut keyed = Self::between(decoded, scope, (0, 0));
                keyed.key.words[PORTS] |= u64::from(decoded.spi) << 32;
                Some(keyed)
            }
            (protocol::IPV4_IN_IP | protocol::IPV6_IN_IP, _) => Some(Self::between(decoded, scope, (0, 0))),
            (protocol::ICMP, Transport::Icmpv4(icmp)) | (protocol::ICMPV6, Transport::Icmpv6(icmp)) => {
                Self::of_icmp(decoded, scope, icmp)
            }
            _ => None,
        }
    }

    fn of_icmp(decoded: &Decoded, scope: &KeyScope, icmp: &Icmp) -> Option<Keyed> {
        if !is_icmp_error(decoded.protocol, icmp.kind) {
            let ports = (u16::from(icmp.kind), icmp_counterpart(decoded.protocol, icmp.kind));
            return Some(Self::between(decoded, scope, ports));
        }
        let quoted = icmp.quoted?;
        let ports = match quoted.protocol {
            protocol::TCP | protocol::UDP | protocol::SCTP => (quoted.source_port, quoted.destination_port),
            // A quoted tuple tells no ICMP type. Errors are not quoted (RFC 1122 §3.2.2), and of
            // the rest a router meets echo requests before all else.
            protocol::ICMP => (8, 0),
            protocol::ICMPV6 => (128, 129),
            _ => return None,
        };
        let endpoints = Endpoints::new((&quoted.source, ports.0), (&quoted.destination, ports.1));
        let key = Self::assemble(&endpoints, quoted.protocol, decoded, scope);
        Some(Keyed { key, swapped: !endpoints.swapped, quoted: true })
    }

    #[inline]
    fn between(decoded: &Decoded, scope: &KeyScope, ports: (u16, u16)) -> Keyed {
        let endpoints = Endpoints::new((&decoded.source, ports.0), (&decoded.destination, ports.1));
        let key = Self::assemble(&endpoints, decoded.protocol, decoded, scope);
        Keyed { key, swapped: endpoints.swapped, quoted: false }
    }

    #[inline]
    fn assemble(endpoints: &Endpoints, protocol: u8, decoded: &Decoded, scope: &KeyScope) -> Self {
        let options = scope.options;
        let [outer, middle, inner] = if options.vlan { decoded.vlans.raw() } else { [0; 3] };
        let vlans = u64::from(outer) << 24 | u64::from(middle) << 12 | u64::from(inner);
        let recursion = if options.recursion_level { decoded.recursion } else { 0 };
        let set = if options.inline_set { scope.inline_set } else { 0 };
        let ports = u64::from(endpoints.lower.1) << 16 | u64::from(endpoints.higher.1);
        let ((lower, _), (higher, _)) = (endpoints.lower, endpoints.higher);
        Self {
            words: [
                high_half(lower),
                low_half(lower),
                high_half(higher),
                low_half(higher),
                ports << 32 | u64::from(scope.tenant),
                vlans << 28
                    | u64::from(protocol) << 20
                    | u64::from(decoded.ip_version & 15) << 16
                    | u64::from(recursion) << 8
                    | u64::from(set),
            ],
        }
    }

    /// Equality without a call or a branch a word, for the comparison that every packet makes; the derived
    /// one calls `memcmp`.
    #[inline]
    pub(crate) fn same(&self, other: &Self) -> bool {
        let differences = self.words.iter().zip(&other.words).map(|(mine, theirs)| mine ^ theirs);
        differences.fold(0, |all, difference| all | difference) == 0
    }

    /// A key from its words, as another process told them; `None` for what [`of`](Self::of) never gives.
    #[must_use]
    pub fn from_words(words: [u64; 6]) -> Option<Self> {
        let key = Self { words };
        (matches!(key.ip_version(), 4 | 6) && key.lower() <= key.higher()).then_some(key)
    }

    /// The key as words, for hashing.
    #[must_use]
    pub const fn words(&self) -> &[u64; 6] {
        &self.words
    }

    /// Address and port of the lower endpoint (for ICMP the type, see [`of`](Self::of)).
    #[must_use]
    pub fn lower(&self) -> (Address, u16) {
        (whole(self.words[0], self.words[1]), if self.spi().is_some() { 0 } else { self.bits(PORTS, 48) })
    }

    /// Address and port of the higher endpoint.
    #[must_use]
    pub fn higher(&self) -> (Address, u16) {
        (whole(self.words[2], self.words[3]), if self.spi().is_some() { 0 } else { self.bits(PORTS, 32) })
    }

    /// The security parameters index of ESP; `None` for other protocols.
    #[must_use]
    pub fn spi(&self) -> Option<u32> {
        (self.protocol() == protocol::ESP)
            .then(|| u32::from(self.bits(PORTS, 48)) << 16 | u32::from(self.bits(PORTS, 32)))
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> u32 {
        u32::from(self.bits(PORTS, 16)) << 16 | u32::from(self.bits(PORTS, 0))
    }

    /// The protocol (IANA number).
    #[must_use]
    pub fn protocol(&self) -> u8 {
        self.byte(20)
    }

    /// 4 or 6.
    #[must_use]
    pub fn ip_version(&self) -> u8 {
        self.byte(16) & 15
    }

    /// Encapsulations around the flow's packets; 0 where they do not tell flows apart.
    #[must_use]
    pub fn recursion_level(&self) -> u8 {
        self.byte(8)
    }

    /// The inline set; 0 where it does not tell flows apart.
    #[must_use]
    pub fn inline_set(&self) -> u8 {
        self.byte(0)
    }

    /// The three VLAN ids; 0 where there is none or they do not tell flows apart.
    #[must_use]
    pub fn vlans(&self) -> [u16; 3] {
        [52, 40, 28].map(|shift| self.bits(REST, shift) & 0xfff)
    }

    /// Do both endpoints have the same address and port (a LAND packet, for one)? Its direction
    /// cannot be told from its packets: all of them go to the server.
    #[must_use]
    pub fn has_equal_endpoints(&self) -> bool {
        self.lower() == self.higher()
    }

    fn bits(&self, word: usize, shift: u32) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what is asked for")]
        let bits = (self.words[word] >> shift) as u16;
        bits
    }

    fn byte(&self, shift: u32) -> u8 {
        self.bits(REST, shift).to_le_bytes()[0]
    }
}

impl std::fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = |bytes: Address| {
            let v6 = std::net::Ipv6Addr::from(bytes);
            match v6.to_ipv4_mapped() {
                Some(v4) if self.ip_version() == 4 => std::net::IpAddr::V4(v4),
                _ => std::net::IpAddr::V6(v6),
            }
        };
        let (lower, higher) = (self.lower(), self.higher());
        f.debug_struct("FlowKey")
            .field("lower", &(address(lower.0), lower.1))
            .field("higher", &(address(higher.0), higher.1))
            .field("protocol", &self.protocol())
            .field("spi", &self.spi())
            .field("ip_version", &self.ip_version())
            .field("vlans", &self.vlans())
            .field("recursion_level", &self.recursion_level())
            .field("inline_set", &self.inline_set())
            .field("tenant", &self.tenant())
            .finish()
    }
}

/// Both ends of a packet, their addresses as numbers, which compare as their bytes do.
struct Endpoints {
    lower: (u128, u16),
    higher: (u128, u16),
    swapped: bool,
}

impl Endpoints {
    #[inline]
    fn new(source: (&Address, u16), destination: (&Address, u16)) -> Self {
        let source = (u128::from_be_bytes(*source.0), source.1);
        let destination = (u128::from_be_bytes(*destination.0), destination.1);
        // As words that are at hand: the addresses have just been written, in other pieces than a comparison of whole
        // ones would read.
        let halves = |address| [high_half(address), low_half(address)];
        let ([high, low], [other_high, other_low]) = (halves(source.0), halves(destination.0));
        let swapped = if (high ^ other_high) | (low ^ other_low) == 0 {
            source.1 > destination.1
        } else {
            (high, low) > (other_high, other_low)
        };
        let (lower, higher) = if swapped { (destination, source) } else { (source, destination) };
        Self { lower, higher, swapped }
    }
}

const fn high_half(address: u128) -> u64 {
    low_half(address >> 64)
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
const fn low_half(address: u128) -> u64 {
    address as u64
}

fn whole(high: u64, low: u64) -> Address {
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

const fn is_atomic(fragment: Fragment) -> bool {
    fragment.offset == 0 && !fragment.more
}

/// Does this ICMP type report an error, and so quote a packet? RFC 792 for IPv4; RFC 4443 §2.1 for
/// IPv6 (types below 128). An IPv6 redirect quotes too, but is neighbour discovery.
#[must_use]
pub const fn is_icmp_error(protocol: u8, kind: u8) -> bool {
    match protocol {
        protocol::ICMP => matches!(kind, 3 | 4 | 5 | 11 | 12),
        _ => kind < 128,
    }
}

/// The type that answers, or is answered by, this ICMP type; 0 where there is none. The pairs are
/// those by which Suricata makes one flow of a request and its reply (IANA ICMP and ICMPv6 types).
const fn icmp_counterpart(protocol: u8, kind: u8) -> u16 {
    match protocol {
        protocol::ICMP => match kind {
            0 => 8,
            8 => 0,
            13 => 14,
            14 => 13,
            15 => 16,
            16 => 15,
            17 => 18,
            18 => 17,
            _ => 0,
        },
        _ => match kind {
            128 => 129,
            129 => 128,
            130 => 131,
            131 => 130,
            133 => 134,
            134 => 133,
            135 => 136,
            136 => 135,
            139 => 140,
            140 => 139,
            144 => 145,
            145 => 144,
            146 => 147,
            147 => 146,
            148 => 149,
            149 => 148,
            151 => 152,
            152 => 151,
            157 => 158,
            158 => 157,
            _ => 0,
        },
    }
}

#[cfg(test)]
mod tests;
