//! Records about one packet.

use super::shared;
use crate::alert::{AlertFlow, AlertRecord};
use crate::bytes::{Reader, Writer};
use crate::dropped::{DropRecord, DroppedPacket, DroppedTransport};
use crate::listed::ListedRecord;
use crate::record::{DecodeError, MAX_RECORD};
use portcullis_capture::DropReason;
use portcullis_flow::Direction;

/// In the order of their discriminants.
const DIRECTIONS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

/// Longest name of a list, in bytes; what is more is cut.
const MAX_LIST_NAME: usize = 256;

const NO_TRANSPORT: u8 = 0;
const TCP: u8 = 1;
const UDP: u8 = 2;
const ICMP: u8 = 3;

/// `start` is where the record begins in the writer's vector.
pub(super) fn put_alert_record(writer: &mut Writer<'_>, record: &AlertRecord<'_>, start: usize) {
    let AlertRecord {
        common,
        alert,
        direction,
        flow,
        payload,
        payload_length,
        stream,
        packet,
        linktype,
        verdict,
        truncated: _,
    } = record;
    shared::put_common(writer, common);
    shared::put_alert(writer, alert);
    put_direction(writer, *direction);
    writer.option(*flow, put_alert_flow);
    writer.u32(*payload_length);
    writer.bool(*stream);
    writer.u32(*linktype);
    writer.option(*verdict, shared::put_verdict);

    // What is left of the bound is shared: each gets half of it, or what the other leaves.
    let overhead = |bytes: Option<&[u8]>| if bytes.is_some() { 1 + size_of::<u32>() } else { 1 };
    let end = writer.len() + overhead(*payload) + overhead(*packet);
    let room = (start + MAX_RECORD).saturating_sub(end);
    let packet_length = packet.map_or(0, <[u8]>::len);
    let for_payload = (room / 2).max(room.saturating_sub(packet_length));
    let for_packet = room - payload.map_or(0, <[u8]>::len).min(for_payload);
    writer.option(*payload, |writer, payload| writer.bytes(payload, for_payload));
    writer.option(*packet, |writer, packet| writer.bytes(packet, for_packet));
}

pub(super) fn alert_record<'a>(
    reader: &mut Reader<'a>,
    truncated: bool,
) -> Result<AlertRecord<'a>, DecodeError> {
    let common = shared::common(reader)?;
    let alert = shared::alert(reader)?;
    let direction = direction(reader)?;
    let flow = reader.option(alert_flow)?;
    let payload_length = reader.u32()?;
    let stream = reader.bool()?;
    let linktype = reader.u32()?;
    let verdict = reader.option(shared::verdict)?;
    let payload = reader.option(Reader::bytes)?;
    let packet = reader.option(Reader::bytes)?;
    Ok(AlertRecord {
        common,
        alert,
        direction,
        flow,
        payload,
        payload_length,
        stream,
        packet,
        linktype,
        verdict,
        truncated,
    })
}

pub(super) fn put_drop_record(writer: &mut Writer<'_>, record: &DropRecord<'_>) {
    let DropRecord { common, direction, packet, reason, alert, verdict, repeated, truncated: _ } = record;
    shared::put_common(writer, common);
    put_direction(writer, *direction);
    put_dropped_packet(writer, packet);
    writer.u8(*reason as u8);
    writer.option(alert.as_ref(), shared::put_alert);
    writer.option(*verdict, shared::put_verdict);
    writer.bool(*repeated);
}

pub(super) fn drop_record<'a>(
    reader: &mut Reader<'a>,
    truncated: bool,
) -> Result<DropRecord<'a>, DecodeError> {
    Ok(DropRecord {
        common: shared::common(reader)?,
        direction: direction(reader)?,
        packet: dropped_packet(reader)?,
        reason: reader.code("drop reason", |code| DropReason::ALL.get(usize::from(code)).copied())?,
        alert: reader.option(shared::alert)?,
        verdict: reader.option(shared::verdict)?,
        repeated: reader.bool()?,
        truncated,
    })
}

