//! Ports in memory, wired to each other: what one sends the other receives.

use super::{Eal, c_string, ffi, reason};
use crate::error::DpdkError;

/// Makes two ports with so many pairs of queues, each of `entries` packets (a power of two); their devices. `name` is
/// short and new in this process.
///
/// # Errors
/// DPDK refuses.
pub fn wired_ports(_eal: &Eal, name: &str, queues: u16, entries: u32) -> Result<[String; 2], DpdkError> {
    let text = c_string(name)?;
    let _control = super::port::control();
    // SAFETY: the environment is up; the name ends and is copied.
    let code = unsafe { ffi::pc_ring_ports(text.as_ptr(), queues, entries) };
    if code != 0 {
        let (device, reason) = (name.to_owned(), reason(code));
        return Err(DpdkError::Port { device, action: "made", reason });
    }
    Ok([0, 1].map(|end| format!("net_ring_{name}{end}")))
}
