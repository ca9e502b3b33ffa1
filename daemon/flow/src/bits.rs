//! What rules remember about a flow: a small set of bits and numbers with names. Kept beside the flows that have
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
    /// The bit called `name`.
    #[must_use]
    pub fn named(name: &[u8]) -> Self {
        Self(NonZeroU32::new(hash(name) & !1).unwrap_or(LEAST_BIT))
    }
}

/// The number of a name. As [`FlowBit`]; a bit and a number may have the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowNumber(NonZeroU32);

impl FlowNumber {
    /// The number called `name`.
    #[must_use]
    pub fn named(name: &[u8]) -> Self {
        Self(NonZeroU32::new(hash(name) | 1).unwrap_or(NonZeroU32::MIN))
    }
}

const LEAST_BIT: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// FNV-1a.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The bits that are set on one flow, and its numbers.
///
/// Slots from the first on, unused ones zero: a bit has one, its name, which is even; a number two, its name,
/// which is odd, and its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowBits([u32; FlowBits::MOST]);

impl FlowBits {
    /// Most bits that one flow can have. A number takes the room of two.
    pub const MOST: usize = 8;

    /// Is the bit set?
    #[must_use]
    pub fn contains(&self, bit: FlowBit) -> bool {
        self.find(bit.0).is_ok()
    }

    /// Sets a bit; `false` where it was not set and there is no room for it.
    #[must_use]
    pub fn insert(&mut self, bit: FlowBit) -> bool {
        match self.find(bit.0) {
            Ok(_) => true,
            Err(end) => self.put(end, &[bit.0.get()]),
        }
    }

    /// Unsets a bit, if it is set.
    pub fn remove(&mut self, bit: FlowBit) {
        if let Ok(at) = self.find(bit.0) {
            self.0.copy_within(at + 1.., at);
            self.0[Self::MOST - 1] = 0;
        }
    }

    /// The value of a number; `None` where it was never set.
    #[must_use]
    pub fn number(&self, number: FlowNumber) -> Option<u32> {
        self.0.get(self.find(number.0).ok()? + 1).copied()
    }

    /// Gives a number a value; `false` where it had none and there is no room for it.
    #[must_use]
    pub fn set_number(&mut self, number: FlowNumber, value: u32) -> bool {
        let (Ok(at) | Err(at)) = self.find(number.0);
        self.put(at, &[number.0.get(), value])
    }

    /// Appends them as [`read`](Self::read) reads them.
    pub fn tell(&self, out: &mut Vec<u8>) {
        let end = self.find(NonZeroU32::MAX).unwrap_or_else(|end| end);
        out.push(u8::try_from(end).unwrap_or(0));
        self.0.iter().take(end).for_each(|slot| out.extend_from_slice(&slot.to_le_bytes()));
    }

    /// Takes bits and numbers from bytes that another process wrote; `None` where they are none.
    #[must_use]
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut bits = Self::default();
        let mut slots = reader.u8()?;
        while let Some(left) = slots.checked_sub(1) {
            let name = NonZeroU32::new(reader.u32()?)?;
            if is_number(name) {
                slots = left.checked_sub(1)?;
                bits.set_number(FlowNumber(name), reader.u32()?).then_some(())?;
            } else {
                slots = left;
                bits.insert(FlowBit(name)).then_some(())?;
            }
        }
        Some(bits)
    }

    /// Is there nothing?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0[0] == 0
    }

    /// Where a name is, or else where the next one would be.
    fn find(&self, name: NonZeroU32) -> Result<usize, usize> {
        let mut at = 0;
        while let Some(known) = self.0.get(at).copied().and_then(NonZeroU32::new) {
            if known == name {
                return Ok(at);
            }
            at += if is_number(known) { 2 } else { 1 };
        }
        Err(at)
    }

    fn put(&mut self, at: usize, slots: &[u32]) -> bool {
        let place = self.0.get_mut(at..at + slots.len());
        place.map(|place| place.copy_from_slice(slots)).is_some()
    }
}

const fn is_number(name: NonZeroU32) -> bool {
    name.get() & 1 == 1
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

    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against two maps, within the room that there is; told and read they are the same.
        #[test]
        fn bits_and_numbers_live_side_by_side(steps in prop::collection::vec((0u8..4, 0u8..5, any::<u32>()), 1..60)) {
            let mut kept = FlowBits::default();
            let (mut bits, mut numbers) = (BTreeMap::new(), BTreeMap::new());
            for (what, name, value) in steps {
                let (bit, number) = (FlowBit::named(&[name]), FlowNumber::named(&[name]));
                let free = FlowBits::MOST - bits.len() - 2 * numbers.len();
                match what {
                    0 => {
                        let fits = bits.contains_key(&bit) || free > 0;
                        prop_assert_eq!(kept.insert(bit), fits);
                        if fits {
                            bits.insert(bit, ());
                        }
                    }
                    1 => {
                        kept.remove(bit);
                        bits.remove(&bit);
                    }
                    _ => {
                        let fits = numbers.contains_key(&number) || free > 1;
                        prop_assert_eq!(kept.set_number(number, value), fits);
                        if fits {
                            numbers.insert(number, value);
                        }
                    }
                }
                for name in 0..5 {
                    let (bit, number) = (FlowBit::named(&[name]), FlowNumber::named(&[name]));
                    prop_assert_eq!(kept.contains(bit), bits.contains_key(&bit));
                    prop_assert_eq!(kept.number(number), numbers.get(&number).copied());
                }
                prop_assert_eq!(kept.is_empty(), bits.is_empty() && numbers.is_empty());
                let mut told = Vec::new();
                kept.tell(&mut told);
                let mut reader = Reader::new(&told);
                prop_assert_eq!(FlowBits::read(&mut reader), Some(kept));
                prop_assert!(reader.is_empty());
            }
        }
    }
}
