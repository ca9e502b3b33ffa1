//! Frames that a list decided, as the program noted some of them.

use crate::layout::{LIST_SAMPLE_BYTES, LIST_SAMPLE_WORDS};

/// One such frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSample {
    /// When, in nanoseconds of [`coarse_now`](crate::pulse::coarse_now).
    pub time: u64,
    /// The port that it came in by.
    pub port: u8,
    /// The number of the list.
    pub list: u8,
    /// Was it dropped? Otherwise it went on to inspection.
    pub dropped: bool,
    /// Its length, in bytes.
    pub length: u32,
    /// Its first bytes, at most 128.
    pub bytes: Vec<u8>,
}

impl ListSample {
    /// From `struct list_sample`; `None` where these are not as many words.
    pub(crate) fn from_words(words: impl Iterator<Item = u64>) -> Option<Self> {
        let mut words = words.map(u64::to_ne_bytes);
        let time = u64::from_ne_bytes(words.next()?);
        let mut pair = || {
            let [a, b, c, d, e, f, g, h] = words.next()?;
            Some((u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])))
        };
        let ((port, list), (drops, length), (copied, _)) = (pair()?, pair()?, pair()?);
        let mut bytes: Vec<u8> = words.by_ref().take(LIST_SAMPLE_BYTES / 8).flatten().collect();
        if bytes.len() != LIST_SAMPLE_BYTES || words.next().is_some() {
            return None;
        }
        bytes.truncate(copied as usize);
        let small = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
        Some(Self { time, port: small(port), list: small(list), dropped: drops != 0, length, bytes })
    }
}

const _: () = assert!(LIST_SAMPLE_WORDS == 4 + LIST_SAMPLE_BYTES / 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_read_as_it_was_written() {
        let pair = |one: u32, other: u32| u64::from(other) << 32 | u64::from(one);
        let pair = |one: u32, other: u32| {
            if cfg!(target_endian = "little") { pair(one, other) } else { pair(other, one) }
        };
        let mut words = vec![77, pair(1, 5), pair(1, 1500), pair(16, 0)];
        words.extend([u64::from_ne_bytes(*b"12345678"); LIST_SAMPLE_BYTES / 8]);
        let sample = ListSample::from_words(words.iter().copied()).unwrap();
        let bytes = b"1234567812345678".to_vec();
        assert_eq!(sample, ListSample { time: 77, port: 1, list: 5, dropped: true, length: 1500, bytes });
        assert_eq!(ListSample::from_words(words[1..].iter().copied()), None);
        words.push(0);
        assert_eq!(ListSample::from_words(words.into_iter()), None);
    }
}
