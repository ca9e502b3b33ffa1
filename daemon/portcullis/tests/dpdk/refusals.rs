//! What cannot work is refused in one sentence.

use crate::gate::{Place, command, lab};
use crate::ports::{af_packet, devices, for_two};

fn check(settings: &str, expected: &str) {
    let (lab, place) = (lab(), Place::new());
    let config = place.configure(settings, "");
    let output = command(&lab, &config).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(expected), "{settings}: {said}");
}

#[test]
fn a_port_without_a_device() {
    check("capture.module = \"dpdk\"", "capture.dpdk.ports names no device for \"gate0\"");
}

#[test]
fn a_device_that_is_not_there() {
    check(&devices("net_af_packet0,iface=nowhere", "net_null0"), "DPDK has no port net_af_packet0");
    check(&devices("0000:ff:1f.7", "net_null0"), "DPDK has no port 0000:ff:1f.7");
}

#[test]
fn a_pool_that_would_run_dry() {
    let settings = format!("{}capture.dpdk.mempool-size = 2000\n", af_packet());
    check(&settings, "mempool-size 2000 is too small");
}

#[test]
fn more_workers_than_queues() {
    let expected = "gate0 has at most 1 pairs of queues, but 2 are needed";
    check(&for_two(&af_packet()), expected);
}
