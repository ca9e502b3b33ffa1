//! Frames to measure with.

use portcullis_capture::PortId;
use portcullis_wire::Timestamp;
use portcullis_wire::builder::PacketBuilder;

/// A frame as the memory modules take it.
pub type Frame = (Timestamp, PortId, Vec<u8>);

/// `flows` 64-byte UDP frames (without frame check sequence), each of a flow of its own, in an
/// order without a pattern. All are within one second.
#[must_use]
pub fn udp(flows: u32) -> Vec<Frame> {
    (0..flows).map(|place| (stamp(place), PortId(0), udp_frame(scatter(place, flows)))).collect()
}

fn udp_frame(flow: u32) -> Vec<u8> {
    let [_, b, c, d] = flow.to_be_bytes();
    let [high, low] = [flow >> 16, flow & 0xffff].map(|half| u16::try_from(half & 0x3fff).unwrap_or(0));
    PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, b, c, d], [198, 18, 0, 1])
        .udp(1024 + high, 1024 + low)
        .payload(&[0; 18])
        .to_vec()
}

fn stamp(place: u32) -> Timestamp {
    Timestamp::from_nanos(1_700_000_000_000_000_000 + u64::from(place) * 50)
}

/// A permutation of `0..flows`: multiplication by a number without a common factor.
fn scatter(place: u32, flows: u32) -> u32 {
    const PRIME: u64 = 2_654_435_761;
    u32::try_from(u64::from(place) * PRIME % u64::from(flows)).unwrap_or(0)
}
