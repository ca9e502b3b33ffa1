//! What rules remember about a flow: a small set of bits with names. Kept beside the flows that have
//! some, within `flow.memcap`.

use crate::flow::Flow;
use crate::portable::Reader;
use std::num::NonZeroU32;

pub(crate) mod pool;

/// The bit of a name. It follows from the name alone, so a flow's bits outlive a change of rules; whoever
/// makes bits must see that two names he uses do not give the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowBit(NonZeroU32);

impl FlowBit {
    /// The bit called `name` (FNV-1a over its bytes).
    #[must_use]
    pub fn named(name: &[u8]) -> Self {
        let hash = name
            .iter()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        Self(NonZeroU32::new(hash).unwrap_or(NonZeroU32::MIN))
    }
}

/// The bits that are set on one flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowBits([Option<FlowBit>; FlowBits::MOST]);

impl FlowBits {
    /// Most bits that one flow can have.
    pub const MOST: usize = 8;

    /// Is the bit set?
    #[must_use]
    pub fn contains(&self, bit: FlowBit) -> bool {
        self.0.contains(&Some(bit))
    }

    /// Sets a bit; `false` where it was not set and there is no room for it.
    #[must_use]
    pub fn insert(&mut self, bit: FlowBit) -> bool {
        if self.contains(bit) {
            return true;
        }
        match self.0.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = Some(bit);
                true
            }
            None => false,
        }
    }

    /// Unsets a bit, if it is set.
    pub fn remove(&mut self, bit: FlowBit) {
        for slot in self.0.iter_mut().filter(|slot| **slot == Some(bit)) {
            *slot = None;
        }
    }

    /// Appends them as [`read`](Self::read) reads them.
    pub fn tell(&self, out: &mut Vec<u8>) {
        let set = || self.0.iter().flatten();
        out.push(u8::try_from(set().count()).unwrap_or(0));
        set().for_each(|bit| out.extend_from_slice(&bit.0.get().to_le_bytes()));
    }

    /// Takes bits from bytes that another process wrote; `None` where they are no bits.
    #[must_use]
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut bits = Self::default();
        for _ in 0..reader.u8()? {
            let bit = FlowBit(NonZeroU32::new(reader.u32()?)?);
            bits.insert(bit).then_some(())?;
        }
        Some(bits)
    }

    /// Are none set?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

impl Flow<'_> {
    /// What rules remember about it.
    #[must_use]
    pub fn bits(&self) -> FlowBits {
        self.bits.read(self.cold.bits)
    }

    /// Changes what rules remember about it; `false`, and nothing is changed, where it had no bits and
    /// memcap leaves no room for any. One flow in sixteen always has room.
    #[must_use]
    pub fn set_bits(&mut self, bits: FlowBits) -> bool {
        self.bits.write(&mut self.cold.bits, &bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_set_and_unset_within_the_bound() {
        let bit = |number: usize| FlowBit::named(format!("bit {number}").as_bytes());
        let mut bits = FlowBits::default();
        assert!(bits.is_empty() && !bits.contains(bit(0)));
        for number in 0..FlowBits::MOST {
            assert!(bits.insert(bit(number)) && bits.insert(bit(number)));
        }
        assert!(!bits.insert(bit(99)) && !bits.contains(bit(99)));
        assert!(bits.insert(bit(7)), "set already");
        bits.remove(bit(3));
        bits.remove(bit(50));
        assert!(!bits.contains(bit(3)) && bits.contains(bit(4)));
        assert!(bits.insert(bit(99)) && bits.contains(bit(99)));
    }
}
