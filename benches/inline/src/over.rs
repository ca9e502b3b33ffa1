//! By which packet module the worker gets its packets: AF_XDP, or DPDK's drivers over the same interfaces.

use anyhow::{Context, Result};
use clap::ValueEnum;
use portcullis_bpf::{Gate, GateConfig};
#[cfg(feature = "dpdk")]
use portcullis_capture_dpdk::{DpdkConfig, DpdkModule, DpdkPort, DpdkSet, Eal, EalConfig};
use portcullis_capture_xdp::{InlineSet, PortSetup, XdpConfig, XdpModule};
use portcullis_testkit::Lab;
use std::path::Path;

const PORTS: [&str; 2] = [Lab::GATE_CLIENT_PORT, Lab::GATE_SERVER_PORT];

/// A packet module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Over {
    /// AF_XDP sockets behind the gate's XDP program.
    AfXdp,
    /// DPDK's driver over AF_XDP sockets.
    #[cfg(feature = "dpdk")]
    NetAfXdp,
    /// DPDK's driver over packet sockets.
    #[cfg(feature = "dpdk")]
    NetAfPacket,
}

/// Puts the gate between its ports; in the gate's namespace.
pub(crate) fn af_xdp(scratch: &Path) -> Result<(Gate, InlineSet, XdpModule)> {
    prepare()?;
    let [first, second] = PORTS.map(str::to_owned);
    let config = XdpConfig { pairs: vec![(first, second)], workers: Some(1), ..XdpConfig::default() };
    let mut gate = Gate::load(&GateConfig {
        name: "bench-inline".to_owned(),
        ports: config.gate_ports()?,
        lock_dir: scratch.to_owned(),
        ..GateConfig::default()
    })?;
    let (set, modules) = InlineSet::open(&config, &mut gate)?;
    let module = modules.into_iter().next().context("the set has no worker")?;
    Ok((gate, set, module))
}

/// The same with one of DPDK's drivers, whose own thread sleeps on `cpu`. Once a process.
#[cfg(feature = "dpdk")]
pub(crate) fn dpdk(driver: Over, cpu: u32) -> Result<(DpdkSet, DpdkModule)> {
    prepare()?;
    let (name, arguments) = match driver {
        // Its busy polling loses packets on interfaces without a NIC.
        Over::NetAfXdp => ("net_af_xdp", ",busy_budget=0"),
        Over::AfXdp | Over::NetAfPacket => ("net_af_packet", ",qdisc_bypass=1"),
    };
    let devices: Vec<String> =
        (0..).zip(PORTS).map(|(number, port)| format!("{name}{number},iface={port}{arguments}")).collect();
    let eal = EalConfig {
        devices: devices.clone(),
        memory_mb: 256,
        cpu: usize::try_from(cpu)?,
        ..EalConfig::default()
    };
    let ports = PORTS.iter().zip(devices).map(|(port, device)| DpdkPort { name: (*port).to_owned(), device });
    let config = DpdkConfig { ports: ports.collect(), ..DpdkConfig::default() };
    let (set, modules) = DpdkSet::open(&config, &Eal::start(&eal)?)?;
    let module = modules.into_iter().next().context("the set has no worker")?;
    Ok((set, module))
}

/// Switches off what puts frames together.
fn prepare() -> Result<()> {
    for port in PORTS {
        // Nobody restores them: they vanish with their namespace.
        let _ = PortSetup::apply(port)?;
    }
    Ok(())
}
