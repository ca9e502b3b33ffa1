//! Frames that our decoder and etherparse's `SlicedPacket` decode, checksums off in both: plain TCP, and tags,
//! extension headers and tunnels. Of a tunnel both decode the packet outside and the one inside, which etherparse is
//! told the place of.

use etherparse::SlicedPacket;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::InnerStart;
use portcullis_wire::{Decoded, Decoder, DecoderConfig, LinkType};
use std::hint::black_box;

/// Frames of each kind, so that the predictor does not learn them by heart.
const FRAMES: usize = 512;

/// A frame, and the packet in it, if any: where it starts and ends, and whether Ethernet comes first.
#[derive(Clone, Debug)]
pub struct Sample {
    frame: Vec<u8>,
    inner: Option<(usize, usize, bool)>,
}

/// Decodes a frame, and what is in it, by our decoder.
pub fn ours() -> impl FnMut(&Sample) {
    let decoder = Decoder::new(DecoderConfig::without_checksums());
    let [mut out, mut within] = [Decoded::default(); 2];
    move |sample| {
        decoder.decode_into(LinkType::Ethernet, None, true, &sample.frame, &mut out);
        if let Some(inner) = &out.inner {
            let bytes = inner.span.of(&sample.frame);
            decoder.decode_inner_into(&out, inner, true, bytes, &mut within);
            black_box(&within);
        }
        black_box(&out);
    }
}

/// The same by etherparse.
pub fn etherparse(sample: &Sample) {
    // Errors are as good as results here: what is measured is the way to either.
    let _ = black_box(&SlicedPacket::from_ethernet(&sample.frame));
    if let Some((start, end, ethernet)) = sample.inner {
        let bytes = sample.frame.get(start..end).unwrap_or(&[]);
        let sliced = if ethernet { SlicedPacket::from_ethernet(bytes) } else { SlicedPacket::from_ip(bytes) };
        let _ = black_box(&sliced);
    }
}

fn ethernet<'a>() -> PacketBuilder<'a> {
    PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
}

/// Segments of an established connection, with a timestamp option.
fn segment(place: usize) -> Vec<u8> {
    let [.., b, c] = place.to_be_bytes();
    let options = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    ethernet()
        .ipv4([10, 0, b, c], [198, 18, 0, 1])
        .tcp(40_000, 80)
        .flags(0x18)
        .tcp_options(&options)
        .payload(&[0; 64])
        .to_vec()
}

/// Segments of established connections.
#[must_use]
pub fn plain() -> Vec<Sample> {
    (0..FRAMES).map(|place| Sample { frame: segment(place), inner: None }).collect()
}

/// Tags, extension headers and tunnels.
#[must_use]
pub fn mixed() -> Vec<Sample> {
    let decoder = Decoder::new(DecoderConfig::without_checksums());
    let frame = |place: usize| {
        let inner = segment(place);
        let packet = inner.get(14..).unwrap_or(&[]);
        let outer = ethernet().ipv4([192, 0, 2, 1], [192, 0, 2, 2]);
        let v6 = ethernet().ipv6([1; 16], [2; 16]);
        let alert = &[5, 2, 0, 0, 0, 0];
        match place % 8 {
            0 => v6.extension(0, alert).extension(60, alert).tcp(1, 2).payload(&[0; 64]).to_vec(),
            1 => v6
                .extension(43, &[4, 0, 0, 0, 0, 0])
                .extension(60, alert)
                .udp(1, 2)
                .payload(&[0; 64])
                .to_vec(),
            2 => ethernet()
                .vlan(7)
                .vlan(8)
                .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
                .udp(1, 2)
                .payload(&[0; 64])
                .to_vec(),
            3 => outer.protocol(4).payload(packet).to_vec(),
            4 => v6.protocol(4).payload(packet).to_vec(),
            5 => outer.protocol(47).payload(&[&[0, 0, 8, 0], packet].concat()).to_vec(),
            6 => outer.udp(5, 4789).payload(&[&[8, 0, 0, 0, 0, 0, 7, 0], &inner[..]].concat()).to_vec(),
            _ => outer.udp(5, 6081).payload(&[&[0, 0, 0x65, 0x58, 0, 0, 7, 0], &inner[..]].concat()).to_vec(),
        }
    };
    let sample = |place| {
        let frame = frame(place);
        let decoded = decoder.decode(LinkType::Ethernet, None, true, &frame);
        let inner = decoded.inner.map(|inner| {
            let ethernet = inner.start == InnerStart::Link(LinkType::Ethernet);
            (inner.span.start as usize, inner.span.end as usize, ethernet)
        });
        Sample { frame, inner }
    };
    (0..FRAMES).map(sample).collect()
}
