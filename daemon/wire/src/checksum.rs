//! The Internet checksum (RFC 1071): the 16-bit one's-complement sum.

use crate::decoded::Address;

/// A sum under way. Pieces are added in any order; each but the last of odd length must start
/// at an even offset of what is summed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u128);

impl Sum {
    /// Adds bytes; an odd last one is padded by zero, as the RFC says.
    #[inline]
    pub(crate) fn add(self, bytes: &[u8]) -> Self {
        // One's-complement addition does not depend on byte order (RFC 1071 section 2), so
        // words are read as the machine holds them and swapped once at the end. The upper half
        // counts carries.
        let (words, tail) = bytes.as_chunks::<8>();
        let mut sum = self.0;
        for word in words {
            sum += u128::from(u64::from_ne_bytes(*word));
        }
        let (halves, tail) = tail.as_chunks::<4>();
        for half in halves {
            sum += u128::from(u32::from_ne_bytes(*half));
        }
        let (pairs, tail) = tail.as_chunks::<2>();
        for pair in pairs {
            sum += u128::from(u16::from_ne_bytes(*pair));
        }
        if let Some(&last) = tail.first() {
            sum += u128::from(u16::from_ne_bytes([last, 0]));
        }
        Self(sum)
    }

    /// Adds a number as it would stand on the wire.
    #[inline]
    pub(crate) fn add_u16(self, value: u16) -> Self {
        Self(self.0 + u128::from(value.to_be()))
    }

    /// Adds the pseudo header of IPv4 and IPv6: addresses, protocol, length of what follows.
    /// The mapped form of an IPv4 address adds `0xffff`, which is zero in this arithmetic.
    #[inline]
    pub(crate) fn add_pseudo_header(
        self,
        source: &Address,
        destination: &Address,
        protocol: u8,
        length: usize,
    ) -> Self {
        // A length above 16 bits enters as two 16-bit words.
        let length = (length as u64).to_be_bytes();
        self.add(source).add(destination).add_u16(u16::from(protocol)).add(&length)
    }

    /// The sum in 16 bits, in the host's order. Over data that carries its own checksum it is
    /// `0xffff` exactly when the checksum is right.
    #[inline]
    pub(crate) const fn fold(self) -> u16 {
        // Adding a word to itself with its halves swapped leaves, in the upper half, their sum and the carry of it.
        #[expect(clippy::cast_possible_truncation, reason = "the halves are meant")]
        let (low, carries) = (self.0 as u64, (self.0 >> 64) as u64);
        let (sum, carry) = low.overflowing_add(carries);
        let sum = sum + carry as u64;
        let sum = sum.wrapping_add(sum.rotate_left(32)) >> 32;
        let sum = sum as u32;
        let sum = sum.wrapping_add(sum.rotate_left(16)) >> 16;
        let sum = sum as u16;
        u16::from_be(sum)
    }

    /// The checksum to store in the field that was zero while summing.
    #[inline]
    pub(crate) const fn checksum(self) -> u16 {
        !self.fold()
    }

    /// Was the checksum within the summed bytes right?
    #[inline]
    pub(crate) const fn is_valid(self) -> bool {
        self.fold() == 0xffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, word by word.
    fn model(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap()
    }

    #[test]
    fn the_example_of_rfc_1071() {
        let sum = Sum::default().add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.fold(), 0xddf2);
        assert_eq!(sum.checksum(), !0xddf2);
    }

    #[test]
    fn all_ones_do_not_overflow() {
        assert_eq!(Sum::default().add(&[0xff; 65536]).fold(), 0xffff);
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Sum::default().add(&bytes).fold(), model(&bytes));
        }

        #[test]
        fn pieces_add_up(mut bytes in prop::collection::vec(any::<u8>(), 2..200), at in 0usize..100) {
            let at = (at * 2).min(bytes.len() / 2 * 2);
            let (first, second) = bytes.split_at(at);
            prop_assert_eq!(Sum::default().add(first).add(second).fold(), model(&bytes));
            bytes.insert(0, 0x12);
            bytes.insert(1, 0x34);
            prop_assert_eq!(Sum::default().add(&bytes[2..]).add_u16(0x1234).fold(), model(&bytes));
        }
    }
}
