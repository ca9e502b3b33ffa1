//! Interfaces are made fit, restarted and restored.

use crate::common::{Bench, Options, PATIENCE, all};
use portcullis_bpf::GateError;
use portcullis_bpf::device::{self, Offload};
use portcullis_capture::Verdict;
use portcullis_capture_xdp::{NapiDefer, PortError, PortSetup, napi};
use portcullis_testkit::{NetNs, VethPair, require_root};

/// A namespace with `port0` and its other end, IPv6 on.
fn namespace() -> NetNs {
    require_root();
    let namespace = NetNs::new("ports").unwrap();
    VethPair::between(&namespace, "port0", &namespace, "far0", 1, 1500).unwrap();
    namespace.set_sysctl("net.ipv6.conf.port0.disable_ipv6", "0").unwrap();
    namespace.output("ethtool", &["-K", "port0", "gro", "on"]).unwrap();
    namespace
}

/// What `ip` shows of the interface, as far as it must come back: flags and addresses.
fn shown(namespace: &NetNs) -> String {
    let link = namespace.output("ip", &["-d", "link", "show", "port0"]).unwrap();
    let addresses = namespace.output("ip", &["address", "show", "port0"]).unwrap();
    let is_kept = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("inet ")
            || line.starts_with("inet6 ") && !line.contains("fe80:")
            || line.contains("promisc")
    };
    let mut lines: Vec<&str> = link.lines().chain(addresses.lines()).filter(is_kept).map(str::trim).collect();
    lines.sort_unstable();
    let flags = link.split(['<', '>']).nth(1).unwrap_or_default();
    format!("{flags}\n{}", lines.join("\n"))
}

#[test]
fn a_port_is_made_fit_and_restored() {
    let namespace = namespace();
    for address in ["10.9.0.1/24", "10.9.0.2/24", "10.9.1.1/32"] {
        namespace.add_address("port0", address).unwrap();
    }
    namespace.output("ip", &["address", "add", "fd00::7/64", "dev", "port0", "nodad"]).unwrap();
    let before = shown(&namespace);
    assert_eq!(before.matches("inet ").count(), 3, "{before}");
    let vlan_before = namespace.run(|| device::offload("port0", Offload::RxVlan)).unwrap();
    let tx_before = namespace.run(|| device::offload("port0", Offload::TxVlan)).unwrap();
    assert!(tx_before, "a veth puts tags in");

    let restore = namespace.run(|| PortSetup::apply("port0")).unwrap();
    let during = shown(&namespace);
    assert!(during.contains("PROMISC") && !during.contains("inet"), "{during}");
    namespace.run(|| {
        assert!(!device::gro("port0").unwrap());
        assert!(!device::offload("port0", Offload::RxVlan).unwrap());
        assert!(!device::offload("port0", Offload::TxVlan).unwrap());
        assert!(!device::offload("port0", Offload::Lro).unwrap());
        assert_eq!(
            std::fs::read_to_string("/proc/sys/net/ipv6/conf/port0/disable_ipv6").unwrap().trim(),
            "1"
        );
    });
    assert_eq!(restore.addresses.len(), 4);
    assert_eq!((restore.up, restore.promiscuous, restore.gro), (true, false, Some(true)));

    namespace.run(|| restore.restore()).unwrap();
    assert_eq!(shown(&namespace), before);
    namespace.run(|| {
        assert!(device::gro("port0").unwrap());
        assert_eq!(device::offload("port0", Offload::RxVlan).unwrap(), vlan_before);
        assert_eq!(
            std::fs::read_to_string("/proc/sys/net/ipv6/conf/port0/disable_ipv6").unwrap().trim(),
            "0"
        );
    });
}

#[test]
fn a_port_that_was_down_goes_up_and_down_again() {
    let namespace = namespace();
    namespace.set_down("port0").unwrap();
    let restore = namespace.run(|| PortSetup::apply("port0")).unwrap();
    assert!(shown(&namespace).contains("UP"));
    namespace.run(|| restore.restore()).unwrap();
    assert!(!shown(&namespace).contains("UP"), "{}", shown(&namespace));
}

#[test]
fn the_port_of_the_default_route_is_refused() {
    let namespace = namespace();
    namespace.add_address("port0", "10.9.0.1/24").unwrap();
    namespace.output("ip", &["route", "add", "default", "via", "10.9.0.2"]).unwrap();
    let before = shown(&namespace);
    let error = namespace.run(|| PortSetup::apply("port0")).expect_err("must be refused");
    assert!(matches!(&error, PortError::DefaultRoute { name } if name == "port0"), "{error}");
    assert_eq!(shown(&namespace), before, "and nothing was changed");
    let other = namespace.run(|| PortSetup::apply("far0"));
    namespace.run(|| other.unwrap().restore()).unwrap();
}

#[test]
fn a_missing_port_is_named() {
    let namespace = namespace();
    let error = namespace.run(|| PortSetup::apply("nowhere")).expect_err("must be refused");
    assert!(
        matches!(&error, PortError::Device(GateError::InterfaceMissing { name }) if name == "nowhere"),
        "{error}"
    );
}

#[test]
fn a_port_that_is_restarted_keeps_program_and_socket() {
    let mut bench = Bench::new(&Options::default());
    bench.lab.gate.run(|| {
        bench.gate.restart_port(0).unwrap();
        let missing = bench.gate.restart_port(2).expect_err("there are two ports");
        assert!(matches!(missing, GateError::NoSuchSlot { port: 2, .. }), "{missing}");
    });
    let frame = [[2; 12].as_slice(), &[0x88, 0xb5], &[7; 60]].concat();
    bench.client.send(&frame).unwrap();
    bench.run(1, |_, burst| all(burst, Verdict::Accept));
    assert!(bench.server.receive_matching(PATIENCE, |seen| seen == frame).unwrap().is_some());
}

#[test]
fn a_receive_loop_that_waits_for_workers_is_restored() {
    let namespace = namespace();
    let napi = || namespace.run(|| napi::napi_defer("port0")).unwrap();
    let (before, wanted) = (napi(), NapiDefer { gro_flush_timeout: 2_000_000, hard_irqs: 2 });
    let restore = namespace.run(|| {
        let mut restore = PortSetup::apply("port0").unwrap();
        restore.defer(wanted).unwrap();
        restore
    });
    assert_eq!(napi(), wanted);
    namespace.run(|| restore.restore()).unwrap();
    assert_eq!(napi(), before);
}
