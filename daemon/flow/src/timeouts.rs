//! When a flow is over: idle times by protocol and state, in normal and in emergency mode, ready
//! for look-up.

use crate::arena::{Hot, NO_DEADLINE};
use crate::flow::FlowState;
use crate::key::protocol;
use crate::settings::{FlowTimeouts, Timeouts};
use portcullis_wire::Timestamp;
use std::time::Duration;

/// The settings as a table, and the mode.
#[derive(Debug)]
pub(crate) struct Expiry {
    /// By mode (normal, emergency), protocol class, and state.
    table: [[[Duration; 4]; 4]; 2],
    emergency: bool,
}

impl Expiry {
    pub(crate) fn new(timeouts: &FlowTimeouts) -> Self {
        let classes = [&timeouts.default, &timeouts.tcp, &timeouts.udp, &timeouts.icmp];
        let seconds = |values: [u32; 4]| values.map(|secs| Duration::from_secs(u64::from(secs)));
        let normal = |t: &Timeouts| seconds([t.new, t.established, t.closed, t.bypassed]);
        let emergency = |t: &Timeouts| {
            seconds([t.emergency_new, t.emergency_established, t.emergency_closed, t.emergency_bypassed])
        };
        Self { table: [classes.map(normal), classes.map(emergency)], emergency: false }
    }

    pub(crate) const fn emergency(&self) -> bool {
        self.emergency
    }

    pub(crate) const fn set_emergency(&mut self, emergency: bool) {
        self.emergency = emergency;
    }

    /// When the flow is over, if nothing more is seen of it.
    pub(crate) fn end_of(&self, hot: &Hot) -> Timestamp {
        let class = match hot.key.protocol() {
            protocol::TCP => 1,
            protocol::UDP => 2,
            protocol::ICMP | protocol::ICMPV6 => 3,
            _ => 0,
        };
        let state = match hot.state {
            FlowState::New => 0,
            FlowState::Established => 1,
            FlowState::Closed => 2,
            FlowState::Bypassed => 3,
        };
        hot.last_seen.after(self.table[usize::from(self.emergency)][class][state])
    }

    /// Is the flow over at `now`? Idle for exactly its timeout is over.
    pub(crate) fn is_over(&self, hot: &Hot, now: Timestamp) -> bool {
        self.end_of(hot) <= now
    }

    /// The second in which to look at the flow again.
    pub(crate) fn deadline(&self, hot: &Hot) -> u32 {
        u32::try_from(self.end_of(hot).as_secs()).unwrap_or(NO_DEADLINE).min(NO_DEADLINE - 1)
    }
}