pub(super) fn put_listed(writer: &mut Writer<'_>, record: &ListedRecord<'_>) {
    let ListedRecord { common, packet, list, dropped } = record;
    shared::put_common(writer, common);
    put_dropped_packet(writer, packet);
    writer.text(list, MAX_LIST_NAME);
    writer.bool(*dropped);
}

pub(super) fn listed<'a>(reader: &mut Reader<'a>) -> Result<ListedRecord<'a>, DecodeError> {
    Ok(ListedRecord {
        common: shared::common(reader)?,
        packet: dropped_packet(reader)?,
        list: reader.text()?,
        dropped: reader.bool()?,
    })
}

fn put_direction(writer: &mut Writer<'_>, direction: Option<Direction>) {
    writer.option(direction, |writer, direction| writer.u8(direction as u8));
}

fn direction(reader: &mut Reader<'_>) -> Result<Option<Direction>, DecodeError> {
    reader.option(|reader| reader.code("direction", |code| DIRECTIONS.get(usize::from(code)).copied()))
}

fn put_alert_flow(writer: &mut Writer<'_>, flow: AlertFlow) {
    shared::put_counts(writer, flow.counts);
    writer.u64(flow.start.as_nanos());
    writer.array(&flow.source);
    writer.array(&flow.destination);
    writer.u16(flow.source_port);
    writer.u16(flow.destination_port);
}

fn alert_flow(reader: &mut Reader<'_>) -> Result<AlertFlow, DecodeError> {
    Ok(AlertFlow {
        counts: shared::counts(reader)?,
        start: shared::timestamp(reader)?,
        source: reader.array()?,
        destination: reader.array()?,
        source_port: reader.u16()?,
        destination_port: reader.u16()?,
    })
}

fn put_dropped_packet(writer: &mut Writer<'_>, packet: &DroppedPacket) {
    let DroppedPacket { length, tos, ttl, ip_id, flow_label, transport } = packet;
    writer.u32(*length);
    writer.u8(*tos);
    writer.u8(*ttl);
    writer.u16(*ip_id);
    writer.u32(*flow_label);
    match *transport {
        DroppedTransport::None => writer.u8(NO_TRANSPORT),
        DroppedTransport::Tcp { seq, ack, window, flags, reserved, urgent } => {
            writer.u8(TCP);
            writer.u32(seq);
            writer.u32(ack);
            writer.u16(window);
            shared::put_tcp_flags(writer, flags);
            writer.u8(reserved);
            writer.u16(urgent);
        }
        DroppedTransport::Udp { length } => {
            writer.u8(UDP);
            writer.u16(length);
        }
        DroppedTransport::Icmp { id, sequence } => {
            writer.u8(ICMP);
            writer.u16(id);
            writer.u16(sequence);
        }
    }
}

fn dropped_packet(reader: &mut Reader<'_>) -> Result<DroppedPacket, DecodeError> {
    Ok(DroppedPacket {
        length: reader.u32()?,
        tos: reader.u8()?,
        ttl: reader.u8()?,
        ip_id: reader.u16()?,
        flow_label: reader.u32()?,
        transport: dropped_transport(reader)?,
    })
}

fn dropped_transport(reader: &mut Reader<'_>) -> Result<DroppedTransport, DecodeError> {
    Ok(match reader.u8()? {
        NO_TRANSPORT => DroppedTransport::None,
        TCP => DroppedTransport::Tcp {
            seq: reader.u32()?,
            ack: reader.u32()?,
            window: reader.u16()?,
            flags: shared::tcp_flags(reader)?,
            reserved: reader.u8()?,
            urgent: reader.u16()?,
        },
        UDP => DroppedTransport::Udp { length: reader.u16()? },
        ICMP => DroppedTransport::Icmp { id: reader.u16()?, sequence: reader.u16()? },
        value => return Err(DecodeError::BadValue { field: "transport", value }),
    })
}
