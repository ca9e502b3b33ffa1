//! When a driver's receive loop runs: settings of an interface that only sysfs has.

use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;

/// How long a driver leaves interrupts off after its receive loop found nothing, so that a worker that polls has the
/// loop to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NapiDefer {
    /// `gro_flush_timeout`: nanoseconds after which the loop is run by itself.
    pub gro_flush_timeout: u64,
    /// `napi_defer_hard_irqs`: how often in a row interrupts are left off.
    pub hard_irqs: u32,
}

/// What the interface `name` has now.
///
/// # Errors
/// The kernel's: without CAP_SYS_ADMIN sysfs cannot be reached.
pub fn napi_defer(name: &str) -> io::Result<NapiDefer> {
    let folder = folder(name)?;
    let number = |file: &str| -> io::Result<u64> {
        let file = openat(&folder, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = String::new();
        File::from(file).read_to_string(&mut text)?;
        text.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
    };
    let hard_irqs = number("napi_defer_hard_irqs")?;
    Ok(NapiDefer {
        gro_flush_timeout: number("gro_flush_timeout")?,
        hard_irqs: u32::try_from(hard_irqs).unwrap_or(u32::MAX),
    })
}

/// Changes it.
///
/// # Errors
/// As for [`napi_defer`].
pub(crate) fn set_napi_defer(name: &str, settings: NapiDefer) -> io::Result<()> {
    let folder = folder(name)?;
    let put = |file: &str, value: u64| -> io::Result<()> {
        let file = openat(&folder, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        File::from(file).write_all(value.to_string().as_bytes())
    };
    put("gro_flush_timeout", settings.gro_flush_timeout)?;
    put("napi_defer_hard_irqs", settings.hard_irqs.into())
}

/// The interface's folder in a sysfs of the calling thread's own network namespace: the one that is mounted shows the
/// interfaces of whoever mounted it.
fn folder(name: &str) -> io::Result<OwnedFd> {
    let context = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(openat(&mount, format!("class/net/{name}"), flags, Mode::empty())?)
}
