//! Signals as something that can be waited for together with other things.

use signal_hook::SigId;
use signal_hook::low_level::{pipe, unregister};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;

/// A pipe for each signal.
#[derive(Debug)]
pub(crate) struct Signals {
    pipes: Vec<(i32, SigId, UnixStream)>,
}

impl Signals {
    /// Takes these signals from now on.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn watch(signals: &[i32]) -> io::Result<Self> {
        let mut pipes = Vec::new();
        for signal in signals {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            pipes.push((*signal, pipe::register(*signal, writer)?, reader));
        }
        Ok(Self { pipes })
    }

    /// Readable when a signal has come.
    pub(crate) fn pipes(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.pipes.iter().map(|(_, _, pipe)| pipe.as_fd())
    }

    /// The signals that came since the last call, each as often as it came.
    pub(crate) fn taken(&self) -> impl Iterator<Item = i32> {
        self.pipes.iter().flat_map(|(signal, _, pipe)| {
            let mut bytes = [0; 64];
            let count = { pipe }.read(&mut bytes).unwrap_or(0);
            std::iter::repeat_n(*signal, count)
        })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (_, id, _) in &self.pipes {
            unregister(*id);
        }
    }
}
