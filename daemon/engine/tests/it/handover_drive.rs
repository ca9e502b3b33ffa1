//! The loop of a worker that is told to give its flows away.

use crate::rig::{CLIENT, Rig, SERVER, inline, udp};
use crossbeam::channel::unbounded;
use portcullis_capture::PortId;
use portcullis_capture::memory::LoopModule;
use portcullis_engine::{Command, drive};
use portcullis_event::Counters;
use portcullis_wire::Timestamp;

const FLOWS: u16 = 3000;

/// Judges so many flows, each with three packets, while they are given away; what came out of the channel, if
/// anybody looked, and the counters.
fn leave(is_received: bool) -> (Vec<Vec<u8>>, Counters) {
    let mut rig = Rig::new(&inline(), "");
    let frames = (0..FLOWS).map(|port| {
        let at = Timestamp::from_secs(1_700_000_000 + u64::from(port / 1000));
        (at, PortId(0), udp((CLIENT, port), (SERVER, 53), b"query"))
    });
    let mut module = LoopModule::new(frames, 3);
    let (orders, commands) = unbounded();
    let (sender, slices) = unbounded();
    orders.send(Command::HandOver(sender)).unwrap();
    let slices = is_received.then_some(slices);
    drive(&mut module, &mut rig.worker, &commands).unwrap();
    let received = slices.map_or_else(Vec::new, |slices| slices.try_iter().collect());
    (received, rig.counters())
}

#[test]
fn all_flows_come_out_of_the_channel_and_it_is_told_when_all_are_copied() {
    let (slices, left) = leave(true);
    assert_eq!((left.flow_handed_over, left.flow_active), (u64::from(FLOWS), 0));
    assert_eq!((left.log_flow_pushed, left.log_flow_refused), (0, 0));
    assert!(slices.iter().any(Vec::is_empty), "it was told");
    assert!(slices.iter().all(|slice| slice.len() <= (64 << 10) + 500), "none is larger than it should be");
    let mut new = Rig::new(&inline(), "");
    let mut refused = 0;
    for slice in slices.iter().filter(|slice| !slice.is_empty()) {
        refused += new.worker.import(slice, Timestamp::from_secs(1_700_000_020)).unwrap().refused;
    }
    let taken = new.finish();
    assert_eq!((taken.flow_taken_over, refused), (u64::from(FLOWS), 0));
}

#[test]
fn where_nobody_receives_flows_end_as_ever() {
    let (slices, left) = leave(false);
    assert_eq!((slices.len(), left.flow_handed_over), (0, 0));
    assert_eq!(left.log_flow_pushed + left.log_flow_refused, u64::from(FLOWS));
}
