//! A file read ahead of whoever judges its packets: by a thread of its own, for the system's copy out of its cache takes
//! a good part of the time that judging a packet takes. At most [`BUFFERS`] pieces are on their way, so memory is
//! bounded, and nothing is allocated once they are there.

use crate::reader::MAX_CAPTURED;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes asked of the system at a time: what was just read is still in a cache that all CPUs share.
const PIECE: usize = 512 * 1024;

/// Room before a piece for the record that begins in the one before: a header and the largest packet.
const ROOM: usize = MAX_CAPTURED as usize + 32;

/// Pieces that are read, on their way, or being judged.
const BUFFERS: usize = 4;

/// Where the pieces of a file come from.
#[derive(Debug)]
pub(crate) enum Pieces {
    /// The file, read when a piece is asked for.
    Here(File),
    /// A thread that reads it.
    Ahead {
        /// What was read, or why not.
        read: Receiver<io::Result<Piece>>,
        /// What may be read into again.
        spare: SyncSender<Piece>,
    },
}

/// A part of a file, after what is left of the part before.
#[derive(Debug)]
pub(crate) struct Piece {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Pieces {
    /// The rest of a file. `length` is how long that is, where it is known.
    pub(crate) fn of(file: File, length: Option<u64>) -> Self {
        let is_short = length.is_some_and(|length| length <= PIECE as u64);
        let reading = if is_short { None } else { file.try_clone().ok().and_then(Self::ahead) };
        reading.unwrap_or(Self::Here(file))
    }

    /// `None` where no thread can be had.
    fn ahead(file: File) -> Option<Self> {
        let (filled, read) = sync_channel(BUFFERS);
        let (spare, empty) = sync_channel(BUFFERS);
        let reading = thread::Builder::new().name("reader".to_owned());
        reading.spawn(move || read_all(file, &empty, &filled)).ok()?;
        for _ in 1..BUFFERS {
            // A short file may be at its end already: then the thread needs no more.
            let _ = spare.send(Piece::default());
        }
        Some(Self::Ahead { read, spare })
    }

    /// Takes the next piece in place of `piece`, of which what is left stands before it. `false` at the end of the file:
    /// then nothing changes.
    pub(crate) fn next(&mut self, piece: &mut Piece) -> io::Result<bool> {
        match self {
            Self::Here(file) => {
                piece.make_room();
                let room = piece.buffer.get_mut(piece.end..).unwrap_or_default();
                let count = read(file, room)?;
                piece.end += count;
                Ok(count > 0)
            }
            Self::Ahead { read, spare } => {
                // The thread goes when it has told that the file is at its end, or an error.
                let Ok(next) = read.recv() else { return Ok(false) };
                let mut next = next?;
                if next.rest().is_empty() {
                    return Ok(false);
                }
                next.put_before(piece.rest());
                // A thread that is gone needs none.
                let _ = spare.try_send(std::mem::replace(piece, next));
                Ok(true)
            }
        }
    }
}

/// Reads to the end, as far ahead as there are empty pieces.
fn read_all(mut file: File, empty: &Receiver<Piece>, filled: &SyncSender<io::Result<Piece>>) {
    for mut piece in empty {
        (piece.start, piece.end) = (ROOM, ROOM);
        let count = read(&mut file, piece.buffer.get_mut(ROOM..).unwrap_or_default());
        let is_over = !matches!(count, Ok(1..));
        let told = filled.send(count.map(|count| {
            piece.end += count;
            piece
        }));
        if is_over || told.is_err() {
            return;
        }
    }
}

fn read(file: &mut File, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(room) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl Default for Piece {
    fn default() -> Self {
        Self { buffer: vec![0; ROOM + PIECE].into_boxed_slice(), start: ROOM, end: ROOM }
    }
}

impl Piece {
    /// A piece of these bytes, at most [`PIECE`] of them.
    pub(crate) fn holding(bytes: &[u8]) -> Self {
        let mut piece = Self::default();
        if let Some(place) = piece.buffer.get_mut(ROOM..ROOM + bytes.len()) {
            place.copy_from_slice(bytes);
            piece.end += bytes.len();
        }
        piece
    }

    /// What was not taken yet.
    pub(crate) fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The same, to be written.
    pub(crate) fn rest_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Takes so many bytes of it.
    pub(crate) fn take(&mut self, count: usize) {
        self.start += count;
    }

    /// Moves what is left to the beginning.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
    }

    /// Puts bytes before what is there; there is always room, for a whole record would have been taken.
    fn put_before(&mut self, bytes: &[u8]) {
        let start = self.start.saturating_sub(bytes.len());
        if let Some(place) = self.buffer.get_mut(start..self.start) {
            place.copy_from_slice(bytes);
            self.start = start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Reads a file of so many bytes, leaving `left` bytes of each piece to the next.
    fn check(length: usize, ahead: bool, left: usize) {
        let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let mut pieces = if ahead { Pieces::ahead(file).unwrap() } else { Pieces::Here(file) };
        let (mut found, mut piece) = (Vec::new(), Piece::holding(b""));
        loop {
            let count = piece.rest().len().saturating_sub(left);
            found.extend_from_slice(&piece.rest()[..count]);
            piece.take(count);
            if !pieces.next(&mut piece).unwrap() {
                break;
            }
        }
        found.extend_from_slice(piece.rest());
        assert!(found == bytes, "{length} bytes, {left} left");
        assert!(!pieces.next(&mut piece).unwrap(), "the end stays the end");
    }

    #[test]
    fn pieces_are_the_file() {
        for ahead in [false, true] {
            for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 77] {
                for left in [0, 1, MAX_CAPTURED as usize] {
                    check(length, ahead, left);
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for ahead in [false, true] {
            let file = File::open(folder.path()).unwrap();
            let mut pieces = if ahead { Pieces::ahead(file).unwrap() } else { Pieces::Here(file) };
            let error = pieces.next(&mut Piece::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::IsADirectory);
        }
    }

    #[test]
    fn a_file_is_read_ahead_where_it_is_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        File::create(&path).unwrap();
        for (length, is_ahead) in [(Some(10), false), (Some(10 << 20), true), (None, true)] {
            let pieces = Pieces::of(File::open(&path).unwrap(), length);
            assert_eq!(matches!(pieces, Pieces::Ahead { .. }), is_ahead, "{length:?}");
        }
    }
}
