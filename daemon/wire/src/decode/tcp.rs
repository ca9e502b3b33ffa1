//! TCP (RFC 9293).

use super::cursor::Cursor;
use super::{Job, Step, transport};
use crate::decoded::{DecodeEvent, Layer, Tcp, TcpFlags, Transport};

impl Job<'_> {
    #[inline(always)]
    pub(super) fn tcp(&mut self, segment: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Tcp);
        let Some((header, rest)) = segment.take::<20>() else { return Err(DecodeEvent::TcpTooSmall) };
        let &[sp0, sp1, dp0, dp1, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags, w0, w1, _, _, u0, u1] =
            header;
        let header_length = usize::from(offset >> 4) * 4;
        let Some(options_length) = header_length.checked_sub(20) else {
            return Err(DecodeEvent::TcpInvalidOptionLength);
        };
        let Some((options, payload)) = rest.split(options_length) else {
            return Err(DecodeEvent::TcpHeaderTooSmall);
        };
        self.out.source_port = u16::from_be_bytes([sp0, sp1]);
        self.out.destination_port = u16::from_be_bytes([dp0, dp1]);
        self.out.transport = Transport::Tcp(Tcp {
            seq: u32::from_be_bytes([s0, s1, s2, s3]),
            ack: u32::from_be_bytes([a0, a1, a2, a3]),
            window: u16::from_be_bytes([w0, w1]),
            urgent: u16::from_be_bytes([u0, u1]),
            flags: TcpFlags(flags),
            reserved: offset & 0x0f,
            options: options.span(),
        });
        self.out.payload = payload.span();
        if options_length != 0 {
            self.tcp_options(options.rest());
        }
        if self.transport_checksum {
            self.out.bad_checksums.transport = self.bad_checksum(transport::TCP, segment.rest());
        }
        Ok(())
    }

    #[inline]
    fn tcp_options(&mut self, options: &[u8]) {
        // Two no-operations and a timestamp: what nearly all established connections send.
        if let [1, 1, 8, 10, _, _, _, _, _, _, _, _] = options {
            return;
        }
        match walk_options(options) {
            None => {}
            Some(Fault::Length) => self.note(DecodeEvent::TcpOptionInvalidLength),
            Some(Fault::Duplicate) => self.note(DecodeEvent::TcpOptionDuplicate),
        }
    }
}

/// What no connection of today has in its options.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Length,
    Duplicate,
}

/// Do the options' lengths add up, are those of the best known right, and is each there once?
#[cold]
#[inline(never)]
fn walk_options(mut options: &[u8]) -> Option<Fault> {
    let mut seen = 0_u64;
    let mut duplicate = None;
    loop {
        match *options {
            // A kind without a length is let pass at the very end, as in Suricata.
            [] | [0, ..] | [_] => return duplicate,
            [1, ref rest @ ..] => options = rest,
            [kind, length, ..] => {
                let sound = match kind {
                    2 => length == 4,
                    3 => length == 3,
                    4 => length == 2,
                    // One without blocks is useless, and common.
                    5 => length >= 2 && (length - 2) % 8 == 0,
                    8 => length == 10,
                    _ => length >= 2,
                };
                match options.get(usize::from(length)..) {
                    Some(rest) if sound => options = rest,
                    _ => return Some(Fault::Length),
                }
                // Of those whose second instance a receiver may take for the first.
                if let 2..=5 | 8 | 34 = kind {
                    if seen >> kind & 1 == 1 {
                        duplicate = Some(Fault::Duplicate);
                    }
                    seen |= 1 << kind;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode, ethernet, events, patched, tcp_v6};
    use super::*;

    #[test]
    fn fields() {
        let frame = tcp_v6().flags(0xd5).seq(0xdead_beef).ack(0x0102_0304).window(513).urgent(7);
        let frame = patched(frame.tcp_options(&[1, 1, 1]).payload(b"xyz"), 14 + 40 + 12, &[0x6b]);
        let decoded = decode(&frame);
        let Transport::Tcp(tcp) = decoded.transport else { panic!("{decoded:?}") };
        assert_eq!((tcp.seq, tcp.ack), (0xdead_beef, 0x0102_0304));
        assert_eq!((tcp.window, tcp.urgent, tcp.flags, tcp.reserved), (513, 7, TcpFlags(0xd5), 0x0b));
        assert_eq!(tcp.options.of(&frame), [1, 1, 1, 0]);
        assert_eq!(decoded.payload.of(&frame), b"xyz");
    }

    #[test]
    fn header_faults() {
        let check = |frame: &[u8], event: Option<DecodeEvent>| {
            let decoded = decode(frame);
            assert_eq!(decoded.invalid, event);
            assert_eq!((decoded.ip_version, decoded.protocol), (4, 6));
            assert_eq!(decoded.source_port == 0, event.is_some());
            assert!(decoded.layers.contains(Layer::Tcp));
        };
        let v4 = || ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
        let offset = |value: u8| patched(v4().tcp(1, 2).payload(&[0; 4]), 14 + 20 + 12, &[value]);
        check(&v4().protocol(6).payload(&[0; 19]).to_vec(), Some(DecodeEvent::TcpTooSmall));
        check(&offset(0x00), Some(DecodeEvent::TcpInvalidOptionLength));
        check(&offset(0x40), Some(DecodeEvent::TcpInvalidOptionLength));
        check(&offset(0x50), None);
        check(&offset(0x60), None);
        check(&offset(0x70), Some(DecodeEvent::TcpHeaderTooSmall));
        check(&offset(0xf0), Some(DecodeEvent::TcpHeaderTooSmall));
    }

    #[test]
    fn options() {
        let check = |options: &[u8], sound: bool| {
            let decoded = decode(&tcp_v6().tcp_options(options).payload(b"p").to_vec());
            assert_eq!(decoded.invalid, None);
            let expected: &[&str] = if sound { &[] } else { &["tcp.opt_invalid_len"] };
            assert_eq!(events(&decoded), expected, "{options:?}");
        };
        check(&[], true);
        check(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], true);
        check(&[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7], true);
        check(&[5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1], true);
        check(&[5, 2, 1, 1], true);
        check(&[254, 4, 0, 0], true);
        check(&[1, 1, 1, 254], true);
        check(&[0, 2, 0, 0], true);
        check(&[2, 3, 0, 0], false);
        check(&[3, 4, 0, 0], false);
        check(&[4, 4, 0, 0], false);
        check(&[5, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0], false);
        check(&[8, 8, 0, 0, 0, 1, 0, 0], false);
        check(&[254, 0, 0, 0], false);
        check(&[254, 1, 0, 0], false);
        check(&[1, 254, 4, 0], false);
        let twice = decode(&tcp_v6().tcp_options(&[4, 2, 2, 4, 5, 180, 4, 2]).to_vec());
        assert_eq!(events(&twice), ["tcp.opt_duplicate"]);
        let unknown = decode(&tcp_v6().tcp_options(&[254, 4, 0, 0, 254, 4, 0, 0]).to_vec());
        assert!(unknown.events.is_empty());
    }
}
