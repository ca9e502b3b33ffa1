//! A datagram's data by position: what a fragment overlaps, what it needs, and how it is written.
//! Every step costs what the fragment's own length costs.

use crate::blocks::{BLOCK, Blocks, NONE, UNIT, UNITS};
use crate::policy::{Extent, OverlapPolicy};

/// What a fragment has in common with those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// Nothing.
    None,
    /// It is there already, all of it and byte by byte.
    Same,
    /// Anything else.
    Other,
}

/// The part of a fragment's data that lies in one block.
struct Piece<'d> {
    /// Which block of the datagram.
    place: usize,
    /// The first unit, in the block.
    first: usize,
    /// The units, a bit each.
    units: u64,
    data: &'d [u8],
}

/// The fragment's data by block; `offset` is a multiple of [`UNIT`].
fn pieces(offset: u32, data: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut position = offset as usize;
    let mut left = data;
    std::iter::from_fn(move || {
        let within = position % BLOCK;
        let (piece, rest) = left.split_at_checked(BLOCK - within).unwrap_or((left, &[]));
        if piece.is_empty() {
            return None;
        }
        let count = piece.len().div_ceil(UNIT);
        let first = within / UNIT;
        let units = (u64::MAX >> (UNITS - count)) << first;
        let place = position / BLOCK;
        (position, left) = (position + piece.len(), rest);
        Some(Piece { place, first, units, data: piece })
    })
}

/// What the data overlaps.
pub(crate) fn overlap(blocks: &Blocks, directory: u32, offset: u32, data: &[u8]) -> Overlap {
    let (mut none, mut same) = (true, true);
    for piece in pieces(offset, data) {
        let block = blocks.entry(directory, piece.place);
        let present = if block == NONE { 0 } else { blocks.present(block) } & piece.units;
        none &= present == 0;
        same &= present == piece.units
            && blocks.data(block).get(piece.first * UNIT..).is_some_and(|old| old.starts_with(piece.data));
    }
    match (none, same) {
        (true, _) => Overlap::None,
        (false, true) => Overlap::Same,
        (false, false) => Overlap::Other,
    }
}

/// How many more blocks the data needs, the directory included.
pub(crate) fn needed(blocks: &Blocks, directory: u32, offset: u32, data: &[u8]) -> usize {
    let missing = |piece: &Piece<'_>| directory == NONE || blocks.entry(directory, piece.place) == NONE;
    pieces(offset, data).filter(missing).count() + usize::from(directory == NONE)
}

/// What writing changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Units that were not there before.
    pub(crate) added: u16,
    /// Is the datagram's first unit from this fragment now?
    pub(crate) holds_start: bool,
}

/// Writes the data, where it overlaps as the policy says. The blocks must be there to be taken: see
/// [`needed`].
pub(crate) fn write(
    blocks: &mut Blocks,
    directory: u32,
    (offset, data): (u32, &[u8]),
    extent: Extent,
    policy: OverlapPolicy,
) -> Written {
    let mut written = Written::default();
    for piece in pieces(offset, data) {
        let mut block = blocks.entry(directory, piece.place);
        if block == NONE {
            let Some(taken) = blocks.take() else { return written };
            blocks.set_entry(directory, piece.place, taken);
            block = taken;
        }
        let fresh = piece.units & !blocks.present(block);
        let winning = fresh | favoured(blocks, block, piece.units & !fresh, extent, policy);
        copy(blocks, block, &piece, winning);
        own(blocks, block, winning, extent);
        blocks.add_present(block, fresh);
        written.added += u16::try_from(fresh.count_ones()).unwrap_or(0);
        written.holds_start |= piece.place == 0 && winning & 1 == 1;
    }
    written
}

/// Of units that are there already, those in which the new fragment counts.
fn favoured(blocks: &Blocks, block: u32, overlapped: u64, new: Extent, policy: OverlapPolicy) -> u64 {
    let origins = blocks.origins(block).iter().enumerate();
    let won = origins.filter(|(unit, old)| overlapped >> unit & 1 == 1 && policy.favours_new(**old, new));
    won.fold(0, |all, (unit, _)| all | 1 << unit)
}

fn copy(blocks: &mut Blocks, block: u32, piece: &Piece<'_>, winning: u64) {
    let Some(target) = blocks.data_mut(block).get_mut(piece.first * UNIT..) else { return };
    if winning == piece.units {
        if let Some(target) = target.get_mut(..piece.data.len()) {
            target.copy_from_slice(piece.data);
        }
        return;
    }
    for (unit, source) in piece.data.chunks(UNIT).enumerate() {
        let wins = winning >> (piece.first + unit) & 1 == 1;
        if let Some(target) = target.get_mut(unit * UNIT..unit * UNIT + source.len()).filter(|_| wins) {
            target.copy_from_slice(source);
        }
    }
}

fn own(blocks: &mut Blocks, block: u32, winning: u64, extent: Extent) {
    for (unit, origin) in blocks.origins_mut(block).iter_mut().enumerate() {
        if winning >> unit & 1 == 1 {
            *origin = extent;
        }
    }
}
