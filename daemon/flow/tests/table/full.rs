//! What happens when memcap is reached, and when someone chooses keys that meet.

use crate::packets::{Outcome, at, finish, keyed, table, tcp, track, track_and, udp};
use portcullis_flow::{
    EndReason, FlowSettings, FlowTable, KeyOptions, KeyScope, Keyed, Tracked, TrackedInput,
};
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::TcpFlags;

const SERVER: (u8, u16) = (2, 53);

/// A table of few flows; a third of them spare ends emergency mode.
fn small() -> FlowTable {
    table(&FlowSettings { memcap: 20_000, ..FlowSettings::default() })
}

/// Fills the table from port 0 on until a newcomer finds no room; how many flows there are then.
fn fill(table: &mut FlowTable, now: Timestamp, answered: bool) -> u16 {
    for port in 0.. {
        match track(table, &udp((1, port), SERVER), now) {
            Outcome::Refused => return port,
            outcome => assert!(matches!(outcome, Outcome::New(..)), "{outcome:?}"),
        }
        if answered {
            track(table, &udp(SERVER, (1, port)), now);
        }
    }
    unreachable!("the table is finite")
}

#[test]
fn a_full_table_of_living_flows_refuses_newcomers_and_keeps_the_flows() {
    let mut table = small();
    let flows = fill(&mut table, at(0), false);
    assert_eq!(u32::from(flows), table.capacity());
    let stats = *table.stats();
    assert_eq!((stats.memcap, stats.active, stats.spare), (1, u64::from(flows), 0));
    assert!(stats.memuse <= 20_000 && stats.get_used == 0 && stats.get_used_failed > 0);
    for port in 0..flows {
        assert!(matches!(track(&mut table, &udp((1, port), SERVER), at(0)), Outcome::Known(..)));
    }
}

#[test]
fn unanswered_flows_make_room_after_a_second_and_answered_ones_never() {
    for answered in [false, true] {
        let mut table = small();
        fill(&mut table, at(0), answered);
        let newcomer = udp((3, 1), SERVER);
        assert_eq!(track(&mut table, &newcomer, at(1)), Outcome::Refused);
        assert_eq!(finish(&mut table), [], "quiet for a second is alive");
        let now = if answered { at(99) } else { Timestamp::from_nanos(at(1).as_nanos() + 1) };
        assert_eq!(track(&mut table, &newcomer, now), Outcome::Refused, "nothing is spare yet");
        let ended = finish(&mut table);
        let outcome = track(&mut table, &newcomer, now);
        if answered {
            assert_eq!((ended.as_slice(), outcome), (&[][..], Outcome::Refused));
        } else {
            // Two: the search before found none.
            let reasons: Vec<_> = ended.iter().map(|(_, reason)| reason.name()).collect();
            assert_eq!(reasons, ["forced", "forced"]);
            assert!(matches!(outcome, Outcome::New(..)), "{outcome:?}");
        }
    }
}

#[test]
fn an_unanswered_flow_goes_before_a_bypassed_one() {
    let mut table = small();
    let flows = fill(&mut table, at(0), true);
    for port in 0..flows {
        let bypass = portcullis_flow::flow::Bypass::Local;
        track_and(&mut table, &udp((1, port), SERVER), at(0), |flow| flow.set_bypass(bypass));
    }
    assert!(table.retire_all(at(0), usize::MAX));
    assert_eq!(finish(&mut table).len(), usize::from(flows));
    // All bypassed but one in eight; all idle for longer than the rules ask.
    let mut table = table_with(|port| port % 8 == 3);
    let mut victims = Vec::new();
    for port in 0..20 {
        track(&mut table, &udp((3, port), SERVER), at(40));
        table.finish(usize::MAX, &mut |flow| victims.push((flow.bypass().is_some(), flow.end())));
    }
    let unanswered = table.capacity().div_ceil(8) as usize;
    assert!(victims.len() >= 20 && victims.iter().all(|(_, end)| *end == Some(EndReason::Forced)));
    assert!(victims.iter().take(unanswered).all(|(bypassed, _)| !bypassed), "{victims:?}");
}

/// A full table of long-lived bypassed flows, but for some unanswered ones.
fn table_with(unanswered: impl Fn(u16) -> bool) -> FlowTable {
    let mut settings = FlowSettings { memcap: 40_000, ..FlowSettings::default() };
    settings.timeouts.udp.new = 1000;
    settings.timeouts.udp.emergency_new = 1000;
    settings.timeouts.udp.bypassed = 1000;
    settings.timeouts.udp.emergency_bypassed = 1000;
    let mut table = table(&settings);
    for port in 0..u16::try_from(table.capacity()).expect("a small table") {
        track_and(&mut table, &udp((1, port), SERVER), at(0), |flow| {
            if !unanswered(port) {
                flow.set_bypass(portcullis_flow::flow::Bypass::Local);
            }
        });
    }
    table
}

