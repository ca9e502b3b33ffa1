//! A host's IP: which packets it takes, and datagrams out of fragments.

use super::frame;
use super::host::Manner;
use super::pieces::Pieces;
use super::segment::Wire;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// How far away a far host is: what lives no longer dies on the way.
const HOPS: u8 = 5;

/// Bytes of the largest packet that gets to it whole: the least that links must carry (RFC 791, RFC 8200).
const NARROW: usize = 576;
const NARROW_V6: usize = 1280;

/// What IP delivers: TCP, from whom.
pub(super) type Delivered = Vec<u8>;

/// Fragments of one datagram.
#[derive(Clone, Debug)]
struct Waiting {
    id: u32,
    since: Duration,
    pieces: Pieces,
    end: Option<u64>,
    spoilt: bool,
}

/// The IP of a host.
#[derive(Clone, Debug, Default)]
pub(super) struct Ip {
    waiting: Vec<Waiting>,
}

/// A part of a datagram.
struct Part {
    id: u32,
    offset: u64,
    more: bool,
    data: Vec<u8>,
}

impl Ip {
    /// What a frame brings to TCP.
    pub(super) fn receive(
        &mut self,
        wire: &Wire,
        manner: &Manner,
        frame: &[u8],
        now: Duration,
    ) -> Option<Delivered> {
        let (destination, rest) = frame.split_first_chunk::<6>()?;
        if *destination != wire.host.0 {
            return None;
        }
        let packet = ethertype(rest.get(6..)?)?;
        let (protocol, part) = match packet {
            (0x0800, packet) => ipv4(wire, manner, packet)?,
            (0x86dd, packet) => ipv6(wire, manner, packet)?,
            _ => return None,
        };
        if protocol != 6 {
            return None;
        }
        if part.offset == 0 && !part.more {
            return Some(part.data);
        }
        self.fragment(manner, part, now)
    }

    fn fragment(&mut self, manner: &Manner, mut part: Part, now: Duration) -> Option<Delivered> {
        let patience = Duration::from_secs(if manner.strict { 30 } else { 60 });
        self.waiting.retain(|waiting| now < waiting.since + patience);
        if part.more && !part.data.len().is_multiple_of(8) {
            if manner.strict {
                return None;
            }
            part.data.truncate(part.data.len() / 8 * 8);
        }
        let place = self.waiting.iter().position(|waiting| waiting.id == part.id).unwrap_or_else(|| {
            let (pieces, end) = (Pieces::default(), None);
            self.waiting.push(Waiting { id: part.id, since: now, pieces, end, spoilt: false });
            self.waiting.len() - 1
        });
        let waiting = &mut self.waiting[place];
        let met = waiting.pieces.add(part.offset, &part.data, manner.overlap);
        // Hosts of today give the datagram up (RFC 5722).
        waiting.spoilt |= met && manner.strict;
        if !part.more {
            waiting.end = Some(part.offset + part.data.len() as u64);
        }
        let end = waiting.end?;
        let whole: Option<Vec<u8>> = (0..end).map(|at| waiting.pieces.byte(at)).collect();
        let whole = whole?;
        let spoilt = waiting.spoilt;
        self.waiting.remove(place);
        (!spoilt).then_some(whole)
    }
}

/// What follows Ethernet: behind priority tags, and in the frames of 802.2.
fn ethertype(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (kind, rest) = bytes.split_first_chunk::<2>()?;
    match u16::from_be_bytes(*kind) {
        0x8100 => {
            let (tag, rest) = rest.split_first_chunk::<2>()?;
            (u16::from_be_bytes(*tag) & 0x0fff == 0).then(|| ethertype(rest))?
        }
        kind => Some((kind, rest)),
    }
}

fn ipv4(wire: &Wire, manner: &Manner, packet: &[u8]) -> Option<(u8, Part)> {
    let header = packet.first_chunk::<20>()?;
    let length = usize::from(header[0] & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 4 != 4 || length < 20 || total < length {
        return None;
    }
    let packet = packet.get(..total)?;
    let address =
        |at: usize| -> Option<IpAddr> { Some(Ipv4Addr::from(*header.get(at..)?.first_chunk::<4>()?).into()) };
    let ours = address(12)? == wire.attacker.1 && address(16)? == wire.host.1;
    let fits = !manner.far || header[6] & 0x40 == 0 || total <= NARROW;
    let arrives = header[8] > if manner.far { HOPS } else { 0 } && fits;
    if !ours || !arrives || frame::sum(&[&packet[..length]]) != 0xffff {
        return None;
    }
    if manner.strict && !options_are_sound(&packet[20..length]) {
        return None;
    }
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    let offset = u64::from(fragment & 0x1fff) * 8;
    let data = packet[length..].to_vec();
    if offset + data.len() as u64 > 65_535 {
        return None;
    }
    let id = u32::from(u16::from_be_bytes([header[4], header[5]]));
    Some((header[9], Part { id, offset, more: fragment & 0x2000 != 0, data }))
}

/// Options of which each is whole, without a route that the sender wants.
fn options_are_sound(mut options: &[u8]) -> bool {
    loop {
        match *options {
            [] | [0, ..] => return true,
            [1, ref rest @ ..] => options = rest,
            [131 | 137, ..] => return false,
            [_, length, ..] if length >= 2 && usize::from(length) <= options.len() => {
                options = &options[usize::from(length)..];
            }
            _ => return false,
        }
    }
}

fn ipv6(wire: &Wire, manner: &Manner, packet: &[u8]) -> Option<(u8, Part)> {
    let header = packet.first_chunk::<40>()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let mut rest = packet.get(40..40 + length)?;
    let address = |at: usize| -> Option<IpAddr> {
        Some(Ipv6Addr::from(*header.get(at..)?.first_chunk::<16>()?).into())
    };
    let ours = address(8)? == wire.attacker.1 && address(24)? == wire.host.1;
    // Routers fragment nothing in IPv6.
    if !ours || header[7] <= if manner.far { HOPS } else { 0 } || manner.far && length + 40 > NARROW_V6 {
        return None;
    }
    let mut next = header[6];
    let mut first = true;
    loop {
        match next {
            // Hop-by-hop only as the first; destination options and routing anywhere.
            0 if !first => return None,
            0 | 60 | 43 => {
                let own = rest.first_chunk::<8>()?;
                // A route that is not at its end goes on elsewhere.
                if next == 43 && (manner.strict || own[3] != 0) {
                    return None;
                }
                next = own[0];
                rest = rest.get((usize::from(own[1]) + 1) * 8..)?;
            }
            44 => {
                let own = rest.first_chunk::<8>()?;
                let place = u16::from_be_bytes([own[2], own[3]]);
                let id = u32::from_be_bytes([own[4], own[5], own[6], own[7]]);
                let part = Part {
                    id,
                    offset: u64::from(place & 0xfff8),
                    more: place & 1 != 0,
                    data: rest[8..].to_vec(),
                };
                return (own[0] == 6).then_some((6, part));
            }
            _ => return Some((next, Part { id: 0, offset: 0, more: false, data: rest.to_vec() })),
        }
        first = false;
    }
}
