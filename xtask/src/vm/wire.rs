//! The two cables: a datagram socket at each port, a datagram a frame.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::guest::{guest_socket, host_socket};
use crate::program::Interrupt;

/// Frames that are under way in one direction at a time: fewer than any queue on the way holds.
const WINDOW: usize = 64;
/// So long silence means that what is missing is lost.
const SILENCE: Duration = Duration::from_secs(3);
/// How often it is tried whether a frame comes through.
const TRY_EVERY: Duration = Duration::from_millis(100);
/// So many times in a row it must have.
const STEADY: u32 = 12;

/// The host's ends of both cables.
#[derive(Debug)]
pub(crate) struct Wire {
    ends: [UnixDatagram; 2],
    guests: [PathBuf; 2],
    interrupt: Interrupt,
}

/// What became of the frames that were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Frames sent.
    pub(crate) sent: usize,
    /// Frames that came out at the other port, byte by byte as they were sent, and only once.
    pub(crate) through: usize,
}

impl Wire {
    /// Lays both cables; the guest is yet to come.
    pub(crate) fn lay(folder: &Path, interrupt: &Interrupt) -> Result<Self> {
        let end = |port| -> Result<UnixDatagram> {
            let path = host_socket(folder, port);
            let socket =
                UnixDatagram::bind(&path).with_context(|| format!("cannot make {}", path.display()))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let guests = [guest_socket(folder, 0), guest_socket(folder, 1)];
        Ok(Self { ends: [end(0)?, end(1)?], guests, interrupt: interrupt.clone() })
    }

    /// Sends frames of `make` in both directions at once, `count` in each, and takes down what comes out. Anything
    /// that comes out and was not sent, or for a second time, is an error: a frame was changed on its way.
    pub(crate) fn exchange(&self, count: u32, make: impl Fn(usize, u32) -> Vec<u8>) -> Result<Tally> {
        self.exchange_watched(count, make, |_, _| {})
    }

    /// The same; `watch` is shown what comes out, by port, in the order in which it does.
    pub(crate) fn exchange_watched(
        &self,
        count: u32,
        make: impl Fn(usize, u32) -> Vec<u8>,
        mut watch: impl FnMut(usize, &[u8]),
    ) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut next = [0_u32; 2];
        let mut under_way: [HashSet<Vec<u8>>; 2] = Default::default();
        let mut waiting: [Option<Vec<u8>>; 2] = [None, None];
        let mut last = Instant::now();
        while next != [count, count] || under_way.iter().any(|frames| !frames.is_empty()) {
            self.interrupt.check()?;
            for port in 0..2 {
                while under_way[port].len() < WINDOW && next[port] < count {
                    let frame = waiting[port].take().unwrap_or_else(|| make(port, next[port]));
                    if !self.send(port, &frame)? {
                        waiting[port] = Some(frame);
                        break;
                    }
                    next[port] += 1;
                    tally.sent += 1;
                    under_way[port].insert(frame);
                }
            }
            for port in 0..2 {
                while let Some(frame) = self.receive(port)? {
                    if !under_way[1 - port].remove(&frame) {
                        bail!(
                            "port {port} sent a frame that did not come in at the other: {}",
                            describe(&frame)
                        );
                    }
                    watch(port, &frame);
                    tally.through += 1;
                    last = Instant::now();
                }
            }
            if last.elapsed() > SILENCE {
                break;
            }
            self.pause();
        }
        Ok(tally)
    }

    /// Sends frames of `make` until they come through in both directions for a while: links take their time, and
    /// drivers reset their cards one after the other. How long it took until the first did.
    pub(crate) fn wait_until_open(
        &self,
        limit: Duration,
        make: impl Fn(usize, u32) -> Vec<u8>,
    ) -> Result<Duration> {
        let started = Instant::now();
        let mut first = None;
        let mut streak = 0;
        let mut number = 0;
        while streak < STEADY {
            if started.elapsed() > limit {
                bail!("no frames get through, or not for long, within {} seconds", limit.as_secs());
            }
            for port in 0..2 {
                self.send(port, &make(port, number))?;
            }
            number += 1;
            let came = self.drain_for(TRY_EVERY)?;
            streak = if came.contains(&0) { 0 } else { streak + 1 };
            if streak == 1 {
                first.get_or_insert_with(|| started.elapsed());
            }
        }
        self.drain(SILENCE / 6)?;
        Ok(first.unwrap_or_default())
    }

