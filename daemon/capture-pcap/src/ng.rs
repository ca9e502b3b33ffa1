//! pcapng: sections of blocks (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html>).
//! Blocks are read in passing: none is held in memory whole.

use crate::error::{Damage, Fault};
use crate::input::{Input, number_u16, number_u32};
use crate::reader::MAX_CAPTURED;
use portcullis_capture::Frame;
use portcullis_wire::{LinkType, Timestamp};

/// Most interfaces that a section may describe.
pub(crate) const MAX_INTERFACES: usize = 65_536;

/// The first bytes of a section, in either byte order.
pub(crate) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const INTERFACE_DESCRIPTION: u32 = 1;
/// Obsolete, and still found in old files.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Bytes of every block besides its body: type, length, and length again.
const FRAMING: u32 = 12;

const OPTION_END: u16 = 0;
const OPTION_TSRESOL: u16 = 9;
const OPTION_TSOFFSET: u16 = 14;

/// What a block was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A packet of this interface, now in the frame.
    Packet(u32),
    /// Something else.
    Other,
    /// There was none: the file is at its end.
    End,
}

/// The section that is being read.
#[derive(Debug, Default)]
pub(crate) struct Section {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// The last packet's time, for those that have none.
    last: Timestamp,
}

/// An interface as its block describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) link: u32,
    snaplen: u32,
    /// `if_tsresol`: a negative power of ten, or with the highest bit of two.
    resolution: u8,
    /// `if_tsoffset`, in seconds.
    offset: i64,
}

impl Interface {
    /// Can its stamps be other than whole microseconds?
    pub(crate) const fn is_fine(&self) -> bool {
        self.resolution > 6
    }

    fn time(&self, units: u64) -> Timestamp {
        let units = i128::from(units);
        let exponent = u32::from(self.resolution & 0x7f);
        let nanos = if self.resolution & 0x80 != 0 {
            (units * 1_000_000_000) >> exponent
        } else if exponent <= 9 {
            units * 10_i128.pow(9 - exponent)
        } else {
            10_i128.checked_pow(exponent - 9).map_or(0, |divisor| units / divisor)
        };
        let nanos = nanos + i128::from(self.offset) * 1_000_000_000;
        Timestamp::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }
}

/// The head of a block, and how much of its body is left to be read.
struct Block {
    kind: u32,
    length: u32,
    left: u32,
}

impl Section {
    pub(crate) fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Reads one block.
    pub(crate) fn step(&mut self, input: &mut Input, frame: &mut Frame) -> Result<Step, Fault> {
        if input.is_at_end()? {
            return Ok(Step::End);
        }
        let mut kind = [0; 4];
        input.take(&mut kind)?;
        let mut length = [0; 4];
        input.take(&mut length)?;
        if kind == SECTION_HEADER {
            self.open(input, length)?;
            return Ok(Step::Other);
        }
        let kind = number_u32(kind, self.big_endian);
        let length = number_u32(length, self.big_endian);
        let mut block = Block::new(kind, length)?;
        let step = match kind {
            INTERFACE_DESCRIPTION => self.describe(input, &mut block)?,
            ENHANCED_PACKET => self.enhanced(input, &mut block, frame)?,
            SIMPLE_PACKET => self.simple(input, &mut block, frame)?,
            PACKET => self.packet(input, &mut block, frame)?,
            _ => Step::Other,
        };
        self.close(input, &block)?;
        Ok(step)
    }

    /// Starts a section: its block's length can be read when its byte order is known.
    fn open(&mut self, input: &mut Input, length: [u8; 4]) -> Result<(), Fault> {
        let mut magic = [0; 4];
        input.take(&mut magic)?;
        let big_endian = match magic {
            [0x1a, 0x2b, 0x3c, 0x4d] => true,
            [0x4d, 0x3c, 0x2b, 0x1a] => false,
            _ => return Err(Damage::ByteOrder { magic: u32::from_le_bytes(magic) }.into()),
        };
        let kind = number_u32(SECTION_HEADER, big_endian);
        let mut block = Block::new(kind, number_u32(length, big_endian))?;
        block.left = block.left.checked_sub(4).ok_or_else(|| block.bad_length())?;
        let [m0, m1, n0, n1] = block.take(input)?;
        let (major, minor) = (number_u16([m0, m1], big_endian), number_u16([n0, n1], big_endian));
        if major != 1 {
            return Err(Damage::Version { major, minor }.into());
        }
        self.big_endian = big_endian;
        self.interfaces.clear();
        self.close(input, &block)
    }

    /// Passes over what is left of a block, and compares its lengths.
    fn close(&self, input: &mut Input, block: &Block) -> Result<(), Fault> {
        input.skip(block.left)?;
        let mut trailer = [0; 4];
        input.take(&mut trailer)?;
        let trailer = number_u32(trailer, self.big_endian);
        if trailer != block.length {
            return Err(Damage::BlockTrailer { length: block.length, trailer }.into());
        }
        Ok(())
    }

