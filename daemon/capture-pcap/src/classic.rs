//! Classic pcap: a file header and records
//! (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html>).

use crate::error::{Damage, Fault};
use crate::input::{Input, number_u16, number_u32};
use crate::reader::MAX_CAPTURED;
use portcullis_capture::Frame;
use portcullis_wire::{LinkType, Timestamp};

/// The file header's length in bytes.
const FILE_HEADER: usize = 24;

/// Layout and units of the records of a file.
#[derive(Debug)]
pub(crate) struct Classic {
    big_endian: bool,
    /// Nanoseconds in a unit of the stamps' second half.
    unit: u64,
    /// Bytes of a record's header: 16, or 24 in the variant that some old Linux systems wrote.
    record_header: usize,
    link: u32,
}

impl Classic {
    /// Does a file start like this? Then `(big-endian, nanoseconds in a unit, record header)`.
    fn layout(magic: [u8; 4]) -> Option<(bool, u64, usize)> {
        Some(match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1_000, 16),
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1_000, 16),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1, 16),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1, 16),
            [0x34, 0xcd, 0xb2, 0xa1] => (false, 1_000, 24),
            [0xa1, 0xb2, 0xcd, 0x34] => (true, 1_000, 24),
            _ => return None,
        })
    }

    pub(crate) fn is_magic(magic: [u8; 4]) -> bool {
        Self::layout(magic).is_some()
    }

    /// Reads the file header of a file that starts with a known magic.
    pub(crate) fn open(input: &mut Input) -> Result<Self, Fault> {
        let mut header = [0; FILE_HEADER];
        input.take(&mut header)?;
        let [a, b, c, d, major @ .., _, _, _, _, _, _, _, _, _, _, _, _, l0, l1, l2, l3] = header;
        let [m0, m1, n0, n1] = major;
        let magic = [a, b, c, d];
        let Some((big_endian, unit, record_header)) = Self::layout(magic) else {
            return Err(Damage::ByteOrder { magic: u32::from_le_bytes(magic) }.into());
        };
        let (major, minor) = (number_u16([m0, m1], big_endian), number_u16([n0, n1], big_endian));
        if major != 2 {
            return Err(Damage::Version { major, minor }.into());
        }
        // The upper bits say whether frames end with a check sequence, and of what length.
        let link = number_u32([l0, l1, l2, l3], big_endian) & 0x03ff_ffff;
        Ok(Self { big_endian, unit, record_header, link })
    }

    pub(crate) const fn link(&self) -> u32 {
        self.link
    }

    /// Can the stamps be finer than a microsecond?
    pub(crate) const fn is_fine(&self) -> bool {
        self.unit < 1_000
    }

    /// Bytes of a record's header.
    pub(crate) const fn header(&self) -> usize {
        self.record_header
    }

    /// The record that `bytes` begin with.
    pub(crate) fn step(&self, bytes: &[u8]) -> Step {
        let Some((header, body)) = bytes.split_at_checked(self.record_header) else {
            return Step::More { missing: (self.record_header - bytes.len()) as u64 };
        };
        match self.record(header) {
            Err(damage) => Step::Damaged(damage),
            Ok(record) => match u64::from(record.captured).checked_sub(body.len() as u64) {
                None | Some(0) => Step::Record(record),
                Some(missing) => Step::More { missing },
            },
        }
    }

    /// Reads a record into `frame`; `false` at the end of the file.
    pub(crate) fn read(&self, input: &mut Input, frame: &mut Frame) -> Result<bool, Fault> {
        if input.is_at_end()? {
            return Ok(false);
        }
        let mut header = [0; 24];
        let header = header.get_mut(..self.record_header).unwrap_or_default();
        input.take(header)?;
        let record = self.record(header)?;
        frame.bytes.clear();
        input.append(&mut frame.bytes, record.captured)?;
        frame.meta.timestamp = record.timestamp;
        frame.meta.wire_length = record.wire_length;
        frame.meta.link = LinkType::from_number(self.link);
        Ok(true)
    }

    /// What a record's header says.
    #[inline]
    fn record(&self, header: &[u8]) -> Result<Record, Damage> {
        let words = header.as_chunks().0;
        let word = |at: usize| number_u32(words.get(at).copied().unwrap_or_default(), self.big_endian);
        let (seconds, fraction, captured, original) = (word(0), word(1), word(2), word(3));
        if captured > MAX_CAPTURED {
            return Err(Damage::PacketLength { length: captured });
        }
        let nanos = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit;
        let timestamp = Timestamp::from_nanos(nanos);
        Ok(Record { captured, wire_length: original.max(captured), timestamp })
    }
}

/// What a record's header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// Bytes that follow it.
    pub(crate) captured: u32,
    pub(crate) wire_length: u32,
    pub(crate) timestamp: Timestamp,
}

/// What is at a place in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A record, all of it.
    Record(Record),
    /// A part of one, or nothing: so many bytes are missing of its header or, where that is whole, of the rest.
    More { missing: u64 },
    /// What cannot be.
    Damaged(Damage),
}
