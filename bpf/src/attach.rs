//! Attaching to interfaces: anew, or behind a predecessor's links.

use crate::config::{GatePort, XdpMode};
use crate::device;
use crate::error::GateError;
use crate::pins::Pins;
use crate::program::{self, Maps};
use crate::sys;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How the program is really attached to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttachedMode {
    /// In the driver.
    Native,
    /// In the stack.
    Generic,
    /// In the device.
    Offloaded,
}

/// One port and what holds the program there.
#[derive(Debug)]
pub(crate) struct PortLink {
    pub(crate) name: String,
    pub(crate) queues: u32,
    pub(crate) link: OwnedFd,
    pub(crate) mode: AttachedMode,
}

/// A predecessor's maps, if they can be adopted, and its links.
pub(crate) type Adoptable = (Option<Maps>, Vec<(u32, OwnedFd)>);

/// A predecessor's maps and links if they fit what is wanted; else they are removed.
pub(crate) fn adoptable(
    pins: &Pins,
    ports: &[(&GatePort, u32)],
    slots: u32,
    mode: XdpMode,
    frags: bool,
) -> Result<Adoptable, GateError> {
    let mut wanted: Vec<u32> = ports.iter().map(|(_, ifindex)| *ifindex).collect();
    wanted.sort_unstable();
    let open = |(ifindex, path): (u32, std::path::PathBuf)| {
        let link = sys::pinned(&path).ok()?;
        let there = sys::link_ifindex(link.as_fd()).ok()? == ifindex;
        (there && fits(ifindex, mode, frags)).then_some((ifindex, link))
    };
    let links: Option<Vec<_>> = pins.links()?.into_iter().map(open).collect();
    let maps = Maps::pinned(pins, slots);
    if let (Some(links), Some(maps)) = (links, maps)
        && links.iter().map(|(ifindex, _)| *ifindex).eq(wanted)
    {
        return Ok((Some(maps), links));
    }
    pins.clear()?;
    Ok((None, Vec::new()))
}

/// Is what is attached to the interface of the wanted kind? Maps of redirection serve programs of one kind only.
fn fits(ifindex: u32, mode: XdpMode, frags: bool) -> bool {
    let name = sys::attached(ifindex).and_then(|(id, _)| sys::program_name(id));
    if name.ok().as_deref() != Some(program::name(frags)) {
        return false;
    }
    match mode {
        XdpMode::Auto => true,
        XdpMode::Native => attached_mode(ifindex) == AttachedMode::Native,
        XdpMode::Generic => attached_mode(ifindex) == AttachedMode::Generic,
    }
}

/// Puts the new program behind a predecessor's links.
pub(crate) fn take_over(
    ports: &[(&GatePort, u32)],
    mut links: Vec<(u32, OwnedFd)>,
    program: BorrowedFd<'_>,
) -> Result<Vec<PortLink>, GateError> {
    let mut taken = Vec::with_capacity(ports.len());
    for (port, ifindex) in ports {
        let failed = |source| GateError::Attach { name: port.name.clone(), source };
        let place = links.iter().position(|(other, _)| other == ifindex);
        let (_, link) = links.swap_remove(place.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?);
        sys::link_update(link.as_fd(), program).map_err(failed)?;
        taken.push(PortLink {
            name: port.name.clone(),
            queues: port.queues,
            link,
            mode: attached_mode(*ifindex),
        });
    }
    Ok(taken)
}

/// Attaches to every port, or to none.
pub(crate) fn attach_all(
    ports: &[(&GatePort, u32)],
    mode: XdpMode,
    program: BorrowedFd<'_>,
    pins: Option<&Pins>,
) -> Result<Vec<PortLink>, GateError> {
    let mut attached = Vec::with_capacity(ports.len());
    for (port, ifindex) in ports {
        match attach(port, *ifindex, mode, program, pins) {
            Ok(link) => attached.push(link),
            Err(error) => {
                for PortLink { link, .. } in &attached {
                    // The error that brought us here matters more than one while cleaning up.
                    let _ = sys::link_detach(link.as_fd());
                }
                if let Some(pins) = pins {
                    let _ = pins.remove();
                }
                return Err(error);
            }
        }
    }
    Ok(attached)
}

fn attach(
    port: &GatePort,
    ifindex: u32,
    mode: XdpMode,
    program: BorrowedFd<'_>,
    pins: Option<&Pins>,
) -> Result<PortLink, GateError> {
    let flags = match mode {
        XdpMode::Auto => 0,
        XdpMode::Native => libbpf_sys::XDP_FLAGS_DRV_MODE,
        XdpMode::Generic => libbpf_sys::XDP_FLAGS_SKB_MODE,
    };
    let link = sys::link_create(program, ifindex, flags);
    let link = link.map_err(|error| attach_error(&port.name, ifindex, mode, error))?;
    if let Some(pins) = pins {
        let path = pins.link(ifindex);
        sys::pin(link.as_fd(), &path).map_err(|source| GateError::Pin { path, source })?;
    }
    let mode = attached_mode(ifindex);
    Ok(PortLink { name: port.name.clone(), queues: port.queues, link, mode })
}

/// What the kernel's bare number means for an XDP attachment.
fn attach_error(name: &str, ifindex: u32, mode: XdpMode, source: io::Error) -> GateError {
    let name = name.to_owned();
    match source.raw_os_error() {
        Some(libc::EBUSY | libc::EEXIST) => {
            GateError::AlreadyAttached { name, program: attached_name(ifindex) }
        }
        Some(libc::ERANGE) => {
            let mtu = device::mtu(&name).unwrap_or(0);
            GateError::MtuTooLarge { name, mtu, max: device::MAX_MTU }
        }
        Some(libc::ENOSPC) => GateError::QueuesForXdp { name },
        Some(libc::EOPNOTSUPP) if mode == XdpMode::Native => GateError::NoNativeXdp { name },
        Some(libc::EPERM) => GateError::NoCapability { missing: "CAP_NET_ADMIN".to_owned() },
        Some(libc::ENODEV) => GateError::InterfaceMissing { name },
        _ => GateError::Attach { name, source },
    }
}

fn attached_name(ifindex: u32) -> String {
    match sys::attached(ifindex) {
        Ok((id, _)) if id != 0 => {
            let name = sys::program_name(id).unwrap_or_else(|_| "unnamed".to_owned());
            format!("{name}, id {id}")
        }
        _ => "unknown".to_owned(),
    }
}

fn attached_mode(ifindex: u32) -> AttachedMode {
    sys::attached(ifindex).map_or(AttachedMode::Native, |(_, mode)| AttachedMode::of(mode))
}

impl AttachedMode {
    /// From linux/if_link.h: `XDP_ATTACHED_DRV`, `_SKB`, `_HW`, `_MULTI`.
    pub(crate) const fn of(mode: u8) -> Self {
        match mode {
            2 => Self::Generic,
            3 => Self::Offloaded,
            _ => Self::Native,
        }
    }
}
