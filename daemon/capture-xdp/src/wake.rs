//! Sees to it that drivers take up the frames to receive into.
//!
//! libxdp binds a socket in the same step that makes its fill ring, so the ring is filled afterwards. A driver in
//! zero-copy mode that looks at the ring only while it sets a queue up, and does not ask to be woken either, would
//! receive nothing ever: igb before Linux 7.2.

use crate::error::XdpError;
use crate::module::XdpModule;
use crate::slots::SocketSlots;
use portcullis_capture::PortId;
use std::time::{Duration, Instant};

/// How long a driver may take: one that can be told does so at once.
const TAKE_UP: Duration = Duration::from_millis(500);

/// Restarts the ports whose driver has left their fill rings as they are. Call it before sockets are published: a
/// restart takes the link down for a moment.
pub(crate) fn drivers(modules: &mut [XdpModule], gate: &mut impl SocketSlots) -> Result<(), XdpError> {
    let started = Instant::now();
    loop {
        let mut asleep: Vec<PortId> = modules.iter_mut().flat_map(XdpModule::sleeping_ports).collect();
        asleep.sort_unstable();
        asleep.dedup();
        if asleep.is_empty() {
            return Ok(());
        }
        if started.elapsed() > TAKE_UP {
            return asleep.into_iter().try_for_each(|port| gate.restart_port(port.0));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
