//! The smallest writer of capture files that does: classic pcap, nanoseconds, Ethernet.

use std::io::{self, Write};

use portcullis_wire::Timestamp;

/// Writes a classic pcap file with nanosecond stamps and link type Ethernet
/// (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html>). Give it a buffered writer.
#[derive(Debug)]
pub struct PcapWriter<W> {
    output: W,
}

impl<W: Write> PcapWriter<W> {
    /// Begins a file on `output`.
    ///
    /// # Errors
    ///
    /// When `output` cannot be written.
    pub fn new(mut output: W) -> io::Result<Self> {
        const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
        const VERSION: [u16; 2] = [2, 4];
        const SNAPLEN: u32 = 262_144;
        const ETHERNET: u32 = 1;
        output.write_all(&MAGIC_NANOSECONDS.to_le_bytes())?;
        for part in VERSION {
            output.write_all(&part.to_le_bytes())?;
        }
        for field in [0, 0, SNAPLEN, ETHERNET] {
            output.write_all(&field.to_le_bytes())?;
        }
        Ok(Self { output })
    }

    /// Adds one frame, captured whole.
    ///
    /// # Errors
    ///
    /// When `output` cannot be written, the stamp is later than the year 2106, or the frame is
    /// longer than 4 GiB.
    pub fn write(&mut self, time: Timestamp, frame: &[u8]) -> io::Result<()> {
        const SECOND: u64 = 1_000_000_000;
        let nanos = time.as_nanos();
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        let seconds = u32::try_from(nanos / SECOND).map_err(io::Error::other)?;
        let rest = u32::try_from(nanos % SECOND).map_err(io::Error::other)?;
        for field in [seconds, rest, length, length] {
            self.output.write_all(&field.to_le_bytes())?;
        }
        self.output.write_all(frame)
    }

    /// Flushes and gives back what was written to.
    ///
    /// # Errors
    ///
    /// When the last bytes cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.flush()?;
        Ok(self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_where_the_format_says() {
        let mut writer = PcapWriter::new(Vec::new()).unwrap();
        writer.write(Timestamp::from_nanos(3_000_000_007), &[1, 2, 3]).unwrap();
        let file = writer.finish().unwrap();
        assert_eq!(file.len(), 24 + 16 + 3);
        assert_eq!(file[..4], [0x4d, 0x3c, 0xb2, 0xa1]);
        assert_eq!(file[20..24], [1, 0, 0, 0]);
        assert_eq!(file[24..28], [3, 0, 0, 0]);
        assert_eq!(file[28..32], [7, 0, 0, 0]);
        assert_eq!(file[32..40], [3, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(file[40..], [1, 2, 3]);
    }

    #[test]
    fn a_stamp_that_does_not_fit_is_refused() {
        let mut writer = PcapWriter::new(Vec::new()).unwrap();
        assert!(writer.write(Timestamp::NEVER, &[]).is_err());
    }
}
