//! When a flow is over: idle times by protocol and state, in normal and in emergency mode, ready
//! for look-up.

use crate::arena::{Hot, NO_DEADLINE};
use crate::flow::{FlowState, IDLE_FIXED, STATE_CHANGED};
use crate::idle::{Idle, IdleTimeouts};
use crate::key::protocol;
use crate::settings::FlowTimeouts;
use portcullis_wire::Timestamp;

/// Places in the table: of the protocol class and of the state that are looked at apart.
const TCP: usize = 1;
const CLOSED: usize = 2;

/// The settings as a table, and the mode.
#[derive(Debug)]
pub(crate) struct Expiry {
    /// Nanoseconds by mode (normal, emergency), protocol class, and state.
    table: [[[u64; 4]; 4]; 2],
    emergency: bool,
    /// The shortest of all that a flow may have in this mode, unless it has one of its own.
    least: u64,
    /// What decides about single flows before the table does.
    overrides: Option<Box<dyn IdleTimeouts>>,
}

impl Expiry {
    pub(crate) fn new(timeouts: &FlowTimeouts) -> Self {
        let table = in_nanos(timeouts);
        Self { least: least(&table, false), table, emergency: false, overrides: None }
    }

    pub(crate) fn set_timeouts(&mut self, timeouts: &FlowTimeouts) {
        self.table = in_nanos(timeouts);
        self.least = least(&self.table, self.emergency);
    }

    pub(crate) const fn emergency(&self) -> bool {
        self.emergency
    }

    pub(crate) fn set_emergency(&mut self, emergency: bool) {
        self.emergency = emergency;
        self.least = least(&self.table, emergency);
    }

    pub(crate) fn set_overrides(&mut self, overrides: Option<Box<dyn IdleTimeouts>>) {
        self.overrides = overrides;
    }

    /// Decides about a flow's own idle timeout, if it is new or its state has changed since.
    pub(crate) fn settle(&self, hot: &mut Hot) {
        if let Some(overrides) = &self.overrides
            && hot.flags & STATE_CHANGED != 0
        {
            hot.flags &= !STATE_CHANGED;
            if hot.flags & IDLE_FIXED == 0 {
                hot.idle = Idle::of(overrides.idle(&hot.key, hot.state));
            }
        }
    }

    /// Is there anything to [settle](Self::settle)?
    pub(crate) const fn has_overrides(&self) -> bool {
        self.overrides.is_some()
    }

    /// When the flow is over, if nothing more is seen of it.
    pub(crate) fn end_of(&self, hot: &Hot) -> Timestamp {
        let class = match hot.key.protocol() {
            protocol::TCP => TCP,
            protocol::UDP => 2,
            protocol::ICMP | protocol::ICMPV6 => 3,
            _ => 0,
        };
        let state = match hot.state {
            FlowState::New => 0,
            FlowState::Established => 1,
            FlowState::Closed => CLOSED,
            FlowState::Bypassed => 3,
        };
        let shared = self.table[usize::from(self.emergency)][class][state];
        let idle = match hot.idle.secs().map(|secs| u64::from(secs) * 1_000_000_000) {
            None => shared,
            Some(own) if self.emergency => own.min(shared),
            Some(own) => own,
        };
        Timestamp::from_nanos(hot.last_seen.as_nanos().saturating_add(idle))
    }

    /// Is the flow over at `now`? Idle for exactly its timeout is over.
    #[inline]
    pub(crate) fn is_over(&self, hot: &Hot, now: Timestamp) -> bool {
        // Nearly every packet comes sooner than any flow is over.
        let too_soon = now.as_nanos().saturating_sub(hot.last_seen.as_nanos()) < self.least;
        !(too_soon && hot.idle.is_shared()) && self.end_of(hot) <= now
    }

    /// The second in which to look at the flow again.
    pub(crate) fn deadline(&self, hot: &Hot) -> u32 {
        u32::try_from(self.end_of(hot).as_secs()).unwrap_or(NO_DEADLINE).min(NO_DEADLINE - 1)
    }
}

