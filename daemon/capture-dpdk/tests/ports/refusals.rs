//! Everything that must not open, each with its own error.

use crate::common::{Options, config, eal, wire};
use portcullis_capture_dpdk::{DpdkConfig, DpdkError, DpdkSet, Eal, EalConfig};

fn check(change: impl FnOnce(&mut DpdkConfig)) -> DpdkError {
    let [first, _] = wire(1);
    let [second, _] = wire(1);
    let mut config = config([first, second], &Options::default());
    change(&mut config);
    DpdkSet::open(&config, eal()).map(drop).expect_err("opening must fail")
}

#[test]
fn a_port_that_is_not_there() {
    let error = check(|config| config.ports[1].device = "net_nothing0".to_owned());
    assert!(matches!(&error, DpdkError::NoPort { device } if device == "net_nothing0"), "{error}");
}

#[test]
fn more_queues_than_a_port_has() {
    let error = check(|config| config.queues = Some(2));
    assert!(
        matches!(&error, DpdkError::FewerQueues { name, max: 1, queues: 2 } if name == "left"),
        "{error}"
    );
}

#[test]
fn a_pool_that_would_run_dry() {
    let error = check(|config| config.mempool_size = Some(1000));
    let DpdkError::PoolTooSmall { size: 1000, least } = error else { panic!("{error}") };
    let [first, _] = wire(1);
    let [second, _] = wire(1);
    let mut config = config([first, second], &Options::default());
    config.mempool_size = Some(least);
    let (set, modules) = DpdkSet::open(&config, eal()).unwrap();
    assert_eq!(set.close(modules).missing(), 0);
}

#[test]
fn a_pool_that_does_not_fit_into_memory() {
    let error = check(|config| config.mempool_size = Some(100_000_000));
    assert!(matches!(error, DpdkError::NoMemory { buffers: 100_000_000, .. }), "{error}");
}

#[test]
fn buffers_too_small_for_a_port_that_cannot_split() {
    let error = check(|config| {
        config.ports[0].device = "net_null0".to_owned();
        config.ports[1].device = "net_null1".to_owned();
        (config.mtu, config.buffer_size) = (Some(9000), Some(2048));
    });
    assert!(matches!(&error, DpdkError::Segments { name, room: 2048, .. } if name == "left"), "{error}");
}

#[test]
fn a_second_environment() {
    eal();
    let error = Eal::start(&EalConfig::default()).expect_err("only once");
    assert!(matches!(error, DpdkError::StartedBefore), "{error}");
}
