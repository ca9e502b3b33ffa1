//! Exact frames onto a wire and off it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SendFlags, SocketType, netdevice, send, socket};

use crate::error::LabError;
use crate::netns::NetNs;
use crate::sys;

/// The longest frame a [`RawSocket`] receives, in bytes.
const LONGEST_FRAME: usize = 65_536 + 64;

/// A packet socket on one interface: sends bytes as a frame exactly as given, and gives every frame
/// that arrives exactly as it was on the wire (the kernel takes the outer VLAN tag out of a frame
/// before a packet socket sees it; it is put back here).
///
/// The kernel lets no packet socket send less than an Ethernet header (14 bytes), and discards a frame
/// whose outer VLAN tag is cut short before a packet socket could hear it.
#[derive(Debug)]
pub struct RawSocket {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl RawSocket {
    /// Opens a socket on `interface` of `namespace`. It hears everything that arrives there from
    /// now on, but nothing that the namespace itself sends.
    ///
    /// # Errors
    ///
    /// When there is no such interface, or this process may not open packet sockets.
    pub fn open(namespace: &NetNs, interface: &str) -> Result<Self, LabError> {
        let index = namespace
            .run(|| {
                let control = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
                netdevice::name_to_index(control, interface)
            })
            .map_err(|_| LabError::NoInterface {
                interface: interface.to_owned(),
                place: namespace.label().to_owned(),
            })?;
        let socket = namespace
            .run(|| sys::packet_socket(index))
            .map_err(LabError::io(format!("opening a packet socket on {interface}")))?;
        Ok(Self { socket, buffer: vec![0; LONGEST_FRAME] })
    }

    /// Sends `frame`, link header first.
    ///
    /// # Errors
    ///
    /// When the frame is shorter than a link header or longer than the MTU allows, or the
    /// interface is down.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        let sent = send(&self.socket, frame, SendFlags::empty())?;
        if sent == frame.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// The next frame, waiting up to `patience` for it; `None` when none came.
    ///
    /// # Errors
    ///
    /// When the interface went down or away.
    pub fn receive(&mut self, patience: Duration) -> io::Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + patience;
        loop {
            match sys::receive_frame(&self.socket, &mut self.buffer) {
                Ok((length, tag)) => return Ok(Some(retagged(&self.buffer[..length], tag))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&left))?;
        }
    }

    /// The next frame for which `wanted` is true, waiting up to `patience` in all; others are
    /// thrown away.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn receive_matching(
        &mut self,
        patience: Duration,
        mut wanted: impl FnMut(&[u8]) -> bool,
    ) -> io::Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + patience;
        while let Some(frame) = self.receive(deadline.saturating_duration_since(Instant::now()))? {
            if wanted(&frame) {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }
}

fn retagged(frame: &[u8], tag: Option<(u16, u16)>) -> Vec<u8> {
    let addresses = frame.len().min(12);
    let mut whole = Vec::with_capacity(frame.len() + 4);
    whole.extend_from_slice(&frame[..addresses]);
    if let Some((protocol, control)) = tag {
        whole.extend_from_slice(&protocol.to_be_bytes());
        whole.extend_from_slice(&control.to_be_bytes());
    }
    whole.extend_from_slice(&frame[addresses..]);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stripped_tag_goes_back_behind_the_addresses() {
        let frame: Vec<u8> = (0..20).collect();
        let whole = retagged(&frame, Some((0x8100, 0x0007)));
        assert_eq!(whole[..12], frame[..12]);
        assert_eq!(whole[12..16], [0x81, 0x00, 0x00, 0x07]);
        assert_eq!(whole[16..], frame[12..]);
        assert_eq!(retagged(&frame, None), frame);
        assert_eq!(retagged(&frame[..5], None), frame[..5]);
    }
}
