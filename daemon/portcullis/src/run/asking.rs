//! What workers and the kernel know about a flow, and the last drops, for whoever asks over the control socket.

use super::listed::address;
use super::lists::ListsSay;
use super::start::{Running, wall_clock};
use crossbeam::channel::bounded;
use portcullis_bpf::pulse::coarse_now;
use portcullis_bpf::{CacheAction, CacheEntry};
use portcullis_engine::{Command, DropNote, Explained, FlowFacts, Question};
use portcullis_flow::flow::Bypass;
use portcullis_flow::{Counts, Direction, FlowAction};
use portcullis_wire::Timestamp;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long workers may take, all together. One that has packets to judge looks after each burst.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known about two ends: the flow with its verdict, what of it is answered in the kernel, the
/// lists that either is on, and drops.
///
/// # Errors
/// The workers do not answer.
pub(crate) fn explain(gate: &Running, question: &Question) -> Result<Value, String> {
    let now = wall_clock();
    let answers: Vec<Explained> = ask(gate, |answer| Command::Explain(*question, answer))?;
    let flow = answers.iter().find_map(|explained| explained.flow);
    let drops: u64 = answers.iter().filter_map(|explained| Some(explained.last_drop?.1)).sum();
    let last =
        answers.iter().filter_map(|explained| Some(explained.last_drop?.0)).max_by_key(|note| note.time);
    let cached = match (&flow, &gate.cache) {
        (Some(flow), Some(cache)) => cache.find(flow.id),
        _ => Vec::new(),
    };
    let ListsSay { lists, bypass } =
        gate.lists.as_ref().map(|lists| lists.explain(*question, PATIENCE)).unwrap_or_default();
    Ok(json!({
        "flow": flow.map(|flow| flow_value(&flow, now)),
        "kernel": cached.iter().map(entry_value).collect::<Vec<_>>(),
        "lists": lists,
        "bypass": bypass,
        "drops": { "noted": drops, "last": last.map(|note| note_value(&note, now)) },
    }))
}

/// The last drops of all workers, the latest first.
///
/// # Errors
/// The workers do not answer.
pub(crate) fn drops(gate: &Running, most: usize) -> Result<Value, String> {
    let now = wall_clock();
    let mut notes: Vec<DropNote> =
        ask(gate, |answer| Command::LastDrops(Vec::with_capacity(most), answer))?.concat();
    notes.sort_by_key(|note| std::cmp::Reverse(note.time));
    notes.truncate(most);
    let told: Vec<Value> = notes.iter().map(|note| note_value(note, now)).collect();
    Ok(json!({ "count": told.len(), "drops": told }))
}

/// Asks every worker.
fn ask<T>(
    gate: &Running,
    command: impl Fn(crossbeam::channel::Sender<T>) -> Command,
) -> Result<Vec<T>, String> {
    let (answer, answers) = bounded(gate.workers.len().max(1));
    let told = gate.workers.iter().filter(|worker| worker.tell(command(answer.clone()))).count();
    if told < gate.workers.len() {
        return Err("a worker takes no commands: try again".to_owned());
    }
    let deadline = Instant::now() + PATIENCE;
    let one =
        |_| answers.recv_deadline(deadline).map_err(|_| "a worker does not answer: try again".to_owned());
    (0..told).map(one).collect()
}

fn flow_value(flow: &FlowFacts, now: Timestamp) -> Value {
    let FlowFacts { id, state, action, bypass, condemned_by, alerted, start, last_seen, counts, answered } =
        *flow;
    let (action, reason) = match action {
        None => (None, None),
        Some(FlowAction::Pass) => (Some("pass"), None),
        Some(FlowAction::Drop(reason)) => (Some("drop"), Some(reason.name())),
    };
    let bypass = bypass.map(|bypass| match bypass {
        Bypass::Local => "local",
        Bypass::Capture => "capture",
    });
    json!({
        "flow_id": id,
        "state": state.name(),
        "action": action,
        "reason": reason,
        "rule": condemned_by.map(rule_value),
        "bypass": bypass,
        "alerted": alerted,
        "age": now.since(start).as_secs(),
        "idle": now.since(last_seen).as_secs(),
        "counts": counts_value(counts),
        "answered_in_kernel": counts_value(answered),
    })
}

fn counts_value([to_server, to_client]: [Counts; 2]) -> Value {
    json!({
        "pkts_toserver": to_server.packets,
        "pkts_toclient": to_client.packets,
        "bytes_toserver": to_server.bytes,
        "bytes_toclient": to_client.bytes,
    })
}

fn entry_value((direction, entry): &(Direction, CacheEntry)) -> Value {
    let left = Duration::from_nanos(entry.until.saturating_sub(coarse_now()));
    let action = match entry.action {
        CacheAction::Drop => "drop",
        CacheAction::Pass => "pass",
    };
    json!({
        "direction": direction.name(),
        "action": action,
        "pkts": entry.packets,
        "bytes": entry.bytes,
        "seconds_left": left.as_secs(),
    })
}

fn note_value(note: &DropNote, now: Timestamp) -> Value {
    let has_ports = note.ip_version != 0 && note.ports != (0, 0);
    let address = |bytes| (note.ip_version != 0).then(|| address(note.ip_version, bytes).to_string());
    json!({
        "time": note.time.as_nanos() / 1_000_000_000,
        "seconds_ago": now.since(note.time).as_secs(),
        "port": note.ingress.0,
        "flow_id": Some(note.flow).filter(|id| *id != 0),
        "vlan": note.vlans.as_slice(),
        "proto": note.protocol,
        "src_ip": address(note.source),
        "src_port": has_ports.then_some(note.ports.0),
        "dest_ip": address(note.destination),
        "dest_port": has_ports.then_some(note.ports.1),
        "length": note.length,
        "reason": note.reason.name(),
        "rule": note.rule.map(rule_value),
    })
}

fn rule_value((gid, sid): (u32, u32)) -> Value {
    json!({ "gid": gid, "sid": sid })
}
