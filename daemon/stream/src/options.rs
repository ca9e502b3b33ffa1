//! The TCP options that a session is told by.

/// What a segment's options say (RFC 9293 §3.1, RFC 7323, RFC 7413). What they acknowledge selectively is none of our
/// business: payload goes by what is acknowledged for good. An option that is cut
/// short or has a wrong length ends the reading; what stood before it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Timestamp value and echo reply.
    pub timestamps: Option<(u32, u32)>,
    /// Window scale, at most 14 (RFC 7323 §2.3).
    pub window_scale: Option<u8>,
    /// Is there a fast open option, with a cookie or a request for one?
    pub fast_open: bool,
}

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const WINDOW_SCALE: u8 = 3;
const TIMESTAMPS: u8 = 8;
const FAST_OPEN: u8 = 34;
/// The shared experimental option (RFC 6994), with the number that fast open had at first.
const EXPERIMENT: u8 = 254;
const EXPERIMENT_FAST_OPEN: [u8; 2] = [0xf9, 0x89];

/// No operation twice, then timestamps: what nearly every segment of a session has (RFC 7323 appendix A).
const USUAL: [u8; 4] = [NO_OPERATION, NO_OPERATION, TIMESTAMPS, 10];

impl TcpOptions {
    /// Reads the options between TCP header and payload.
    #[must_use]
    #[inline]
    pub fn parse(bytes: &[u8]) -> Self {
        if let Some((&USUAL, rest)) = bytes.split_first_chunk::<4>()
            && rest.len() == 8
        {
            return Self { timestamps: timestamps(rest), ..Self::default() };
        }
        Self::one_by_one(bytes)
    }

    fn one_by_one(bytes: &[u8]) -> Self {
        let mut options = Self::default();
        let mut left = bytes;
        while let Some((&kind, rest)) = left.split_first() {
            match kind {
                END => break,
                NO_OPERATION => left = rest,
                _ => {
                    let Some(length) = rest.first().map(|&length| usize::from(length)) else { break };
                    let Some(value) = left.get(2..length) else { break };
                    options.take(kind, value);
                    left = left.get(length..).unwrap_or(&[]);
                }
            }
        }
        options
    }

    fn take(&mut self, kind: u8, value: &[u8]) {
        match (kind, value) {
            (WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift.min(14)),
            (TIMESTAMPS, value) => self.timestamps = timestamps(value),
            (FAST_OPEN, _) => self.fast_open = true,
            (EXPERIMENT, value) => self.fast_open |= value.starts_with(&EXPERIMENT_FAST_OPEN),
            _ => {}
        }
    }
}

#[inline]
fn timestamps(value: &[u8]) -> Option<(u32, u32)> {
    let (value, echo) = value.split_first_chunk::<4>()?;
    let echo = <[u8; 4]>::try_from(echo).ok()?;
    Some((u32::from_be_bytes(*value), u32::from_be_bytes(echo)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: TcpOptions) {
        assert_eq!(TcpOptions::parse(bytes), expected, "{bytes:02x?}");
    }

    #[test]
    fn options_are_read() {
        let none = TcpOptions::default();
        check(&[], none);
        let usual = [1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 1, 0];
        let timestamps = TcpOptions { timestamps: Some((7, 256)), ..none };
        check(&usual, timestamps);
        check(&usual[2..], timestamps);
        check(&[3, 3, 9], TcpOptions { window_scale: Some(9), ..none });
        check(&[3, 3, 200], TcpOptions { window_scale: Some(14), ..none });
        check(&[4, 2, 34, 2], TcpOptions { fast_open: true, ..none });
        check(&[254, 4, 0xf9, 0x89], TcpOptions { fast_open: true, ..none });
        check(&[254, 4, 0xf9, 0x88], none);
        let blocks = [5, 18, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 5];
        check(&blocks, none);
    }

    #[test]
    fn damage_ends_the_reading() {
        let scale = TcpOptions { window_scale: Some(2), ..TcpOptions::default() };
        for damage in [&[][..], &[0, 4, 2], &[4], &[4, 0], &[4, 1], &[4, 3], &[8, 10, 0]] {
            let mut bytes = vec![3, 3, 2];
            bytes.extend_from_slice(damage);
            check(&bytes, scale);
        }
        check(&[8, 4, 1, 1], TcpOptions::default());
    }
}
