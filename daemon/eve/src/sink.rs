//! Where lines go.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where the logger writes lines. Errors are passing: the logger counts them and goes on.
pub trait Sink: Send {
    /// Takes one or more whole lines, each with its line feed. May hold them back until
    /// [`flush`](Self::flush).
    ///
    /// # Errors
    /// The lines, or what is left of them, could not be kept: they are lost unless the sink says
    /// otherwise.
    fn write_line(&mut self, line: &[u8]) -> io::Result<()>;

    /// Hands on what was held back.
    ///
    /// # Errors
    /// As for [`write_line`](Self::write_line).
    fn flush(&mut self) -> io::Result<()>;

    /// Starts afresh, after the file was moved away or the peer went: what was held back goes to
    /// the old place first.
    ///
    /// # Errors
    /// The new place cannot be had; the old one stays in use.
    fn reopen(&mut self) -> io::Result<()>;
}

/// Why a log file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its folder cannot be made.
    #[error("cannot make the folder {} for the log file: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file itself cannot be opened for appending.
    #[error("cannot open the log file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Most bytes that are held back before they are written.
const BUFFER: usize = 256 * 1024;

/// Opens a log file for appending, in place of a process that may not.
pub type Opener = Box<dyn FnMut() -> io::Result<File> + Send>;

/// A file that lines are appended to. Lines are held back to write many at a time, and a write
/// that fails keeps what is left for the next one, so that a line is never torn by a full disk.
pub struct FileSink {
    path: PathBuf,
    /// Who opens the file, where that is not us.
    opener: Option<Opener>,
    file: File,
    held: Vec<u8>,
    /// How much of `held` is written already: within a line only after a write that failed.
    written: usize,
}

impl FileSink {
    /// Opens `path` for appending; makes it and its folder where they do not exist.
    ///
    /// # Errors
    /// The folder cannot be made or the file cannot be opened.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let path = path.into();
        let file = open(&path)?;
        Ok(Self { path, opener: None, file, held: Vec::with_capacity(BUFFER), written: 0 })
    }

    /// Has `opener` open the file at `path`, now and whenever it is opened anew.
    ///
    /// # Errors
    /// The opener's.
    pub fn opened_by(path: impl Into<PathBuf>, mut opener: Opener) -> Result<Self, OpenError> {
        let path = path.into();
        let file = opener().map_err(|source| OpenError::File { path: path.clone(), source })?;
        Ok(Self { path, opener: Some(opener), file, held: Vec::with_capacity(BUFFER), written: 0 })
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves out the rest of a line whose start is in a file that is no longer ours.
    fn skip_torn_line(&mut self) {
        let is_end = |byte: &u8| *byte == b'\n';
        let (before, rest) = self.held.split_at(self.written.min(self.held.len()));
        if before.last().is_some_and(|byte| !is_end(byte)) {
            self.written += rest.iter().position(is_end).map_or(rest.len(), |end| end + 1);
        }
    }
}

impl std::fmt::Debug for FileSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSink").field("path", &self.path).field("file", &self.file).finish_non_exhaustive()
    }
}

impl Sink for FileSink {
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.held.len() + line.len() > BUFFER {
            // With the old lines still held there is no room: the new one is what is lost.
            self.flush()?;
        }
        self.held.extend_from_slice(line);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(rest) = self.held.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.held.clear();
        self.written = 0;
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        let flushed = self.flush();
        self.file = match &mut self.opener {
            Some(opener) => opener()?,
            None => open(&self.path).map_err(io::Error::other)?,
        };
        if flushed.is_err() {
            self.skip_torn_line();
        }
        flushed
    }
}

/// Opens `path` for appending as [`FileSink::open`] does.
///
/// # Errors
/// As there.
pub fn open(path: &Path) -> Result<File, OpenError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new()
            .recursive(true)
            .create(folder)
            .map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|source| OpenError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A device that has no room, ever.
    const FULL: &str = "/dev/full";

    #[test]
    fn folders_are_made_and_errors_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/eve.json");
        let mut sink = FileSink::open(&path).unwrap();
        assert_eq!(sink.path(), path);
        sink.write_line(b"line\n").unwrap();
        sink.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"line\n");

        let below_a_file = path.join("c/eve.json");
        let error = FileSink::open(&below_a_file).unwrap_err().to_string();
        let expected = format!("cannot make the folder {} for the log file: ", path.join("c").display());
        assert!(error.starts_with(&expected), "{error}");

        let error = FileSink::open(folder.path()).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot open the log file {}: ", folder.path().display())),
            "{error}"
        );
    }

    #[test]
    fn another_opens_the_file_and_opens_it_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (mut count, folder_path) = (0, folder.path().to_owned());
        let opener = Box::new(move || {
            count += 1;
            match count {
                3 => Err(io::ErrorKind::PermissionDenied.into()),
                _ => File::create(folder_path.join(format!("{count}.json"))),
            }
        });
        let mut sink = FileSink::opened_by(folder.path().join("eve.json"), opener).unwrap();
        sink.write_line(b"one\n").unwrap();
        sink.reopen().unwrap();
        sink.write_line(b"two\n").unwrap();
        sink.flush().unwrap();
        assert_eq!(sink.reopen().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        sink.write_line(b"three\n").unwrap();
        sink.flush().unwrap();
        assert_eq!(fs::read(folder.path().join("1.json")).unwrap(), b"one\n");
        assert_eq!(fs::read(folder.path().join("2.json")).unwrap(), b"two\nthree\n");
        assert!(!folder.path().join("eve.json").exists());
    }

    #[test]
    fn a_full_disk_keeps_what_is_held_and_refuses_what_does_not_fit() {
        let mut sink = FileSink::open(FULL).unwrap();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let mut held = 0;
        while sink.write_line(&line).is_ok() {
            held += 1;
        }
        assert_eq!(held, BUFFER / line.len());
        assert_eq!(sink.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);

        // Room again: everything that was held comes out, and nothing else.
        let folder = tempfile::tempdir().unwrap();
        sink.path = folder.path().join("eve.json");
        assert!(sink.reopen().is_err(), "the old place is still full");
        sink.flush().unwrap();
        assert_eq!(fs::read(&sink.path).unwrap(), line.repeat(held));
    }

    #[test]
    fn a_torn_line_does_not_go_on_in_the_next_file() {
        let folder = tempfile::tempdir().unwrap();
        let check = |written, expected: &[u8]| {
            let path = folder.path().join(format!("{written}.json"));
            let mut sink = FileSink::open(FULL).unwrap();
            sink.held = b"one\ntwo\n".to_vec();
            sink.written = written;
            sink.path = path.clone();
            assert!(sink.reopen().is_err());
            sink.flush().unwrap();
            assert_eq!(fs::read(path).unwrap(), expected, "after {written}");
        };
        check(0, b"one\ntwo\n");
        check(2, b"two\n");
        check(4, b"two\n");
        check(7, b"");
    }

    #[test]
    fn a_place_that_cannot_be_had_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("eve.json");
        let mut sink = FileSink::open(&path).unwrap();
        sink.path = folder.path().to_owned();
        sink.write_line(b"one\n").unwrap();
        assert!(sink.reopen().is_err());
        sink.write_line(b"two\n").unwrap();
        sink.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
    }
}
