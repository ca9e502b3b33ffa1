//! The decoder: from a frame to a [`Decoded`] description.
//!
//! Each layer has its module; each reads its header once, as an array, and hands the rest on. Nearly all
//! packets take a shorter way, `plain`, that says the same.
//! What is refused and what is only remarked follows Suricata's decoders, by event name.
//! Nothing here allocates, and no byte of a frame can make it panic. It never changes a frame
//! and keeps no state between frames.

mod arp;
mod cursor;
mod extensions;
mod gre;
mod icmp;
mod ipv4;
mod ipv6;
mod link;
mod mpls;
mod nsh;
mod options;
mod plain;
mod ppp;
mod tags;
mod tcp;
mod transport;
mod tunnel;

use crate::checksum::Sum;
use crate::config::{DecoderConfig, PortFilter};
use crate::decoded::{DecodeEvent, Decoded, Inner, InnerStart, Layer, Span};
use crate::link::LinkType;
use cursor::Cursor;
use plain::Around;

/// The decoder: stateless, one for any number of frames.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    config: DecoderConfig,
    /// A bit for each port that may be a tunnel's: one look for nearly all UDP packets.
    tunnel_ports: PortFilter,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(DecoderConfig::default())
    }
}

/// The result of a layer: an event where the frame is invalid.
type Step = Result<(), DecodeEvent>;

/// A frame being decoded.
struct Job<'d> {
    out: &'d mut Decoded,
    decoder: &'d Decoder,
    ip_checksum: bool,
    transport_checksum: bool,
}

impl Decoder {
    /// A decoder that works as `config` says.
    #[must_use]
    pub fn new(config: DecoderConfig) -> Self {
        Self { config, tunnel_ports: config.tunnel_ports() }
    }

    /// How it works.
    #[must_use]
    pub const fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Decodes `frame`, which starts with a header of type `link`.
    ///
    /// `outer_vlan` is the tag (TCI) that the device took off. With `skip_transport_checksum`
    /// the checksums of TCP, UDP and ICMP are not looked at: the device found them good, or
    /// they are not filled in yet.
    ///
    /// On the packet path use [`decode_into`](Self::decode_into): moving a description costs
    /// about as much as making it.
    #[must_use]
    #[inline]
    pub fn decode(
        &self,
        link: LinkType,
        outer_vlan: Option<u16>,
        skip_transport_checksum: bool,
        frame: &[u8],
    ) -> Decoded {
        let mut out = Decoded::default();
        self.decode_into(link, outer_vlan, skip_transport_checksum, frame, &mut out);
        out
    }

    /// As [`decode`](Self::decode), into a place that is used again for packet after packet;
    /// whatever it held is overwritten.
    #[inline]
    pub fn decode_into(
        &self,
        link: LinkType,
        outer_vlan: Option<u16>,
        skip_transport_checksum: bool,
        frame: &[u8],
        out: &mut Decoded,
    ) {
        let ethernet = matches!(link, LinkType::Ethernet) && outer_vlan.is_none();
        let around = Around { recursion: 0, depth: 0 };
        if ethernet && self.plain::<14>(around, skip_transport_checksum, frame, out) {
            return;
        }
        self.less_plain(link, outer_vlan, skip_transport_checksum, frame, out);
    }

    /// What is plain as far as IP only, or nothing of it.
    #[inline(never)]
    fn less_plain(
        &self,
        link: LinkType,
        outer_vlan: Option<u16>,
        skip_transport_checksum: bool,
        frame: &[u8],
        out: &mut Decoded,
    ) {
        let ethernet = matches!(link, LinkType::Ethernet) && outer_vlan.is_none();
        let payload = ethernet.then(|| Self::plain_headers(frame, out)).flatten();
        let Some(payload) = payload else {
            return self.layer_by_layer(link, outer_vlan, skip_transport_checksum, frame, out);
        };
        self.work(None, skip_transport_checksum, out, |job| {
            let (version, protocol) = (job.out.ip_version, job.out.protocol);
            if version == 6 {
                return job.after_ipv6(protocol, payload);
            }
            if job.ip_checksum {
                let header = Span { start: job.out.ip.start, end: job.out.ip_payload.start };
                job.out.bad_checksums.ipv4 = !Sum::default().add(header.of(frame)).is_valid();
            }
            job.transport(protocol, payload)
        });
    }

