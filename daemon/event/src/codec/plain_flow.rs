//! Records of flows about which nothing unusual is known, which are nearly all records: every field at a fixed place of
//! one block, written and read at once. What is unusual goes field by field ([`super::whole_flow`]).

use super::whole_flow::{REASONS, STATES, by_code};
use crate::bytes::{Reader, Writer};
use crate::common::{Common, Counts};
use crate::flow::{FlowRecord, PolicyTargets, TcpPart, TcpSession};
use crate::record::DecodeError;
use portcullis_capture::PortId;
use portcullis_flow::TcpState;
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::TcpFlags;

/// Bytes of the block.
const BLOCK: usize = 114;

/// What is true of the flow, a bit each.
const HAS_PORT: u8 = 1;
const ALERTED: u8 = 1 << 1;
const HAS_TCP: u8 = 1 << 2;
const HAS_SESSION: u8 = 1 << 3;
const GAP_TOSERVER: u8 = 1 << 4;
const GAP_TOCLIENT: u8 = 1 << 5;
const EMERGENCY: u8 = 1 << 6;
const UNINSPECTED: u8 = 1 << 7;

/// Does the block hold all there is?
pub(super) fn is_plain(record: &FlowRecord<'_>) -> bool {
    let ether = &record.common.ether;
    record.is_plain()
        && ether.source.is_empty()
        && ether.destination.is_empty()
        && record.exception_policies.is_empty()
}

/// Writes a record that [is plain](is_plain).
pub(super) fn put(writer: &mut Writer<'_>, record: &FlowRecord<'_>) {
    let common = &record.common;
    let tcp = record.tcp.unwrap_or_default();
    let session = tcp.session.unwrap_or(NO_SESSION);
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    let flags = flag(common.in_iface.is_some(), HAS_PORT)
        | flag(record.alerted, ALERTED)
        | flag(record.tcp.is_some(), HAS_TCP)
        | flag(tcp.session.is_some(), HAS_SESSION)
        | flag(session.gap_toserver, GAP_TOSERVER)
        | flag(session.gap_toclient, GAP_TOCLIENT)
        | flag(record.emergency, EMERGENCY)
        | flag(record.uninspected, UNINSPECTED);
    let mut block = [0; BLOCK];
    let mut place = Places { bytes: &mut block, at: 0 };
    place.put(common.timestamp.as_nanos().to_le_bytes());
    place.put(common.flow_id.unwrap_or_default().to_le_bytes());
    place.put(common.source);
    place.put(common.destination);
    place.put(record.counts.pkts_toserver.to_le_bytes());
    place.put(record.counts.pkts_toclient.to_le_bytes());
    place.put(record.counts.bytes_toserver.to_le_bytes());
    place.put(record.counts.bytes_toclient.to_le_bytes());
    place.put(record.start.as_nanos().to_le_bytes());
    place.put(record.end.as_nanos().to_le_bytes());
    place.put(common.source_port.to_le_bytes());
    place.put(common.destination_port.to_le_bytes());
    place.put(session.max_regions_toserver.to_le_bytes());
    place.put(session.max_regions_toclient.to_le_bytes());
    place.put([flags, common.in_iface.unwrap_or(PortId(0)).0, common.ip_version, common.protocol]);
    place.put([record.state as u8, record.reason as u8, session.state as u8]);
    place.put([tcp.flags.0, tcp.flags_toserver.0, tcp.flags_toclient.0]);
    writer.array(&block);
}

