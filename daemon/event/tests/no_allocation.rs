//! After start, reporting allocates nothing: not when taken, not when refused, not when cut.

mod parts;

use parts::parts;
use portcullis_event::ring::{RingMode, rings};
use portcullis_event::{Class, Record};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

#[test]
fn nothing_is_allocated_on_the_way() {
    let mut runner = TestRunner::deterministic();
    let (mut reporter, [mut evidence, mut flow]) = rings(0, 0, RingMode::Live);
    let mut buffer = Vec::with_capacity(portcullis_event::MAX_RECORD);
    for _ in 0..50 {
        let parts = parts(150_000).new_tree(&mut runner).map(|tree| tree.current());
        let parts = parts.expect("any values will do");
        let records = parts.records();
        let info = allocation_counter::measure(|| {
            // Statistics are boxed, on the supervisor's side; all others are a worker's.
            for record in records.iter().filter(|record| !matches!(record, Record::Stats(_))) {
                while reporter.push(record).is_ok() {}
                for ring in [&mut evidence, &mut flow] {
                    while ring.pop(&mut buffer) {
                        assert!(Record::decode(&buffer).is_ok());
                    }
                }
            }
        });
        assert_eq!(info.count_total, 0);
    }
    let (evidence, flow) = (reporter.counts(Class::Evidence), reporter.counts(Class::Flow));
    assert!(evidence.pushed > 0 && evidence.refused > 0 && evidence.truncated > 0, "{evidence:?}");
    assert!(flow.pushed > 0 && flow.refused > 0, "{flow:?}");
}
