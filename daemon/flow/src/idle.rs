//! Idle timeouts of single flows: what takes the place of `flow-timeouts` for flows that a list, a
//! function or a callback picks out.

use crate::flow::{Flow, FlowState, IDLE_FIXED, STATE_CHANGED};
use crate::key::{FlowKey, protocol};
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    mask: u128,
}

impl Network {
    /// The network of an address and a prefix length: 0 to 32 for IPv4, to 128 for IPv6; `None` for
    /// a longer one. Bits of the address after the prefix have no meaning.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let (bits, prefix) = match address {
            IpAddr::V4(v4) if prefix <= 32 => (v4.to_ipv6_mapped().to_bits(), prefix + 96),
            IpAddr::V6(v6) if prefix <= 128 => (v6.to_bits(), prefix),
            _ => return None,
        };
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
        Some(Self { bits: bits & mask, mask })
    }

    /// Is the address (IPv4 in its mapped form) in it?
    #[must_use]
    pub const fn contains(&self, address: [u8; 16]) -> bool {
        u128::from_be_bytes(address) & self.mask == self.bits
    }
}

/// Flows by what their key says. What is left out matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowMatch {
    /// The protocol (IANA number).
    pub protocol: Option<u8>,
    /// Either endpoint is in this network.
    pub network: Option<Network>,
    /// Either endpoint's port is one of these; protocols without ports never match.
    pub ports: Option<RangeInclusive<u16>>,
}

impl FlowMatch {
    /// Is a flow with this key one of them?
    #[must_use]
    pub fn matches(&self, key: &FlowKey) -> bool {
        let ends = [key.lower(), key.higher()];
        let has_ports = matches!(key.protocol(), protocol::TCP | protocol::UDP | protocol::SCTP);
        self.protocol.is_none_or(|number| number == key.protocol())
            && self.network.is_none_or(|network| ends.iter().any(|end| network.contains(end.0)))
            && self
                .ports
                .as_ref()
                .is_none_or(|ports| has_ports && ends.iter().any(|end| ports.contains(&end.1)))
    }
}

/// Other idle timeouts for some flows, in seconds by state; `None` leaves the next override, and in
/// the end `flow-timeouts`, to decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeoutOverride {
    /// Which flows.
    pub flows: FlowMatch,
    /// Before it is established.
    pub new: Option<u32>,
    /// Established.
    pub established: Option<u32>,
    /// Closed (TCP only).
    pub closed: Option<u32>,
    /// Bypassed.
    pub bypassed: Option<u32>,
}

/// A list of overrides: the first that matches a flow and names its state counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeoutOverrides(pub Vec<TimeoutOverride>);

/// Decides how long a flow may be idle. Asked when a flow begins and when its state has changed. A
/// function of key and state is one.
pub trait IdleTimeouts: Send {
    /// The time, or `None` for that of `flow-timeouts`.
    fn idle(&self, key: &FlowKey, state: FlowState) -> Option<Duration>;
}

impl IdleTimeouts for TimeoutOverrides {
    fn idle(&self, key: &FlowKey, state: FlowState) -> Option<Duration> {
        let matching = self.0.iter().filter(|entry| entry.flows.matches(key));
        let secs = matching.filter_map(|entry| match state {
            FlowState::New => entry.new,
            FlowState::Established => entry.established,
            FlowState::Closed => entry.closed,
            FlowState::Bypassed => entry.bypassed,
        });
        secs.map(|secs| Duration::from_secs(u64::from(secs))).next()
    }
}

impl<F: Fn(&FlowKey, FlowState) -> Option<Duration> + Send> IdleTimeouts for F {
    fn idle(&self, key: &FlowKey, state: FlowState) -> Option<Duration> {
        self(key, state)
    }
}

impl fmt::Debug for dyn IdleTimeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdleTimeouts")
    }
}

/// A flow's own idle timeout in two bytes, which is what its memory has left: whole seconds up to
/// nine hours, whole minutes up to 22 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Idle(u16);

const MINUTES: u16 = 1 << 15;

