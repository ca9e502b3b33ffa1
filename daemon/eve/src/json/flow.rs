//! `flow` and `netflow` events.

use super::header::{Extras, Header};
use super::{Scope, age};
use crate::clock::Stamp;
use crate::value::HexFlags;
use portcullis_event::{Counts, FlowRecord, NetflowRecord, PolicyTargets, TcpPart, TcpSession};
use portcullis_flow::FlowAction;
use portcullis_flow::flow::Bypass;
use portcullis_wire::decoded::TcpFlags;
use serde::{Serialize, Serializer};

#[derive(Debug, Serialize)]
pub(crate) struct FlowEvent<'a> {
    #[serde(flatten)]
    header: Header<'a>,
    flow: FlowObject,
    #[serde(flatten)]
    extras: Extras<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<TcpObject>,
}

pub(crate) fn flow<'a>(scope: &mut Scope<'a>, record: &'a FlowRecord<'_>) -> FlowEvent<'a> {
    FlowEvent {
        header: Header::new(scope, &record.common, "flow"),
        flow: FlowObject::new(scope, record),
        extras: Extras::of_flow(scope, &record.common),
        tcp: record.tcp.map(TcpObject::new),
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct NetflowEvent<'a> {
    #[serde(flatten)]
    header: Header<'a>,
    netflow: NetflowObject,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<NetflowTcp>,
    #[serde(flatten)]
    extras: Extras<'a>,
}

pub(crate) fn netflow<'a>(scope: &mut Scope<'a>, record: &'a NetflowRecord<'_>) -> NetflowEvent<'a> {
    let tcp = |flags| NetflowTcp { tcp_flags: HexFlags(flags), set: SetFlags::new(flags) };
    NetflowEvent {
        header: Header::new(scope, &record.common, "netflow"),
        netflow: NetflowObject {
            pkts: record.pkts,
            bytes: record.bytes,
            start: scope.stamp(record.start),
            end: scope.stamp(record.end),
            age: age(record.start, record.end),
            min_ttl: record.ttl.min,
            max_ttl: record.ttl.max,
        },
        tcp: record.tcp_flags.map(tcp),
        extras: Extras::of_flow(scope, &record.common),
    }
}

/// Flat, though counts are the same elsewhere: what is flattened is written key by key through a map, at several times
/// the cost, and most records are of flows.
#[derive(Debug, Serialize)]
struct FlowObject {
    pkts_toserver: u64,
    pkts_toclient: u64,
    bytes_toserver: u64,
    bytes_toclient: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bypassed: Option<CountsObject>,
    start: Stamp,
    end: Stamp,
    age: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    emergency: Option<bool>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bypass: Option<&'static str>,
    reason: &'static str,
    alerted: bool,
    /// Ours: no key of Suricata's.
    #[serde(skip_serializing_if = "Option::is_none")]
    uninspected: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elephant: Option<bool>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    elephant_direction: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception_policy: Option<Policies>,
}

impl FlowObject {
    fn new(scope: &mut Scope<'_>, record: &FlowRecord<'_>) -> Self {
        let elephant = elephant_directions(record.elephant_toserver, record.elephant_toclient);
        let policies = record.exception_policies;
        let has_policies = scope.options.flow_exception_policy && !policies.is_empty();
        let Counts { pkts_toserver, pkts_toclient, bytes_toserver, bytes_toclient } = record.counts;
        Self {
            pkts_toserver,
            pkts_toclient,
            bytes_toserver,
            bytes_toclient,
            bypassed: record.bypassed.map(CountsObject::new),
            start: scope.stamp(record.start),
            end: scope.stamp(record.end),
            age: age(record.start, record.end),
            emergency: record.emergency.then_some(true),
            state: record.state.name(),
            bypass: record.bypass.map(bypass_name),
            reason: record.reason.name(),
            alerted: record.alerted,
            uninspected: record.uninspected.then_some(true),
            elephant: (!elephant.is_empty()).then_some(true),
            elephant_direction: elephant,
            action: record.action.map(action_name),
            exception_policy: has_policies.then_some(Policies(policies)),
        }
    }
}

