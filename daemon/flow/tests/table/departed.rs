//! Ends of flows that another process has a copy of.

use crate::packets::{at, table, track, udp};
use portcullis_flow::{FlowSettings, Pass};

/// As many ends as may wait to be told.
const WAITING: u64 = 1 << 16;

#[test]
fn ends_that_cannot_be_told_are_counted() {
    let mut table = table(&FlowSettings::default());
    let mut flows = 0;
    for host in [1, 3] {
        for port in 1..=33_000 {
            track(&mut table, &udp((host, port), (2, 53)), at(0));
            flows += 1;
        }
    }
    let (mut place, mut copied) = (0, 0);
    while table.hand_over(Pass::Copy, &mut place, 1000, at(1), &mut |_| {
        copied += 1;
        true
    }) {}
    assert_eq!((copied, table.stats().departed_refused), (flows, 0));
    // All of them are idle for so long that they have ended before they are handed over for good.
    let mut place = 0;
    while table.hand_over(Pass::Leave, &mut place, 1000, at(100_000), &mut |_| true) {}
    assert_eq!(table.stats().departed_refused, flows - WAITING);
    let told = std::iter::from_fn(|| table.next_departed()).count();
    assert_eq!(told as u64, WAITING);
    assert!(!table.has_departed());
}
