//! Sticky buffers: what the contents after them look at. `pkt_data` goes back to the payload.

use super::{Entry, Setting, Takes};
use crate::buffer::Buffer;
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORDS: &[Entry] = &[
    entry(&["pkt_data"], |draft, _| choose(draft, Buffer::Payload)),
    entry(&["ipv4.hdr"], |draft, _| choose(draft, Buffer::Ipv4Header)),
    entry(&["ipv6.hdr"], |draft, _| choose(draft, Buffer::Ipv6Header)),
    entry(&["tcp.hdr"], |draft, _| choose(draft, Buffer::TcpHeader)),
    entry(&["udp.hdr"], |draft, _| choose(draft, Buffer::UdpHeader)),
    entry(&["icmpv4.hdr"], |draft, _| choose(draft, Buffer::Icmpv4Header)),
    entry(&["icmpv6.hdr"], |draft, _| choose(draft, Buffer::Icmpv6Header)),
];

const fn entry(
    names: &'static [&'static str],
    setup: fn(&mut Draft, Setting<'_>) -> Result<(), Fault>,
) -> Entry {
    Entry { names, takes: Takes::Nothing, setup }
}

fn choose(draft: &mut Draft, buffer: Buffer) -> Result<(), Fault> {
    draft.buffer = buffer;
    Ok(())
}