/// The directions in which a flow was an elephant, by the names in EVE's `flow.elephant_direction`.
const fn elephant_directions(toserver: bool, toclient: bool) -> &'static [&'static str] {
    match (toserver, toclient) {
        (false, false) => &[],
        (true, false) => &["toserver"],
        (false, true) => &["toclient"],
        (true, true) => &["toserver", "toclient"],
    }
}

const fn bypass_name(bypass: Bypass) -> &'static str {
    match bypass {
        Bypass::Local => "local",
        Bypass::Capture => "capture",
    }
}

const fn action_name(action: FlowAction) -> &'static str {
    match action {
        FlowAction::Drop(_) => "drop",
        FlowAction::Pass => "pass",
    }
}

#[derive(Debug, Serialize)]
struct CountsObject {
    pkts_toserver: u64,
    pkts_toclient: u64,
    bytes_toserver: u64,
    bytes_toclient: u64,
}

impl CountsObject {
    const fn new(counts: Counts) -> Self {
        let Counts { pkts_toserver, pkts_toclient, bytes_toserver, bytes_toclient } = counts;
        Self { pkts_toserver, pkts_toclient, bytes_toserver, bytes_toclient }
    }
}

#[derive(Debug)]
struct Policies(PolicyTargets);

#[derive(Serialize)]
struct AppliedPolicy {
    target: &'static str,
    policy: &'static str,
}

impl Serialize for Policies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let applied = self.0.iter();
        serializer.collect_seq(
            applied.map(|(target, policy)| AppliedPolicy { target: target.name(), policy: policy.name() }),
        )
    }
}

/// Flat, as [`FlowObject`] is.
#[derive(Debug, Serialize)]
struct TcpObject {
    tcp_flags: HexFlags,
    tcp_flags_ts: HexFlags,
    tcp_flags_tc: HexFlags,
    #[serde(skip_serializing_if = "Option::is_none")]
    syn: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fin: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rst: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psh: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    urg: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ecn: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwr: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts_gap: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tc_gap: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts_max_regions: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tc_max_regions: Option<u16>,
}

impl TcpObject {
    fn new(tcp: TcpPart) -> Self {
        let SetFlags { syn, fin, rst, psh, ack, urg, ecn, cwr } = SetFlags::new(tcp.flags);
        let session = tcp.session;
        let gap = |has: fn(TcpSession) -> bool| session.is_some_and(has).then_some(true);
        Self {
            tcp_flags: HexFlags(tcp.flags),
            tcp_flags_ts: HexFlags(tcp.flags_toserver),
            tcp_flags_tc: HexFlags(tcp.flags_toclient),
            syn,
            fin,
            rst,
            psh,
            ack,
            urg,
            ecn,
            cwr,
            state: session.map(|session| session.state.name()),
            ts_gap: gap(|session| session.gap_toserver),
            tc_gap: gap(|session| session.gap_toclient),
            ts_max_regions: session.map(|session| session.max_regions_toserver),
            tc_max_regions: session.map(|session| session.max_regions_toclient),
        }
    }
}

#[derive(Debug, Serialize)]
struct NetflowObject {
    pkts: u64,
    bytes: u64,
    start: Stamp,
    end: Stamp,
    age: u64,
    min_ttl: u8,
    max_ttl: u8,
}

#[derive(Debug, Serialize)]
struct NetflowTcp {
    tcp_flags: HexFlags,
    #[serde(flatten)]
    set: SetFlags,
}

/// The flags that were seen, each `true` or left out.
#[derive(Debug, Serialize)]
struct SetFlags {
    #[serde(skip_serializing_if = "Option::is_none")]
    syn: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fin: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rst: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psh: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    urg: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ecn: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwr: Option<bool>,
}

impl SetFlags {
    fn new(flags: TcpFlags) -> Self {
        let set = |flag| flags.has(flag).then_some(true);
        Self {
            syn: set(TcpFlags::SYN),
            fin: set(TcpFlags::FIN),
            rst: set(TcpFlags::RST),
            psh: set(TcpFlags::PSH),
            ack: set(TcpFlags::ACK),
            urg: set(TcpFlags::URG),
            ecn: set(TcpFlags::ECN),
            cwr: set(TcpFlags::CWR),
        }
    }
}
