//! Bytes that are sent in the stream and are not part of it: the last byte of urgent data, where its
//! receiver reads it out of band (RFC 6093 §2).

use portcullis_flow::portable::Reader;

/// Most of them that are kept apart in one direction at a time.
const MOST: usize = 4;

/// The offsets of such bytes, ascending.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Urgents {
    offsets: [u64; MOST],
    count: u8,
}

impl Urgents {
    /// Adds one; `false` when there are as many as can be kept.
    pub(crate) fn add(&mut self, offset: u64) -> bool {
        let count = usize::from(self.count);
        let at = self.known().partition_point(|known| *known < offset);
        if self.known().get(at) == Some(&offset) {
            return true;
        }
        let Some(tail) = self.offsets.get_mut(at..=count) else { return false };
        tail.rotate_right(1);
        if let Some(first) = tail.first_mut() {
            *first = offset;
        }
        self.count += 1;
        true
    }

    /// The first one in `from..to`.
    #[inline]
    pub(crate) fn first_in(&self, from: u64, to: u64) -> Option<u64> {
        self.known().iter().copied().find(|offset| (from..to).contains(offset))
    }

    /// Forgets those before `offset`.
    #[inline]
    pub(crate) fn forget_before(&mut self, offset: u64) {
        if self.count == 0 {
            return;
        }
        let gone = self.known().partition_point(|known| *known < offset);
        if gone > 0 {
            self.offsets.rotate_left(gone);
            self.count = self.count.saturating_sub(u8::try_from(gone).unwrap_or(u8::MAX));
        }
    }

    /// Appends them as [`read`](Self::read) reads them.
    pub(crate) fn tell(&self, out: &mut Vec<u8>) {
        out.push(self.count);
        self.known().iter().for_each(|offset| out.extend_from_slice(&offset.to_le_bytes()));
    }

    /// Takes them from bytes; `None` where they are none.
    pub(crate) fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let count = reader.u8().filter(|count| usize::from(*count) <= MOST)?;
        for _ in 0..count {
            let known = self.add(reader.u64()?);
            known.then_some(())?;
        }
        Some(())
    }

    fn known(&self) -> &[u64] {
        self.offsets.get(..usize::from(self.count)).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_kept_in_order() {
        let mut urgents = Urgents::default();
        for offset in [30, 10, 20, 10, 40] {
            assert!(urgents.add(offset));
        }
        assert!(!urgents.add(50));
        assert_eq!(urgents.first_in(0, 100), Some(10));
        assert_eq!(urgents.first_in(11, 20), None);
        urgents.forget_before(25);
        assert_eq!(urgents.first_in(0, 100), Some(30));
        assert!(urgents.add(50) && urgents.add(60) && !urgents.add(70));
        assert_eq!(urgents.first_in(41, 100), Some(50));
    }
}
