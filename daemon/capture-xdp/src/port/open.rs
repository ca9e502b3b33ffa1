//! How a lane comes to be: a socket opened, bound, and set up, and what the kernel made of that.

use super::{Arena, Lane};
use crate::config::{BindMode, BusyPoll};
use crate::error::XdpError;
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use xsk_rs::Socket;
use xsk_rs::config::{BindFlags, LibxdpFlags, QueueSize, SocketConfig};

/// A closed socket lets go of its queue a little later; so long is that waited for.
const LINGER: Duration = Duration::from_secs(2);

impl Lane {
    /// Opens and binds a socket. A queue that was closed just now may be busy for a while: waits for that.
    pub(crate) fn open(
        arena: &Arena,
        name: &str,
        queue: u32,
        mode: BindMode,
        ring_size: u32,
    ) -> Result<Self, XdpError> {
        let started = Instant::now();
        loop {
            match Self::bind(arena, name, queue, mode, ring_size) {
                Err(XdpError::QueueBusy { .. }) if started.elapsed() < LINGER => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                other => return other,
            }
        }
    }

    fn bind(arena: &Arena, name: &str, queue: u32, mode: BindMode, ring_size: u32) -> Result<Self, XdpError> {
        let invalid = |error: &dyn std::fmt::Display| XdpError::Invalid(error.to_string());
        let ring = QueueSize::new(ring_size).map_err(|error| invalid(&error))?;
        let flags = match mode {
            BindMode::Auto => BindFlags::empty(),
            BindMode::Copy => BindFlags::XDP_COPY,
            BindMode::ZeroCopy => BindFlags::XDP_ZEROCOPY,
        };
        let several = if arena.has_chains() { BindFlags::XDP_USE_SG } else { BindFlags::empty() };
        let config = SocketConfig::builder()
            .rx_queue_size(ring)
            .tx_queue_size(ring)
            .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
            .bind_flags(flags | BindFlags::XDP_USE_NEED_WAKEUP | several)
            .build();
        let interface = name.parse().map_err(|error| invalid(&error))?;
        // SAFETY: no program is loaded by libxdp, and no (interface, queue) is bound twice over one UMEM.
        let opened = unsafe { Socket::new(config, &arena.umem, &interface, queue) };
        let (tx, rx, rings) = opened.map_err(|error| socket_error(&error, name, queue, mode))?;
        let missing = || XdpError::Invalid(format!("queue {queue} of {name} is bound twice"));
        let (fill, completion) = rings.ok_or_else(missing)?;
        let name = name.to_owned();
        Ok(Self {
            name,
            queue,
            rx,
            tx,
            fill,
            completion,
            ring_size,
            in_fill: 0,
            in_transmit: 0,
            invalid: 0,
            partial: None,
            polls: false,
        })
    }

    /// Has us run the queue's receive loop from now on.
    pub(crate) fn poll_busily(&mut self, settings: BusyPoll) -> io::Result<()> {
        let options = [
            (libc::SO_PREFER_BUSY_POLL, 1),
            (libc::SO_BUSY_POLL, i32::try_from(settings.time_us).unwrap_or(i32::MAX)),
            (libc::SO_BUSY_POLL_BUDGET, settings.budget.into()),
        ];
        for (option, value) in options {
            let size = libc::socklen_t::try_from(size_of_val(&value)).map_err(io::Error::other)?;
            let fd = self.rx.fd().as_raw_fd();
            let value = std::ptr::from_ref(&value).cast();
            // SAFETY: the kernel reads `size` bytes of `value`, which lives over the call.
            if unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, value, size) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        self.polls = true;
        Ok(())
    }

    /// Was zero-copy really bound?
    pub(crate) fn is_zero_copy(&self) -> io::Result<bool> {
        let mut options = libc::xdp_options { flags: 0 };
        let mut size = libc::socklen_t::try_from(size_of_val(&options)).map_err(io::Error::other)?;
        let value = std::ptr::from_mut(&mut options).cast();
        let fd = self.rx.fd().as_raw_fd();
        // SAFETY: the kernel writes at most `size` bytes into `options`, which lives over the call.
        let answer = unsafe { libc::getsockopt(fd, libc::SOL_XDP, libc::XDP_OPTIONS, value, &raw mut size) };
        if answer != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0)
    }
}

fn socket_error(
    error: &xsk_rs::socket::SocketCreateError,
    name: &str,
    queue: u32,
    mode: BindMode,
) -> XdpError {
    let name = name.to_owned();
    match errno(error) {
        Some(libc::EBUSY) => XdpError::QueueBusy { name, queue },
        Some(libc::EPERM) => XdpError::NoCapability,
        Some(libc::EOPNOTSUPP | libc::EINVAL) if mode == BindMode::ZeroCopy => XdpError::NoZeroCopy { name },
        code => XdpError::Socket { name, queue, source: io_error(code, error) },
    }
}

pub(super) fn errno(error: &dyn std::error::Error) -> Option<i32> {
    error.source()?.downcast_ref::<io::Error>()?.raw_os_error()
}

pub(super) fn io_error(code: Option<i32>, error: &dyn std::error::Error) -> io::Error {
    code.map_or_else(|| io::Error::other(error.to_string()), io::Error::from_raw_os_error)
}
