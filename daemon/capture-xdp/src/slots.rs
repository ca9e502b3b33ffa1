//! Where sockets are published: the gate itself, or somebody who keeps it for us.

use crate::error::XdpError;
use portcullis_bpf::{Gate, Pulses};
use std::os::fd::BorrowedFd;

/// The gate's slots for sockets, as an inline set needs them. A process without privileges has them behind
/// messages to one that has.
pub trait SocketSlots {
    /// The interfaces by port, with the queues of each.
    fn ports(&self) -> Vec<(String, u32)>;

    /// Does the kernel side send to peers at all?
    fn forwards(&self) -> bool;

    /// Where the workers behind the slots tell that they live; `None` where nobody watches that.
    fn pulses(&self) -> Option<Pulses>;

    /// Puts a socket into the slot of a port's queue: from now on it gets that queue's frames.
    ///
    /// # Errors
    /// There is no such slot, or the socket is refused.
    fn set_socket(&mut self, port: u8, queue: u32, socket: BorrowedFd<'_>) -> Result<(), XdpError>;

    /// Takes the interface of a port down and up again, so that its driver sets its queues up anew.
    ///
    /// # Errors
    /// There is no such port, or the kernel refuses.
    fn restart_port(&mut self, port: u8) -> Result<(), XdpError>;

    /// Takes the socket out of a slot: from now on the fail policy acts on that queue.
    ///
    /// # Errors
    /// There is no such slot, or the kernel refuses.
    fn clear_socket(&mut self, port: u8, queue: u32) -> Result<(), XdpError>;
}

impl SocketSlots for Gate {
    fn ports(&self) -> Vec<(String, u32)> {
        Self::ports(self).map(|(name, queues)| (name.to_owned(), queues)).collect()
    }

    fn forwards(&self) -> bool {
        Self::forwards(self)
    }

    fn pulses(&self) -> Option<Pulses> {
        Some(Self::pulses(self))
    }

    fn set_socket(&mut self, port: u8, queue: u32, socket: BorrowedFd<'_>) -> Result<(), XdpError> {
        Ok(Self::set_socket(self, port, queue, socket)?)
    }

    fn clear_socket(&mut self, port: u8, queue: u32) -> Result<(), XdpError> {
        Ok(Self::clear_socket(self, port, queue)?)
    }

    fn restart_port(&mut self, port: u8) -> Result<(), XdpError> {
        Ok(Self::restart_port(self, port)?)
    }
}
