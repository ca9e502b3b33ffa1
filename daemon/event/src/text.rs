//! Lists of strings as one run of bytes: packed once, when a rule is loaded, and from then on
//! copied whole. Each entry is its length (two bytes, little-endian) and its bytes.

use std::fmt;

/// A borrowed list of strings. Entries are any bytes; what is not UTF-8 is replaced when it is
/// printed.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct TextList<'a> {
    packed: &'a [u8],
}

impl<'a> TextList<'a> {
    /// A list from its packed bytes; `None` where they do not hold whole entries.
    #[must_use]
    pub fn from_packed(packed: &'a [u8]) -> Option<Self> {
        let mut rest = packed;
        while !rest.is_empty() {
            rest = split(rest)?.1;
        }
        Some(Self { packed })
    }

    /// The packed bytes.
    #[must_use]
    pub const fn packed(self) -> &'a [u8] {
        self.packed
    }

    /// No entry at all?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.packed.is_empty()
    }

    /// The entries, in order.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        let mut rest = self.packed;
        std::iter::from_fn(move || {
            let (entry, after) = split(rest)?;
            rest = after;
            Some(entry)
        })
    }

    /// Entries taken two by two, as keys and values; a last one without a partner is left out.
    pub fn pairs(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone {
        let mut entries = self.iter();
        std::iter::from_fn(move || Some((entries.next()?, entries.next()?)))
    }

    /// As many whole groups of `group` entries as fit into `limit` packed bytes.
    pub(crate) fn clipped(self, limit: usize, group: usize) -> Self {
        if self.packed.len() <= limit {
            return self;
        }
        let (mut rest, mut kept) = (self.packed, 0);
        loop {
            let mut after = rest;
            for _ in 0..group {
                let Some((_, next)) = split(after) else { return self.prefix(kept) };
                after = next;
            }
            if self.packed.len() - after.len() > limit {
                return self.prefix(kept);
            }
            kept = self.packed.len() - after.len();
            rest = after;
        }
    }

    fn prefix(self, length: usize) -> Self {
        Self { packed: self.packed.get(..length).unwrap_or(&[]) }
    }
}

impl fmt::Debug for TextList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}

/// The owner of a packed list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextListBuf {
    packed: Vec<u8>,
}

impl TextListBuf {
    /// Adds an entry at the end; `false`, and nothing added, for one longer than 65,535 bytes.
    pub fn push(&mut self, entry: &[u8]) -> bool {
        let Ok(length) = u16::try_from(entry.len()) else { return false };
        self.packed.extend_from_slice(&length.to_le_bytes());
        self.packed.extend_from_slice(entry);
        true
    }

    /// Removes all entries and keeps the memory.
    pub fn clear(&mut self) {
        self.packed.clear();
    }

    /// The list.
    #[must_use]
    pub fn as_list(&self) -> TextList<'_> {
        TextList { packed: &self.packed }
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for TextListBuf {
    /// Packs the entries; one longer than 65,535 bytes is left out.
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut list = Self::default();
        for entry in entries {
            list.push(entry.as_ref());
        }
        list
    }
}

/// The first entry and what follows it.
fn split(packed: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = packed.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_in_order() {
        let list: TextListBuf = ["a", "", "ccc"].into_iter().collect();
        assert_eq!(list.as_list().iter().collect::<Vec<_>>(), [&b"a"[..], b"", b"ccc"]);
        assert_eq!(list.as_list().pairs().collect::<Vec<_>>(), [(&b"a"[..], &b""[..])]);
        assert_eq!(TextList::from_packed(list.as_list().packed()), Some(list.as_list()));
    }

    #[test]
    fn torn_bytes_are_no_list() {
        assert_eq!(TextList::from_packed(&[1]), None);
        assert_eq!(TextList::from_packed(&[2, 0, b'a']), None);
        assert_eq!(TextList::from_packed(&[]), Some(TextList::default()));
    }

    #[test]
    fn an_overlong_entry_is_refused() {
        let mut list = TextListBuf::default();
        assert!(!list.push(&vec![0; 65_536]));
        assert!(list.as_list().is_empty());
        assert!(list.push(&vec![0; 65_535]));
    }

    #[test]
    fn clipping_keeps_whole_groups() {
        let list: TextListBuf = ["k", "v", "key", "value", "x", "y"].into_iter().collect();
        let check = |limit, group, expected: &[&str]| {
            let kept: Vec<_> = list.as_list().clipped(limit, group).iter().map(<[u8]>::to_vec).collect();
            let expected: Vec<_> = expected.iter().map(|text| text.as_bytes().to_vec()).collect();
            assert_eq!(kept, expected, "limit {limit}, group {group}");
        };
        check(24, 2, &["k", "v", "key", "value", "x", "y"]);
        check(23, 2, &["k", "v", "key", "value"]);
        check(17, 2, &["k", "v"]);
        check(11, 1, &["k", "v", "key"]);
        check(2, 1, &[]);
    }
}