#[test]
fn emergency_mode_begins_at_memcap_and_ends_with_enough_spare() {
    let mut table = small();
    for port in 0..50 {
        track(&mut table, &udp((4, port), SERVER), at(0));
        track(&mut table, &udp(SERVER, (4, port)), at(0));
    }
    // These need not be looked at for five minutes: but then memory runs out.
    table.sweep(at(0), usize::MAX);
    let flows = fill(&mut table, at(0), true);
    assert!(table.emergency());
    assert_eq!(table.stats().emerg_mode_entered, 1);
    // Established flows: over after 100 seconds instead of 300.
    table.sweep(at(99), usize::MAX);
    assert_eq!(finish(&mut table), []);
    assert!(table.emergency());
    table.sweep(at(100), usize::MAX);
    let mut flagged = 0;
    table.finish(usize::MAX, &mut |flow| flagged += u16::from(flow.emergency()));
    assert_eq!(flagged, flows + 50, "they say that they ended in emergency mode");
    assert!(!table.emergency());
    assert_eq!((table.stats().emerg_mode_entered, table.stats().emerg_mode_over), (1, 1));
    track(&mut table, &udp((1, 1), SERVER), at(101));
    track(&mut table, &udp(SERVER, (1, 1)), at(101));
    table.sweep(at(301), usize::MAX);
    assert_eq!(table.waiting(), 0, "normal timeouts again");
}

/// In emergency mode a TCP packet without a flow makes one only where it begins a session.
#[test]
fn in_emergency_a_tcp_packet_that_begins_no_session_makes_no_flow() {
    const ACK: u8 = TcpFlags::ACK;
    for midstream in [false, true] {
        let mut table = table(&FlowSettings { memcap: 20_000, midstream, ..FlowSettings::default() });
        let check = |table: &mut FlowTable, port, flags, makes_one| {
            let outcome = track(table, &tcp((1, port), SERVER, flags, 5, 7), at(2));
            assert_eq!(matches!(outcome, Outcome::New(..)), makes_one, "{midstream} {port} {outcome:?}");
            makes_one || outcome == Outcome::Untracked
        };
        assert!(check(&mut table, 1, ACK, true), "not in emergency");
        fill(&mut table, at(0), false);
        // Evicts some; their memory is ready for the next.
        track(&mut table, &udp((3, 1), SERVER), at(2));
        table.finish(usize::MAX, &mut |_| {});
        assert!(table.emergency());
        let before = table.stats().total;
        assert!(check(&mut table, 2, ACK, midstream));
        assert!(check(&mut table, 2, TcpFlags::SYN, !midstream) || midstream, "known where it made one");
        table.finish(usize::MAX, &mut |_| {});
        let stats = *table.stats();
        assert_eq!((stats.total - before, stats.emerg_untracked), (1, u64::from(!midstream)));
        let outcome = track(&mut table, &tcp((1, 1), SERVER, ACK, 6, 7), at(2));
        assert!(matches!(outcome, Outcome::Known(..)), "a flow that is there keeps its packets");
    }
}

#[test]
fn an_emergency_in_the_middle_of_a_pass_reaches_every_flow_in_one_more() {
    let mut table = small();
    for port in 0..60 {
        track(&mut table, &udp((4, port), SERVER), at(0));
        track(&mut table, &udp(SERVER, (4, port)), at(0));
    }
    // Each has been given the deadline of an established flow, and the next pass has begun.
    table.sweep(at(0), usize::MAX);
    table.sweep(at(0), 30);
    let flows = 60 + fill(&mut table, at(0), true);
    assert!(table.emergency());
    for _ in 0..flows.div_ceil(7) {
        table.sweep(at(100), 7);
    }
    assert_eq!(table.waiting(), usize::from(flows));
}

#[test]
fn a_flood_is_bounded_by_the_share_and_every_flow_of_it_ends_once() {
    let mut table = small();
    let (mut ended, mut refused) = (0u64, 0u64);
    for step in 0..20_000u32 {
        let port = u16::try_from(step % 60_000).expect("a port");
        let now = Timestamp::from_nanos(at(0).as_nanos() + u64::from(step) * 20_000_000);
        refused += u64::from(track(&mut table, &udp((1, port), SERVER), now) == Outcome::Refused);
        ended += table.finish(2, &mut |_| {}) as u64;
        assert!(table.stats().memuse <= 20_000);
    }
    assert_eq!(refused, 0, "evicted in time: 50 flows a second, each for a second and more");
    assert!(table.stats().get_used > 0);
    assert!(table.retire_all(at(1_000), usize::MAX));
    ended += finish(&mut table).len() as u64;
    let stats = table.stats();
    assert_eq!((stats.total, stats.active, ended), (20_000, 0, 20_000));
    assert_eq!(stats.end.total(), 20_000);
}

