//! What becomes of what the outbox holds, and pass-through, where nothing may be sent.

use super::{Fixture, departed_tags, drive, frame, inject_tags, is_ours, total};
use crate::burst::{Burst, PacketState};
use crate::outbox::{MAX_FORGED, MAX_FORGED_LENGTH, Origin};
use crate::verdict::{DropReason, PortId, Verdict};

const REFUSED: Verdict = Verdict::Drop(DropReason::Rules);

/// Forges a frame of the suite.
fn forge(burst: &mut Burst<'_>, tag: u8, egress: PortId, origin: Origin) {
    let bytes = burst.outbox.forge(60, egress, origin).expect("room in the outbox");
    bytes.copy_from_slice(&frame(tag));
}

/// More frames than a burst holds: those at the end come after whatever the first one had forged.
const SEVERAL_BURSTS: u8 = 64;

/// The tag of what is forged.
const FORGED: u8 = 99;

/// A new packet is all zeroes, also where one lay before.
pub fn forged_starts_zeroed<F: Fixture>() {
    let mut fixture = F::open(1, false);
    inject_tags(&mut fixture, 0..SEVERAL_BURSTS);
    drive(&mut fixture, usize::from(SEVERAL_BURSTS), &mut |_, burst, index| {
        burst.judge(index, REFUSED);
        let bytes = burst.outbox.forge(60, PortId(1), Origin::Engine).expect("room in the outbox");
        assert_eq!(bytes, [0; 60]);
        bytes.fill(0xff);
    });
}

/// A hook's packet comes back as new: forged, without an id, as if received at the peer of its
/// egress, and before what arrived later; accepted, it leaves through its egress.
pub fn forged_reenters_as_new<F: Fixture>() {
    let mut fixture = F::open(1, false);
    inject_tags(&mut fixture, 0..SEVERAL_BURSTS);
    let mut in_first_burst = 0;
    let lent = drive(&mut fixture, usize::from(SEVERAL_BURSTS) + 1, &mut |_, burst, index| {
        if burst.packets()[index].bytes()[14] == 0 {
            in_first_burst = burst.packets().iter().filter(|packet| is_ours(packet.bytes())).count();
            forge(burst, FORGED, PortId(1), Origin::Hook);
        }
        burst.judge(index, Verdict::Accept);
    });
    let at = lent.iter().position(|lent| lent.tag == FORGED).expect("it came back");
    assert_eq!(at, in_first_burst, "right after the burst it was forged in");
    let forged = lent[at].meta;
    assert_eq!((forged.id, forged.state, forged.ingress), (0, PacketState::Forged, PortId(0)));
    assert!(forged.clock >= lent[0].meta.clock);
    let mut departed = departed_tags(&mut fixture, PortId(1), usize::from(SEVERAL_BURSTS) + 1);
    departed.sort_unstable();
    assert_eq!(departed, (0..SEVERAL_BURSTS).chain([FORGED]).collect::<Vec<u8>>());
    assert_eq!(total(&mut fixture, |stats| stats.forged), 1);
    assert_eq!(total(&mut fixture, |stats| stats.reentered), 1);
}

/// A forged packet that comes back is judged like any other.
pub fn forged_reentry_can_be_dropped<F: Fixture>() {
    let mut fixture = F::open(1, false);
    inject_tags(&mut fixture, 0..SEVERAL_BURSTS);
    let last = SEVERAL_BURSTS - 1;
    drive(&mut fixture, usize::from(SEVERAL_BURSTS) + 1, &mut |_, burst, index| {
        let tag = burst.packets()[index].bytes()[14];
        if tag == 0 {
            forge(burst, FORGED, PortId(1), Origin::Hook);
        }
        burst.judge(index, if tag == last { Verdict::Accept } else { REFUSED });
    });
    assert_eq!(departed_tags(&mut fixture, PortId(1), 1), [last]);
}

/// The engine's own packet leaves through its egress and is never lent.
pub fn forged_by_the_engine_is_not_judged<F: Fixture>() {
    let mut fixture = F::open(1, false);
    inject_tags(&mut fixture, [1]);
    let lent = drive(&mut fixture, 1, &mut |_, burst, index| {
        forge(burst, 8, PortId(0), Origin::Engine);
        forge(burst, 9, PortId(1), Origin::Engine);
        burst.judge(index, REFUSED);
    });
    assert_eq!(lent.len(), 1);
    assert_eq!(departed_tags(&mut fixture, PortId(0), 1), [8]);
    assert_eq!(departed_tags(&mut fixture, PortId(1), 1), [9]);
    assert_eq!(total(&mut fixture, |stats| stats.forged), 2);
}

/// What is too long, or one too many, is refused and counted.
pub fn forged_without_room_is_refused<F: Fixture>() {
    let mut fixture = F::open(1, false);
    inject_tags(&mut fixture, [1]);
    drive(&mut fixture, 1, &mut |_, burst, index| {
        assert!(burst.outbox.forge(MAX_FORGED_LENGTH + 1, PortId(1), Origin::Engine).is_none());
        for _ in 0..MAX_FORGED {
            forge(burst, 9, PortId(1), Origin::Engine);
        }
        assert!(burst.outbox.forge(60, PortId(1), Origin::Engine).is_none());
        burst.judge(index, REFUSED);
    });
    assert_eq!(departed_tags(&mut fixture, PortId(1), MAX_FORGED), [9; MAX_FORGED]);
    assert_eq!(total(&mut fixture, |stats| stats.forged_refused), 2);
}

/// In pass-through whatever is forged is refused and counted, and nothing comes back.
pub fn pass_through_refuses_to_send<F: Fixture>() {
    let mut fixture = F::open(1, true);
    inject_tags(&mut fixture, [1]);
    let lent = drive(&mut fixture, 1, &mut |_, burst, index| {
        forge(burst, 8, PortId(1), Origin::Engine);
        forge(burst, 9, PortId(1), Origin::Hook);
        burst.judge(index, REFUSED);
    });
    assert_eq!(lent.len(), 1);
    assert_eq!(total(&mut fixture, |stats| stats.forged), 0);
    assert_eq!(total(&mut fixture, |stats| stats.forged_refused), 2);
}

/// In pass-through nothing that is written reaches the wire.
pub fn pass_through_never_changes_traffic<F: Fixture>() {
    let mut fixture = F::open(1, true);
    inject_tags(&mut fixture, [1, 2]);
    drive(&mut fixture, 2, &mut |_, burst, index| {
        burst.packets_mut()[index].bytes_mut()[20] = 0xee;
        burst.judge(index, Verdict::Accept);
    });
    let departed = fixture.departed(PortId(1), 0);
    for ours in departed.iter().filter(|frame| is_ours(frame)) {
        assert!(*ours == frame(1) || *ours == frame(2), "{ours:?}");
    }
}
