//! The `flow` event of a flow about which nothing unusual is known: nearly all records of a gate. Written in one piece,
//! key by key as the types of [`super::flow`] have it, to which a test holds it: asking types what they are made of
//! costs several times as much.

use super::{Scope, age, has_ports};
use crate::protocol;
use crate::value::{HEX, full_ipv6};
use crate::writer::Line;
use portcullis_event::{Common, Counts, FlowRecord, TcpPart, TcpSession};
use portcullis_wire::Address;
use portcullis_wire::decoded::TcpFlags;

/// Writes the event, if it has nothing but what every flow has; `false`, and nothing to be believed in `line`, if not.
pub(crate) fn plain_flow(scope: &mut Scope<'_>, record: &FlowRecord<'_>, line: &mut Line) -> bool {
    if !is_plain(scope, record) {
        return false;
    }
    line.put(b"{\"timestamp\":\"");
    line.put(&scope.stamp(record.common.timestamp).0);
    if !header(scope, &record.common, line) {
        return false;
    }
    flow(scope, record, line);
    if let Some(tcp) = &record.tcp {
        put_tcp(tcp, line);
    }
    line.put(b"}\n");
    true
}

/// Does the event have none of the keys that are seldom there?
fn is_plain(scope: &Scope<'_>, record: &FlowRecord<'_>) -> bool {
    let common = &record.common;
    let options = scope.options;
    record.is_plain()
        && matches!(common.ip_version, 4 | 6)
        && !record.emergency
        && !record.uninspected
        && options.community_id.is_none()
        && !(options.ethernet && !(common.ether.source.is_empty() && common.ether.destination.is_empty()))
        && (!options.flow_exception_policy || record.exception_policies.is_empty())
        && !(options.compress_ipv6 && common.ip_version == 6)
}

/// All up to the flow's own object; `false` where something has no name.
#[inline]
fn header(scope: &Scope<'_>, common: &Common<'_>, line: &mut Line) -> bool {
    let (Some(flow_id), Some(protocol)) = (common.flow_id, protocol::name(common.protocol)) else {
        return false;
    };
    line.put(b"\",\"flow_id\":");
    line.put_number(flow_id);
    if let Some(port) = common.in_iface
        && let Some(named) = scope.interfaces.get(usize::from(port.0))
    {
        line.put_all(named);
    }
    line.put(b",\"event_type\":\"flow\",\"src_ip\":\"");
    let ports = has_ports(common.protocol);
    put_ip(common.source, common.ip_version, line);
    if ports {
        line.put(b"\",\"src_port\":");
        line.put_number(common.source_port.into());
        line.put(b",\"dest_ip\":\"");
    } else {
        line.put(b"\",\"dest_ip\":\"");
    }
    put_ip(common.destination, common.ip_version, line);
    if ports {
        line.put(b"\",\"dest_port\":");
        line.put_number(common.destination_port.into());
        line.put(b",\"proto\":\"");
    } else {
        line.put(b"\",\"proto\":\"");
    }
    line.put_all(protocol.as_bytes());
    line.put(b"\",\"ip_v\":");
    line.put(&[b'0' + common.ip_version]);
    true
}

#[inline]
fn flow(scope: &mut Scope<'_>, record: &FlowRecord<'_>, line: &mut Line) {
    let Counts { pkts_toserver, pkts_toclient, bytes_toserver, bytes_toclient } = record.counts;
    line.put(b",\"flow\":{\"pkts_toserver\":");
    line.put_number(pkts_toserver);
    line.put(b",\"pkts_toclient\":");
    line.put_number(pkts_toclient);
    line.put(b",\"bytes_toserver\":");
    line.put_number(bytes_toserver);
    line.put(b",\"bytes_toclient\":");
    line.put_number(bytes_toclient);
    line.put(b",\"start\":\"");
    line.put(&scope.stamp(record.start).0);
    line.put(b"\",\"end\":\"");
    line.put(&scope.stamp(record.end).0);
    line.put(b"\",\"age\":");
    line.put_number(age(record.start, record.end));
    line.put(b",\"state\":\"");
    line.put_all(record.state.name().as_bytes());
    line.put(b"\",\"reason\":\"");
    line.put_all(record.reason.name().as_bytes());
    if record.alerted {
        line.put(b"\",\"alerted\":true}");
    } else {
        line.put(b"\",\"alerted\":false}");
    }
}

#[inline]
fn put_tcp(tcp: &TcpPart, line: &mut Line) {
    line.put(b",\"tcp\":{\"tcp_flags\":\"");
    put_hex(tcp.flags, line);
    line.put(b"\",\"tcp_flags_ts\":\"");
    put_hex(tcp.flags_toserver, line);
    line.put(b"\",\"tcp_flags_tc\":\"");
    put_hex(tcp.flags_toclient, line);
    line.put(b"\"");
    put_set_flags(tcp.flags, line);
    if let Some(session) = &tcp.session {
        put_session(session, line);
    }
    line.put(b"}");
}

#[inline]
fn put_set_flags(flags: TcpFlags, line: &mut Line) {
    if flags.has(TcpFlags::SYN) {
        line.put(b",\"syn\":true");
    }
    if flags.has(TcpFlags::FIN) {
        line.put(b",\"fin\":true");
    }
    if flags.has(TcpFlags::RST) {
        line.put(b",\"rst\":true");
    }
    if flags.has(TcpFlags::PSH) {
        line.put(b",\"psh\":true");
    }
    if flags.has(TcpFlags::ACK) {
        line.put(b",\"ack\":true");
    }
    if flags.has(TcpFlags::URG) {
        line.put(b",\"urg\":true");
    }
    if flags.has(TcpFlags::ECN) {
        line.put(b",\"ecn\":true");
    }
    if flags.has(TcpFlags::CWR) {
        line.put(b",\"cwr\":true");
    }
}

#[inline]
fn put_session(session: &TcpSession, line: &mut Line) {
    line.put(b",\"state\":\"");
    line.put_all(session.state.name().as_bytes());
    line.put(b"\"");
    if session.gap_toserver {
        line.put(b",\"ts_gap\":true");
    }
    if session.gap_toclient {
        line.put(b",\"tc_gap\":true");
    }
    line.put(b",\"ts_max_regions\":");
    line.put_number(session.max_regions_toserver.into());
    line.put(b",\"tc_max_regions\":");
    line.put_number(session.max_regions_toclient.into());
}

#[inline]
fn put_ip(address: Address, version: u8, line: &mut Line) {
    if version == 6 {
        line.put(&full_ipv6(address));
        return;
    }
    let [.., a, b, c, d] = address;
    for octet in [a, b, c] {
        line.put_octet(octet);
        line.put(b".");
    }
    line.put_octet(d);
}

#[inline]
fn put_hex(TcpFlags(bits): TcpFlags, line: &mut Line) {
    line.put(&[HEX[usize::from(bits >> 4)], HEX[usize::from(bits & 0xf)]]);
}
