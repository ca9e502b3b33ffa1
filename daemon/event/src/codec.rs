//! Records as bytes: a length, a kind, a flag for what was cut, and the fields in the order of
//! their structs. Only one build ever reads what it wrote, so there is no version.

mod packet;
mod plain_flow;
mod shared;
mod whole_flow;

use crate::blind::BlindRecord;
use crate::bytes::{Reader, Writer};
use crate::counters::Counters;
use crate::record::{DecodeError, Record};
use crate::stats::{RuleCounts, StatsRecord};
use portcullis_capture::PortId;
use portcullis_wire::Timestamp;

const ALERT: u8 = 0;
const DROP: u8 = 1;
const FLOW: u8 = 2;
const NETFLOW: u8 = 3;
const STATS: u8 = 4;
const BLIND: u8 = 5;
const LISTED: u8 = 6;
/// A flow of which all fits into one block.
const PLAIN_FLOW: u8 = 7;

/// Bytes before the fields: the length of what follows it, the kind, the flag.
const HEADER: usize = LENGTH + 2;
const LENGTH: usize = size_of::<u32>();

pub(crate) fn encode(record: &Record<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let kind = match record {
        Record::Alert(_) => ALERT,
        Record::Drop(_) => DROP,
        Record::Flow(record) if plain_flow::is_plain(record) => PLAIN_FLOW,
        Record::Flow(_) => FLOW,
        Record::Netflow(_) => NETFLOW,
        Record::Stats(_) => STATS,
        Record::Blind(_) => BLIND,
        Record::Listed(_) => LISTED,
    };
    out.extend_from_slice(&[0, 0, 0, 0, kind, 0]);
    let mut writer = Writer::new(out);
    match record {
        Record::Alert(record) => packet::put_alert_record(&mut writer, record, start),
        Record::Drop(record) => packet::put_drop_record(&mut writer, record),
        Record::Flow(record) if kind == PLAIN_FLOW => plain_flow::put(&mut writer, record),
        Record::Flow(record) => whole_flow::put_flow(&mut writer, record),
        Record::Netflow(record) => whole_flow::put_netflow(&mut writer, record),
        Record::Stats(record) => put_stats(&mut writer, record),
        Record::Blind(record) => put_blind(&mut writer, record),
        Record::Listed(record) => packet::put_listed(&mut writer, record),
    }
    let truncated = writer.truncated;
    let length = u32::try_from(out.len() - start - LENGTH).unwrap_or(u32::MAX);
    let [a, b, c, d] = length.to_le_bytes();
    let header = [a, b, c, d, kind, u8::from(truncated)];
    if let Some(place) = out.get_mut(start..start + HEADER) {
        place.copy_from_slice(&header);
    }
    truncated
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Record<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let read = fields(&mut reader);
    if reader.is_too_short() {
        return Err(DecodeError::TooShort);
    }
    match reader.remaining() {
        0 => read,
        more => read.and(Err(DecodeError::TooLong(more))),
    }
}

fn fields<'a>(reader: &mut Reader<'a>) -> Result<Record<'a>, DecodeError> {
    let length = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    if length > reader.remaining() {
        return Err(DecodeError::TooShort);
    }
    let kind = reader.u8()?;
    let truncated = reader.bool()?;
    Ok(match kind {
        ALERT => Record::Alert(packet::alert_record(reader, truncated)?),
        DROP => Record::Drop(packet::drop_record(reader, truncated)?),
        FLOW => Record::Flow(whole_flow::flow(reader)?),
        PLAIN_FLOW => Record::Flow(plain_flow::take(reader)?),
        NETFLOW => Record::Netflow(whole_flow::netflow(reader)?),
        STATS => Record::Stats(stats(reader)?),
        BLIND => Record::Blind(blind(reader)?),
        LISTED => Record::Listed(packet::listed(reader)?),
        value => return Err(DecodeError::BadValue { field: "kind", value }),
    })
}

fn put_blind(writer: &mut Writer<'_>, record: &BlindRecord) {
    let BlindRecord { timestamp, port, queue, start, end, packets, passed } = *record;
    writer.u8(port.0);
    writer.u32(queue);
    for word in [timestamp.as_nanos(), start.as_nanos(), end.as_nanos(), packets, passed] {
        writer.u64(word);
    }
}

fn blind(reader: &mut Reader<'_>) -> Result<BlindRecord, DecodeError> {
    let (port, queue) = (PortId(reader.u8()?), reader.u32()?);
    let mut time = || Ok(Timestamp::from_nanos(reader.u64()?));
    let (timestamp, start, end) = (time()?, time()?, time()?);
    Ok(BlindRecord { timestamp, port, queue, start, end, packets: reader.u64()?, passed: reader.u64()? })
}

fn put_stats(writer: &mut Writer<'_>, record: &StatsRecord) {
    writer.u64(record.timestamp.as_nanos());
    writer.u64(record.uptime);
    writer.option(record.rules, |writer, rules| {
        writer.u64(rules.last_reload.as_nanos());
        writer.u64(rules.loaded);
        writer.u64(rules.failed);
        writer.u64(rules.skipped);
    });
    for value in record.counters.values() {
        writer.u64(value);
    }
}

fn stats(reader: &mut Reader<'_>) -> Result<StatsRecord, DecodeError> {
    let timestamp = Timestamp::from_nanos(reader.u64()?);
    let uptime = reader.u64()?;
    let rules = reader.option(|reader| {
        Ok(RuleCounts {
            last_reload: Timestamp::from_nanos(reader.u64()?),
            loaded: reader.u64()?,
            failed: reader.u64()?,
            skipped: reader.u64()?,
        })
    })?;
    let mut values = [0; Counters::NAMES.len()];
    for value in &mut values {
        *value = reader.u64()?;
    }
    Ok(StatsRecord { timestamp, uptime, counters: Box::new(Counters::from_values(values)), rules })
}
