//! The chain of IPv6 extension headers (RFC 8200 section 4), of a packet or of one that is
//! quoted.

use super::cursor::Cursor;
use super::options;
use super::transport::NO_NEXT_HEADER;
use crate::decoded::{Address, DecodeEvent, DecodeEvents, Fragment};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// Most extension headers that are walked; RFC 8200 section 4.1 knows of seven in a packet.
const EXTENSION_LIMIT: u8 = 16;

/// Is this the number of a header that says what comes after it?
#[inline]
pub(super) const fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        HOP_BY_HOP
            | ROUTING
            | FRAGMENT
            | AUTHENTICATION
            | DESTINATION_OPTIONS
            | MOBILITY
            | HOST_IDENTITY
            | SHIM6
    )
}

/// A walk along the chain.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    /// The protocol of `body`.
    pub(super) protocol: u8,
    /// What follows the headers walked so far.
    pub(super) body: Cursor<'a>,
    /// The fragment header, unless that of an atomic fragment.
    pub(super) fragment: Option<Fragment>,
    /// Set by a routing header with segments left: the last destination, where it can be told.
    pub(super) destination: Option<Option<Address>>,
    hop_by_hop: u8,
    routing: u8,
    fragments: u8,
    authentication: u8,
    destination_options: u8,
}

impl<'a> Chain<'a> {
    /// At the start of the chain: `body` is of type `protocol`.
    pub(super) const fn new(protocol: u8, body: Cursor<'a>) -> Self {
        Self {
            protocol,
            body,
            fragment: None,
            destination: None,
            hop_by_hop: 0,
            routing: 0,
            fragments: 0,
            authentication: 0,
            destination_options: 0,
        }
    }

    /// Goes to the first header that is no extension, or behind that of a fragment. On an error
    /// it stands at the header that is wrong.
    #[inline]
    pub(super) fn walk(&mut self, events: &mut DecodeEvents) -> Result<(), DecodeEvent> {
        for _ in 0..EXTENSION_LIMIT {
            if !is_extension(self.protocol) || self.fragment.is_some() {
                return Ok(());
            }
            self.step(events).ok_or(DecodeEvent::Ipv6TruncatedExtension)?;
        }
        if is_extension(self.protocol) && self.fragment.is_none() {
            return Err(DecodeEvent::TooManyLayers);
        }
        Ok(())
    }

    /// Is there so little after the extension headers that no header can be there? Suricata takes
    /// that for one more extension header that is cut.
    pub(super) const fn ends_too_early(&self) -> bool {
        self.fragment.is_none() && self.protocol != NO_NEXT_HEADER && self.body.len() < 2
    }

    /// Over one header; `None` where the packet ends within it.
    #[inline(always)]
    fn step(&mut self, events: &mut DecodeEvents) -> Option<()> {
        let &[next, length] = self.body.peek::<2>()?;
        let length = match self.protocol {
            FRAGMENT => 8,
            // RFC 4302 section 2.2 counts in 4 bytes, less two.
            AUTHENTICATION => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        let (header, rest) = self.body.split(length)?;
        match self.protocol {
            HOP_BY_HOP => {
                count(&mut self.hop_by_hop, 1, DecodeEvent::Ipv6DuplicateHopOptions, events);
                options::ipv6(header.rest().get(2..)?, options::HOP_BY_HOP, events);
            }
            // One before a routing header, one after it.
            DESTINATION_OPTIONS => {
                count(&mut self.destination_options, 2, DecodeEvent::Ipv6DuplicateDestinationOptions, events);
                options::ipv6(header.rest().get(2..)?, options::DESTINATION, events);
            }
            AUTHENTICATION => {
                count(&mut self.authentication, 1, DecodeEvent::Ipv6DuplicateAuthentication, events);
                if header.rest().get(2..4)? != [0, 0] {
                    events.insert(DecodeEvent::Ipv6AuthenticationReserved);
                }
            }
            ROUTING => self.routing_header(header, events)?,
            FRAGMENT => self.fragment_header(header, rest, events)?,
            _ => {}
        }
        self.protocol = next;
        self.body = rest;
        Some(())
    }

    fn routing_header(&mut self, header: Cursor<'_>, events: &mut DecodeEvents) -> Option<()> {
        count(&mut self.routing, 1, DecodeEvent::Ipv6DuplicateRoutingHeader, events);
        let &[_, _, kind, segments_left, ..] = header.peek::<8>()?;
        if kind == 0 {
            events.insert(DecodeEvent::Ipv6RoutingType0);
        }
        if segments_left != 0 {
            let addresses = header.rest().get(8..)?;
            self.destination = Some(match kind {
                // Type 0 and mobile IPv6 (RFC 6275 section 6.4): the last address.
                0 | 2 => addresses.last_chunk().copied(),
                // Segment routing (RFC 8754 section 2): listed backwards.
                4 => addresses.first_chunk().copied(),
                _ => None,
            });
        }
        Some(())
    }

    fn fragment_header(
        &mut self,
        header: Cursor<'_>,
        data: Cursor<'_>,
        events: &mut DecodeEvents,
    ) -> Option<()> {
        count(&mut self.fragments, 1, DecodeEvent::Ipv6DuplicateFragmentHeader, events);
        let &[_, reserved, o0, o1, i0, i1, i2, i3] = header.peek::<8>()?;
        if reserved != 0 {
            events.insert(DecodeEvent::Ipv6FragmentReserved);
        }
        let offset = u16::from_be_bytes([o0, o1]);
        let fragment = Fragment {
            id: u32::from_be_bytes([i0, i1, i2, i3]),
            offset: u32::from(offset & 0xfff8),
            more: offset & 1 == 1,
        };
        if fragment.offset == 0 && !fragment.more {
            events.insert(DecodeEvent::Ipv6UselessFragmentHeader);
            return Some(());
        }
        if fragment.more && !data.len().is_multiple_of(8) {
            events.insert(DecodeEvent::Ipv6FragmentInvalidLength);
        }
        if fragment.is_beyond_packet(data.len()) {
            events.insert(DecodeEvent::Ipv6FragmentTooLarge);
        }
        self.fragment = Some(fragment);
        Some(())
    }
}

/// Counts a header and remarks when there are more of it than there may be.
fn count(seen: &mut u8, most: u8, event: DecodeEvent, events: &mut DecodeEvents) {
    *seen += 1;
    if *seen > most {
        events.insert(event);
    }
}