    fn describe(&mut self, input: &mut Input, block: &mut Block) -> Result<Step, Fault> {
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(Damage::TooManyInterfaces.into());
        }
        let [l0, l1, _, _] = block.take(input)?;
        let link = u32::from(number_u16([l0, l1], self.big_endian));
        let snaplen = self.word(input, block)?;
        let mut interface = Interface { link, snaplen, resolution: 6, offset: 0 };
        while block.left >= 4 {
            let [c0, c1, n0, n1] = block.take(input)?;
            let code = number_u16([c0, c1], self.big_endian);
            let length = number_u16([n0, n1], self.big_endian);
            let padded = u32::from(length).next_multiple_of(4);
            if padded > block.left {
                return Err(Damage::OptionBeyondBlock { code, length }.into());
            }
            match (code, length) {
                (OPTION_END, _) => break,
                (OPTION_TSRESOL, 1) => [interface.resolution, ..] = block.take::<4>(input)?,
                (OPTION_TSOFFSET, 8) => {
                    let bytes = block.take(input)?;
                    let offset = if self.big_endian { i64::from_be_bytes } else { i64::from_le_bytes };
                    interface.offset = offset(bytes);
                }
                _ => {
                    input.skip(padded)?;
                    block.left -= padded;
                }
            }
        }
        self.interfaces.push(interface);
        Ok(Step::Other)
    }

    fn enhanced(&mut self, input: &mut Input, block: &mut Block, frame: &mut Frame) -> Result<Step, Fault> {
        let interface = self.word(input, block)?;
        self.stamped(interface, input, block, frame)
    }

    fn packet(&mut self, input: &mut Input, block: &mut Block, frame: &mut Frame) -> Result<Step, Fault> {
        let [i0, i1, _, _] = block.take(input)?;
        let interface = u32::from(number_u16([i0, i1], self.big_endian));
        self.stamped(interface, input, block, frame)
    }

    /// What enhanced packet blocks and their obsolete forerunners have in common.
    fn stamped(
        &mut self,
        interface: u32,
        input: &mut Input,
        block: &mut Block,
        frame: &mut Frame,
    ) -> Result<Step, Fault> {
        let high = self.word(input, block)?;
        let low = self.word(input, block)?;
        let captured = self.word(input, block)?;
        let original = self.word(input, block)?;
        let described = self.interface(interface)?;
        self.last = described.time(u64::from(high) << 32 | u64::from(low));
        self.capture(described, captured, original, input, block, frame)?;
        Ok(Step::Packet(interface))
    }

    /// A simple packet block is of the first interface, and has no time: it gets the one of the
    /// packet before.
    fn simple(&mut self, input: &mut Input, block: &mut Block, frame: &mut Frame) -> Result<Step, Fault> {
        let original = self.word(input, block)?;
        let interface = self.interface(0)?;
        let snaplen = if interface.snaplen == 0 { u32::MAX } else { interface.snaplen };
        self.capture(interface, original.min(snaplen), original, input, block, frame)?;
        Ok(Step::Packet(0))
    }

    fn capture(
        &self,
        interface: Interface,
        captured: u32,
        original: u32,
        input: &mut Input,
        block: &mut Block,
        frame: &mut Frame,
    ) -> Result<(), Fault> {
        if captured > MAX_CAPTURED {
            return Err(Damage::PacketLength { length: captured }.into());
        }
        let Some(left) = block.left.checked_sub(captured) else {
            return Err(Damage::PacketBeyondBlock { captured, length: block.length }.into());
        };
        block.left = left;
        frame.bytes.clear();
        input.append(&mut frame.bytes, captured)?;
        frame.meta.timestamp = self.last;
        frame.meta.wire_length = original.max(captured);
        frame.meta.link = LinkType::from_number(interface.link);
        Ok(())
    }

    fn interface(&self, number: u32) -> Result<Interface, Damage> {
        let interface = usize::try_from(number).ok().and_then(|at| self.interfaces.get(at)).copied();
        let described = self.interfaces.len();
        interface.ok_or(Damage::NoSuchInterface { interface: number, described })
    }

    fn word(&self, input: &mut Input, block: &mut Block) -> Result<u32, Fault> {
        Ok(number_u32(block.take(input)?, self.big_endian))
    }
}

impl Block {
    fn new(kind: u32, length: u32) -> Result<Self, Damage> {
        match length.checked_sub(FRAMING) {
            Some(left) if length.is_multiple_of(4) => Ok(Self { kind, length, left }),
            _ => Err(Damage::BlockLength { kind, length }),
        }
    }

    /// Takes some bytes of the body.
    fn take<const N: usize>(&mut self, input: &mut Input) -> Result<[u8; N], Fault> {
        let count = u32::try_from(N).unwrap_or(u32::MAX);
        self.left = self.left.checked_sub(count).ok_or_else(|| self.bad_length())?;
        let mut bytes = [0; N];
        input.take(&mut bytes)?;
        Ok(bytes)
    }

    const fn bad_length(&self) -> Damage {
        Damage::BlockLength { kind: self.kind, length: self.length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_become_nanoseconds() {
        let check = |resolution: u8, offset: i64, units: u64, expected: u64| {
            let interface = Interface { link: 1, snaplen: 0, resolution, offset };
            assert_eq!(interface.time(units).as_nanos(), expected, "{interface:?} {units}");
        };
        check(6, 0, 1_500_000, 1_500_000_000);
        check(9, 0, 1_500_000_001, 1_500_000_001);
        check(0, 0, 7, 7_000_000_000);
        check(12, 0, 1_999, 1);
        check(0x7f, 0, u64::MAX, 0);
        check(0x80 | 10, 0, 1_536, 1_500_000_000);
        check(0x80 | 32, 0, 3 << 31, 1_500_000_000);
        check(0xff, 0, u64::MAX, 0);
        check(6, 10, 1, 10_000_001_000);
        check(0, -3, 7, 4_000_000_000);
        check(0, -8, 7, 0);
        check(0, 0, u64::MAX, u64::MAX);
        check(0, i64::MIN, u64::MAX, 9_223_372_036_854_775_807_u64.saturating_mul(1_000_000_000));
    }
}
