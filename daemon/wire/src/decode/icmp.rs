//! ICMP for IPv4 (RFC 792) and IPv6 (RFC 4443), and the tuple that an error message quotes.

use super::cursor::Cursor;
use super::extensions::Chain;
use super::{Job, Step, transport};
use crate::checksum::Sum;
use crate::decoded::{DecodeEvent, DecodeEvents, Icmp, Layer, Quoted, Transport, mapped};

/// What a type of message means to the decoder.
enum Message {
    /// Identifier and sequence number follow.
    Echo,
    /// A packet is quoted.
    Error,
    /// Anything else that is known.
    Known,
    /// Not known, or not to be on the wire.
    Odd(DecodeEvent),
}

impl Job<'_> {
    pub(super) fn icmpv4(&mut self, message: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Icmpv4);
        let Some((header, rest)) = message.take::<8>() else { return Err(DecodeEvent::Icmpv4TooSmall) };
        let mut icmp = Icmp { kind: header[0], code: header[1], ..Icmp::default() };
        if self.transport_checksum {
            self.out.bad_checksums.transport = !Sum::default().add(message.rest()).is_valid();
        }
        let quoted = match classify_v4(icmp.kind, icmp.code) {
            Message::Echo => {
                icmp.echo = Some(echo(header));
                Ok(None)
            }
            // Without any quote it is but an odd message; with too little of one it is damaged.
            Message::Error if rest.len() != 0 => quoted_v4(rest).map(Some),
            Message::Error | Message::Known => Ok(None),
            Message::Odd(event) => {
                self.note(event);
                Ok(None)
            }
        };
        self.out.payload = rest.span();
        icmp.quoted = quoted?;
        self.out.transport = Transport::Icmpv4(icmp);
        Ok(())
    }

    pub(super) fn icmpv6(&mut self, message: Cursor<'_>) -> Step {
        self.out.layers.insert(Layer::Icmpv6);
        let Some((header, rest)) = message.take::<8>() else { return Err(DecodeEvent::Icmpv6TooSmall) };
        let mut icmp = Icmp { kind: header[0], code: header[1], ..Icmp::default() };
        if self.transport_checksum {
            self.out.bad_checksums.transport = self.bad_checksum(self.out.protocol, message.rest());
        }
        let quoted = match classify_v6(icmp.kind, icmp.code) {
            Message::Echo => {
                icmp.echo = Some(echo(header));
                Ok(None)
            }
            Message::Error => quoted_v6(rest).map(Some),
            Message::Known => Ok(None),
            Message::Odd(event) => {
                self.note(event);
                Ok(None)
            }
        };
        self.out.payload = rest.span();
        icmp.quoted = quoted?;
        self.out.transport = Transport::Icmpv6(icmp);
        Ok(())
    }
}

/// Identifier and sequence number.
const fn echo(header: &[u8; 8]) -> (u16, u16) {
    let &[.., i0, i1, s0, s1] = header;
    (u16::from_be_bytes([i0, i1]), u16::from_be_bytes([s0, s1]))
}

/// By type, and the largest code that is assigned to it.
const fn classify_v4(kind: u8, code: u8) -> Message {
    let (message, largest_code) = match kind {
        // Echo, timestamp, information and address mask, requests and replies.
        0 | 8 | 13..=18 => (Message::Echo, 0),
        3 => (Message::Error, 15),
        4 => (Message::Error, 0),
        5 => (Message::Error, 3),
        11 => (Message::Error, 1),
        12 => (Message::Error, 2),
        // Router advertisement (also of mobile IP: code 16) and solicitation.
        9 => (Message::Known, 16),
        10 => (Message::Known, 0),
        _ => return Message::Odd(DecodeEvent::Icmpv4UnknownType),
    };
    if code > largest_code { Message::Odd(DecodeEvent::Icmpv4UnknownCode) } else { message }
}

/// By type, as IANA assigns them, and the largest code of the messages of RFC 4443.
const fn classify_v6(kind: u8, code: u8) -> Message {
    let (message, largest_code) = match kind {
        1 => (Message::Error, 7),
        2 => (Message::Error, 0),
        3 => (Message::Error, 1),
        4 => (Message::Error, 3),
        128 | 129 => (Message::Echo, 0),
        130..=159 => (Message::Known, 255),
        100 | 101 | 200 | 201 => return Message::Odd(DecodeEvent::Icmpv6ExperimentationType),
        5..=126 | 160..=199 => return Message::Odd(DecodeEvent::Icmpv6UnassignedType),
        _ => return Message::Odd(DecodeEvent::Icmpv6UnknownType),
    };
    if code > largest_code { Message::Odd(DecodeEvent::Icmpv6UnknownCode) } else { message }
}

fn quoted_v4(quote: Cursor<'_>) -> Result<Quoted, DecodeEvent> {
    let Some((header, after)) = quote.take::<20>() else { return Err(DecodeEvent::Icmpv4QuoteTruncated) };
    let &[version, _, _, _, _, _, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = header;
    if version >> 4 != 4 {
        return Err(DecodeEvent::Icmpv4QuoteUnknownVersion);
    }
    let first = u16::from_be_bytes([f0, f1]) & 0x1fff == 0;
    let options_length = (usize::from(version & 0x0f) * 4).checked_sub(20);
    let body = options_length.and_then(|length| after.split(length)).map(|(_, body)| body);
    let (source_port, destination_port) = ports(protocol, body.filter(|_| first));
    Ok(Quoted {
        source: mapped([s0, s1, s2, s3]),
        destination: mapped([d0, d1, d2, d3]),
        protocol,
        source_port,
        destination_port,
    })
}

fn quoted_v6(quote: Cursor<'_>) -> Result<Quoted, DecodeEvent> {
    let Some((header, body)) = quote.take::<40>() else { return Err(DecodeEvent::Icmpv6QuoteTruncated) };
    let &[version, _, _, _, _, _, next, _, ref addresses @ ..] = header;
    if version >> 4 != 6 {
        return Err(DecodeEvent::Icmpv6QuoteUnknownVersion);
    }
    let (Some(source), Some(destination)) = (addresses.first_chunk::<16>(), addresses.last_chunk::<16>())
    else {
        return Err(DecodeEvent::Icmpv6QuoteTruncated);
    };
    // What is odd about the quoted packet says nothing about the one that quotes it.
    let mut chain = Chain::new(next, body);
    let walked = chain.walk(&mut DecodeEvents::default());
    let first = chain.fragment.is_none_or(|fragment| fragment.offset == 0);
    let body = (walked.is_ok() && first).then_some(chain.body);
    let (source_port, destination_port) = ports(chain.protocol, body);
    Ok(Quoted {
        source: *source,
        destination: *destination,
        protocol: chain.protocol,
        source_port,
        destination_port,
    })
}

/// The ports at the start of `body`, if the protocol has them there and the quote holds them.
fn ports(protocol: u8, body: Option<Cursor<'_>>) -> (u16, u16) {
    match (protocol, body.and_then(Cursor::peek::<4>)) {
        (transport::TCP | transport::UDP | transport::SCTP, Some(&[s0, s1, d0, d1])) => {
            (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]))
        }
        _ => (0, 0),
    }
}
