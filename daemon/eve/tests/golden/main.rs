//! Lines as Suricata prints them, key by key and in its order.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerts;
mod drops;
mod flows;
mod options;
mod samples;
mod statistics;

use jiff::tz::TimeZone;
use portcullis_eve::{EveOptions, Formatter};
use portcullis_event::Record;

/// Everything that can be turned on.
pub(crate) fn all_options() -> EveOptions {
    let mut options = EveOptions {
        interfaces: vec!["eth1".to_owned(), "eth2".to_owned()],
        ethernet: true,
        flow_exception_policy: true,
        ..EveOptions::default()
    };
    options.types.netflow = true;
    options.alert.payload = true;
    options.alert.payload_printable = true;
    options.alert.payload_length = true;
    options.alert.packet = true;
    options.alert.rule_raw = true;
    options.alert.rule_reference = true;
    options.alert.verdict = true;
    options.drop.verdict = true;
    options
}

pub(crate) fn line(options: EveOptions, record: &Record<'_>) -> String {
    let mut out = b"before\n".to_vec();
    assert!(Formatter::with_time_zone(options, TimeZone::UTC).format(record, &mut out));
    let text = String::from_utf8(out).unwrap();
    text.strip_prefix("before\n").unwrap().to_owned()
}

/// The line must be these pieces, one after the other.
pub(crate) fn check(options: EveOptions, record: &Record<'_>, expected: &[&str]) {
    assert_eq!(line(options, record), expected.concat() + "\n");
}
