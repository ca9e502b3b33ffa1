//! Text into a vector: looked at and copied eight bytes at a time, escaped where JSON wants it (RFC 8259 section 7).

const WORD: usize = size_of::<u64>();

/// Appends bytes. Most texts and numbers are short: for those a call of `memcpy` costs more than the copy.
#[inline]
pub(super) fn copy(out: &mut Vec<u8>, bytes: &[u8]) {
    match (bytes.first_chunk::<WORD>(), bytes.last_chunk::<WORD>()) {
        (Some(first), Some(last)) if bytes.len() <= 2 * WORD => {
            append_overlapping(out, bytes.len(), first, last)
        }
        (None, None) => copy_short(out, bytes),
        _ => out.extend_from_slice(bytes),
    }
}

/// Appends less than a word.
#[inline]
fn copy_short(out: &mut Vec<u8>, bytes: &[u8]) {
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => append_overlapping(out, bytes.len(), first, last),
        _ => bytes.iter().for_each(|byte| out.push(*byte)),
    }
}

/// Appends `length` bytes, `N` to 2 `N`, of which the first and the last are given.
#[inline]
fn append_overlapping<const N: usize>(out: &mut Vec<u8>, length: usize, first: &[u8; N], last: &[u8; N]) {
    out.extend_from_slice(first);
    out.truncate(out.len() - (2 * N - length));
    out.extend_from_slice(last);
}

/// Appends text, escaped where it has to be.
#[inline]
pub(super) fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_plain(bytes) {
        copy(out, bytes);
    } else {
        escape(out, bytes);
    }
}

/// Does nothing have to be escaped?
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<WORD>();
    let mut special = 0;
    for word in words {
        special |= specials(u64::from_le_bytes(*word));
    }
    special |= match (bytes.last_chunk::<WORD>(), rest) {
        (_, []) => 0,
        (Some(last), _) => specials(u64::from_le_bytes(*last)),
        (None, _) => specials(short_word(rest)),
    };
    special == 0
}

/// Less than a word of bytes, in any order and maybe repeated, filled up with spaces.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    const SPACES: u64 = u64::from_le_bytes([b' '; WORD]);
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => bytes.iter().fold(SPACES, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Not 0 if one of eight bytes has to be escaped: a control character, a quotation mark or a backslash.
#[inline]
const fn specials(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; WORD]);
    const HIGH: u64 = ONES << 7;
    // The highest bit of a byte is set if the byte is smaller than `bound`. A borrow may set those above it, too, but
    // only where there is such a byte; and bytes above 0x7f are none.
    const fn below(word: u64, bound: u64) -> u64 {
        word.wrapping_sub(bound * ONES) & !word
    }
    let quotes = below(word ^ (b'"' as u64 * ONES), 1);
    let backslashes = below(word ^ (b'\\' as u64 * ONES), 1);
    (below(word, 0x20) | quotes | backslashes) & HIGH
}

/// Appends text of which something has to be escaped.
#[cold]
fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        let short = match byte {
            b'"' | b'\\' => *byte,
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0c => b'f',
            b'\r' => b'r',
            0..0x20 => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
                continue;
            }
            _ => {
                out.push(*byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
}
