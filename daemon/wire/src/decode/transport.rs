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
pub(super) const NO_NEXT_HEADER: u8 = 59;
pub(super) const SCTP: u8 = 132;

impl Job<'_> {
    /// A whole (not fragmented) IP payload.
    #[inline(always)]
    pub(super) fn transport(&mut self, protocol: u8, payload: Cursor<'_>) -> Step {
        match protocol {
            TCP => self.tcp(payload),
            UDP => self.udp(payload),
            other => self.other(other, payload),
        }
    }

    #[inline(never)]
    fn other(&mut self, protocol: u8, payload: Cursor<'_>) -> Step {
        match (protocol, self.out.ip_version) {
            (ICMPV4, 4) => return self.icmpv4(payload),
            (ICMPV6, 6) => return self.icmpv6(payload),
            (ICMPV6, _) => return Err(DecodeEvent::Ipv4Icmpv6),
            (ICMPV4, _) => self.note(DecodeEvent::Ipv6Icmpv4),
            (SCTP, _) => return self.sctp(payload),
            (ESP, _) => return self.esp(payload),
            (IPV4_IN_IP, _) => return self.ipv4_in_ip(payload),
            (IPV6_IN_IP, _) => return self.ipv6_in_ip(payload),
            (GRE, _) => return self.gre(payload),
            (NO_NEXT_HEADER, 6) if payload.len() != 0 => self.note(DecodeEvent::Ipv6DataAfterNone),
            (NO_NEXT_HEADER, _) | (_, 4) => {}
            _ => self.note(DecodeEvent::Ipv6UnknownNextHeader),
        }
        Ok(())
    }

    /// Is the checksum of `segment`, pseudo header included, wrong?
    #[inline(never)]
    pub(super) fn bad_checksum(&self, protocol: u8, segment: &[u8]) -> bool {
        let out = &*self.out;
        !Sum::default()
            .add_pseudo_header(&out.source, &out.destination, protocol, segment.len())
            .add(segment)
            .is_valid()
    }

    #[inline(always)]
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
        if self.decoder.may_be_tunnel(self.out.source_port, self.out.destination_port) {
            self.udp_tunnel(payload);
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

#[cfg(test)]
mod tests {
    use super::super::tests::{decode, ethernet, patched, udp};
    use super::*;

    #[test]
    fn udp_lengths() {
        // The length field of a datagram with four bytes of data.
        let check = |length: u16, expected: Result<&[u8], DecodeEvent>| {
            let frame = patched(udp().payload(b"data").no_udp_checksum(), 14 + 20 + 4, &length.to_be_bytes());
            let decoded = decode(&frame);
            match expected {
                Ok(payload) => {
                    assert_eq!((decoded.invalid, decoded.source_port), (None, 1000));
                    assert_eq!(decoded.payload.of(&frame), payload);
                    assert_eq!(decoded.transport, Transport::Udp(Udp { length }));
                }
                Err(event) => assert_eq!((decoded.invalid, decoded.source_port), (Some(event), 0)),
            }
            assert!(decoded.layers.contains(Layer::Udp));
        };
        check(12, Ok(b"data"));
        check(10, Ok(b"da"));
        check(8, Ok(b""));
        check(7, Err(DecodeEvent::UdpLengthInvalid));
        check(0, Err(DecodeEvent::UdpLengthInvalid));
        check(13, Err(DecodeEvent::UdpTooSmall));
        check(0xffff, Err(DecodeEvent::UdpTooSmall));
        let frame = ethernet().ipv4([1; 4], [2; 4]).protocol(17).payload(&[0; 7]).to_vec();
        assert_eq!(decode(&frame).invalid, Some(DecodeEvent::UdpHeaderTooSmall));
    }

    #[test]
    fn udp_without_checksum() {
        let v6 = ethernet().ipv6([1; 16], [2; 16]).udp(1, 2);
        assert!(!decode(&udp().no_udp_checksum().to_vec()).bad_checksums.transport);
        assert!(!decode(&v6.to_vec()).bad_checksums.transport);
        assert!(decode(&v6.no_udp_checksum().to_vec()).bad_checksums.transport);
    }

    /// A checksum that comes out as zero is sent as all ones (RFC 768), and is right.
    #[test]
    fn udp_checksum_of_zero() {
        let found = (0..=u16::MAX).find_map(|port| {
            let frame = ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(port, 53).to_vec();
            (frame[14 + 20 + 6..14 + 20 + 8] == [0xff, 0xff]).then_some(frame)
        });
        assert!(!decode(&found.unwrap()).bad_checksums.transport);
    }

    #[test]
    fn udp_checksum_covers_its_own_length_only() {
        // Two bytes after the datagram, within the IP packet.
        let datagram = udp().payload(b"data").to_vec();
        let frame = ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2]).protocol(17);
        let longer = [&datagram[34..], &[0xaa, 0xbb]].concat();
        let decoded = decode(&frame.payload(&longer).to_vec());
        assert_eq!((decoded.invalid, decoded.payload.len()), (None, 4));
        assert!(!decoded.bad_checksums.transport);
    }

    #[test]
    fn sctp_and_esp() {
        let v4 = || ethernet().ipv4([1; 4], [2; 4]);
        let sctp = [0x0b, 0x59, 0x0b, 0x5a, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3];
        let frame = v4().protocol(132).payload(&sctp).to_vec();
        let decoded = decode(&frame);
        assert_eq!((decoded.source_port, decoded.destination_port), (2905, 2906));
        assert_eq!(decoded.payload.of(&frame), [1, 2, 3]);
        assert!(decoded.layers.contains(Layer::Sctp));
        let short = decode(&v4().protocol(132).payload(&sctp[..11]).to_vec());
        assert_eq!(short.invalid, Some(DecodeEvent::SctpTooSmall));

        let esp = [0, 0, 1, 2, 0, 0, 0, 9, 5, 6];
        let frame = v4().protocol(50).payload(&esp).to_vec();
        let decoded = decode(&frame);
        assert_eq!((decoded.spi, decoded.payload.of(&frame)), (0x0102, &[5, 6][..]));
        assert_eq!((decoded.source_port, decoded.transport), (0, Transport::None));
        assert!(decoded.layers.contains(Layer::Esp));
        let short = decode(&v4().protocol(50).payload(&esp[..7]).to_vec());
        assert_eq!(short.invalid, Some(DecodeEvent::EspTooSmall));
    }
}
