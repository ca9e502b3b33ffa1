//! The bytes of a frame that are still to be read, and where in the frame they are.

use crate::decoded::Span;

/// Far above any link's frames, and small enough that offsets are sure to fit in 32 bits.
const FRAME_LIMIT: usize = 1 << 30;

/// The rest of a frame, or of an inner packet once its length is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    at: u32,
}

impl<'a> Cursor<'a> {
    /// All of a frame; what is beyond 1 GiB is not looked at.
    #[inline]
    pub(super) fn new(frame: &'a [u8]) -> Self {
        Self { rest: frame.get(..FRAME_LIMIT).unwrap_or(frame), at: 0 }
    }

    /// The rest of an IPv4 packet's frame, which begins at `at`.
    #[inline]
    pub(super) const fn within(rest: &'a [u8], at: u32) -> Self {
        Self { rest, at }
    }

    /// The bytes not read yet.
    #[inline]
    pub(super) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes are left.
    #[inline]
    pub(super) const fn len(self) -> usize {
        self.rest.len()
    }

    /// Where the rest is in the frame.
    #[inline]
    pub(super) const fn span(self) -> Span {
        Span { start: self.at, end: self.at + narrow(self.rest.len()) }
    }

    /// The next `N` bytes, which stay unread.
    #[inline]
    pub(super) const fn peek<const N: usize>(self) -> Option<&'a [u8; N]> {
        self.rest.first_chunk()
    }

    /// Reads the next `N` bytes.
    #[inline]
    pub(super) const fn take<const N: usize>(self) -> Option<(&'a [u8; N], Self)> {
        match self.rest.split_first_chunk() {
            Some((head, rest)) => Some((head, Self { rest, at: self.at + narrow(N) })),
            None => None,
        }
    }

    /// Splits into the next `count` bytes and what follows them.
    #[inline]
    pub(super) const fn split(self, count: usize) -> Option<(Self, Self)> {
        match self.rest.split_at_checked(count) {
            Some((head, rest)) => {
                Some((Self { rest: head, at: self.at }, Self { rest, at: self.at + narrow(count) }))
            }
            None => None,
        }
    }
}

/// A length within a frame as an offset.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "lengths are at most FRAME_LIMIT")]
const fn narrow(length: usize) -> u32 {
    length as u32
}
