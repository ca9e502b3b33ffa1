//! `[flow]`, `[flow-timeouts.*]` and the switches that say what makes a flow's key.

use super::diagnostic::Diagnostic;
use super::overriding;
use super::policy::{ExceptionPolicy, Master};
use super::section::Section;
use super::value::Size;
use portcullis_flow::{RateTracking, TimeoutOverride};
use std::time::Duration;

/// The least memory that flows can be given, in bytes: enough for a worker's smallest table.
const LEAST_MEMCAP: u64 = 64 << 10;

/// `[flow]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowConfig {
    /// Memory for flows of all workers together, in bytes.
    pub memcap: u64,
    /// What happens to a packet that needs a flow when there is none to be had. Acts on packets.
    pub memcap_policy: ExceptionPolicy,
    /// Flows made ready at start, all workers together.
    pub prealloc: u32,
    /// `[flow.rate-tracking]`: what makes a flow an elephant; `None` where rates are not kept.
    pub rate_tracking: Option<RateTracking>,
    /// Emergency mode ends when this share of the spare flows is free again, in percent.
    pub emergency_recovery: u8,
}

impl FlowConfig {
    pub(crate) fn read(section: &mut Section<'_>, master: Master) -> Self {
        let memcap = section.or("memcap", Size(128 << 20)).0;
        if memcap < LEAST_MEMCAP {
            let reason = format!("{memcap} bytes are too few, the least is {LEAST_MEMCAP}");
            section.bad_value("memcap", &reason, &section.place("memcap"));
        }
        Self {
            memcap,
            memcap_policy: master.packet_scope(section, "memcap-policy"),
            rate_tracking: section.section("rate-tracking", rate_tracking),
            prealloc: section.or("prealloc", 10_000),
            emergency_recovery: section.within("emergency-recovery", 30, 1..=100),
        }
    }
}

/// Both settings or none: the one means nothing without the other.
fn rate_tracking(section: &mut Section<'_>) -> Option<RateTracking> {
    let bytes = section.optional::<Size>("bytes");
    let interval = section.optional::<Duration>("interval");
    let zero = [("bytes", bytes == Some(Size(0))), ("interval", interval == Some(Duration::ZERO))];
    for (key, _) in zero.iter().filter(|(_, zero)| *zero) {
        section.bad_value(key, "it must be at least 1", &section.place(key));
    }
    match (bytes, interval) {
        (Some(Size(bytes)), Some(interval)) => Some(RateTracking { bytes, interval }),
        (None, None) => None,
        (bytes, _) => {
            let (set, missing) = if bytes.is_some() { ("bytes", "interval") } else { ("interval", "bytes") };
            let message = format!("`{}` needs `{}`", section.name(set), section.name(missing));
            section.note(Diagnostic::error(message, section.place(set)));
            None
        }
    }
}

/// `[flow-timeouts]`: how long a flow may be silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowTimeouts {
    /// Protocols without a table of their own.
    pub default: Timeouts,
    /// TCP.
    pub tcp: Timeouts,
    /// UDP; never `closed`.
    pub udp: Timeouts,
    /// ICMP and ICMPv6; never `closed`.
    pub icmp: Timeouts,
    /// `[[flow-timeouts.override]]`: other times for some flows; the first that matches counts.
    pub overrides: Vec<TimeoutOverride>,
}

/// The time-outs of one protocol, by state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// While all is well.
    pub normal: StateTimeouts,
    /// While memory is short; never longer than the normal ones.
    pub emergency: StateTimeouts,
}

/// Time-outs by flow state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateTimeouts {
    /// Seen in one direction.
    pub new: Duration,
    /// Seen in both.
    pub established: Duration,
    /// Both sides said goodbye, or one reset it.
    pub closed: Duration,
    /// No longer inspected.
    pub bypassed: Duration,
}

/// Seconds by state: new, established, closed, bypassed.
const fn seconds(new: u64, established: u64, closed: u64, bypassed: u64) -> StateTimeouts {
    StateTimeouts {
        new: Duration::from_secs(new),
        established: Duration::from_secs(established),
        closed: Duration::from_secs(closed),
        bypassed: Duration::from_secs(bypassed),
    }
}

const OTHERS: Timeouts = Timeouts { normal: seconds(30, 300, 0, 100), emergency: seconds(10, 100, 0, 50) };
const TCP: Timeouts = Timeouts { normal: seconds(60, 600, 60, 100), emergency: seconds(5, 100, 10, 50) };

impl FlowTimeouts {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self {
            default: section.section("default", |inner| Timeouts::read(inner, OTHERS, true)),
            tcp: section.section("tcp", |inner| Timeouts::read(inner, TCP, true)),
            udp: section.section("udp", |inner| Timeouts::read(inner, OTHERS, false)),
            icmp: section.section("icmp", |inner| Timeouts::read(inner, OTHERS, false)),
            overrides: section.sections("override", overriding::read),
        }
    }
}

impl Timeouts {
    fn read(section: &mut Section<'_>, default: Self, closes: bool) -> Self {
        let (normal, emergency) = (default.normal, default.emergency);
        let (closed, emergency_closed) = if closes {
            pair(section, ["closed", "emergency-closed"], normal.closed, emergency.closed)
        } else {
            (normal.closed, emergency.closed)
        };
        let (new, emergency_new) = pair(section, ["new", "emergency-new"], normal.new, emergency.new);
        let (established, emergency_established) = pair(
            section,
            ["established", "emergency-established"],
            normal.established,
            emergency.established,
        );
        let (bypassed, emergency_bypassed) =
            pair(section, ["bypassed", "emergency-bypassed"], normal.bypassed, emergency.bypassed);
        Self {
            normal: StateTimeouts { new, established, closed, bypassed },
            emergency: StateTimeouts {
                new: emergency_new,
                established: emergency_established,
                closed: emergency_closed,
                bypassed: emergency_bypassed,
            },
        }
    }
}

/// A normal time-out and its emergency one. As in Suricata, an emergency one that is longer becomes
/// a tenth of the normal one; said aloud where it was set.
fn pair(
    section: &mut Section<'_>,
    [normal_key, emergency_key]: [&'static str; 2],
    normal: Duration,
    emergency: Duration,
) -> (Duration, Duration) {
    let normal = section.or(normal_key, normal);
    let emergency = section.or(emergency_key, emergency);
    if emergency <= normal {
        return (normal, emergency);
    }
    let tenth = Duration::from_secs(normal.as_secs() / 10);
    if section.is_set(emergency_key) {
        let message = format!(
            "`{}` is longer than `{}` and becomes a tenth of it, {} s",
            section.name(emergency_key),
            section.name(normal_key),
            tenth.as_secs()
        );
        section.note(Diagnostic::warning(message, section.place(emergency_key)));
    }
    (normal, tenth)
}

/// What makes a flow's key beside addresses, ports and protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracking {
    /// `vlan.use-for-tracking`: VLAN ids do.
    pub vlan: bool,
    /// `livedev.use-for-tracking`: the inline set does.
    pub livedev: bool,
    /// `decoder.recursion-level.use-for-tracking`: how deep in tunnels it was found does.
    pub recursion_level: bool,
}
