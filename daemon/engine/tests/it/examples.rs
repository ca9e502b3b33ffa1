//! The examples do what they say: each checks itself and fails otherwise.

use std::path::PathBuf;
use std::process::Command;

/// Examples are built with the tests, beside them.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples").join(name)
}

fn check(name: &str, says: &str) {
    let output = Command::new(example(name)).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.trim_end(), says);
}

#[test]
fn a_byte_counter_by_flow() {
    check("byte_counter", "payload bytes by flow: [10, 17]");
}

#[test]
fn a_removal_hook_that_reports_long_flows() {
    check("long_flows", "flows of a minute and more lasted: [80] s");
}

#[test]
fn an_update_hook_that_drops() {
    check("drop_by_update", "verdicts: [Accept, Drop(Callback), Drop(FlowDrop), Accept]");
}
