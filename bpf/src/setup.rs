//! What is looked at before a gate is loaded, and what its maps are filled with.

use crate::config::{Fail, GateConfig, GatePort, Liveness, TunnelPorts};
use crate::device;
use crate::error::GateError;
use crate::layout;
use crate::program::Maps;
use crate::switch::SET_SEPARATOR;
use libbpf_rs::{MapCore, MapFlags};
use std::hash::{BuildHasher as _, RandomState};

pub(crate) fn validate(config: &GateConfig) -> Result<(), GateError> {
    let invalid = |reason: String| Err(GateError::Invalid(reason));
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let mut names = config.name.split(SET_SEPARATOR);
    if names.any(|name| name.is_empty() || !name.chars().all(plain)) {
        return invalid(format!("name {:?}: letters, digits, - and _ only", config.name));
    }
    if config.name.len() > MAX_NAME {
        return invalid(format!("the names of all sets together have more than {MAX_NAME} characters"));
    }
    let count = config.ports.len();
    let in_sets: usize = config.sets.iter().map(|set| set.ports).sum();
    let are_pairs = config.sets.iter().all(|set| set.ports.is_multiple_of(2));
    if !config.sets.is_empty() && (in_sets != count || !are_pairs) {
        return invalid(format!("{count} ports, but {in_sets} in all sets"));
    }
    if count == 0 || !count.is_multiple_of(2) || count > layout::MAX_PORTS {
        return invalid(format!("{count} ports: an even number from 2 to {} is needed", layout::MAX_PORTS));
    }
    for (index, port) in config.ports.iter().enumerate() {
        if config.ports.iter().skip(index + 1).any(|other| other.name == port.name) {
            return invalid(format!("interface {} is in it twice", port.name));
        }
        if port.queues == 0 {
            return invalid(format!("interface {} with no queue", port.name));
        }
    }
    if let TunnelPorts::These(ports) = &config.tunnels
        && ports.len() > TunnelPorts::MOST
    {
        return invalid(format!("{} tunnel ports: at most {}", ports.len(), TunnelPorts::MOST));
    }
    Ok(())
}

/// Names what is missing before the kernel says a bare EPERM.
pub(crate) fn require_capabilities() -> Result<(), GateError> {
    use rustix::thread::{CapabilitySet, capabilities};
    let Ok(sets) = capabilities(None) else { return Ok(()) };
    let has = |capability| sets.effective.contains(capability);
    let mut missing = Vec::new();
    if !has(CapabilitySet::NET_ADMIN) {
        missing.push("CAP_NET_ADMIN");
    }
    // CAP_SYS_ADMIN stands for both, as it did before Linux 5.8.
    if !has(CapabilitySet::SYS_ADMIN) {
        if !has(CapabilitySet::BPF) {
            missing.push("CAP_BPF");
        }
        if !has(CapabilitySet::PERFMON) {
            missing.push("CAP_PERFMON");
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(GateError::NoCapability { missing: missing.join(", ") }) }
}

/// Looks at one port before anything is changed: its index.
pub(crate) fn inspect(port: &GatePort, frags: bool) -> Result<(&GatePort, u32), GateError> {
    let ifindex = device::ifindex(&port.name)?;
    let mtu = device::mtu(&port.name)?;
    let max = if frags { device::MAX_JUMBO_MTU } else { device::MAX_MTU };
    if mtu > max {
        return Err(GateError::MtuTooLarge { name: port.name.clone(), mtu, max });
    }
    let (have, need) = (device::queues(&port.name)?, port.queues);
    if have < need {
        return Err(GateError::FewerQueues { name: port.name.clone(), have, need });
    }
    if have > need {
        return Err(GateError::MoreQueues { name: port.name.clone(), have, need });
    }
    Ok((port, ifindex))
}

/// Writes settings, ports and peers.
pub(crate) fn fill(
    maps: &Maps,
    ports: &[(&GatePort, u32)],
    config: &GateConfig,
    queues: u32,
) -> Result<(), GateError> {
    let put = |result| map("fill the maps", result);
    put_settings(maps, &config.by_port(), queues)?;
    put(maps.tunnels.update(&[0; 4], &layout::tunnels(&config.tunnels), MapFlags::ANY))?;
    for port in 0..u32::try_from(ports.len()).unwrap_or(0) {
        let key = port.to_ne_bytes();
        let peer = ports.get((port ^ 1) as usize).map_or(0, |(_, ifindex)| *ifindex);
        if config.forward {
            put(maps.peers.update(&key, &peer.to_ne_bytes(), MapFlags::ANY))?;
        } else if let Err(error) = maps.peers.delete(&key)
            && error.kind() != libbpf_rs::ErrorKind::NotFound
        {
            put(Err(error))?;
        }
    }
    let ifindices: Vec<u32> = ports.iter().map(|(_, ifindex)| *ifindex).collect();
    // A predecessor's program may be using it: what is right already is left alone, and nothing is taken away first.
    for (place, value) in (0_u32..).zip(layout::port_places(&ifindices)) {
        let key = place.to_ne_bytes();
        let known =
            maps.port_of.lookup(&key, MapFlags::ANY).map_err(|error| refused("fill the maps", &error))?;
        if known.as_deref() != Some(value.as_slice()) {
            put(maps.port_of.update(&key, &value, MapFlags::ANY))?;
        }
    }
    Ok(())
}

/// Gives the record of what passed a seed that nobody knows, so that nobody can choose connections that push others out.
pub(crate) fn seed(maps: &Maps) -> Result<(), GateError> {
    // The standard library seeds it from the system's entropy.
    let seed = RandomState::new().hash_one(0_u8);
    let mut line = [0; 64];
    line[..8].copy_from_slice(&seed.to_ne_bytes());
    map("fill the maps", maps.passed.update(&[0; 4], &line, MapFlags::ANY))
}

/// Tells the program what happens to the frames of each port.
pub(crate) fn put_settings(
    maps: &Maps,
    policies: &[(u32, Fail, Liveness)],
    queues: u32,
) -> Result<(), GateError> {
    for (port, (set, fail, liveness)) in (0_u32..).zip(policies) {
        let value = layout::settings(*fail, queues, liveness, *set);
        map("fill the settings", maps.settings.update(&port.to_ne_bytes(), &value, MapFlags::ANY))?;
    }
    Ok(())
}

/// Longest name of a gate: with an extension it is a file's.
const MAX_NAME: usize = 200;

pub(crate) fn map(action: &'static str, result: libbpf_rs::Result<()>) -> Result<(), GateError> {
    result.map_err(|error| refused(action, &error))
}

pub(crate) fn refused(action: &'static str, error: &libbpf_rs::Error) -> GateError {
    GateError::Map { action, reason: format!("{error:#}") }
}