#[test]
fn chosen_keys_are_refused_within_bounds_and_hurt_nobody_else() {
    let mut table = table(&FlowSettings { memcap: 4 << 20, ..FlowSettings::default() });
    // Someone who knows the seed searches for keys whose hash begins alike: one bucket for all.
    let mut chosen = Vec::new();
    let options = KeyOptions::default();
    for tenant in 0..3_000_000 {
        let scope = KeyScope { options, tenant, inline_set: 0 };
        let decoded = udp((1, 1), SERVER);
        let keyed = portcullis_flow::FlowKey::of(&decoded, &scope).expect("UDP has a flow");
        if table.hash(&keyed.key).0 >> 52 == 7 {
            chosen.push(keyed);
        }
    }
    assert!(chosen.len() > 500, "{} keys", chosen.len());
    let send = |table: &mut FlowTable, keyed: &Keyed| {
        let decoded = udp((1, 1), SERVER);
        let ingress = portcullis_capture::PortId(0);
        let hash = table.hash(&keyed.key);
        let input =
            TrackedInput { keyed, hash, decoded: &decoded, length: 1, now: at(0), ingress, may_create: true };
        match table.track(&input) {
            Tracked::Known(flow, _) => Some((false, *flow.key())),
            Tracked::New(flow, _) => Some((true, *flow.key())),
            Tracked::Untracked | Tracked::Refused => None,
        }
    };
    let accepted: Vec<Keyed> =
        chosen.iter().copied().filter(|keyed| send(&mut table, keyed) == Some((true, keyed.key))).collect();
    let stats = *table.stats();
    assert_eq!(stats.index_refused, (chosen.len() - accepted.len()) as u64);
    assert!(stats.index_refused > 0, "{} keys of {} accepted", accepted.len(), chosen.len());
    assert_eq!((stats.wrk.probe_max, stats.memcap), (16, stats.index_refused));
    for keyed in &accepted {
        assert_eq!(send(&mut table, keyed), Some((false, keyed.key)), "what was accepted is found");
    }
    let other = keyed(&udp((200, 9), SERVER));
    assert_eq!(send(&mut table, &other), Some((true, other.key)));
    assert!(table.retire_all(at(1), usize::MAX));
    assert_eq!(finish(&mut table).len(), accepted.len() + 1);
}

/// A few less than a table of 4 MB holds.
const FLOOD: u64 = 21_000;

/// SYNs that nobody answers, into a table that holds what comes in three seconds: after the first of them
/// there is always a flow that may go, wherever in the table the old ones and the new ones lie.
fn check_flood(what: &str, prealloc: u32, rate_of: impl Fn(u64) -> u64) {
    let mut table = table(&FlowSettings { memcap: 4 << 20, prealloc, ..FlowSettings::default() });
    let flows = u64::from(table.capacity());
    assert!(flows > FLOOD, "{flows}");
    let mut now = at(0).as_nanos();
    for number in 0..10 * flows {
        let [.., a, b, c] = number.to_be_bytes();
        let syn = tcp((a, u16::from_be_bytes([b, c])), SERVER, TcpFlags::SYN, 1, 0);
        now += 1_000_000_000 / rate_of(number);
        let outcome = track(&mut table, &syn, Timestamp::from_nanos(now));
        assert!(matches!(outcome, Outcome::New(..)), "{what}: {number} of {flows}: {:?}", table.stats());
        if number % 32 == 31 {
            table.sweep(Timestamp::from_nanos(now), 64);
            table.finish(64, &mut |_| {});
        }
    }
    let ended = table.stats().end.total();
    assert!(table.stats().get_used > flows / 5 && ended >= 9 * flows, "{what}: {:?}", table.stats());
}

#[test]
fn no_syn_of_a_flood_is_refused_while_older_ones_are_unanswered() {
    check_flood("all memory ready at start", u32::MAX, |_| FLOOD / 4);
    check_flood("memory as it is needed", 0, |_| FLOOD / 4);
    // Pauses in which all of them expire: after each the memory is used in another order.
    let now_and_then = |number| if number % 30_000 < 25 { 1 } else { FLOOD / 3 };
    check_flood("with pauses", u32::MAX, now_and_then);
    let faster_and_slower = |number: u64| FLOOD / (3 + number / 3000 * 7 % 12);
    check_flood("at changing rates", u32::MAX, faster_and_slower);
}
