//! Once its buffer has grown, printing a record allocates nothing.

#[path = "../../event/tests/parts/mod.rs"]
mod parts;

use jiff::tz::TimeZone;
use parts::parts;
use portcullis_eve::{EveOptions, EventTypes, Formatter};
use portcullis_event::Record;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

#[test]
fn nothing_but_the_buffer() {
    let types = EventTypes { netflow: true, ..EventTypes::default() };
    let mut options =
        EveOptions { types, ethernet: true, flow_exception_policy: true, ..EveOptions::default() };
    options.alert.payload = true;
    options.alert.payload_printable = true;
    options.alert.packet = true;
    options.alert.rule_reference = true;
    options.alert.verdict = true;
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
    let mut formatter = Formatter::with_time_zone(options, zone);

    let mut runner = TestRunner::deterministic();
    let mut line = Vec::with_capacity(1 << 20);
    for _ in 0..100 {
        let parts = parts(2000).new_tree(&mut runner).map(|tree| tree.current());
        let parts = parts.expect("any values will do");
        for record in &parts.records() {
            line.clear();
            let info = allocation_counter::measure(|| {
                formatter.format(record, &mut line);
            });
            // Statistics are gathered first; they come every few seconds.
            let allowed = u64::from(matches!(record, Record::Stats(_)));
            assert_eq!(info.count_total, allowed, "{}", String::from_utf8_lossy(&line));
        }
    }
}