    /// Layer by layer, whatever the frame is.
    #[inline(never)]
    fn layer_by_layer(
        &self,
        link: LinkType,
        outer_vlan: Option<u16>,
        skip_transport_checksum: bool,
        frame: &[u8],
        out: &mut Decoded,
    ) {
        *out = Decoded::default();
        self.run(link, outer_vlan, skip_transport_checksum, frame, out);
    }

    /// Decodes `bytes`, the packet that `outer` says it carries: a packet of its own, one
    /// recursion deeper, whose description speaks of `bytes` alone. With `skip_transport_checksum`
    /// as for [`decode`](Self::decode); a device that found a checksum good may have looked at the
    /// outermost one only.
    #[must_use]
    pub fn decode_inner(
        &self,
        outer: &Decoded,
        inner: &Inner,
        skip_transport_checksum: bool,
        bytes: &[u8],
    ) -> Decoded {
        let mut out = Decoded::default();
        self.decode_inner_into(outer, inner, skip_transport_checksum, bytes, &mut out);
        out
    }

    /// As [`decode_inner`](Self::decode_inner), into a place that is used again; whatever it held is
    /// overwritten.
    #[inline]
    pub fn decode_inner_into(
        &self,
        outer: &Decoded,
        inner: &Inner,
        skip_transport_checksum: bool,
        bytes: &[u8],
        out: &mut Decoded,
    ) {
        let around =
            Around { recursion: outer.recursion.saturating_add(1), depth: outer.depth.saturating_add(1) };
        let plain = inner.vlan.is_none()
            && outer.depth < self.config.max_layers
            && match inner.start {
                InnerStart::Link(LinkType::Ethernet) => {
                    self.plain::<14>(around, skip_transport_checksum, bytes, out)
                }
                InnerStart::Ethertype(link::IPV4) => {
                    self.plain::<0>(around, skip_transport_checksum, bytes, out)
                }
                _ => false,
            };
        if !plain {
            self.inner_in_layers(outer, inner, skip_transport_checksum, bytes, out);
        }
    }

    /// The same layer by layer, whatever the packet is.
    #[inline(never)]
    fn inner_in_layers(
        &self,
        outer: &Decoded,
        inner: &Inner,
        skip_transport_checksum: bool,
        bytes: &[u8],
        out: &mut Decoded,
    ) {
        *out = Decoded::default();
        out.recursion = outer.recursion.saturating_add(1);
        out.depth = outer.depth;
        out.link = inner.start.link();
        self.work(inner.vlan, skip_transport_checksum, out, |job| {
            job.descend()?;
            match inner.start {
                InnerStart::Link(link) => job.link_layer(link, Cursor::new(bytes)),
                InnerStart::Ethertype(ethertype) => job.network(ethertype, Cursor::new(bytes)),
            }
        });
    }

    /// Decodes `frame`, which was put together from `fragment` and others like it, and starts with a
    /// header of type `link`: a packet of its own at the same recursion level, the checksums of
    /// which nobody has looked at yet.
    #[must_use]
    pub fn decode_reassembled(&self, fragment: &Decoded, link: LinkType, frame: &[u8]) -> Decoded {
        let mut out =
            Decoded { recursion: fragment.recursion, depth: fragment.depth, link, ..Decoded::default() };
        self.work(None, false, &mut out, |job| {
            job.descend()?;
            job.link_layer(link, Cursor::new(frame))
        });
        out
    }

    /// May a datagram between these ports be a tunnel's? If not, it is not.
    #[inline]
    const fn may_be_tunnel(&self, source: u16, destination: u16) -> bool {
        self.tunnel_ports.has_either(source, destination)
    }

    /// One that takes UDP for UDP.
    fn without_tunnels(&self) -> Self {
        Self { tunnel_ports: PortFilter::default(), ..*self }
    }

    #[inline]
    fn run(
        &self,
        link: LinkType,
        outer_vlan: Option<u16>,
        skip_transport_checksum: bool,
        frame: &[u8],
        out: &mut Decoded,
    ) {
        out.link = link;
        self.work(outer_vlan, skip_transport_checksum, out, |job| job.link_layer(link, Cursor::new(frame)));
    }

