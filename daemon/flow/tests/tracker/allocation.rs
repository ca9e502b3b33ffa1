//! A tracker that was made allocates nothing for packets: not for new flows, nor ends, nor when full.

use crate::packets::{ACK, CLIENT, FIN, RST, SERVER, SYN, at, small, tcp, udp};
use portcullis_flow::tracker::PacketView;

#[test]
fn packets_and_sweeps_allocate_nothing() {
    let mut frames: Vec<Vec<u8>> = (1..=200).map(|port| udp((1, port), SERVER, b"data")).collect();
    for flags in [SYN, ACK, FIN | ACK, RST] {
        frames.push(tcp(CLIENT, SERVER, flags, 1, 1).to_vec());
    }
    let mut tracker = small(100);
    let mut events = 0;
    let allocated = allocation_counter::measure(|| {
        for (frame, secs) in frames.iter().cycle().take(1000).zip(0..) {
            events += tracker.track(PacketView::new(frame, at(secs))).len();
        }
        let views: [PacketView<'_>; 200] =
            std::array::from_fn(|index| PacketView::new(&frames[index], at(1000)));
        tracker.track_burst(&views, |_, _, _, _| {}, |_| events += 1);
        tracker.sweep_into(at(1060), usize::MAX, |_| events += 1);
    });
    assert_eq!(allocated.count_total, 0);
    assert_eq!((tracker.flow_count(), tracker.stats().packets), (0, 1200));
    assert!(events as u64 > tracker.stats().packets + 2 * tracker.stats().flows_created - 1);
}
