//! The memory for fragments' data: blocks of equal size, taken once, lent and given back.
//!
//! A block holds 64 units of eight bytes, and beside them which units are there and (where overlaps
//! are settled by policy) where the fragment lies that each is from. A block may also be a directory,
//! of the numbers of up to 128 blocks: so many hold a datagram of 64 KiB.

use crate::policy::Extent;

/// Bytes of data in a block.
pub(crate) const BLOCK: usize = 512;
/// Bytes in a unit: fragments begin and, but for the last one, end on a multiple of it.
pub(crate) const UNIT: usize = 8;
/// Units in a block.
pub(crate) const UNITS: usize = BLOCK / UNIT;

/// No block.
pub(crate) const NONE: u32 = u32::MAX;

/// All blocks of a worker.
#[derive(Debug)]
pub(crate) struct Blocks {
    data: Vec<u8>,
    present: Vec<u64>,
    /// 64 for each block; empty where overlaps are not settled.
    origins: Vec<Extent>,
    free: Vec<u32>,
}

impl Blocks {
    /// Bytes that a block takes in all.
    pub(crate) const fn cost(with_origins: bool) -> usize {
        let origins = if with_origins { UNITS * size_of::<Extent>() } else { 0 };
        BLOCK + size_of::<u64>() + origins + size_of::<u32>()
    }

    /// `count` blocks; `touched`, they are mapped right now.
    pub(crate) fn new(count: u32, with_origins: bool, touched: bool) -> Self {
        let places = count as usize;
        // Zeroed memory is mapped when it is first written to.
        let filler = u8::from(touched);
        Self {
            data: vec![filler; places * BLOCK],
            present: vec![0; places],
            origins: if with_origins { vec![Extent::default(); places * UNITS] } else { Vec::new() },
            free: (0..count).rev().collect(),
        }
    }

    pub(crate) const fn free(&self) -> usize {
        self.free.len()
    }

    pub(crate) const fn used(&self) -> usize {
        self.present.len() - self.free.len()
    }

    /// An empty block.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let block = self.free.pop()?;
        if let Some(present) = self.present.get_mut(block as usize) {
            *present = 0;
        }
        Some(block)
    }

    /// A block that is a directory without entries.
    pub(crate) fn take_directory(&mut self) -> Option<u32> {
        let block = self.take()?;
        self.data_mut(block).fill(0xff);
        Some(block)
    }

    pub(crate) fn give_back(&mut self, block: u32) {
        debug_assert!(self.used() > 0 && (block as usize) < self.present.len());
        self.free.push(block);
    }

    /// Gives back a directory with all that is in it.
    pub(crate) fn give_back_directory(&mut self, directory: u32) {
        for place in 0..BLOCK / size_of::<u32>() {
            let block = self.entry(directory, place);
            if block != NONE {
                self.give_back(block);
            }
        }
        self.give_back(directory);
    }

    /// The block at `place` of a directory, or [`NONE`].
    pub(crate) fn entry(&self, directory: u32, place: usize) -> u32 {
        let (entries, _) = self.data(directory).as_chunks::<4>();
        entries.get(place).map_or(NONE, |entry| u32::from_le_bytes(*entry))
    }

    pub(crate) fn set_entry(&mut self, directory: u32, place: usize, block: u32) {
        let (entries, _) = self.data_mut(directory).as_chunks_mut::<4>();
        if let Some(entry) = entries.get_mut(place) {
            *entry = block.to_le_bytes();
        }
    }

    pub(crate) fn data(&self, block: u32) -> &[u8] {
        let start = block as usize * BLOCK;
        self.data.get(start..start + BLOCK).unwrap_or(&[])
    }

    pub(crate) fn data_mut(&mut self, block: u32) -> &mut [u8] {
        let start = block as usize * BLOCK;
        self.data.get_mut(start..start + BLOCK).unwrap_or(&mut [])
    }

    /// Which units of a block are there, a bit each, the first the lowest.
    pub(crate) fn present(&self, block: u32) -> u64 {
        self.present.get(block as usize).copied().unwrap_or(0)
    }

    pub(crate) fn add_present(&mut self, block: u32, units: u64) {
        if let Some(present) = self.present.get_mut(block as usize) {
            *present |= units;
        }
    }

    /// Where the fragments lie that a block's units are from; nothing where that is not kept.
    pub(crate) fn origins(&self, block: u32) -> &[Extent] {
        let start = block as usize * UNITS;
        self.origins.get(start..start + UNITS).unwrap_or(&[])
    }

    pub(crate) fn origins_mut(&mut self, block: u32) -> &mut [Extent] {
        let start = block as usize * UNITS;
        self.origins.get_mut(start..start + UNITS).unwrap_or(&mut [])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_empty() {
        let mut blocks = Blocks::new(3, false, true);
        let taken: Vec<u32> = std::iter::from_fn(|| blocks.take()).collect();
        assert_eq!((taken.len(), blocks.free(), blocks.used()), (3, 0, 3));
        blocks.data_mut(taken[0]).fill(7);
        blocks.add_present(taken[0], 5);
        assert_eq!(blocks.present(taken[0]), 5);
        blocks.give_back(taken[0]);
        assert_eq!(blocks.take(), Some(taken[0]));
        assert_eq!(blocks.present(taken[0]), 0);
        assert!(blocks.origins(taken[0]).is_empty());
    }

    #[test]
    fn a_directory_goes_back_with_what_is_in_it() {
        let mut blocks = Blocks::new(4, true, false);
        let directory = blocks.take_directory().unwrap();
        assert!((0..128).all(|place| blocks.entry(directory, place) == NONE));
        assert_eq!(blocks.entry(directory, 128), NONE);
        let (first, last) = (blocks.take().unwrap(), blocks.take().unwrap());
        blocks.set_entry(directory, 0, first);
        blocks.set_entry(directory, 127, last);
        assert_eq!((blocks.entry(directory, 0), blocks.entry(directory, 127)), (first, last));
        blocks.origins_mut(last).fill(Extent { start: 1, end: 2 });
        assert!(blocks.origins(last).iter().all(|origin| origin.end == 2));
        blocks.give_back_directory(directory);
        assert_eq!((blocks.free(), blocks.used()), (4, 0));
    }

    #[test]
    fn the_stated_cost_is_the_real_one() {
        for with_origins in [false, true] {
            let blocks = Blocks::new(10, with_origins, false);
            let bytes = blocks.data.len()
                + blocks.present.len() * 8
                + blocks.origins.len() * size_of::<Extent>()
                + blocks.free.len() * 4;
            assert_eq!(bytes, 10 * Blocks::cost(with_origins));
        }
    }
}
