//! Sequence numbers: a circle of 2^32 (RFC 9293 §3.4), on which "before" means the shorter way round.

/// Is `left` before `right`?
#[inline]
pub(crate) const fn lt(left: u32, right: u32) -> bool {
    distance(right, left) < 0
}

/// Is `left` before `right`, or the same?
#[inline]
pub(crate) const fn le(left: u32, right: u32) -> bool {
    distance(right, left) <= 0
}

/// The later of two.
#[inline]
pub(crate) const fn later(left: u32, right: u32) -> u32 {
    if lt(left, right) { right } else { left }
}

/// How far it is from `from` to `to`: negative where `to` is before it.
#[inline]
#[expect(clippy::cast_possible_wrap, reason = "the sign is the answer")]
pub(crate) const fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from) as i32
}

/// The number of bytes as a distance; no segment is longer than an IP packet.
#[inline]
pub(crate) fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_and_after_wrap() {
        assert!(lt(1, 2) && !lt(2, 2) && !lt(3, 2));
        assert!(lt(u32::MAX, 0) && lt(u32::MAX - 5, 10) && !lt(10, u32::MAX - 5));
        assert!(le(7, 7) && le(u32::MAX, 7) && !le(7, u32::MAX));
        assert_eq!(later(u32::MAX, 3), 3);
        assert_eq!(distance(u32::MAX, 1), 2);
        assert_eq!(distance(1, u32::MAX), -2);
    }
}
