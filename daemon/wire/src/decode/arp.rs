//! ARP (RFC 826), as far as its form says that it is not what it seems.

use super::cursor::Cursor;
use super::{Job, Step};
use crate::decoded::{DecodeEvent, Layer};

const ETHERNET: u16 = 1;
const IPV4: u16 = 0x0800;

impl Job<'_> {
    #[cold]
    pub(super) fn arp(&mut self, packet: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Arp);
        let Some((header, addresses)) = packet.take::<8>() else { return Err(DecodeEvent::ArpTooSmall) };
        let &[h0, h1, p0, p1, hardware_size, protocol_size, o0, o1] = header;
        let needed = 2 * (usize::from(hardware_size) + usize::from(protocol_size));
        if addresses.len() < needed {
            return Err(DecodeEvent::ArpTooSmall);
        }
        let ethernet = u16::from_be_bytes([h0, h1]) == ETHERNET;
        if !ethernet {
            self.note(DecodeEvent::ArpUnsupportedHardware);
        }
        let ipv4 = u16::from_be_bytes([p0, p1]) == IPV4;
        if !ipv4 {
            self.note(DecodeEvent::ArpUnsupportedProtocol);
        }
        if ethernet && hardware_size != 6 {
            return Err(DecodeEvent::ArpInvalidHardwareSize);
        }
        if ipv4 && protocol_size != 4 {
            return Err(DecodeEvent::ArpInvalidProtocolSize);
        }
        // Request and reply; those of RARP (RFC 903) and of InARP (RFC 2390).
        if !matches!(u16::from_be_bytes([o0, o1]), 1..=4 | 8 | 9) {
            self.note(DecodeEvent::ArpUnsupportedOperation);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode, ethernet, events, layers};
    use crate::decoded::DecodeEvent;

    #[test]
    fn packets() {
        let check = |at: usize, value: u8, invalid: Option<DecodeEvent>, expected: &[&str]| {
            let mut packet = [0; 28];
            packet[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
            packet[at] = value;
            let decoded = decode(&ethernet().ethertype(0x0806).payload(&packet).minimum(60).to_vec());
            assert_eq!((decoded.invalid, events(&decoded)), (invalid, expected.to_vec()), "{at} {value}");
            assert_eq!((layers(&decoded), decoded.ethertype), (vec!["ethernet", "arp"], 0x0806));
        };
        check(7, 2, None, &[]);
        check(7, 9, None, &[]);
        check(7, 10, None, &["arp.unsupported_opcode"]);
        check(6, 1, None, &["arp.unsupported_opcode"]);
        check(1, 6, None, &["arp.unsupported_hardware"]);
        check(3, 1, None, &["arp.unsupported_protocol"]);
        check(4, 5, Some(DecodeEvent::ArpInvalidHardwareSize), &["arp.invalid_hardware_size"]);
        check(5, 5, Some(DecodeEvent::ArpInvalidProtocolSize), &["arp.invalid_protocol_size"]);
        check(4, 200, Some(DecodeEvent::ArpTooSmall), &["arp.pkt_too_small"]);
    }

    #[test]
    fn cut_packets() {
        let mut packet = [0; 28];
        packet[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
        let frame = ethernet().ethertype(0x0806).payload(&packet).to_vec();
        for length in 14..frame.len() {
            assert_eq!(decode(&frame[..length]).invalid, Some(DecodeEvent::ArpTooSmall), "{length}");
        }
        assert_eq!(decode(&frame).invalid, None);
    }
}