impl Idle {
    /// Rounded up to what can be told; at least a second, at most 22 days.
    pub(crate) fn of(idle: Option<Duration>) -> Self {
        let Some(idle) = idle else { return Self(0) };
        let secs = idle.as_secs().saturating_add(u64::from(idle.subsec_nanos() > 0));
        match u16::try_from(secs.max(1)) {
            Ok(secs) if secs < MINUTES => Self(secs),
            _ => {
                let minutes = secs.div_ceil(60).min(u64::from(MINUTES - 1));
                Self(MINUTES | u16::try_from(minutes).unwrap_or(MINUTES - 1))
            }
        }
    }

    /// Is the flow's idle timeout that of all like it?
    pub(crate) const fn is_shared(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn raw(self) -> u16 {
        self.0
    }

    pub(crate) const fn from_raw(raw: u16) -> Self {
        Self(raw)
    }

    pub(crate) const fn secs(self) -> Option<u32> {
        match self.0 {
            0 => None,
            secs if secs < MINUTES => Some(secs as u32),
            minutes => Some((minutes & !MINUTES) as u32 * 60),
        }
    }
}

/// Idle timeouts of its own.
impl Flow<'_> {
    /// How long it may be idle instead of what `flow-timeouts` says; `None` where that decides. In
    /// emergency mode the emergency timeout counts where it is shorter.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.hot.idle.secs().map(|secs| Duration::from_secs(u64::from(secs)))
    }

    /// Sets how long it may be idle, whatever its state; `None` leaves that to the table again. Whole
    /// seconds, beyond nine hours whole minutes, rounded up; at least a second, at most 22 days.
    pub fn set_idle_timeout(&mut self, idle: Option<Duration>) {
        self.hot.idle = Idle::of(idle);
        self.hot.flags |= STATE_CHANGED;
        if idle.is_some() {
            self.hot.flags |= IDLE_FIXED;
        } else {
            self.hot.flags &= !IDLE_FIXED;
        }
        *self.deadline = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn networks_by_prefix() {
        let check = |address: &str, prefix, other: &str, inside| {
            let network = Network::new(address.parse().expect("an address"), prefix).expect("a prefix");
            let other: IpAddr = other.parse().expect("an address");
            let other = match other {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => v6.octets(),
            };
            assert_eq!(network.contains(other), inside, "{address}/{prefix} {other:?}");
        };
        check("10.1.2.3", 8, "10.255.0.1", true);
        check("10.1.2.3", 8, "11.1.2.3", false);
        check("10.1.2.3", 32, "10.1.2.3", true);
        check("10.1.2.3", 32, "10.1.2.2", false);
        check("0.0.0.0", 0, "255.255.255.255", true);
        check("0.0.0.0", 0, "2001:db8::1", false);
        check("2001:db8::", 32, "2001:db8:ffff::1", true);
        check("2001:db8::", 32, "2001:db9::1", false);
        check("::", 0, "1.2.3.4", true);
        assert_eq!(Network::new("10.0.0.0".parse().expect("an address"), 33), None);
        assert_eq!(Network::new("::".parse().expect("an address"), 129), None);
    }

    #[test]
    fn what_two_bytes_tell() {
        let secs = |duration| Idle::of(Some(duration)).secs();
        assert_eq!(Idle::of(None).secs(), None);
        assert_eq!(secs(Duration::ZERO), Some(1));
        assert_eq!(secs(Duration::from_millis(1001)), Some(2));
        assert_eq!(secs(Duration::from_secs(32_767)), Some(32_767));
        assert_eq!(secs(Duration::from_secs(32_768)), Some(32_820));
        assert_eq!(secs(Duration::from_secs(86_400)), Some(86_400));
        assert_eq!(secs(Duration::MAX), Some(32_767 * 60));
    }

    proptest! {
        #[test]
        fn an_idle_time_is_never_cut_by_rounding(asked in 1u64..32_767 * 60) {
            let told = u64::from(Idle::of(Some(Duration::from_secs(asked))).secs().expect("set"));
            prop_assert!(told >= asked && told - asked < 60);
        }
    }
}
