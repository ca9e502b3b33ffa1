//! From a record to a line of EVE JSON.

use crate::clock::Clock;
use crate::json::{self, Scope, TreeOrder};
use crate::options::{DropFlows, EveOptions};
use crate::writer::{Json, Line};
use jiff::tz::TimeZone;
use portcullis_event::{FlowRecord, Record};
use serde::{Serialize, Serializer};

/// Writes records as EVE JSON, one line each. Not shared: it remembers the zone's last offset.
#[derive(Debug)]
pub struct Formatter {
    options: EveOptions,
    clock: Clock,
    /// By port, `in_iface` with its key, as it stands between other keys.
    interfaces: Vec<Vec<u8>>,
    counters: TreeOrder,
    line: Line,
}

impl Formatter {
    /// A formatter that prints times in the system's time zone.
    #[must_use]
    pub fn new(options: EveOptions) -> Self {
        Self::with_time_zone(options, TimeZone::system())
    }

    /// A formatter that prints times in this time zone.
    #[must_use]
    pub fn with_time_zone(options: EveOptions, zone: TimeZone) -> Self {
        let interfaces = options.interfaces.iter().map(|name| in_iface(name)).collect();
        Self { options, clock: Clock::new(zone), interfaces, counters: TreeOrder::new(), line: Line::new() }
    }

    /// What is logged, and how.
    #[must_use]
    pub const fn options(&self) -> &EveOptions {
        &self.options
    }

    /// Appends the record to `out` as one line with its line feed; `false`, with nothing
    /// appended, when the options leave it out.
    pub fn format(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> bool {
        if !self.wants(record) {
            return false;
        }
        if let Record::Flow(record) = record
            && let Some(line) = self.plain_flow(record)
        {
            out.extend_from_slice(line);
            return true;
        }
        let start = out.len();
        // None of our values can fail here; half a line must not stay even so.
        if self.put(record, Json(out)).is_err() {
            out.truncate(start);
            return false;
        }
        out.push(b'\n');
        true
    }

    /// The line of a flow that has nothing but what every flow has; `None` for others.
    fn plain_flow(&mut self, record: &FlowRecord<'_>) -> Option<&[u8]> {
        let Self { options, clock, interfaces, counters, line } = self;
        line.clear();
        if !json::plain_flow(&mut Scope { options, clock, interfaces, counters }, record, line) {
            return None;
        }
        line.whole()
    }

    /// The record's object.
    fn put<S: Serializer>(&mut self, record: &Record<'_>, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { options, clock, interfaces, counters, .. } = self;
        let mut scope = Scope { options, clock, interfaces, counters };
        match record {
            Record::Alert(record) => json::alert(&mut scope, record).serialize(serializer),
            Record::Drop(record) => json::dropped(&mut scope, record).serialize(serializer),
            Record::Flow(record) => json::flow(&mut scope, record).serialize(serializer),
            Record::Netflow(record) => json::netflow(&mut scope, record).serialize(serializer),
            Record::Stats(record) => json::stats(&mut scope, record).serialize(serializer),
            Record::Blind(record) => json::blind(&mut scope, record).serialize(serializer),
            Record::Listed(record) => json::listed(&mut scope, record).serialize(serializer),
        }
    }

    fn wants(&self, record: &Record<'_>) -> bool {
        let types = &self.options.types;
        match record {
            Record::Alert(_) => types.alert,
            Record::Drop(record) => {
                types.drop && (self.options.drop.flows == DropFlows::All || !record.repeated)
            }
            Record::Flow(_) => types.flow,
            Record::Netflow(_) => types.netflow,
            Record::Stats(_) => types.stats,
            Record::Listed(record) if record.dropped => types.drop,
            Record::Listed(_) => types.alert,
            // Nobody may not want to know.
            Record::Blind(_) => true,
        }
    }
}

/// The key `in_iface` with the name of a port.
fn in_iface(name: &str) -> Vec<u8> {
    let mut text = b",\"in_iface\":".to_vec();
    // A text cannot fail.
    let _ = name.serialize(Json(&mut text));
    text
}

#[cfg(test)]
#[path = "../../event/tests/parts/mod.rs"]
mod parts;

#[cfg(test)]
mod tests {
    use super::parts::parts;
    use super::*;
    use portcullis_event::{Common, PolicyTargets};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_are_what_serde_json_writes(parts in parts(100), bits in any::<u8>()) {
            let bit = |index: u8| bits >> index & 1 == 1;
            let mut options = EveOptions {
                metadata: bit(0),
                ethernet: bit(1),
                compress_ipv6: bit(2),
                flow_exception_policy: bit(3),
                interfaces: vec!["eth\"0\"".to_owned(), "eth1".to_owned()],
                community_id: bit(4).then_some(7),
                ..EveOptions::default()
            };
            options.alert.payload = bit(5);
            options.alert.payload_printable = bit(6);
            options.alert.packet = bit(7);
            let mut formatter = Formatter::with_time_zone(options, TimeZone::UTC);
            for record in parts.records() {
                let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                formatter.put(&record, Json(&mut ours)).unwrap();
                formatter.put(&record, &mut serde_json::Serializer::new(&mut theirs)).unwrap();
                prop_assert_eq!(String::from_utf8(ours), String::from_utf8(theirs));
            }
        }

        #[test]
        fn lines_of_plain_flows_are_what_serde_json_writes(parts in parts(0), bits in any::<u16>()) {
            let bit = |index: u16| bits >> index & 1 == 1;
            let options = EveOptions {
                metadata: bit(0),
                ethernet: bit(1),
                compress_ipv6: bit(2),
                flow_exception_policy: bit(3),
                interfaces: vec!["eth\"0\"".to_owned(), "eth1".to_owned()],
                ..EveOptions::default()
            };
            let mut formatter = Formatter::with_time_zone(options, TimeZone::UTC);
            let given = parts.flow_record();
            let mut record = FlowRecord {
                bypassed: None,
                bypass: None,
                action: None,
                emergency: false,
                uninspected: false,
                elephant_toserver: false,
                elephant_toclient: false,
                ..given
            };
            record.common = Common {
                timestamp: given.common.timestamp,
                flow_id: Some(given.common.flow_id.unwrap_or(7)),
                in_iface: given.common.in_iface,
                ip_version: if bit(4) { 4 } else { 6 },
                source: given.common.source,
                destination: given.common.destination,
                source_port: given.common.source_port,
                destination_port: given.common.destination_port,
                protocol: if bit(5) { 6 } else { given.common.protocol },
                ..Common::default()
            };
            if bit(6) {
                record.common.ether = given.common.ether;
                record.common.flowbits = given.common.flowbits;
            } else {
                record.exception_policies = PolicyTargets::default();
            }
            let has_name = crate::protocol::name(record.common.protocol).is_some();
            if !bit(6) && has_name && (bit(4) || !bit(2)) {
                prop_assert!(formatter.plain_flow(&record).is_some());
            }
            let record = Record::Flow(record);
            let (mut ours, mut theirs) = (b"before".to_vec(), b"before".to_vec());
            prop_assert!(formatter.format(&record, &mut ours));
            formatter.put(&record, &mut serde_json::Serializer::new(&mut theirs)).unwrap();
            theirs.push(b'\n');
            prop_assert_eq!(String::from_utf8(ours), String::from_utf8(theirs));
        }
    }
}
