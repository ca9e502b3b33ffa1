//! Accepted frames into a classic pcap file.

use crate::error::PcapError;
use crate::reader::{MAX_CAPTURED, PcapReader, Traits};
use portcullis_capture::{Frame, FrameSink};
use portcullis_wire::LinkType;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Writes classic pcap in little-endian: original stamps, captured and wire lengths.
///
/// Stamps are nanoseconds where the input, as far as it has been read when the first frame leaves,
/// has finer ones than microseconds; else microseconds, to which later finer ones are rounded down.
#[derive(Debug)]
pub struct PcapWriter {
    path: PathBuf,
    output: BufWriter<File>,
    input: Arc<Traits>,
    header: Option<Header>,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    fine: bool,
    link: LinkType,
}

impl PcapWriter {
    /// Creates the file, over what was there, for frames of `input`.
    ///
    /// # Errors
    /// If it cannot be created, or is the file that `source` reads from.
    pub fn create(path: &Path, input: &Path, source: &PcapReader) -> Result<Self, PcapError> {
        if is_same(path, input) {
            return Err(PcapError::SameFile { path: path.to_owned() });
        }
        let created = File::create(path);
        let file = created.map_err(|source| PcapError::Create { path: path.to_owned(), source })?;
        let output = BufWriter::with_capacity(256 * 1024, file);
        Ok(Self { path: path.to_owned(), output, input: source.traits(), header: None })
    }

    fn header(&mut self) -> Result<Header, PcapError> {
        if let Some(header) = self.header {
            return Ok(header);
        }
        let number = self.input.link.load(Ordering::Relaxed);
        let fine = self.input.fine.load(Ordering::Relaxed);
        let magic: u32 = if fine { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        // Version 2.4, then zone and accuracy, which nobody sets.
        let words = [magic, 4 << 16 | 2, 0, 0, MAX_CAPTURED, number];
        let written = words.iter().try_for_each(|word| self.output.write_all(&word.to_le_bytes()));
        self.written(written)?;
        Ok(*self.header.insert(Header { fine, link: LinkType::from_number(number) }))
    }

    fn record(&mut self, frame: &Frame, fine: bool) -> io::Result<()> {
        let nanos = frame.meta.timestamp.as_nanos();
        let second = u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX);
        let fraction = nanos % 1_000_000_000 / if fine { 1 } else { 1_000 };
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let fraction = u32::try_from(fraction).unwrap_or(u32::MAX);
        for word in [second, fraction, length(frame.bytes.len()), frame.meta.wire_length] {
            self.output.write_all(&word.to_le_bytes())?;
        }
        self.output.write_all(&frame.bytes)
    }

    fn written(&self, result: io::Result<()>) -> Result<(), PcapError> {
        result.map_err(|source| PcapError::Write { path: self.path.clone(), source })
    }
}

impl FrameSink for PcapWriter {
    type Error = PcapError;

    fn write(&mut self, frame: &Frame) -> Result<(), PcapError> {
        let Header { fine, link: first } = self.header()?;
        let (packet, link) = (frame.meta.id, frame.meta.link);
        if link != first {
            return Err(PcapError::MixedLinkTypes { path: self.path.clone(), packet, link, first });
        }
        let written = self.record(frame, fine);
        self.written(written)
    }

    fn flush(&mut self) -> Result<(), PcapError> {
        self.header()?;
        let written = self.output.flush();
        self.written(written)
    }
}

/// Are both the same file, by whatever name?
fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}
