//! How rare bytes are on networks, by rule of thumb.

use std::sync::LazyLock;

use hashbrown::{HashMap, HashSet};

/// Roughly how often a byte occurs in payloads, as a power of two: 0 for the rarest.
fn commonness(byte: u8) -> u32 {
    match byte {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' | b' ' | 0 => 6,
        b'h' | b'l' | b'd' | b'c' | b'u' | b'm' | b'p' | b'.' | b'/' | b'-' | b'0' | b'1' => 5,
        b'f' | b'g' | b'w' | b'y' | b'b' | b'v' | b'2'..=b'9' | b':' | b'=' | b'"' | b'\r' | b'\n' | 0xff => {
            4
        }
        b'k' | b'x' | b'j' | b'q' | b'z' | b'_' | b',' | b';' | b'<' | b'>' | b'&' | b'%' | b'+' | b'('
        | b')' => 3,
        1..=8 => 3,
        b'!'..=b'~' => 2,
        _ => 1,
    }
}

/// Pieces that half of all payloads hold, so that no window should be chosen in them.
const COMMON: &[&[u8]] = &[
    b"http/1.1",
    b"http://",
    b"https://",
    b"www.",
    b".com",
    b"\r\n\r\n",
    b"\r\nhost: ",
    b"user-agent: ",
    b"mozilla/5.0",
    b"accept: ",
    b"accept-encoding: ",
    b"accept-language: ",
    b"content-type: ",
    b"content-length: ",
    b"text/html",
    b"application/",
    b"connection: ",
    b"keep-alive",
    b"cache-control: ",
    b"get /",
    b"post /",
    b"referer: ",
    b"cookie: ",
    b"windows nt",
    b"gecko",
    b"chrome/",
    b"safari/",
    b"applewebkit/",
    b"gzip, deflate",
    b"charset=utf-8",
    b"\0\0\0\0\0\0\0\0",
    b"        ",
    b"<div",
    b"</div>",
    b"class=\"",
    b"<script",
    b"</script>",
    b"function",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"aaaaaaaa",
];

/// All pieces of those that a pattern may be known by.
static COMMON_PIECES: LazyLock<HashSet<&'static [u8]>> = LazyLock::new(|| {
    let pieces = |width| COMMON.iter().flat_map(move |common| common.windows(width));
    (2..=PIECE_MAX).flat_map(pieces).collect()
});

/// Most bytes of a piece that is weighed.
const PIECE_MAX: usize = 5;

/// Points for a piece: the more, the rarer.
fn rareness(piece: &[u8]) -> u32 {
    let points: u32 = piece.iter().map(|&byte| 8 - commonness(byte)).sum();
    if COMMON_PIECES.contains(piece) { points / 4 } else { points }
}

/// How well a content serves as the pattern to look for first: by its rarest piece, then by its length.
/// A short one is worth little unless it is `anchored` to few places.
pub(crate) fn strength(lower: &[u8], anchored: bool) -> (u32, usize) {
    let width = lower.len().min(PIECE_MAX);
    let best = lower.windows(width.max(1)).map(rareness).max().unwrap_or(0);
    // Beyond a few bytes it matters that the pattern is longer, which makes matches by chance rare.
    let length = lower.len().min(32);
    let points = best + u32::try_from(length).unwrap_or(0) * 2;
    let points = match (lower.len(), anchored) {
        (0..=3, false) => points / 4,
        (0..=4, true) => points + 10,
        _ => points,
    };
    (points, lower.len())
}

/// Pieces chosen so far: many patterns with one and the same would all be compared wherever it stands.
#[derive(Debug, Default)]
pub(super) struct Crowd(HashMap<[u8; PIECE_MAX], u32>);

impl Crowd {
    /// Most places of a pattern that are considered.
    const PLACES_MAX: usize = 64;

    /// The offset of the piece of `width` bytes to look for.
    pub(super) fn choose(&mut self, pattern: &[u8], width: usize) -> usize {
        let pieces = pattern.windows(width).take(Self::PLACES_MAX).enumerate();
        let score = |piece: &[u8]| {
            let crowd = self.0.get(&padded(piece)).copied().unwrap_or(0);
            rareness(piece).saturating_sub(crowd.min(16) * 2)
        };
        // Of equally good ones the first.
        let best = pieces.rev().max_by_key(|(_, piece)| score(piece));
        let Some((offset, piece)) = best else { return 0 };
        *self.0.entry(padded(piece)).or_insert(0) += 1;
        offset
    }
}

/// The piece as the map knows it; all pieces of one map are of the same length.
fn padded(piece: &[u8]) -> [u8; PIECE_MAX] {
    let mut padded = [0; PIECE_MAX];
    for (to, from) in padded.iter_mut().zip(piece) {
        *to = *from;
    }
    padded
}
