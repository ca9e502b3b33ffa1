//! A line that is put together of pieces whose lengths are nearly all known where they are written: a check and a few
//! moves each, in a buffer that never grows.

/// Bytes of the longest line that is put together here.
const SIZE: usize = 1024;

/// The line. What does not fit is left out, and remembered.
#[derive(Debug)]
pub(crate) struct Line {
    buffer: Box<[u8; SIZE]>,
    length: usize,
    is_cut: bool,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self { buffer: Box::new([0; SIZE]), length: 0, is_cut: false }
    }

    /// Begins another one.
    pub(crate) fn clear(&mut self) {
        (self.length, self.is_cut) = (0, false);
    }

    /// What was written; `None` where that is not all of it.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        if self.is_cut { None } else { self.buffer.get(..self.length) }
    }

    /// Bytes whose number is known.
    #[inline(always)]
    pub(crate) fn put<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.put_some(bytes, N);
    }

    /// The first `count` of so many bytes, all of which have to have room.
    #[inline(always)]
    fn put_some<const N: usize>(&mut self, bytes: &[u8; N], count: usize) {
        match self.buffer.get_mut(self.length..).and_then(<[u8]>::first_chunk_mut) {
            Some(place) => {
                *place = *bytes;
                self.length += count;
            }
            None => self.is_cut = true,
        }
    }

    /// Any bytes; most are up to 16.
    #[inline]
    pub(crate) fn put_all(&mut self, bytes: &[u8]) {
        let length = bytes.len();
        if let (Some(first), Some(last), 8..=16) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>(), length)
        {
            self.put_some(first, length - 8);
            self.put(last);
        } else if let (Some(first), Some(last), 4..=8) =
            (bytes.first_chunk::<4>(), bytes.last_chunk::<4>(), length)
        {
            self.put_some(first, length - 4);
            self.put(last);
        } else {
            match self.buffer.get_mut(self.length..self.length + length) {
                Some(place) => {
                    place.copy_from_slice(bytes);
                    self.length += length;
                }
                None => self.is_cut = true,
            }
        }
    }

    /// A number in decimal.
    #[inline]
    pub(crate) fn put_number(&mut self, value: u64) {
        match u32::try_from(value) {
            Ok(value @ ..10) => {
                let [_, digit] = pair(value);
                self.put(&[digit]);
            }
            Ok(value @ ..10_000) => self.put_short(value),
            Ok(value @ ..100_000_000) => {
                self.put_short(value / 10_000);
                self.put(&four_digits(value % 10_000));
            }
            _ => self.put_all(itoa::Buffer::new().format(value).as_bytes()),
        }
    }

    /// A number of up to four digits.
    #[inline]
    fn put_short(&mut self, value: u32) {
        let zeros = usize::from(value < 1000) + usize::from(value < 100) + usize::from(value < 10);
        let digits = u32::from_le_bytes(four_digits(value)) >> (8 * zeros);
        self.put_some(&digits.to_le_bytes(), 4 - zeros);
    }

    /// An octet in decimal.
    #[inline]
    pub(crate) fn put_octet(&mut self, octet: u8) {
        let [digits @ .., _] = OCTETS[usize::from(octet)];
        let [.., count] = OCTETS[usize::from(octet)];
        self.put_some(&digits, usize::from(count));
    }
}

/// A number below 10,000 with its leading zeros.
#[inline]
fn four_digits(value: u32) -> [u8; 4] {
    let ([a, b], [c, d]) = (pair(value / 100), pair(value % 100));
    [a, b, c, d]
}

/// Two digits of a number below 100.
#[inline]
pub(crate) fn pair(value: u32) -> [u8; 2] {
    const PAIRS: [[u8; 2]; 100] = {
        let mut pairs = [[0; 2]; 100];
        let mut value = 0_u8;
        while value < 100 {
            pairs[value as usize] = [b'0' + value / 10, b'0' + value % 10];
            value += 1;
        }
        pairs
    };
    PAIRS.get(value as usize).copied().unwrap_or(*b"00")
}

/// Each octet's digits, and how many there are.
pub(crate) const OCTETS: [[u8; 4]; 256] = {
    let mut octets = [[0; 4]; 256];
    let mut octet = 0_u8;
    loop {
        let (hundreds, tens, ones) = (b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10);
        octets[octet as usize] = match octet {
            0..10 => [ones, 0, 0, 1],
            10..100 => [tens, ones, 0, 2],
            100.. => [hundreds, tens, ones, 3],
        };
        if octet == u8::MAX {
            break octets;
        }
        octet += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(write: impl FnOnce(&mut Line), expected: &str) {
        let mut line = Line::new();
        write(&mut line);
        assert_eq!(line.whole(), Some(expected.as_bytes()));
    }

    #[test]
    fn numbers_around_each_length() {
        let powers = (0..20).map(|exponent| 10_u64.pow(exponent));
        for value in powers.flat_map(|power| [power - 1, power, power + 1]).chain([u64::MAX]) {
            check(|line| line.put_number(value), &value.to_string());
        }
    }

    #[test]
    fn texts_of_each_length() {
        let letters = "abcdefghijklmnopqrstuvwxyz";
        for text in (0..letters.len()).map(|length| &letters[..length]) {
            check(|line| line.put_all(text.as_bytes()), text);
        }
    }

    #[test]
    fn every_octet() {
        for octet in 0..=u8::MAX {
            check(|line| line.put_octet(octet), &octet.to_string());
        }
    }

    #[test]
    fn what_does_not_fit_is_no_line() {
        let mut line = Line::new();
        for _ in 0..SIZE / 16 {
            line.put(&[b'x'; 16]);
        }
        assert_eq!(line.whole(), Some([b'x'; SIZE].as_slice()));
        for more in [b"".as_slice(), b"x", b"xxxxx", b"xxxxxxxxx", &[b'x'; 20]] {
            line.put_all(more);
            assert_eq!(line.whole().is_some(), more.is_empty());
        }
        line.clear();
        assert_eq!(line.whole(), Some(b"".as_slice()));
    }

    proptest! {
        #[test]
        fn any_numbers(values in proptest::collection::vec(any::<u64>(), 0..20), shift in 0..64_u32) {
            let expected: String = values.iter().map(|value| (value >> shift).to_string()).collect();
            check(|line| values.iter().for_each(|value| line.put_number(value >> shift)), &expected);
        }
    }
}
