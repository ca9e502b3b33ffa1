//! Records about a whole flow.

use super::shared;
use crate::bytes::{Reader, Writer};
use crate::flow::{
    EndReason, ExceptionPolicy, ExceptionTarget, FlowAction, FlowRecord, FlowState, NetflowRecord,
    PolicyTargets, TcpSession, TcpState, TcpSummary, TtlRange,
};
use crate::record::DecodeError;

pub(super) fn put_flow(writer: &mut Writer<'_>, record: &FlowRecord<'_>) {
    let FlowRecord {
        common,
        counts,
        bypassed,
        start,
        end,
        emergency,
        state,
        reason,
        alerted,
        action,
        exception_policies,
        tcp,
    } = record;
    shared::put_common(writer, common);
    shared::put_counts(writer, *counts);
    writer.option(*bypassed, shared::put_counts);
    writer.u64(start.as_nanos());
    writer.u64(end.as_nanos());
    writer.bool(*emergency);
    writer.u8(state.code());
    writer.u8(reason.code());
    writer.bool(*alerted);
    writer.option(*action, |writer, action| writer.u8(action.code()));
    put_policies(writer, *exception_policies);
    writer.option(*tcp, put_tcp);
}

pub(super) fn flow<'a>(reader: &mut Reader<'a>) -> Result<FlowRecord<'a>, DecodeError> {
    Ok(FlowRecord {
        common: shared::common(reader)?,
        counts: shared::counts(reader)?,
        bypassed: reader.option(shared::counts)?,
        start: shared::timestamp(reader)?,
        end: shared::timestamp(reader)?,
        emergency: reader.bool()?,
        state: reader.code("flow state", FlowState::from_code)?,
        reason: reader.code("end reason", EndReason::from_code)?,
        alerted: reader.bool()?,
        action: reader.option(|reader| reader.code("flow action", FlowAction::from_code))?,
        exception_policies: policies(reader)?,
        tcp: reader.option(tcp)?,
    })
}

pub(super) fn put_netflow(writer: &mut Writer<'_>, record: &NetflowRecord<'_>) {
    let NetflowRecord { common, pkts, bytes, start, end, ttl, tcp_flags } = record;
    shared::put_common(writer, common);
    writer.u64(*pkts);
    writer.u64(*bytes);
    writer.u64(start.as_nanos());
    writer.u64(end.as_nanos());
    writer.u8(ttl.min);
    writer.u8(ttl.max);
    writer.option(*tcp_flags, shared::put_tcp_flags);
}

pub(super) fn netflow<'a>(reader: &mut Reader<'a>) -> Result<NetflowRecord<'a>, DecodeError> {
    Ok(NetflowRecord {
        common: shared::common(reader)?,
        pkts: reader.u64()?,
        bytes: reader.u64()?,
        start: shared::timestamp(reader)?,
        end: shared::timestamp(reader)?,
        ttl: TtlRange { min: reader.u8()?, max: reader.u8()? },
        tcp_flags: reader.option(shared::tcp_flags)?,
    })
}

fn put_policies(writer: &mut Writer<'_>, policies: PolicyTargets) {
    writer.u8(u8::try_from(policies.iter().count()).unwrap_or(u8::MAX));
    for (target, policy) in policies.iter() {
        writer.u8(target.code());
        writer.u8(policy.code());
    }
}

fn policies(reader: &mut Reader<'_>) -> Result<PolicyTargets, DecodeError> {
    let mut policies = PolicyTargets::default();
    for _ in 0..reader.u8()? {
        let target = reader.code("exception target", ExceptionTarget::from_code)?;
        let policy = reader.code("exception policy", ExceptionPolicy::from_code)?;
        policies.set(target, policy);
    }
    Ok(policies)
}

fn put_tcp(writer: &mut Writer<'_>, tcp: TcpSummary) {
    let TcpSummary { flags, flags_toserver, flags_toclient, session } = tcp;
    shared::put_tcp_flags(writer, flags);
    shared::put_tcp_flags(writer, flags_toserver);
    shared::put_tcp_flags(writer, flags_toclient);
    writer.option(session, |writer, session| {
        writer.u8(session.state.code());
        writer.bool(session.gap_toserver);
        writer.bool(session.gap_toclient);
        writer.u16(session.max_regions_toserver);
        writer.u16(session.max_regions_toclient);
    });
}

fn tcp(reader: &mut Reader<'_>) -> Result<TcpSummary, DecodeError> {
    Ok(TcpSummary {
        flags: shared::tcp_flags(reader)?,
        flags_toserver: shared::tcp_flags(reader)?,
        flags_toclient: shared::tcp_flags(reader)?,
        session: reader.option(|reader| {
            Ok(TcpSession {
                state: reader.code("tcp state", TcpState::from_code)?,
                gap_toserver: reader.bool()?,
                gap_toclient: reader.bool()?,
                max_regions_toserver: reader.u16()?,
                max_regions_toclient: reader.u16()?,
            })
        })?,
    })
}
