//! Records about a whole flow.

use super::shared;
use crate::bytes::{Reader, Writer};
use crate::flow::{
    ExceptionPolicy, ExceptionTarget, FlowRecord, NetflowRecord, PolicyTargets, TcpPart, TcpSession, TtlRange,
};
use crate::record::DecodeError;
use portcullis_capture::DropReason;
use portcullis_flow::flow::Bypass;
use portcullis_flow::{EndReason, FlowAction, FlowState, TcpState};

/// Each in the order of their discriminants.
pub(super) const STATES: [FlowState; 4] =
    [FlowState::New, FlowState::Established, FlowState::Closed, FlowState::Bypassed];
const BYPASSES: [Bypass; 2] = [Bypass::Local, Bypass::Capture];
pub(super) const REASONS: [EndReason; 6] = [
    EndReason::TcpReuse,
    EndReason::Forced,
    EndReason::Shutdown,
    EndReason::Timeout,
    EndReason::HandedOver,
    EndReason::Unknown,
];

/// The code of passing a flow; smaller ones are the reasons for dropping it.
const PASS: u8 = u8::MAX;

pub(super) fn put_flow(writer: &mut Writer<'_>, record: &FlowRecord<'_>) {
    let FlowRecord {
        common,
        counts,
        bypassed,
        start,
        end,
        emergency,
        state,
        bypass,
        reason,
        alerted,
        uninspected,
        elephant_toserver,
        elephant_toclient,
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
    writer.u8(*state as u8);
    writer.option(*bypass, |writer, bypass| writer.u8(bypass as u8));
    writer.u8(*reason as u8);
    writer.bool(*alerted);
    writer.bool(*uninspected);
    writer.bool(*elephant_toserver);
    writer.bool(*elephant_toclient);
    writer.option(*action, put_action);
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
        state: reader.code("flow state", |code| by_code(&STATES, code))?,
        bypass: reader.option(|reader| reader.code("bypass", |code| by_code(&BYPASSES, code)))?,
        reason: reader.code("end reason", |code| by_code(&REASONS, code))?,
        alerted: reader.bool()?,
        uninspected: reader.bool()?,
        elephant_toserver: reader.bool()?,
        elephant_toclient: reader.bool()?,
        action: reader.option(|reader| reader.code("flow action", action))?,
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

pub(super) fn by_code<T: Copy>(values: &[T], code: u8) -> Option<T> {
    values.get(usize::from(code)).copied()
}

fn put_action(writer: &mut Writer<'_>, action: FlowAction) {
    writer.u8(match action {
        FlowAction::Drop(reason) => reason as u8,
        FlowAction::Pass => PASS,
    });
}

fn action(code: u8) -> Option<FlowAction> {
    if code == PASS { Some(FlowAction::Pass) } else { by_code(&DropReason::ALL, code).map(FlowAction::Drop) }
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

fn put_tcp(writer: &mut Writer<'_>, tcp: TcpPart) {
    let TcpPart { flags, flags_toserver, flags_toclient, session } = tcp;
    shared::put_tcp_flags(writer, flags);
    shared::put_tcp_flags(writer, flags_toserver);
    shared::put_tcp_flags(writer, flags_toclient);
    writer.option(session, |writer, session| {
        writer.u8(session.state as u8);
        writer.bool(session.gap_toserver);
        writer.bool(session.gap_toclient);
        writer.u16(session.max_regions_toserver);
        writer.u16(session.max_regions_toclient);
    });
}

fn tcp(reader: &mut Reader<'_>) -> Result<TcpPart, DecodeError> {
    Ok(TcpPart {
        flags: shared::tcp_flags(reader)?,
        flags_toserver: shared::tcp_flags(reader)?,
        flags_toclient: shared::tcp_flags(reader)?,
        session: reader.option(|reader| {
            Ok(TcpSession {
                state: reader.code("tcp state", |code| by_code(&TcpState::ALL, code))?,
                gap_toserver: reader.bool()?,
                gap_toclient: reader.bool()?,
                max_regions_toserver: reader.u16()?,
                max_regions_toclient: reader.u16()?,
            })
        })?,
    })
}
