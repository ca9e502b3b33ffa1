//! A file read once from start to end, with its place known.

use crate::error::{Damage, Fault};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes asked of the system at a time.
const BUFFER: usize = 256 * 1024;

/// How far a file has been read; shared, for a progress bar.
#[derive(Clone, Debug)]
pub struct Progress {
    read: Arc<AtomicU64>,
    total: u64,
}

impl Progress {
    /// Bytes read so far.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, read: u64) {
        self.read.store(read, Ordering::Relaxed);
    }

    /// Bytes in the file when it was opened; 0 where it is no regular file.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }
}

/// The file and the place in it.
#[derive(Debug)]
pub(crate) struct Input {
    reader: BufReader<File>,
    offset: u64,
    progress: Progress,
}

/// A file that somebody else reads on.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) file: File,
    /// What was read ahead.
    pub(crate) bytes: Vec<u8>,
    /// Where in the file these are.
    pub(crate) offset: u64,
    pub(crate) progress: Progress,
}

impl Input {
    pub(crate) fn new(file: File, total: u64) -> Self {
        let progress = Progress { read: Arc::default(), total };
        Self { reader: BufReader::with_capacity(BUFFER, file), offset: 0, progress }
    }

    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// The file, with what was read of it and not taken.
    pub(crate) fn into_unread(self) -> Unread {
        let Self { reader, offset, progress } = self;
        let bytes = reader.buffer().to_vec();
        Unread { file: reader.into_inner(), bytes, offset, progress }
    }

    /// Is there nothing more?
    pub(crate) fn is_at_end(&mut self) -> Result<bool, Fault> {
        Ok(self.fill()?.is_empty())
    }

    /// The next bytes, not taken, up to four: fewer at the end of the file.
    pub(crate) fn peek(&mut self) -> Result<Vec<u8>, Fault> {
        let filled = self.fill()?;
        Ok(filled.get(..4).unwrap_or(filled).to_vec())
    }

    /// Takes as many bytes as `buffer` has.
    pub(crate) fn take(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        let mut rest = buffer;
        self.each(rest.len() as u64, |bytes| {
            let (now, later) = std::mem::take(&mut rest).split_at_mut(bytes.len());
            now.copy_from_slice(bytes);
            rest = later;
        })
    }

    /// Takes `count` bytes, on to the end of `buffer`.
    pub(crate) fn append(&mut self, buffer: &mut Vec<u8>, count: u32) -> Result<(), Fault> {
        self.each(u64::from(count), |bytes| buffer.extend_from_slice(bytes))
    }

    /// Passes over `count` bytes.
    pub(crate) fn skip(&mut self, count: u32) -> Result<(), Fault> {
        self.each(u64::from(count), |_| {})
    }

    /// Tells `use_bytes` the next `count` bytes, in pieces as they come.
    fn each(&mut self, count: u64, mut use_bytes: impl FnMut(&[u8])) -> Result<(), Fault> {
        let mut missing = count;
        while missing > 0 {
            let filled = self.fill()?;
            if filled.is_empty() {
                return Err(Damage::Truncated { missing }.into());
            }
            let wanted = usize::try_from(missing).unwrap_or(usize::MAX).min(filled.len());
            use_bytes(filled.get(..wanted).unwrap_or(filled));
            self.reader.consume(wanted);
            missing -= wanted as u64;
            self.offset += wanted as u64;
        }
        self.progress.set(self.offset);
        Ok(())
    }

    fn fill(&mut self) -> Result<&[u8], io::Error> {
        loop {
            match self.reader.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.reader.buffer())
    }
}

/// Four bytes as a number.
pub(crate) const fn number_u32(bytes: [u8; 4], big_endian: bool) -> u32 {
    if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

/// Two bytes as a number.
pub(crate) const fn number_u16(bytes: [u8; 2], big_endian: bool) -> u16 {
    if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
}
