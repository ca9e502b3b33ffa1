//! The settings of a flow table as plain data, with the defaults of the shipped suricata.yaml.
//! Knows no file format.

use crate::flow::FlowState;
use crate::key::{KeyOptions, protocol};
use crate::rates::RateTracking;
use thiserror::Error;

/// The `flow`, `flow-timeouts` and `use-for-tracking` settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowSettings {
    /// `flow.memcap` in bytes, over all workers; 128 MiB by default.
    pub memcap: u64,
    /// `flow.prealloc`: flows to have ready at start, over all workers; 10,000 by default, and
    /// never more than memcap allows.
    pub prealloc: u32,
    /// `flow.emergency-recovery` in percent, 1 to 100; 30 by default. Emergency mode ends when
    /// more than this share of `prealloc` flows is spare.
    pub emergency_recovery: u8,
    /// `flow-timeouts`.
    pub timeouts: FlowTimeouts,
    /// `flow.rate-tracking`, off by default.
    pub rate_tracking: Option<RateTracking>,
    /// `vlan.use-for-tracking` and its like.
    pub key: KeyOptions,
    /// Ours, off by default: have the system provide all of memcap's memory at start, rather than
    /// when flows first need it. A live gate wants that: the first write to a huge page takes long
    /// enough for a ring to overflow.
    pub populate: bool,
    /// `stream.midstream`, off by default: may a TCP session begin with something else than a SYN?
    pub midstream: bool,
    /// Ours, on by default: the table follows TCP sessions by flags and sequence numbers. Off where whoever
    /// uses the table follows them better, and says so by [`Flow::set_tcp`](crate::Flow::set_tcp).
    pub follow_tcp: bool,
}

impl Default for FlowSettings {
    fn default() -> Self {
        Self {
            memcap: 128 << 20,
            prealloc: 10_000,
            emergency_recovery: 30,
            timeouts: FlowTimeouts::default(),
            rate_tracking: None,
            key: KeyOptions::default(),
            populate: false,
            midstream: false,
            follow_tcp: true,
        }
    }
}

/// `flow-timeouts`, by protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowTimeouts {
    /// `flow-timeouts.default`: what is none of the others.
    pub default: Timeouts,
    /// `flow-timeouts.tcp`.
    pub tcp: Timeouts,
    /// `flow-timeouts.udp`.
    pub udp: Timeouts,
    /// `flow-timeouts.icmp`: ICMP and ICMPv6.
    pub icmp: Timeouts,
}

impl Default for FlowTimeouts {
    fn default() -> Self {
        let default = Timeouts {
            new: 30,
            established: 300,
            closed: 0,
            bypassed: 100,
            emergency_new: 10,
            emergency_established: 100,
            emergency_closed: 0,
            emergency_bypassed: 50,
        };
        let tcp = Timeouts {
            new: 60,
            established: 600,
            closed: 60,
            emergency_new: 5,
            emergency_closed: 10,
            ..default
        };
        Self { default, tcp, udp: default, icmp: default }
    }
}

impl FlowTimeouts {
    /// Makes every emergency timeout that is longer than the normal one a tenth of that, as
    /// Suricata does, and tells which: for one warning each.
    pub fn limit_emergency(&mut self) -> Vec<EmergencyTooLong> {
        let mut found = Vec::new();
        let protocols = [
            ("default", &mut self.default),
            ("tcp", &mut self.tcp),
            ("udp", &mut self.udp),
            ("icmp", &mut self.icmp),
        ];
        for (protocol, timeouts) in protocols {
            let pairs = [
                ("new", timeouts.new, &mut timeouts.emergency_new),
                ("established", timeouts.established, &mut timeouts.emergency_established),
                ("closed", timeouts.closed, &mut timeouts.emergency_closed),
                ("bypassed", timeouts.bypassed, &mut timeouts.emergency_bypassed),
            ];
            for (state, normal, emergency) in pairs {
                if *emergency > normal {
                    found.push(EmergencyTooLong {
                        protocol,
                        state,
                        normal,
                        was: *emergency,
                        now: normal / 10,
                    });
                    *emergency = normal / 10;
                }
            }
        }
        found
    }
}

