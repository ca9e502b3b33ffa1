//! The parts that several records have.

use crate::alert::{Alert, AlertAction, PacketVerdict, RejectTarget, Target, VerdictAction, Would};
use crate::bytes::{Reader, Writer};
use crate::common::{Common, Counts, Ether, IcmpType, Mac, PacketSource, Tunnel};
use crate::record::DecodeError;
use crate::text::TextList;
use portcullis_capture::PortId;
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::{TcpFlags, VlanIds};

/// Bounds of what is of variable length, in bytes. Their sum, with every other field, stays well
/// below a record's bound, so that payload and packet always get some of it.
const FLOWBITS: usize = 4096;
const MACS: usize = 64 * size_of::<Mac>();
const SIGNATURE: usize = 4096;
const CATEGORY: usize = 1024;
const REFERENCES: usize = 8192;
const METADATA: usize = 8192;
const RULE: usize = 16384;

pub(super) fn put_common(writer: &mut Writer<'_>, common: &Common<'_>) {
    let Common {
        timestamp,
        flow_id,
        parent_id,
        in_iface,
        pcap_cnt,
        vlans,
        ip_version,
        source,
        destination,
        source_port,
        destination_port,
        protocol,
        icmp,
        response_icmp,
        spi,
        pkt_src,
        tunnel,
        ether,
        flowbits,
    } = common;
    writer.u64(timestamp.as_nanos());
    writer.option(*flow_id, Writer::u64);
    writer.option(*parent_id, Writer::u64);
    writer.option(*in_iface, |writer, PortId(port)| writer.u8(port));
    writer.option(*pcap_cnt, Writer::u64);
    put_vlans(writer, vlans);
    writer.u8(*ip_version);
    writer.array(source);
    writer.array(destination);
    writer.u16(*source_port);
    writer.u16(*destination_port);
    writer.u8(*protocol);
    writer.option(*icmp, put_icmp);
    writer.option(*response_icmp, put_icmp);
    writer.option(*spi, Writer::u32);
    writer.option(*pkt_src, |writer, source| writer.u8(source.code()));
    writer.option(tunnel.as_ref(), put_tunnel);
    writer.text(ether.source.as_flattened(), MACS);
    writer.text(ether.destination.as_flattened(), MACS);
    put_list(writer, *flowbits, FLOWBITS, 1);
}

pub(super) fn common<'a>(reader: &mut Reader<'a>) -> Result<Common<'a>, DecodeError> {
    Ok(Common {
        timestamp: timestamp(reader)?,
        flow_id: reader.option(Reader::u64)?,
        parent_id: reader.option(Reader::u64)?,
        in_iface: reader.option(|reader| reader.u8().map(PortId))?,
        pcap_cnt: reader.option(Reader::u64)?,
        vlans: vlans(reader)?,
        ip_version: reader.u8()?,
        source: reader.array()?,
        destination: reader.array()?,
        source_port: reader.u16()?,
        destination_port: reader.u16()?,
        protocol: reader.u8()?,
        icmp: reader.option(icmp)?,
        response_icmp: reader.option(icmp)?,
        spi: reader.option(Reader::u32)?,
        pkt_src: reader.option(packet_source)?,
        tunnel: reader.option(tunnel)?,
        ether: Ether { source: macs(reader)?, destination: macs(reader)? },
        flowbits: list(reader)?,
    })
}

pub(super) fn put_alert(writer: &mut Writer<'_>, alert: &Alert<'_>) {
    let Alert {
        action,
        would,
        gid,
        sid,
        rev,
        signature,
        category,
        severity,
        target,
        references,
        metadata,
        rule,
    } = alert;
    writer.u8(action.code());
    writer.option(*would, |writer, would| writer.u8(would.code()));
    writer.u32(*gid);
    writer.u32(*sid);
    writer.u32(*rev);
    writer.text(signature, SIGNATURE);
    writer.text(category, CATEGORY);
    writer.u8(*severity);
    writer.option(*target, |writer, target| writer.u8(target.code()));
    put_list(writer, *references, REFERENCES, 1);
    put_list(writer, *metadata, METADATA, 2);
    writer.text(rule, RULE);
}

pub(super) fn alert<'a>(reader: &mut Reader<'a>) -> Result<Alert<'a>, DecodeError> {
    Ok(Alert {
        action: reader.code("alert action", AlertAction::from_code)?,
        would: reader.option(|reader| reader.code("would", Would::from_code))?,
        gid: reader.u32()?,
        sid: reader.u32()?,
        rev: reader.u32()?,
        signature: reader.text()?,
        category: reader.text()?,
        severity: reader.u8()?,
        target: reader.option(|reader| reader.code("target", Target::from_code))?,
        references: list(reader)?,
        metadata: list(reader)?,
        rule: reader.text()?,
    })
}

