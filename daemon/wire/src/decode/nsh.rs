//! The network service header (RFC 8300).

use super::cursor::Cursor;
use super::link::{IPV4, IPV6, MPLS};
use super::{Job, Step};
use crate::decoded::{DecodeEvent, Layer};

impl Job<'_> {
    pub(super) fn nsh(&mut self, packet: Cursor<'_>) -> Step {
        self.descend()?;
        self.out.layers.insert(Layer::Nsh);
        let Some(header) = packet.peek::<8>() else { return Err(DecodeEvent::NshHeaderTooSmall) };
        let &[version, length, kind, next, ..] = header;
        if version >> 6 != 0 {
            return Err(DecodeEvent::NshUnsupportedVersion);
        }
        // In 4 bytes; base and service path header are 8.
        let length = usize::from(length & 0x3f) * 4;
        let Some((_, rest)) = packet.split(length).filter(|_| length >= 8) else {
            return Err(DecodeEvent::NshBadHeaderLength);
        };
        match kind & 0x0f {
            // Fixed and variable context; 0 and 15 are reserved (RFC 8300 section 2.2).
            1 | 2 => {}
            0 | 15 => self.note(DecodeEvent::NshReservedType),
            _ => self.note(DecodeEvent::NshUnsupportedType),
        }
        match next {
            1 => self.network(IPV4, rest),
            2 => self.network(IPV6, rest),
            3 => self.ethernet(rest),
            4 => self.nsh(rest),
            5 => self.network(MPLS, rest),
            _ => {
                self.note(DecodeEvent::NshUnknownPayload);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode, ethernet, events, layers, tcp_v6, udp};
    use crate::decoded::DecodeEvent;

    fn frame(header: [u8; 4], context: usize, payload: &[u8]) -> Vec<u8> {
        let payload = [&header[..], &[0, 0, 1, 255], &[7].repeat(context), payload].concat();
        ethernet().ethertype(0x894f).payload(&payload).to_vec()
    }

    #[test]
    fn what_follows() {
        let v4 = udp().payload(b"data").to_vec();
        let v6 = tcp_v6().payload(b"data").to_vec();
        let check = |header: [u8; 4], context: usize, payload: &[u8], expected: &[&str], remarks: &[&str]| {
            let frame = frame(header, context, payload);
            let decoded = decode(&frame);
            assert_eq!((decoded.invalid, events(&decoded)), (None, remarks.to_vec()), "{header:?}");
            assert_eq!(layers(&decoded), expected);
            assert_eq!(decoded.payload.of(&frame), b"data");
        };
        let four = ["ethernet", "ipv4", "udp", "nsh"];
        let six = ["ethernet", "ipv6", "tcp", "nsh"];
        check([0, 6, 1, 1], 16, &v4[14..], &four, &[]);
        check([0, 2, 2, 2], 0, &v6[14..], &six, &[]);
        check([0, 3, 2, 3], 4, &v6, &six, &[]);
        check([0, 2, 0, 1], 0, &v4[14..], &four, &["nsh.reserved_type"]);
        check([0, 2, 7, 1], 0, &v4[14..], &four, &["nsh.unsupported_type"]);
        let nested = [&[0, 2, 2, 1, 0, 0, 1, 255], &v4[14..]].concat();
        check([0, 2, 2, 4], 0, &nested, &four, &[]);
        let labelled = [&[0, 0x10, 1, 64], &v4[14..]].concat();
        check([0, 2, 2, 5], 0, &labelled, &["ethernet", "ipv4", "udp", "mpls", "nsh"], &[]);
    }

    #[test]
    fn headers_gone_wrong() {
        let check = |header: [u8; 4], invalid: Option<DecodeEvent>, expected: &str| {
            let decoded = decode(&frame(header, 0, &[0; 40]));
            assert_eq!((decoded.invalid, events(&decoded)), (invalid, vec![expected]), "{header:?}");
        };
        let wrong = Some(DecodeEvent::NshBadHeaderLength);
        check([0x40, 2, 2, 1], Some(DecodeEvent::NshUnsupportedVersion), "nsh.unsupported_version");
        check([0, 1, 2, 1], wrong, "nsh.bad_header_length");
        check([0, 13, 2, 1], wrong, "nsh.bad_header_length");
        check([0, 2, 2, 6], None, "nsh.unknown_payload");
        let whole = frame([0, 2, 2, 1], 0, &[]);
        for length in 14..22 {
            assert_eq!(decode(&whole[..length]).invalid, Some(DecodeEvent::NshHeaderTooSmall), "{length}");
        }
    }
}