    #[inline]
    fn work(
        &self,
        outer_vlan: Option<u16>,
        skip_transport_checksum: bool,
        out: &mut Decoded,
        first: impl FnOnce(&mut Job<'_>) -> Step,
    ) {
        let validate = self.config.validate_checksums;
        let mut job = Job {
            out,
            decoder: self,
            ip_checksum: validate,
            transport_checksum: validate && !skip_transport_checksum,
        };
        if let Some(tci) = outer_vlan {
            job.vlan_tag(tci);
        }
        if let Err(event) = first(&mut job) {
            job.note(event);
            job.out.invalid = Some(event);
            // What is damaged is judged as it is.
            job.out.inner = None;
        }
    }
}

impl Job<'_> {
    /// Remarks an event that does not make the frame invalid by itself.
    fn note(&mut self, event: DecodeEvent) {
        self.out.events.insert(event);
    }

    /// Goes one header or tag deeper than a plain frame goes.
    fn descend(&mut self) -> Step {
        if self.out.depth >= self.decoder.config.max_layers {
            self.out.layers.insert(Layer::TooManyLayers);
            return Err(DecodeEvent::TooManyLayers);
        }
        self.out.depth += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::PacketBuilder;
    use crate::decoded::BadChecksums;

    /// A frame with an Ethernet header, all checksums looked at.
    pub(super) fn decode(frame: &[u8]) -> Decoded {
        Decoder::default().decode(LinkType::Ethernet, None, false, frame)
    }

    /// A packet without link header.
    pub(super) fn decode_raw(packet: &[u8]) -> Decoded {
        Decoder::default().decode(LinkType::Raw, None, false, packet)
    }

    /// The start of all frames of the tests.
    pub(super) fn ethernet<'a>() -> PacketBuilder<'a> {
        PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
    }

    /// A frame with UDP over IPv4.
    pub(super) fn udp<'a>() -> PacketBuilder<'a> {
        ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1000, 53)
    }

    /// A frame with TCP over IPv6.
    pub(super) fn tcp_v6<'a>() -> PacketBuilder<'a> {
        ethernet().ipv6([0x20; 16], [0x30; 16]).tcp(1000, 80)
    }

    /// The frame with bytes at `offset` overwritten.
    pub(super) fn patched(frame: PacketBuilder<'_>, offset: usize, bytes: &[u8]) -> Vec<u8> {
        let mut frame = frame.to_vec();
        frame[offset..offset + bytes.len()].copy_from_slice(bytes);
        frame
    }

    /// The names of the events that were remarked.
    pub(super) fn events(decoded: &Decoded) -> Vec<&'static str> {
        decoded.events.iter().map(DecodeEvent::name).collect()
    }

    /// The names of the layers that were met.
    pub(super) fn layers(decoded: &Decoded) -> Vec<&'static str> {
        decoded.layers.iter().map(Layer::name).collect()
    }

    #[test]
    fn checksums_are_looked_at_as_configured() {
        let check = |validate_checksums, skip, ipv4, transport| {
            let decoder = Decoder::new(DecoderConfig { validate_checksums, ..DecoderConfig::default() });
            // Time to live and a port change, the checksums do not.
            let frame = patched(udp(), 14 + 8, &[9]);
            let decoded = decoder.decode(LinkType::Ethernet, None, skip, &frame);
            assert_eq!(decoded.bad_checksums, BadChecksums { ipv4, transport: false });
            let frame = patched(udp(), 14 + 20, &[9]);
            let decoded = decoder.decode(LinkType::Ethernet, None, skip, &frame);
            assert_eq!(decoded.bad_checksums, BadChecksums { ipv4: false, transport });
            assert_eq!(decoded.invalid, None);
        };
        check(true, false, true, true);
        check(true, true, true, false);
        check(false, false, false, false);
        check(false, true, false, false);
    }

    #[test]
    fn a_description_stays_small() {
        // A burst of 32 is kept while it is judged, in a fraction of the first-level cache.
        assert!(size_of::<Decoded>() <= 240, "{}", size_of::<Decoded>());
    }
}