pub(super) fn put_verdict(writer: &mut Writer<'_>, verdict: PacketVerdict) {
    writer.u8(verdict.action.code());
    writer.option(verdict.reject, |writer, target| writer.u8(target.code()));
}

pub(super) fn verdict(reader: &mut Reader<'_>) -> Result<PacketVerdict, DecodeError> {
    Ok(PacketVerdict {
        action: reader.code("verdict action", VerdictAction::from_code)?,
        reject: reader.option(|reader| reader.code("reject target", RejectTarget::from_code))?,
    })
}

pub(super) fn put_counts(writer: &mut Writer<'_>, counts: Counts) {
    writer.u64(counts.pkts_toserver);
    writer.u64(counts.pkts_toclient);
    writer.u64(counts.bytes_toserver);
    writer.u64(counts.bytes_toclient);
}

pub(super) fn counts(reader: &mut Reader<'_>) -> Result<Counts, DecodeError> {
    Ok(Counts {
        pkts_toserver: reader.u64()?,
        pkts_toclient: reader.u64()?,
        bytes_toserver: reader.u64()?,
        bytes_toclient: reader.u64()?,
    })
}

pub(super) fn timestamp(reader: &mut Reader<'_>) -> Result<Timestamp, DecodeError> {
    reader.u64().map(Timestamp::from_nanos)
}

pub(super) fn put_tcp_flags(writer: &mut Writer<'_>, TcpFlags(bits): TcpFlags) {
    writer.u8(bits);
}

pub(super) fn tcp_flags(reader: &mut Reader<'_>) -> Result<TcpFlags, DecodeError> {
    reader.u8().map(TcpFlags)
}

fn packet_source(reader: &mut Reader<'_>) -> Result<PacketSource, DecodeError> {
    reader.code("pkt_src", PacketSource::from_code)
}

fn put_tunnel(writer: &mut Writer<'_>, tunnel: &Tunnel) {
    let Tunnel {
        ip_version,
        source,
        destination,
        source_port,
        destination_port,
        protocol,
        depth,
        pcap_cnt,
        pkt_src,
    } = tunnel;
    writer.u8(*ip_version);
    writer.array(source);
    writer.array(destination);
    writer.u16(*source_port);
    writer.u16(*destination_port);
    writer.u8(*protocol);
    writer.u8(*depth);
    writer.option(*pcap_cnt, Writer::u64);
    writer.u8(pkt_src.code());
}

fn tunnel(reader: &mut Reader<'_>) -> Result<Tunnel, DecodeError> {
    Ok(Tunnel {
        ip_version: reader.u8()?,
        source: reader.array()?,
        destination: reader.array()?,
        source_port: reader.u16()?,
        destination_port: reader.u16()?,
        protocol: reader.u8()?,
        depth: reader.u8()?,
        pcap_cnt: reader.option(Reader::u64)?,
        pkt_src: packet_source(reader)?,
    })
}

fn put_icmp(writer: &mut Writer<'_>, icmp: IcmpType) {
    writer.u8(icmp.kind);
    writer.u8(icmp.code);
}

fn icmp(reader: &mut Reader<'_>) -> Result<IcmpType, DecodeError> {
    Ok(IcmpType { kind: reader.u8()?, code: reader.u8()? })
}

fn put_vlans(writer: &mut Writer<'_>, vlans: &VlanIds) {
    let ids = vlans.as_slice();
    writer.u8(u8::try_from(ids.len()).unwrap_or(u8::MAX));
    for id in ids {
        writer.u16(*id);
    }
}

fn vlans(reader: &mut Reader<'_>) -> Result<VlanIds, DecodeError> {
    let mut vlans = VlanIds::default();
    let count = reader.u8()?;
    for _ in 0..count {
        if !vlans.push(reader.u16()?) {
            return Err(DecodeError::BadValue { field: "number of VLAN ids", value: count });
        }
    }
    Ok(vlans)
}

fn macs<'a>(reader: &mut Reader<'a>) -> Result<&'a [Mac], DecodeError> {
    match reader.text()?.as_chunks() {
        (macs, []) => Ok(macs),
        _ => Err(DecodeError::BadList),
    }
}

fn put_list(writer: &mut Writer<'_>, list: TextList<'_>, limit: usize, group: usize) {
    let kept = list.clipped(limit, group);
    writer.truncated |= kept.packed().len() < list.packed().len();
    writer.text(kept.packed(), limit);
}

fn list<'a>(reader: &mut Reader<'a>) -> Result<TextList<'a>, DecodeError> {
    TextList::from_packed(reader.text()?).ok_or(DecodeError::BadList)
}
