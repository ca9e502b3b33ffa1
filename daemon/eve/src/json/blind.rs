//! `blind` events: ours. A time in which no worker saw what came in by a queue.

use super::Scope;
use crate::clock::Stamp;
use portcullis_event::BlindRecord;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct BlindEvent<'a> {
    timestamp: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_iface: Option<&'a str>,
    event_type: &'static str,
    blind: BlindObject,
}

#[derive(Debug, Serialize)]
struct BlindObject {
    queue: u32,
    start: Stamp,
    end: Stamp,
    pkts: u64,
    pkts_passed: u64,
}

pub(crate) fn blind<'a>(scope: &mut Scope<'a>, record: &BlindRecord) -> BlindEvent<'a> {
    let BlindRecord { timestamp, port, queue, start, end, packets, passed } = *record;
    BlindEvent {
        timestamp: scope.stamp(timestamp),
        in_iface: scope.options.interfaces.get(usize::from(port.0)).map(String::as_str),
        event_type: "blind",
        blind: BlindObject {
            queue,
            start: scope.stamp(start),
            end: scope.stamp(end),
            pkts: packets,
            pkts_passed: passed,
        },
    }
}