    /// Takes everything off the cables for `time`; how many frames came out of each port.
    fn drain_for(&self, time: Duration) -> Result<[usize; 2]> {
        let mut came = [0; 2];
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.take(&mut came)?;
            self.pause();
        }
        Ok(came)
    }

    /// Takes everything off the cables until nothing has come for `silence`; how many frames came out of each port.
    pub(crate) fn drain(&self, silence: Duration) -> Result<[usize; 2]> {
        let mut came = [0; 2];
        let mut last = Instant::now();
        while last.elapsed() < silence {
            if self.take(&mut came)? {
                last = Instant::now();
            }
            self.pause();
        }
        Ok(came)
    }

    /// Takes off the cables what is there, and counts it by port; was there anything?
    fn take(&self, came: &mut [usize; 2]) -> Result<bool> {
        self.interrupt.check()?;
        let before = *came;
        for (port, came) in came.iter_mut().enumerate() {
            while self.receive(port)?.is_some() {
                *came += 1;
            }
        }
        Ok(*came != before)
    }

    /// Sends a frame into a port, waiting for room; for few frames.
    pub(crate) fn push(&self, port: usize, frame: &[u8]) -> Result<()> {
        let end = Instant::now() + SILENCE;
        while !self.send(port, frame)? {
            self.interrupt.check()?;
            if Instant::now() > end {
                bail!("port {port} takes no frame");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Sends a frame into a port, if there is room.
    fn send(&self, port: usize, frame: &[u8]) -> Result<bool> {
        match self.ends[port].send_to(frame, &self.guests[port]) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(false),
            // The emulator's end of the cable is gone.
            Err(error) => Err(error).context("the guest is gone"),
        }
    }

    /// A frame that came out of a port.
    fn receive(&self, port: usize) -> Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; 65_536];
        match self.ends[port].recv(&mut bytes) {
            Ok(length) => {
                bytes.truncate(length);
                Ok(Some(bytes))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error).context("cannot receive"),
        }
    }

    /// Waits a little for a frame.
    fn pause(&self) {
        let mut fds = self.ends.each_ref().map(|end| PollFd::new(end, PollFlags::IN));
        let limit = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        // What went wrong shows when it is received.
        let _ = poll(&mut fds, Some(&limit));
    }
}

/// For messages: how long a frame is, and its first bytes.
fn describe(frame: &[u8]) -> String {
    let bytes: String = frame.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes, {bytes}", frame.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guest that hands on what it gets after `change` has seen it; `None` loses it.
    fn guest(folder: &Path, change: impl Fn(Vec<u8>) -> Option<Vec<u8>> + Send + 'static) {
        let ends = [0, 1].map(|port| {
            let socket = UnixDatagram::bind(guest_socket(folder, port)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            socket
        });
        let folder = folder.to_owned();
        std::thread::spawn(move || {
            let mut bytes = vec![0; 2048];
            // Ends when the test's folder is gone.
            while folder.exists() {
                for port in 0..2 {
                    let Ok(length) = ends[port].recv(&mut bytes) else { continue };
                    if let Some(frame) = change(bytes[..length].to_vec()) {
                        let _ = ends[1 - port].send_to(&frame, host_socket(&folder, 1 - port));
                    }
                }
            }
        });
    }

    fn make(port: usize, number: u32) -> Vec<u8> {
        [vec![u8::try_from(port).unwrap(); 60], number.to_be_bytes().to_vec()].concat()
    }

    fn exchange(change: impl Fn(Vec<u8>) -> Option<Vec<u8>> + Send + 'static) -> Result<Tally> {
        let folder = tempfile::tempdir().unwrap();
        let wire = Wire::lay(folder.path(), &Interrupt::never()).unwrap();
        guest(folder.path(), change);
        wire.exchange(200, make)
    }

    #[test]
    fn what_comes_through_as_it_was_is_counted() {
        assert_eq!(exchange(Some).unwrap(), Tally { sent: 400, through: 400 });
    }

    #[test]
    fn what_is_lost_is_missed() {
        let tally = exchange(|frame| (frame[63] != 7).then_some(frame)).unwrap();
        assert_eq!(tally, Tally { sent: 400, through: 398 });
    }

    #[test]
    fn a_changed_byte_is_seen() {
        let error = exchange(|mut frame| {
            frame[30] ^= u8::from(frame[63] == 7);
            Some(frame)
        });
        assert!(error.unwrap_err().to_string().contains("that did not come in at the other"));
    }
}
