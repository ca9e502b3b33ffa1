//! That the address sanitizer finds what a faulty plugin in C does.

use crate::built::{compile, source};
use crate::rig::{registry, run, udp};
use std::process::Command;

/// Set in the process of its own that the fault is committed in.
const COMMIT: &str = "PORTCULLIS_TEST_FAULT";

const WRITES_BEYOND: &str = "
static int32_t update(void *worker UNUSED, PortcullisFlow *flow, PortcullisPacket *packet UNUSED)
{
    char *four = calloc(4, 1);
    four[host->flow_protocol(flow) - 13] = 'x';
    int32_t failed = four[3] == 'x';
    free(four);
    return failed;
}";

const USES_FREED: &str = "
static char *kept;
static int32_t update(void *worker UNUSED, PortcullisFlow *flow UNUSED, PortcullisPacket *packet UNUSED)
{
    if (kept == NULL) {
        kept = malloc(4);
        free(kept);
        return PORTCULLIS_OK;
    }
    return kept[0] == 'x';
}";

fn commit(before: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = compile(folder.path(), "faulty", &source("faulty", before, "plugin->update = update;"));
    run(registry(&path, &[]), (0..3).map(|at| udp(at, 1, true, b"x")).collect(), 1);
}

/// Runs itself again: the sanitizer ends the process.
fn check(test: &str, before: &str, expected: &str) {
    if std::env::var_os(COMMIT).is_some() {
        commit(before);
        return;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args(["--exact", &format!("faulty::{test}")]).env(COMMIT, "1").output().unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "nobody noticed");
    assert!(report.contains(expected) && report.contains("faulty."), "{report}");
}

#[test]
fn a_write_beyond_the_end_is_found() {
    check("a_write_beyond_the_end_is_found", WRITES_BEYOND, "heap-buffer-overflow");
}

#[test]
fn a_use_after_free_is_found() {
    check("a_use_after_free_is_found", USES_FREED, "heap-use-after-free");
}