/// Reads one.
pub(super) fn take<'a>(reader: &mut Reader<'a>) -> Result<FlowRecord<'a>, DecodeError> {
    let block = reader.array::<BLOCK>()?;
    let mut place = Places { bytes: &block, at: 0 };
    let timestamp = Timestamp::from_nanos(u64::from_le_bytes(place.take()));
    let flow_id = Some(u64::from_le_bytes(place.take()));
    let (source, destination) = (place.take(), place.take());
    let counts = Counts {
        pkts_toserver: u64::from_le_bytes(place.take()),
        pkts_toclient: u64::from_le_bytes(place.take()),
        bytes_toserver: u64::from_le_bytes(place.take()),
        bytes_toclient: u64::from_le_bytes(place.take()),
    };
    let start = Timestamp::from_nanos(u64::from_le_bytes(place.take()));
    let end = Timestamp::from_nanos(u64::from_le_bytes(place.take()));
    let (source_port, destination_port) =
        (u16::from_le_bytes(place.take()), u16::from_le_bytes(place.take()));
    let (max_regions_toserver, max_regions_toclient) =
        (u16::from_le_bytes(place.take()), u16::from_le_bytes(place.take()));
    let [flags, port, ip_version, protocol] = place.take();
    let [state, reason, tcp_state] = place.take();
    let [both, toserver, toclient] = place.take();
    let has = |flag| flags & flag != 0;
    let session = TcpSession {
        state: known("tcp state", &TcpState::ALL, tcp_state)?,
        gap_toserver: has(GAP_TOSERVER),
        gap_toclient: has(GAP_TOCLIENT),
        max_regions_toserver,
        max_regions_toclient,
    };
    let tcp = TcpPart {
        flags: TcpFlags(both),
        flags_toserver: TcpFlags(toserver),
        flags_toclient: TcpFlags(toclient),
        session: has(HAS_SESSION).then_some(session),
    };
    Ok(FlowRecord {
        common: Common {
            timestamp,
            flow_id,
            in_iface: has(HAS_PORT).then_some(PortId(port)),
            ip_version,
            source,
            destination,
            source_port,
            destination_port,
            protocol,
            ..Common::default()
        },
        counts,
        bypassed: None,
        start,
        end,
        emergency: has(EMERGENCY),
        state: known("flow state", &STATES, state)?,
        bypass: None,
        reason: known("end reason", &REASONS, reason)?,
        alerted: has(ALERTED),
        uninspected: has(UNINSPECTED),
        elephant_toserver: false,
        elephant_toclient: false,
        action: None,
        exception_policies: PolicyTargets::default(),
        tcp: has(HAS_TCP).then_some(tcp),
    })
}

/// In the place of a session that there is not.
const NO_SESSION: TcpSession = TcpSession {
    state: TcpState::None,
    gap_toserver: false,
    gap_toclient: false,
    max_regions_toserver: 0,
    max_regions_toclient: 0,
};

fn known<T: Copy>(field: &'static str, values: &[T], code: u8) -> Result<T, DecodeError> {
    by_code(values, code).ok_or(DecodeError::BadValue { field, value: code })
}

/// One field after the other. In line, so that every place is known to the compiler, and nothing is asked at run time.
struct Places<B> {
    bytes: B,
    at: usize,
}

impl Places<&mut [u8; BLOCK]> {
    #[inline(always)]
    fn put<const N: usize>(&mut self, value: [u8; N]) {
        if let Some(place) = self.bytes.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut) {
            *place = value;
        }
        self.at += N;
    }
}

impl Places<&[u8; BLOCK]> {
    #[inline(always)]
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let value = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk).copied();
        self.at += N;
        value.unwrap_or([0; N])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field that had no room would be lost without a word.
    #[test]
    fn the_block_has_room_for_every_field() {
        let empty = [0; BLOCK];
        let mut bytes = [0xff; BLOCK];
        for code in [BLOCK - 6, BLOCK - 5, BLOCK - 4] {
            bytes[code] = 0;
        }
        let empty = take(&mut Reader::new(&empty)).unwrap();
        let full = take(&mut Reader::new(&bytes)).unwrap();
        for record in [empty, full] {
            let mut out = Vec::new();
            put(&mut Writer::new(&mut out), &record);
            let mut reader = Reader::new(&out);
            assert_eq!(take(&mut reader), Ok(record));
            assert_eq!((reader.remaining(), out.len()), (0, BLOCK));
        }
        assert_eq!(full.tcp.map(|tcp| tcp.flags_toclient), Some(TcpFlags(0xff)));
    }
}
