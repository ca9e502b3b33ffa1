//! Every way in which opening fails says what is wrong, and leaves nothing behind.

use crate::common::{Options, gate_config, lab, open, xdp_config};
use portcullis_bpf::{Gate, GateError};
use portcullis_capture_xdp::{BindMode, InlineSet, XdpConfig, XdpError};
use portcullis_testkit::Lab;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::num::NonZeroU32;
use xsk_rs::config::{LibxdpFlags, SocketConfig, UmemConfig};

/// Opens what `change` makes of a good configuration, over a gate for the ports as they are.
fn check(options: &Options, change: impl FnOnce(&mut XdpConfig) + Send) -> XdpError {
    let (lab, dir) = lab(options);
    let mut config = xdp_config(options);
    let gate = lab.gate.run(|| gate_config(&config, &dir, options));
    change(&mut config);
    lab.gate.run(|| {
        let mut gate = Gate::load(&gate).unwrap();
        let error = InlineSet::open(&config, &mut gate).expect_err("opening must fail");
        // Nothing is left behind: as it should be, it opens.
        drop(InlineSet::open(&xdp_config(options), &mut gate).unwrap());
        error
    })
}

#[test]
fn more_workers_than_queues() {
    let error = check(&Options { queues: 2, ..Options::default() }, |config| config.workers = Some(3));
    assert!(matches!(&error, XdpError::FewerQueues { queues: 2, workers: 3, .. }), "{error}");
}

#[test]
fn fewer_workers_than_queues_share_them() {
    let options = Options { queues: 3, workers: Some(2), ..Options::default() };
    let (lab, dir) = lab(&options);
    let (_gate, set, modules) = open(&lab.gate, &dir, &options).unwrap();
    let queues = |worker| set.bound().iter().filter(|bound| bound.worker == worker).count();
    assert_eq!((modules.len(), queues(0), queues(1)), (2, 4, 2));
}

#[test]
fn zero_copy_that_there_is_not() {
    let error = check(&Options::default(), |config| config.bind_mode = BindMode::ZeroCopy);
    assert!(matches!(&error, XdpError::NoZeroCopy { name } if name == Lab::GATE_CLIENT_PORT), "{error}");
}

#[test]
fn settings_that_make_no_sense() {
    let changes: [fn(&mut XdpConfig); 8] = [
        |config| config.pairs.clear(),
        |config| config.workers = Some(0),
        |config| config.workers = Some(65),
        |config| config.ring_size = 1000,
        |config| config.ring_size = 32,
        |config| config.frame_size = Some(3000),
        |config| config.frames_per_worker = Some(10),
        |config| config.busy_poll_us = 1001,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let error = check(&Options::default(), change);
        assert!(matches!(error, XdpError::Invalid(_)), "change {index}: {error}");
    }
}

#[test]
fn a_gate_for_other_ports() {
    let error = check(&Options::default(), |config| {
        let (first, second) = config.pairs[0].clone();
        config.pairs[0] = (second, first);
    });
    assert!(matches!(error, XdpError::OtherGate(_)), "{error}");
}

#[test]
fn ports_of_a_pair_that_do_not_fit_together() {
    let options = Options { queues: 2, ..Options::default() };
    let (lab, dir) = lab(&options);
    lab.gate.output("ethtool", &["-L", Lab::GATE_SERVER_PORT, "rx", "1"]).unwrap();
    let error = open(&lab.gate, &dir, &options).expect_err("opening must fail");
    assert!(matches!(error, XdpError::DifferentQueues { queues: 2, other_queues: 1, .. }), "{error}");
    lab.gate.output("ip", &["link", "set", Lab::GATE_SERVER_PORT, "mtu", "1400"]).unwrap();
    let error = open(&lab.gate, &dir, &options).expect_err("opening must fail");
    assert!(matches!(error, XdpError::DifferentMtus { mtu: 1500, other_mtu: 1400, .. }), "{error}");
    lab.gate.output("ip", &["link", "del", Lab::GATE_SERVER_PORT]).unwrap();
    let error = open(&lab.gate, &dir, &options).expect_err("opening must fail");
    assert!(
        matches!(&error, XdpError::Gate(GateError::InterfaceMissing { name }) if name == Lab::GATE_SERVER_PORT),
        "{error}"
    );
}

#[test]
fn a_queue_that_another_has() {
    let options = Options::default();
    let (lab, dir) = lab(&options);
    let other = lab.gate.run(|| {
        let frames = NonZeroU32::new(16).unwrap();
        let (umem, _) = xsk_rs::Umem::new(UmemConfig::default(), frames, false).unwrap();
        let flags = LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD;
        let config = SocketConfig::builder().libxdp_flags(flags).build();
        let interface = Lab::GATE_SERVER_PORT.parse().unwrap();
        // SAFETY: the only socket over this UMEM.
        unsafe { xsk_rs::Socket::new(config, &umem, &interface, 0) }.unwrap()
    });
    let error = open(&lab.gate, &dir, &options).expect_err("opening must fail");
    assert!(
        matches!(&error, XdpError::QueueBusy { name, queue: 0 } if name == Lab::GATE_SERVER_PORT),
        "{error}"
    );
    drop(other);
    open(&lab.gate, &dir, &options).unwrap();
}

#[test]
fn sockets_without_the_capability() {
    let options = Options::default();
    let (lab, dir) = lab(&options);
    let config = xdp_config(&options);
    let error = lab.gate.run(|| {
        let mut gate = Gate::load(&gate_config(&config, &dir, &options)).unwrap();
        let mut sets = capabilities(None).unwrap();
        sets.effective -= CapabilitySet::NET_RAW;
        // Of this thread only, and it ends with the closure.
        set_capabilities(None, sets).unwrap();
        InlineSet::open(&config, &mut gate).expect_err("opening must fail")
    });
    assert!(matches!(error, XdpError::NoCapability), "{error}");
}