/// An emergency timeout that was longer than the normal one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "flow-timeouts.{protocol}.emergency-{state} of {was} s is longer than {state} of {normal} s: {now} s is used"
)]
pub struct EmergencyTooLong {
    /// `default`, `tcp`, `udp` or `icmp`.
    pub protocol: &'static str,
    /// `new`, `established`, `closed` or `bypassed`.
    pub state: &'static str,
    /// The normal timeout in seconds.
    pub normal: u32,
    /// The emergency timeout as it was set.
    pub was: u32,
    /// As it is now.
    pub now: u32,
}

impl FlowTimeouts {
    /// Those of a protocol (IANA number).
    #[must_use]
    pub const fn of(&self, protocol: u8) -> &Timeouts {
        match protocol {
            protocol::TCP => &self.tcp,
            protocol::UDP => &self.udp,
            protocol::ICMP | protocol::ICMPV6 => &self.icmp,
            _ => &self.default,
        }
    }
}

/// Idle times after which a flow is over, in seconds, by its state. A flow expires when it was
/// idle for as long or longer; 0 expires it at the next look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Before it is established.
    pub new: u32,
    /// Established.
    pub established: u32,
    /// Closed (TCP only).
    pub closed: u32,
    /// Bypassed.
    pub bypassed: u32,
    /// [`new`](Self::new) in emergency mode.
    pub emergency_new: u32,
    /// [`established`](Self::established) in emergency mode.
    pub emergency_established: u32,
    /// [`closed`](Self::closed) in emergency mode.
    pub emergency_closed: u32,
    /// [`bypassed`](Self::bypassed) in emergency mode.
    pub emergency_bypassed: u32,
}

impl Timeouts {
    /// The seconds that a flow in `state` may be idle.
    #[must_use]
    pub const fn idle(&self, state: FlowState, emergency: bool) -> u32 {
        match (state, emergency) {
            (FlowState::New, false) => self.new,
            (FlowState::New, true) => self.emergency_new,
            (FlowState::Established, false) => self.established,
            (FlowState::Established, true) => self.emergency_established,
            (FlowState::Closed, false) => self.closed,
            (FlowState::Closed, true) => self.emergency_closed,
            (FlowState::Bypassed, false) => self.bypassed,
            (FlowState::Bypassed, true) => self.emergency_bypassed,
        }
    }
}

/// Why a flow table cannot be set up. The message names the setting.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SetupError {
    /// A worker's share of memcap holds too few flows.
    #[error("flow.memcap of {memcap} bytes over {workers} workers is too small: each needs {least} bytes")]
    MemcapTooSmall {
        /// The setting.
        memcap: u64,
        /// Workers it is divided by.
        workers: u8,
        /// Bytes that one worker's share must have at least.
        least: u64,
    },
    /// `flow.emergency-recovery` is not a percentage.
    #[error("flow.emergency-recovery is {0}, must be 1 to 100")]
    EmergencyRecovery(u8),
    /// A worker number that is not below the number of workers.
    #[error("worker {worker} of {workers}")]
    NoSuchWorker {
        /// The number asked for, from 0.
        worker: u8,
        /// How many there are.
        workers: u8,
    },
    /// The operating system refused the memory.
    #[error("cannot map {bytes} bytes for flows: {reason}")]
    Memory {
        /// Bytes asked for.
        bytes: u64,
        /// What the system said.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_emergency_timeouts_are_not_too_long() {
        let mut timeouts = FlowTimeouts::default();
        assert_eq!(timeouts.limit_emergency(), []);
        assert_eq!(timeouts, FlowTimeouts::default());
    }

    #[test]
    fn a_longer_emergency_timeout_becomes_a_tenth_and_is_told() {
        let mut timeouts = FlowTimeouts::default();
        timeouts.udp.emergency_new = 31;
        let told = timeouts.limit_emergency();
        assert_eq!(timeouts.udp.emergency_new, 3);
        let told: Vec<String> = told.iter().map(ToString::to_string).collect();
        let expected = "flow-timeouts.udp.emergency-new of 31 s is longer than new of 30 s: 3 s is used";
        assert_eq!(told, [expected]);
    }
}
