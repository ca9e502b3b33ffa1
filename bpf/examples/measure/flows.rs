//! Flows in the verdict cache, as `scatter_flows` sends them.

use super::lists::{DESTINATION, frame};
use portcullis_bpf::pulse::coarse_now;
use portcullis_bpf::{CacheAction, CacheEntry, Gate, Side, Tuple};
use portcullis_wire::decoded::mapped;

/// 10.77.0.1
pub(crate) const CLIENT: u32 = 0x0a4d_0001;

pub(crate) fn fill(gate: &Gate, flows: u32, action: CacheAction) {
    let cache = gate.cache().unwrap();
    cache.set_generation(1);
    let until = coarse_now() + 3_600_000_000_000;
    let entry = CacheEntry { packets: 0, bytes: 0, until, generation: 1, action };
    let refused = (0..flows).filter(|flow| cache.put(&tuple(*flow), &entry).is_err()).count();
    assert!(refused <= flows as usize / 1000, "{refused} of {flows} flows found no room");
}

/// The flow's frame.
pub(crate) fn frame_of(flow: u32) -> Vec<u8> {
    let mut frame = frame(CLIENT);
    let (source, destination) = ports(flow);
    frame[34..36].copy_from_slice(&source.to_be_bytes());
    frame[36..38].copy_from_slice(&destination.to_be_bytes());
    frame
}

/// What `who` in `scatter.bpf.c` makes of it.
pub(crate) fn key(flow: u32) -> u64 {
    let (source, destination) = ports(flow);
    let [a, b, c, d] = CLIENT.to_be_bytes();
    let ([e, f], [g, h]) = (source.to_be_bytes(), destination.to_be_bytes());
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

fn ports(flow: u32) -> (u16, u16) {
    let number = |number: u32| u16::try_from(number).unwrap();
    (number(10_000 + (flow & 0x3fff)), number(7 + (flow >> 14)))
}

fn tuple(flow: u32) -> Tuple {
    let (source_port, destination_port) = ports(flow);
    Tuple {
        source: mapped(CLIENT.to_be_bytes()),
        destination: mapped(DESTINATION),
        source_port,
        destination_port,
        vlans: [None; 3],
        version: 4,
        protocol: 17,
        set: 0,
        side: Side::First,
    }
}
