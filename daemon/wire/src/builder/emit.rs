//! Making the bytes of a described packet.

use super::{Ethernet, Network, PacketBuilder, Tcp, Transport};
use crate::checksum::Sum;
use crate::decoded::{Address, mapped};

const AUTHENTICATION: u8 = 51;
const FRAGMENT: u8 = 44;
/// The longest header lengths that IPv4 and TCP can state leave this for options.
const OPTIONS_LIMIT: usize = 40;

impl PacketBuilder<'_> {
    /// How many bytes the packet has.
    #[must_use]
    pub fn length(&self) -> usize {
        (self.link_length() + self.network_length() + self.transport_length() + self.payload.len())
            .max(self.minimum)
    }

    /// Writes the packet to the start of `buffer` and says how long it is. `None` when the
    /// buffer is too short or a length does not fit its header field; the buffer's contents are
    /// then unspecified.
    #[must_use]
    pub fn write_to(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut out = Writer { buffer, at: 0 };
        self.write_link(&mut out)?;
        match self.network {
            Network::None => {}
            Network::V4(source, destination) => {
                self.write_ipv4(source.octets(), destination.octets(), &mut out)?;
            }
            Network::V6(source, destination) => {
                self.write_ipv6(&source.octets(), &destination.octets(), &mut out)?;
            }
        }
        self.write_transport(&mut out)?;
        out.zeros(self.minimum.saturating_sub(out.at))?;
        Some(out.at)
    }

    /// The packet's bytes.
    ///
    /// # Panics
    /// When the packet cannot be: a length does not fit its header field.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length()];
        let written = self.write_to(&mut bytes);
        assert!(written.is_some(), "a length does not fit its header field: {self:?}");
        bytes
    }

    /// The packet cut into fragments with `size` bytes of IP payload each (rounded down to a
    /// multiple of 8, at least 8), the last with what is left. One without an IP header stays
    /// whole.
    ///
    /// # Panics
    /// As [`to_vec`](Self::to_vec), also for an offset beyond what its field can state.
    #[must_use]
    pub fn to_fragments(&self, size: usize) -> Vec<Vec<u8>> {
        if matches!(self.network, Network::None) {
            return vec![self.to_vec()];
        }
        let whole = Self { fragment: None, minimum: 0, ..*self }.to_vec();
        let body = whole.get(self.link_length() + self.network_length()..).unwrap_or(&[]);
        let size = (size / 8 * 8).max(8);
        let pieces = body.len().div_ceil(size);
        let piece = |(number, piece)| {
            let offset = u16::try_from(number * size).expect("an offset fits its header field");
            self.protocol(self.next_header()).payload(piece).fragment(offset, number + 1 < pieces).to_vec()
        };
        body.chunks(size).enumerate().map(piece).collect()
    }

    const fn link_length(&self) -> usize {
        match self.link {
            Some(_) => 14 + 4 * self.vlan_count,
            None => 0,
        }
    }

    fn network_length(&self) -> usize {
        match self.network {
            Network::None => 0,
            Network::V4(..) => 20 + self.ip_options.len().next_multiple_of(4),
            Network::V6(..) => 40 + self.extensions_length(),
        }
    }

    fn extensions_length(&self) -> usize {
        let extensions: usize = self.extensions().map(extension_length).sum();
        extensions + if self.fragment.is_some() { 8 } else { 0 }
    }

    fn extensions(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.extensions.iter().take(self.extension_count).copied()
    }

    const fn transport_length(&self) -> usize {
        match (self.network, self.transport) {
            (Network::None, _) | (_, Transport::Protocol(_)) => 0,
            (_, Transport::Tcp(_)) => 20 + self.tcp_options.len().next_multiple_of(4),
            (_, Transport::Udp { .. } | Transport::Icmp { .. } | Transport::Echo { .. }) => 8,
        }
    }

    /// The number of the transport protocol.
    const fn next_header(&self) -> u8 {
        match (self.transport, self.network) {
            (Transport::Protocol(protocol), _) => protocol,
            (Transport::Tcp(_), _) => 6,
            (Transport::Udp { .. }, _) => 17,
            (_, Network::V6(..)) => 58,
            _ => 1,
        }
    }

    fn write_link(&self, out: &mut Writer<'_>) -> Option<()> {
        let Some(Ethernet { source, destination }) = self.link else { return Some(()) };
        out.put(&destination)?;
        out.put(&source)?;
        for (tpid, tci) in self.vlans.iter().take(self.vlan_count) {
            out.put(&tpid.to_be_bytes())?;
            out.put(&tci.to_be_bytes())?;
        }
        let ethertype = self.ethertype.unwrap_or(match self.network {
            Network::V6(..) => 0x86dd,
            _ => 0x0800,
        });
        out.put(&ethertype.to_be_bytes())
    }

    fn write_ipv4(&self, source: [u8; 4], destination: [u8; 4], out: &mut Writer<'_>) -> Option<()> {
        if self.ip_options.len() > OPTIONS_LIMIT {
            return None;
        }
        let header_length = self.network_length();
        let words = u8::try_from(header_length / 4).ok()?;
        let total = u16::try_from(header_length + self.transport_length() + self.payload.len()).ok()?;
        let [.., i0, i1] = self.id.to_be_bytes();
        let mut flags = if self.dont_fragment { 0x4000 } else { 0 };
        if let Some((offset, more)) = self.fragment {
            flags |= (offset / 8) | if more { 0x2000 } else { 0 };
        }
        let start = out.at;
        out.put(&[0x40 | words, self.tos])?;
        out.put(&total.to_be_bytes())?;
        out.put(&[i0, i1])?;
        out.put(&flags.to_be_bytes())?;
        out.put(&[self.ttl, self.next_header(), 0, 0])?;
        out.put(&source)?;
        out.put(&destination)?;
        out.put(self.ip_options)?;
        out.zeros(header_length - 20 - self.ip_options.len())?;
        let checksum = Sum::default().add(out.since(start)?).checksum();
        out.patch(start + 10, checksum)
    }

    fn write_ipv6(&self, source: &[u8; 16], destination: &[u8; 16], out: &mut Writer<'_>) -> Option<()> {
        let length = self.extensions_length() + self.transport_length() + self.payload.len();
        let fixed = 6 << 28 | u32::from(self.tos) << 20 | self.flow_label;
        let last = if self.fragment.is_some() { FRAGMENT } else { self.next_header() };
        let first = self.extensions().next().map_or(last, |(protocol, _)| protocol);
        out.put(&fixed.to_be_bytes())?;
        out.put(&u16::try_from(length).ok()?.to_be_bytes())?;
        out.put(&[first, self.ttl])?;
        out.put(source)?;
        out.put(destination)?;
        let following = self.extensions().skip(1).map(|(protocol, _)| protocol).chain([last]);
        for ((protocol, body), next) in self.extensions().zip(following) {
            let length = extension_length((protocol, body));
            let stated = if protocol == AUTHENTICATION { length / 4 - 2 } else { length / 8 - 1 };
            out.put(&[next, u8::try_from(stated).ok()?])?;
            out.put(body)?;
            out.zeros(length - 2 - body.len())?;
        }
        if let Some((offset, more)) = self.fragment {
            out.put(&[self.next_header(), 0])?;
            out.put(&(offset | u16::from(more)).to_be_bytes())?;
            out.put(&self.id.to_be_bytes())?;
        }
        Some(())
    }

    /// The transport header, if any, and the payload.
    fn write_transport(&self, out: &mut Writer<'_>) -> Option<()> {
        let start = out.at;
        let checksum_at = match (self.network, self.transport) {
            (Network::None, _) | (_, Transport::Protocol(_)) => return out.put(self.payload),
            (_, Transport::Tcp(tcp)) => {
                self.write_tcp(tcp, out)?;
                Some(16)
            }
            (_, Transport::Udp { source, destination, checksum }) => {
                let length = u16::try_from(8 + self.payload.len()).ok()?;
                for field in [source, destination, length, 0] {
                    out.put(&field.to_be_bytes())?;
                }
                checksum.then_some(6)
            }
            (_, Transport::Icmp { kind, code, rest }) => {
                out.put(&[kind, code, 0, 0])?;
                out.put(&rest)?;
                Some(2)
            }
            (network, Transport::Echo { reply, id, seq }) => {
                let request = if matches!(network, Network::V6(..)) { [128, 129] } else { [8, 0] };
                out.put(&[if reply { request[1] } else { request[0] }, 0, 0, 0])?;
                out.put(&id.to_be_bytes())?;
                out.put(&seq.to_be_bytes())?;
                Some(2)
            }
        };
        out.put(self.payload)?;
        let Some(checksum_at) = checksum_at else { return Some(()) };
        let segment = out.since(start)?;
        let checksum = self.pseudo_header(segment.len()).add(segment).checksum();
        // Zero would mean "none" for UDP (RFC 768); all ones mean the same number.
        let is_udp = matches!(self.transport, Transport::Udp { .. });
        out.patch(start + checksum_at, if checksum == 0 && is_udp { 0xffff } else { checksum })
    }

    fn write_tcp(&self, tcp: Tcp, out: &mut Writer<'_>) -> Option<()> {
        if self.tcp_options.len() > OPTIONS_LIMIT {
            return None;
        }
        let options = self.tcp_options.len().next_multiple_of(4);
        out.put(&tcp.source.to_be_bytes())?;
        out.put(&tcp.destination.to_be_bytes())?;
        out.put(&tcp.seq.to_be_bytes())?;
        out.put(&tcp.ack.to_be_bytes())?;
        out.put(&[u8::try_from((20 + options) / 4).ok()? << 4, tcp.flags])?;
        out.put(&tcp.window.to_be_bytes())?;
        out.put(&[0, 0])?;
        out.put(&tcp.urgent.to_be_bytes())?;
        out.put(self.tcp_options)?;
        out.zeros(options - self.tcp_options.len())
    }

    /// What the transport checksum covers before the segment; nothing for ICMP of IPv4.
    fn pseudo_header(&self, length: usize) -> Sum {
        let sum = |source: &Address, destination: &Address| {
            Sum::default().add_pseudo_header(source, destination, self.next_header(), length)
        };
        match (self.network, self.transport) {
            (Network::V6(source, destination), _) => sum(&source.octets(), &destination.octets()),
            (Network::V4(source, destination), Transport::Tcp(_) | Transport::Udp { .. }) => {
                sum(&mapped(source.octets()), &mapped(destination.octets()))
            }
            _ => Sum::default(),
        }
    }
}

/// The length of an extension header with its padding.
fn extension_length((protocol, body): (u8, &[u8])) -> usize {
    (body.len() + 2).max(8).next_multiple_of(if protocol == AUTHENTICATION { 4 } else { 8 })
}

/// A place for bytes, filled from the front.
struct Writer<'b> {
    buffer: &'b mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.at.checked_add(bytes.len())?;
        self.buffer.get_mut(self.at..end)?.copy_from_slice(bytes);
        self.at = end;
        Some(())
    }

    fn zeros(&mut self, count: usize) -> Option<()> {
        let end = self.at.checked_add(count)?;
        self.buffer.get_mut(self.at..end)?.fill(0);
        self.at = end;
        Some(())
    }

    /// What was written from `start` on.
    fn since(&self, start: usize) -> Option<&[u8]> {
        self.buffer.get(start..self.at)
    }

    /// Overwrites a 16-bit field.
    fn patch(&mut self, at: usize, value: u16) -> Option<()> {
        self.buffer.get_mut(at..at + 2)?.copy_from_slice(&value.to_be_bytes());
        Some(())
    }
}
