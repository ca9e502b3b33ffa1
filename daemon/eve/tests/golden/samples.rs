//! Records to print.

use portcullis_capture::DropReason;
use portcullis_event::*;
use portcullis_flow::{Direction, EndReason, FlowState, TcpState};
use portcullis_wire::decoded::{TcpFlags, VlanIds};
use portcullis_wire::{Address, Timestamp};
use std::net::{Ipv4Addr, Ipv6Addr};

/// 2026-11-21T09:57:47.426097 UTC, in microseconds.
pub(crate) const AT: u64 = 1_795_255_067_426_097;
const START: u64 = 1_795_255_060_000_001;
const END: u64 = 1_795_255_066_999_999;

pub(crate) fn stamp(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub(crate) fn vlans(ids: &[u16]) -> VlanIds {
    let mut vlans = VlanIds::default();
    assert!(ids.iter().all(|id| vlans.push(*id)));
    vlans
}

fn ipv4(last: u8) -> Address {
    Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped().octets()
}

pub(crate) fn flow_common() -> Common<'static> {
    Common {
        timestamp: stamp(AT),
        flow_id: Some(1_234_567_890_123_456),
        ip_version: 4,
        source: ipv4(1),
        destination: ipv4(2),
        source_port: 40_000,
        destination_port: 80,
        protocol: 6,
        ..Common::default()
    }
}

pub(crate) fn packet_common() -> Common<'static> {
    Common { pcap_cnt: Some(4), pkt_src: Some(PacketSource::Wire), ..flow_common() }
}

pub(crate) fn icmp_common() -> Common<'static> {
    Common {
        source_port: 0,
        destination_port: 0,
        protocol: 1,
        icmp: Some(IcmpType { kind: 8, code: 0 }),
        response_icmp: Some(IcmpType { kind: 0, code: 0 }),
        ..flow_common()
    }
}

pub(crate) fn ipv6_common() -> Common<'static> {
    let address = |last| Ipv6Addr::new(0x2001, 0xdb8, 0x85a3, 0, 0, 0x8a2e, 0x370, last).octets();
    Common {
        ip_version: 6,
        source: address(0x7334),
        destination: address(0x7335),
        source_port: 0,
        destination_port: 0,
        protocol: 58,
        icmp: Some(IcmpType { kind: 128, code: 0 }),
        ..packet_common()
    }
}

fn counts() -> Counts {
    Counts { pkts_toserver: 3, pkts_toclient: 1, bytes_toserver: 210, bytes_toclient: 74 }
}

pub(crate) fn alert() -> Alert<'static> {
    Alert {
        action: AlertAction::Allowed,
        would: None,
        gid: 1,
        sid: 2_100_498,
        rev: 7,
        signature: b"TEST \"quoted\"",
        category: b"Misc activity",
        severity: 3,
        target: None,
        references: TextList::default(),
        metadata: TextList::default(),
        rule: b"",
    }
}

pub(crate) fn alert_record() -> AlertRecord<'static> {
    AlertRecord {
        common: packet_common(),
        alert: alert(),
        direction: Some(Direction::ToServer),
        flow: Some(AlertFlow {
            counts: counts(),
            start: stamp(START),
            source: ipv4(1),
            destination: ipv4(2),
            source_port: 40_000,
            destination_port: 80,
        }),
        payload: None,
        payload_length: 0,
        stream: false,
        packet: None,
        linktype: 1,
        verdict: None,
        truncated: false,
    }
}

pub(crate) fn drop_record() -> DropRecord<'static> {
    DropRecord {
        common: packet_common(),
        direction: Some(Direction::ToServer),
        packet: DroppedPacket { length: 60, tos: 4, ttl: 64, ip_id: 4711, ..DroppedPacket::default() },
        reason: DropReason::Rules,
        alert: None,
        verdict: None,
        repeated: false,
        truncated: false,
    }
}

pub(crate) fn flow_record() -> FlowRecord<'static> {
    let session = TcpSession {
        state: TcpState::TimeWait,
        gap_toserver: false,
        gap_toclient: false,
        max_regions_toserver: 1,
        max_regions_toclient: 1,
    };
    FlowRecord {
        common: flow_common(),
        counts: counts(),
        bypassed: None,
        start: stamp(START),
        end: stamp(END),
        emergency: false,
        state: FlowState::Closed,
        bypass: None,
        reason: EndReason::Timeout,
        alerted: false,
        uninspected: false,
        elephant_toserver: false,
        elephant_toclient: false,
        action: None,
        exception_policies: PolicyTargets::default(),
        tcp: Some(TcpPart {
            flags: TcpFlags(0x1b),
            flags_toserver: TcpFlags(0x1b),
            flags_toclient: TcpFlags(0x12),
            session: Some(session),
        }),
    }
}
