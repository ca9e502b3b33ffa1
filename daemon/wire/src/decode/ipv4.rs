//! IPv4 (RFC 791).

use super::cursor::Cursor;
use super::{Job, Step};
use crate::checksum::Sum;
use crate::decoded::{DecodeEvent, Fragment, Layer, mapped};

const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

impl Job<'_> {
    #[inline]
    pub(super) fn ipv4(&mut self, packet: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Ipv4);
        let Some(header) = packet.peek::<20>() else { return Err(DecodeEvent::Ipv4TooSmall) };
        let &[version, tos, l0, l1, id0, id1, f0, f1, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
            header;
        if version >> 4 != 4 {
            return Err(DecodeEvent::Ipv4WrongVersion);
        }
        let header_length = usize::from(version & 0x0f) * 4;
        if header_length < 20 {
            return Err(DecodeEvent::Ipv4HeaderTooSmall);
        }
        let total_length = usize::from(u16::from_be_bytes([l0, l1]));
        if total_length < header_length {
            return Err(DecodeEvent::Ipv4LengthBelowHeader);
        }
        // What the link appended beyond the IP length is not of the packet.
        let Some((whole, _)) = packet.split(total_length) else { return Err(DecodeEvent::Ipv4Truncated) };
        let Some((header, payload)) = whole.split(header_length) else {
            return Err(DecodeEvent::Ipv4LengthBelowHeader);
        };
        let Some((_, options)) = header.take::<20>() else { return Err(DecodeEvent::Ipv4HeaderTooSmall) };

        let out = &mut *self.out;
        out.ip_version = 4;
        out.source = mapped([s0, s1, s2, s3]);
        out.destination = mapped([d0, d1, d2, d3]);
        out.protocol = protocol;
        out.ttl = ttl;
        out.tos = tos;
        out.ip_id = u16::from_be_bytes([id0, id1]);
        out.ip = whole.span();
        out.ip_options = options.span();
        out.ip_payload = payload.span();
        if self.ip_checksum {
            out.bad_checksums.ipv4 = !Sum::default().add(header.rest()).is_valid();
        }
        if options.len() != 0 {
            self.ipv4_options(options.rest())?;
        }
        let fragment = u16::from_be_bytes([f0, f1]);
        if fragment & (MORE_FRAGMENTS | OFFSET) != 0 {
            self.out.fragment = Some(Fragment {
                id: u32::from(self.out.ip_id),
                offset: u32::from(fragment & OFFSET) * 8,
                more: fragment & MORE_FRAGMENTS != 0,
            });
            return Ok(());
        }
        self.transport(protocol, payload)
    }

    /// Walks the options for lengths only; their contents are left to whom they concern.
    #[cold]
    fn ipv4_options(&mut self, mut options: &[u8]) -> Step {
        loop {
            match *options {
                [] | [0, ..] => return Ok(()),
                [1, ref rest @ ..] => options = rest,
                [_] => {
                    self.note(DecodeEvent::Ipv4OptionEolRequired);
                    return Ok(());
                }
                [_, length, ..] => match options.get(usize::from(length)..) {
                    Some(rest) if length >= 2 => options = rest,
                    _ => return Err(DecodeEvent::Ipv4OptionInvalidLength),
                },
            }
        }
    }
}
