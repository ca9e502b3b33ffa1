//! What IP carries: UDP (RFC 768), and the ports or index of SCTP and ESP.

use super::cursor::Cursor;
use super::{Job, Step};
use crate::checksum::Sum;
use crate::decoded::{DecodeEvent, Layer, Transport, Udp};

const ICMPV4: u8 = 1;
const IPV4_IN_IP: u8 = 4;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;
const ESP: u8 = 50;
const ICMPV6: u8 = 58;
const NO_NEXT_HEADER: u8 = 59;
pub(super) const SCTP: u8 = 132;

impl Job<'_> {
    /// A whole (not fragmented) IP payload.
    #[inline]
    pub(super) fn transport(&mut self, protocol: u8, payload: Cursor<'_>) -> Step {
        match protocol {
            TCP => self.tcp(payload),
            UDP => self.udp(payload),
            other => self.other(other, payload),
        }
    }

    fn other(&mut self, protocol: u8, payload: Cursor<'_>) -> Step {
        match (protocol, self.out.ip_version) {
            (ICMPV4, 4) => return self.icmpv4(payload),
            (ICMPV6, 6) => return self.icmpv6(payload),
            (ICMPV6, _) => return Err(DecodeEvent::Ipv4Icmpv6),
            (ICMPV4, _) => self.note(DecodeEvent::Ipv6Icmpv4),
            (SCTP, _) => return self.sctp(payload),
            (ESP, _) => return self.esp(payload),
            (NO_NEXT_HEADER, 6) if payload.len() != 0 => self.note(DecodeEvent::Ipv6DataAfterNone),
            (NO_NEXT_HEADER | IPV4_IN_IP | IPV6_IN_IP | GRE, _) | (_, 4) => {}
            _ => self.note(DecodeEvent::Ipv6UnknownNextHeader),
        }
        Ok(())
    }

    /// Is the checksum of `segment`, pseudo header included, wrong?
    #[inline]
    pub(super) fn bad_checksum(&self, protocol: u8, segment: &[u8]) -> bool {
        let out = &*self.out;
        !Sum::default()
            .add_pseudo_header(&out.source, &out.destination, protocol, segment.len())
            .add(segment)
            .is_valid()
    }

    #[inline]
    fn udp(&mut self, datagram: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Udp);
        let Some((header, _)) = datagram.take::<8>() else { return Err(DecodeEvent::UdpHeaderTooSmall) };
        let &[s0, s1, d0, d1, l0, l1, c0, c1] = header;
        let length = u16::from_be_bytes([l0, l1]);
        // Less than IP carries is accepted, and the rest is not payload.
        let Some((datagram, _)) = datagram.split(usize::from(length)) else {
            return Err(DecodeEvent::UdpTooSmall);
        };
        let Some((_, payload)) = datagram.take::<8>() else { return Err(DecodeEvent::UdpLengthInvalid) };
        self.out.source_port = u16::from_be_bytes([s0, s1]);
        self.out.destination_port = u16::from_be_bytes([d0, d1]);
        self.out.transport = Transport::Udp(Udp { length });
        self.out.payload = payload.span();
        if self.transport_checksum {
            // Zero is "none" in IPv4 only (RFC 8200 section 8.1).
            self.out.bad_checksums.transport = if [c0, c1] == [0, 0] {
                self.out.ip_version == 6
            } else {
                self.bad_checksum(UDP, datagram.rest())
            };
        }
        Ok(())
    }

    fn sctp(&mut self, packet: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Sctp);
        let Some((header, chunks)) = packet.take::<12>() else { return Err(DecodeEvent::SctpTooSmall) };
        self.out.source_port = u16::from_be_bytes([header[0], header[1]]);
        self.out.destination_port = u16::from_be_bytes([header[2], header[3]]);
        self.out.payload = chunks.span();
        Ok(())
    }

    fn esp(&mut self, packet: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Esp);
        let Some((header, payload)) = packet.take::<8>() else { return Err(DecodeEvent::EspTooSmall) };
        self.out.spi = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
        self.out.payload = payload.span();
        Ok(())
    }
}
