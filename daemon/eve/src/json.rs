//! The JSON objects, as structs whose fields are Suricata's keys in Suricata's order. Each comes
//! from a record by one function; nothing else knows the keys.

mod alert;
mod blind;
mod dropped;
mod flow;
mod header;
mod listed;
mod plain_flow;
mod stats;

use crate::clock::{Clock, Stamp};
use crate::options::EveOptions;
use crate::value::Ip;
use portcullis_wire::{Address, Timestamp};

pub(crate) use alert::alert;
pub(crate) use blind::blind;
pub(crate) use dropped::dropped;
pub(crate) use flow::{flow, netflow};
pub(crate) use listed::listed;
pub(crate) use plain_flow::plain_flow;
pub(crate) use stats::{TreeOrder, stats};

/// What the objects are made with.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) options: &'a EveOptions,
    /// By port, `in_iface` with its key, as it stands between other keys.
    pub(crate) interfaces: &'a [Vec<u8>],
    pub(crate) clock: &'a mut Clock,
    pub(crate) counters: &'a TreeOrder,
}

impl Scope<'_> {
    fn stamp(&mut self, time: Timestamp) -> Stamp {
        self.clock.stamp(time)
    }

    fn ip(&self, address: Address, version: u8) -> Ip {
        Ip { address, version, compress: self.options.compress_ipv6 }
    }
}

/// Does EVE print ports for this protocol? For TCP, UDP and SCTP only.
const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | 132)
}

/// Whole seconds of the clock between two times, as Suricata counts a flow's age: the fractions
/// are cut off before, not after.
const fn age(start: Timestamp, end: Timestamp) -> u64 {
    end.as_secs().saturating_sub(start.as_secs())
}
