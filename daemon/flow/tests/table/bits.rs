//! What rules remember about flows, and what that takes of memcap.

use crate::packets::{Outcome, at, finish, table, track, track_and, udp};
use portcullis_flow::{FlowBit, FlowBits, FlowSettings, FlowTable};

const SERVER: (u8, u16) = (2, 53);
const MEMCAP: u64 = 100_000;

fn small() -> FlowTable {
    table(&FlowSettings { memcap: MEMCAP, prealloc: 250, ..FlowSettings::default() })
}

fn bits(number: u16) -> FlowBits {
    let mut bits = FlowBits::default();
    assert!(bits.insert(FlowBit::named(&number.to_be_bytes())));
    bits
}

/// Tracks a packet of the flow with this client port; whether its bits could be set.
fn set(table: &mut FlowTable, port: u16, bits: FlowBits) -> bool {
    let mut done = false;
    track_and(table, &udp((1, port), SERVER), at(0), |flow| done = flow.set_bits(bits));
    done
}

#[test]
fn bits_are_kept_until_the_flow_has_ended_and_charged_to_memcap() {
    let mut table = small();
    track(&mut table, &udp((1, 0), SERVER), at(0));
    table.finish(0, &mut |_| {});
    let without = table.stats().memuse;
    for port in 0..100 {
        assert!(set(&mut table, port, bits(port)));
    }
    assert!(set(&mut table, 99, FlowBits::default()), "unset");
    table.finish(0, &mut |_| {});
    assert_eq!(table.stats().memuse, without + 100 * 32);
    for port in 0..100 {
        let expected = if port == 99 { FlowBits::default() } else { bits(port) };
        track_and(&mut table, &udp((1, port), SERVER), at(0), |flow| assert_eq!(flow.bits(), expected));
    }
    assert!(table.retire_all(at(0), usize::MAX));
    let mut seen = 0;
    table.finish(usize::MAX, &mut |flow| seen += u16::from(!flow.bits().is_empty()));
    assert_eq!(seen, 99, "an ended flow still has them");
    for port in 0..100 {
        track_and(&mut table, &udp((1, port), SERVER), at(0), |flow| assert!(flow.bits().is_empty()));
        assert!(set(&mut table, port, bits(port)));
    }
    table.finish(0, &mut |_| {});
    assert_eq!(table.stats().memuse, without + 100 * 32, "the same memory again");
}

#[test]
fn a_flood_of_flows_leaves_bits_for_one_in_sixteen() {
    let mut table = small();
    let mut flows = 0;
    while track(&mut table, &udp((1, flows), SERVER), at(0)) != Outcome::Refused {
        flows += 1;
    }
    assert_eq!(u32::from(flows), table.capacity());
    let given = (0..flows).filter(|port| set(&mut table, *port, bits(*port))).count();
    let kept = usize::from(flows.div_ceil(16));
    assert!((kept..kept + 8).contains(&given), "{given} of {flows}: {kept}, and what divides badly");
    table.finish(0, &mut |_| {});
    assert!(table.stats().memuse <= MEMCAP);
}

#[test]
fn flows_with_bits_each_are_fewer_and_within_memcap() {
    let mut table = small();
    // Of the last blocks of flows some have no bits: nothing is left.
    let (mut port, mut refused) = (0, 0);
    while track(&mut table, &udp((1, port), SERVER), at(0)) != Outcome::Refused {
        refused += u16::from(!set(&mut table, port, bits(port)));
        table.finish(0, &mut |_| {});
        assert!(table.stats().memuse <= MEMCAP);
        port += 1;
    }
    assert!(u32::from(port) < table.capacity() && refused < 256, "{port} flows, {refused} without bits");
    assert!(table.retire_all(at(0), usize::MAX));
    assert_eq!(finish(&mut table).len(), usize::from(port));
}
