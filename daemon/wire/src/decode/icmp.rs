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
        if matches!(icmp.kind, 130..=132) && self.out.ttl != 1 {
            self.note(DecodeEvent::Icmpv6MldHopLimit);
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

#[cfg(test)]
mod tests {
    use super::super::tests::{decode_raw, events};
    use super::*;
    use crate::builder::PacketBuilder;
    use crate::decoded::Decoded;

    fn v4<'a>() -> PacketBuilder<'a> {
        PacketBuilder::raw().ipv4([10, 0, 0, 1], [10, 0, 0, 2])
    }

    fn v6<'a>() -> PacketBuilder<'a> {
        PacketBuilder::raw().ipv6([1; 16], [2; 16])
    }

    fn icmp(decoded: &Decoded) -> Icmp {
        match decoded.transport {
            Transport::Icmpv4(icmp) | Transport::Icmpv6(icmp) => icmp,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn types_and_codes() {
        let check = |builder: PacketBuilder<'_>, kind: u8, code: u8, echo: bool, expected: &[&str]| {
            let decoded = decode_raw(&builder.icmp(kind, code, [1, 2, 3, 4]).payload(b"data").to_vec());
            let icmp = icmp(&decoded);
            assert_eq!((decoded.invalid, icmp.kind, icmp.code), (None, kind, code));
            assert_eq!(icmp.echo, echo.then_some((0x0102, 0x0304)), "{kind} {code}");
            assert_eq!(events(&decoded), expected, "{kind} {code}");
            assert!(!decoded.bad_checksums.transport);
            assert_eq!(decoded.payload.len(), 4);
            assert_eq!((decoded.source_port, decoded.destination_port), (0, 0));
        };
        for kind in [0, 8, 13, 14, 15, 16, 17, 18] {
            check(v4(), kind, 0, true, &[]);
            check(v4(), kind, 1, false, &["icmpv4.unknown_code"]);
        }
        check(v4(), 9, 16, false, &[]);
        check(v4(), 3, 16, false, &["icmpv4.unknown_code"]);
        check(v4(), 42, 0, false, &["icmpv4.unknown_type"]);
        check(v6(), 128, 0, true, &[]);
        check(v6(), 129, 0, true, &[]);
        check(v6(), 129, 1, false, &["icmpv6.unknown_code"]);
        check(v6(), 135, 0, false, &[]);
        check(v6(), 2, 1, false, &["icmpv6.unknown_code"]);
        check(v6(), 0, 0, false, &["icmpv6.unknown_type"]);
        check(v6(), 100, 0, false, &["icmpv6.experimentation_type"]);
        check(v6(), 99, 0, false, &["icmpv6.unassigned_type"]);
        check(v6(), 255, 0, false, &["icmpv6.unknown_type"]);
    }

    #[test]
    fn short_messages() {
        let v4_short = decode_raw(&v4().protocol(1).payload(&[8; 7]).to_vec());
        assert_eq!(v4_short.invalid, Some(DecodeEvent::Icmpv4TooSmall));
        assert!(v4_short.layers.contains(Layer::Icmpv4));
        let v6_short = decode_raw(&v6().protocol(58).payload(&[128; 7]).to_vec());
        assert_eq!(v6_short.invalid, Some(DecodeEvent::Icmpv6TooSmall));
        assert!(v6_short.layers.contains(Layer::Icmpv6));
    }

    #[test]
    fn quotes_of_ipv4() {
        let check = |packet: &[u8], protocol: u8, ports: (u16, u16)| {
            for kind in [3, 4, 5, 11, 12] {
                let decoded = decode_raw(&v4().icmp_error(kind, 0, packet).to_vec());
                let quoted = Quoted {
                    source: mapped([192, 0, 2, 1]),
                    destination: mapped([192, 0, 2, 2]),
                    protocol,
                    source_port: ports.0,
                    destination_port: ports.1,
                };
                assert_eq!((decoded.invalid, icmp(&decoded).quoted), (None, Some(quoted)));
            }
        };
        let quoted = || PacketBuilder::raw().ipv4([192, 0, 2, 1], [192, 0, 2, 2]);
        let udp = quoted().udp(40_000, 53).payload(b"query").to_vec();
        check(&udp, 17, (40_000, 53));
        check(&udp[..24], 17, (40_000, 53));
        check(&udp[..23], 17, (0, 0));
        check(&udp[..20], 17, (0, 0));
        check(&quoted().tcp(1, 2).to_vec()[..28], 6, (1, 2));
        check(&quoted().ip_options(&[1; 8]).tcp(1, 2).to_vec(), 6, (1, 2));
        check(&quoted().protocol(132).payload(&[0, 3, 0, 4]).to_vec(), 132, (3, 4));
        check(&quoted().echo_request(1, 2).to_vec(), 1, (0, 0));
        // What begins a later fragment are no ports.
        check(&quoted().protocol(17).fragment(8, false).payload(&[9; 8]).to_vec(), 17, (0, 0));
        check(&quoted().udp(5, 6).fragment(0, true).to_vec(), 17, (5, 6));
    }

    #[test]
    fn quotes_of_ipv6() {
        let check = |packet: &[u8], protocol: u8, ports: (u16, u16)| {
            for kind in 1..=4 {
                let decoded = decode_raw(&v6().icmp_error(kind, 0, packet).to_vec());
                let quoted = Quoted {
                    source: [3; 16],
                    destination: [4; 16],
                    protocol,
                    source_port: ports.0,
                    destination_port: ports.1,
                };
                assert_eq!((decoded.invalid, icmp(&decoded).quoted), (None, Some(quoted)));
                assert!(decoded.events.is_empty());
            }
        };
        let quoted = || PacketBuilder::raw().ipv6([3; 16], [4; 16]);
        let udp = quoted().extension(0, &[1, 4]).udp(7, 8).to_vec();
        check(&udp, 17, (7, 8));
        check(&udp[..52], 17, (7, 8));
        check(&udp[..51], 17, (0, 0));
        check(&udp[..47], 0, (0, 0));
        check(&quoted().tcp(1, 2).fragment(0, true).to_vec(), 6, (1, 2));
        check(&quoted().protocol(6).fragment(8, true).payload(&[9; 8]).to_vec(), 6, (0, 0));
    }

    #[test]
    fn quotes_gone_wrong() {
        let check = |frame: PacketBuilder<'_>, event: Option<DecodeEvent>| {
            let decoded = decode_raw(&frame.to_vec());
            assert_eq!(decoded.invalid, event);
            if event.is_none() {
                assert_eq!(icmp(&decoded).quoted, None);
            }
        };
        check(v4().icmp_error(3, 1, &[]), None);
        check(v4().icmp_error(3, 16, &[0; 10]), None);
        check(v4().icmp_error(3, 1, &[0x45; 19]), Some(DecodeEvent::Icmpv4QuoteTruncated));
        check(v4().icmp_error(11, 0, &[0x65; 20]), Some(DecodeEvent::Icmpv4QuoteUnknownVersion));
        check(v6().icmp_error(1, 0, &[]), Some(DecodeEvent::Icmpv6QuoteTruncated));
        check(v6().icmp_error(1, 0, &[0x60; 39]), Some(DecodeEvent::Icmpv6QuoteTruncated));
        check(v6().icmp_error(3, 0, &[0x45; 40]), Some(DecodeEvent::Icmpv6QuoteUnknownVersion));
        // A header length below 20 leaves the ports in the dark, but not the addresses.
        let decoded = decode_raw(&v4().icmp_error(3, 1, &[[0x41; 9], [6; 9], [6; 9]].concat()).to_vec());
        let quoted = icmp(&decoded).quoted;
        assert_eq!(quoted.map(|quoted| (quoted.protocol, quoted.source_port)), Some((6, 0)));
    }
}
