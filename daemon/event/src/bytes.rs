//! Values to bytes and back: little-endian, without padding.

use crate::record::DecodeError;

/// Appends values to a vector, up to a bound that only byte strings can reach.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    pub(crate) truncated: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, truncated: false }
    }

    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.array(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.array(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.array(&value.to_le_bytes());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// Bytes whose number the reader knows.
    pub(crate) fn array(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A presence byte, and the value if there is one.
    pub(crate) fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
    }

    /// A byte string with its length, cut to `limit`, which is at most 65,535.
    pub(crate) fn text(&mut self, bytes: &[u8], limit: usize) {
        let kept = bytes.get(..limit.min(usize::from(u16::MAX))).unwrap_or(bytes);
        self.truncated |= kept.len() < bytes.len();
        self.u16(u16::try_from(kept.len()).unwrap_or(u16::MAX));
        self.array(kept);
    }

    /// Bytes that may be more than a [text](Self::text)'s, with their length, cut to `limit`.
    pub(crate) fn bytes(&mut self, bytes: &[u8], limit: usize) {
        let kept = bytes.get(..limit).unwrap_or(bytes);
        self.truncated |= kept.len() < bytes.len();
        self.u32(u32::try_from(kept.len()).unwrap_or(u32::MAX));
        self.array(kept);
    }
}

/// Takes values from the front of a byte slice. Reading numbers beyond its end gives zeros, and is remembered: a record
/// has some forty fields, and asking after each would be most of what reading one costs.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    too_short: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, too_short: false }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Was more asked for than there was? Then no value that was read since is to be believed.
    pub(crate) const fn is_too_short(&self) -> bool {
        self.too_short
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[value]| value)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(DecodeError::BadValue { field: "presence byte", value }),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((value, rest)) = self.rest.split_first_chunk::<N>() else {
            (self.rest, self.too_short) = (&[], true);
            return Ok([0; N]);
        };
        self.rest = rest;
        Ok(*value)
    }

    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (value, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::TooShort)?;
        self.rest = rest;
        Ok(value)
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    pub(crate) fn text(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u16()?;
        self.slice(usize::from(length))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u32()?;
        self.slice(usize::try_from(length).map_err(|_| DecodeError::TooShort)?)
    }

    /// A value of a closed set, by its code.
    pub(crate) fn code<T>(
        &mut self,
        field: &'static str,
        from_code: impl FnOnce(u8) -> Option<T>,
    ) -> Result<T, DecodeError> {
        let value = self.u8()?;
        from_code(value).ok_or(DecodeError::BadValue { field, value })
    }
}
