//! TCP (RFC 9293).

use super::cursor::Cursor;
use super::{Job, Step, transport};
use crate::decoded::{DecodeEvent, Layer, Tcp, TcpFlags, Transport};

impl Job<'_> {
    #[inline]
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
        if options_length != 0 && !options_are_sound(options.rest()) {
            self.note(DecodeEvent::TcpOptionInvalidLength);
        }
        if self.transport_checksum {
            self.out.bad_checksums.transport = self.bad_checksum(transport::TCP, segment.rest());
        }
        Ok(())
    }
}

/// Do the options' lengths add up, and are those of the best known right?
#[inline]
fn options_are_sound(options: &[u8]) -> bool {
    // Two no-operations and a timestamp: what nearly all established connections send.
    if let [1, 1, 8, 10, _, _, _, _, _, _, _, _] = options {
        return true;
    }
    walk_options(options)
}

fn walk_options(mut options: &[u8]) -> bool {
    loop {
        match *options {
            // A kind without a length is let pass at the very end, as in Suricata.
            [] | [0, ..] | [_] => return true,
            [1, ref rest @ ..] => options = rest,
            [kind, length, ..] => {
                let sound = match kind {
                    2 => length == 4,
                    3 => length == 3,
                    4 => length == 2,
                    5 => length >= 10 && (length - 2) % 8 == 0,
                    8 => length == 10,
                    _ => length >= 2,
                };
                match options.get(usize::from(length)..) {
                    Some(rest) if sound => options = rest,
                    _ => return false,
                }
            }
        }
    }
}
