//! From a record to a line of EVE JSON.

use crate::clock::Clock;
use crate::json::{self, Scope};
use crate::options::{DropFlows, EveOptions};
use jiff::tz::TimeZone;
use portcullis_event::Record;
use serde::Serialize;

/// Writes records as EVE JSON, one line each. Not shared: it remembers the zone's last offset.
#[derive(Debug)]
pub struct Formatter {
    options: EveOptions,
    clock: Clock,
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
        Self { options, clock: Clock::new(zone) }
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
        let mut scope = Scope { options: &self.options, clock: &mut self.clock };
        match record {
            Record::Alert(record) => write_line(&json::alert(&mut scope, record), out),
            Record::Drop(record) => write_line(&json::dropped(&mut scope, record), out),
            Record::Flow(record) => write_line(&json::flow(&mut scope, record), out),
            Record::Netflow(record) => write_line(&json::netflow(&mut scope, record), out),
            Record::Stats(record) => write_line(&json::stats(&mut scope, record), out),
            Record::Blind(record) => write_line(&json::blind(&mut scope, record), out),
            Record::Listed(record) => write_line(&json::listed(&mut scope, record), out),
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

fn write_line(event: &impl Serialize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    // Neither a vector nor one of our types can fail here; half a line must not stay even so.
    if serde_json::to_writer(&mut *out, event).is_err() {
        out.truncate(start);
        return false;
    }
    out.push(b'\n');
    true
}