/// The shortest timeout in a mode. Only TCP flows are ever closed.
fn least(table: &[[[u64; 4]; 4]; 2], emergency: bool) -> u64 {
    let classes = table[usize::from(emergency)].iter().enumerate();
    let states = classes.flat_map(|(class, states)| {
        states.iter().enumerate().filter(move |(state, _)| class == TCP || *state != CLOSED)
    });
    states.map(|(_, nanos)| *nanos).min().unwrap_or(0)
}

fn in_nanos(timeouts: &FlowTimeouts) -> [[[u64; 4]; 4]; 2] {
    const STATES: [FlowState; 4] =
        [FlowState::New, FlowState::Established, FlowState::Closed, FlowState::Bypassed];
    let nanos = |protocol: u8, emergency: bool| {
        STATES.map(|state| u64::from(timeouts.of(protocol).idle(state, emergency)) * 1_000_000_000)
    };
    // One protocol of each class, by class.
    let mode = |emergency| [0, protocol::TCP, protocol::UDP, protocol::ICMP].map(|p| nanos(p, emergency));
    [mode(false), mode(true)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{FlowKey, KeyScope};
    use portcullis_wire::Decoded;
    use portcullis_wire::decoded::Transport;

    fn flow(number: u8, state: FlowState) -> Hot {
        let transport = match number {
            protocol::TCP => Transport::Tcp(Default::default()),
            protocol::UDP => Transport::Udp(Default::default()),
            protocol::ICMP => {
                Transport::Icmpv4(portcullis_wire::decoded::Icmp { kind: 8, ..Default::default() })
            }
            protocol::ICMPV6 => {
                Transport::Icmpv6(portcullis_wire::decoded::Icmp { kind: 128, ..Default::default() })
            }
            _ => Transport::None,
        };
        let ip_version = if number == protocol::ICMPV6 { 6 } else { 4 };
        let decoded = Decoded { protocol: number, ip_version, transport, ..Decoded::default() };
        let keyed = FlowKey::of(&decoded, &KeyScope::default()).expect("a tracked protocol");
        Hot { key: keyed.key, state, last_seen: Timestamp::from_secs(1000), ..Hot::default() }
    }

    fn check(number: u8, state: FlowState, normal: u64, emergency: u64) {
        let mut expiry = Expiry::new(&FlowTimeouts::default());
        for (mode, idle) in [(false, normal), (true, emergency)] {
            expiry.set_emergency(mode);
            let hot = flow(number, state);
            let end = 1_000_000_000 * (1000 + idle);
            assert_eq!(expiry.end_of(&hot), Timestamp::from_nanos(end), "{number} {state:?} {mode}");
            assert!(expiry.is_over(&hot, Timestamp::from_nanos(end)), "idle for its timeout is over");
            for idle in [0, 1, expiry.least - 1, expiry.least, expiry.least + 1] {
                let now = Timestamp::from_nanos(hot.last_seen.as_nanos() + idle);
                assert_eq!(expiry.is_over(&hot, now), expiry.end_of(&hot) <= now, "{idle}");
            }
            assert!(!expiry.is_over(&hot, Timestamp::from_nanos(end - 1)));
            assert_eq!(u64::from(expiry.deadline(&hot)), 1000 + idle);
        }
    }

    #[test]
    fn shipped_defaults_by_protocol_and_state() {
        check(protocol::TCP, FlowState::New, 60, 5);
        check(protocol::TCP, FlowState::Established, 600, 100);
        check(protocol::TCP, FlowState::Closed, 60, 10);
        check(protocol::TCP, FlowState::Bypassed, 100, 50);
        for number in [protocol::UDP, protocol::ICMP, protocol::ICMPV6, protocol::SCTP, protocol::ESP] {
            check(number, FlowState::New, 30, 10);
            check(number, FlowState::Established, 300, 100);
            check(number, FlowState::Bypassed, 100, 50);
        }
    }

    #[test]
    fn a_deadline_is_never_the_mark_of_no_flow() {
        let expiry = Expiry::new(&FlowTimeouts::default());
        let mut hot = flow(protocol::UDP, FlowState::New);
        hot.last_seen = Timestamp::NEVER;
        assert_eq!(expiry.deadline(&hot), NO_DEADLINE - 1);
    }
}
