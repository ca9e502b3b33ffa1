//! Configurations of DPDK ports.

use portcullis_testkit::Lab;

/// What is common to all: no huge pages, so that it runs anywhere.
const COMMON: &str =
    "capture.module = \"dpdk\"\ncapture.dpdk.huge-pages = false\ncapture.dpdk.memory = \"256mb\"\n";

/// Most tests take one worker, as virtual devices have one pair of queues unless they are told otherwise.
const ONE_WORKER: &str = "capture.workers = 1\n";

/// Settings for these devices, as the gate's two ports.
pub(crate) fn devices(first: &str, second: &str) -> String {
    let (one, other) = (Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT);
    format!("{COMMON}{ONE_WORKER}capture.dpdk.ports = {{ {one} = {first:?}, {other} = {second:?} }}\n")
}

/// Settings for a driver over the gate's two interfaces.
pub(crate) fn over(driver: &str, arguments: &str) -> String {
    let device = |number: u8, interface: &str| format!("{driver}{number},iface={interface}{arguments}");
    devices(&device(0, Lab::GATE_CLIENT_PORT), &device(1, Lab::GATE_SERVER_PORT))
}

/// The same for two workers.
pub(crate) fn for_two(settings: &str) -> String {
    settings.replace(ONE_WORKER, "capture.workers = 2\n")
}

/// Packet sockets.
pub(crate) fn af_packet() -> String {
    over("net_af_packet", "")
}

/// AF_XDP sockets; its default of polling busily costs packets where a CPU serves both sides.
pub(crate) fn af_xdp() -> String {
    over("net_af_xdp", ",busy_budget=0")
}
