//! What devices are called, and settings that make no sense.

use crate::common::{Bench, Options, eal};
use portcullis_capture_dpdk::config::is_pci;
use portcullis_capture_dpdk::{DpdkConfig, DpdkError, DpdkPort, DpdkSet, EalConfig};

#[test]
fn devices_are_told_apart() {
    let check = |device: &str, pci: bool, name: &str| {
        assert_eq!(is_pci(device), pci, "{device}");
        let port = DpdkPort { name: String::new(), device: device.to_owned() };
        assert_eq!(port.dpdk_name(), name);
    };
    check("0000:03:00.0", true, "0000:03:00.0");
    check("03:00.1", true, "0000:03:00.1");
    check("0000:AF:1f.7,rx_burst=1", true, "0000:af:1f.7");
    check("net_af_packet0,iface=eth1", false, "net_af_packet0");
    check("net_null0", false, "net_null0");
    check("net_tap0,iface=a.b", false, "net_tap0");
    check("0000:03:00.8", false, "0000:03:00.8");
    check("", false, "");
}

#[test]
fn ports_without_rules_for_flows_say_so() {
    let bench = Bench::new(&Options::default());
    let error = bench.set.flow_drops().expect_err("net_ring takes no rules").to_string();
    assert!(error.contains("cannot be told to drop a flow: "), "{error}");
    bench.end();
}

#[test]
fn arguments_name_every_device() {
    let config = EalConfig {
        devices: vec!["net_null0".to_owned(), "0000:03:00.0".to_owned()],
        huge_pages: true,
        memory_mb: 64,
        cpu: 3,
        arguments: vec!["--log-level=8".to_owned()],
    };
    let line = |config: &EalConfig| config.arguments().join(" ");
    assert_eq!(
        line(&config),
        "portcullis --no-telemetry --log-level 5 -l 3 --in-memory --vdev net_null0 -a 0000:03:00.0 --log-level=8"
    );
    let plain = EalConfig { devices: vec!["net_null0".to_owned()], huge_pages: false, ..config };
    let plain = line(&plain);
    assert!(plain.contains("--no-huge --no-shconf -m 64 --no-pci --vdev net_null0"), "{plain}");
    assert!(!plain.contains("--in-memory"), "{plain}");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_opened() {
    let port = |name: &str| DpdkPort { name: name.to_owned(), device: format!("net_{name},iface={name}") };
    let good = DpdkConfig { ports: vec![port("a"), port("b")], ..DpdkConfig::default() };
    let open =
        |config: &DpdkConfig| DpdkSet::open(config, eal()).map(drop).expect_err("there is no such port");
    assert!(matches!(open(&good), DpdkError::NoPort { .. }));
    let changes: [fn(&mut DpdkConfig); 11] = [
        |config| config.ports.clear(),
        |config| drop(config.ports.pop()),
        |config| config.ports[1].device = "net_a,iface=c".to_owned(),
        |config| config.workers = 0,
        |config| config.workers = 65,
        |config| (config.workers, config.queues) = (3, Some(2)),
        |config| config.queues = Some(200),
        |config| config.rx_descriptors = 31,
        |config| config.buffer_size = Some(512),
        |config| config.mtu = Some(20),
        |config| config.longest_sleep_us = 10_001,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut config = good.clone();
        change(&mut config);
        let error = open(&config);
        assert!(matches!(error, DpdkError::Invalid(_)), "change {index}: {error}");
    }
}
