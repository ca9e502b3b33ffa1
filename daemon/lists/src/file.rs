//! A whole list from its files: what it holds, what was left out and why, and what was wrong.

use crate::line::{self, Line};
use crate::net::{Net, Nets, Word, special_v4, special_v6};
use crate::set::{Merged, NetSet};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes: more than ten million lines.
pub const MAX_FILE: u64 = 256 << 20;

/// Most networks of a list.
pub const MAX_NETS: usize = 16_000_000;

/// Faults that a report shows; the others are counted only.
pub const SHOWN: usize = 20;

/// What may stand in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Networks that are the user's own: what shares an address with one of them is refused.
    pub own: Nets,
    /// Is what is private, loopback, link-local, multicast or reserved refused?
    pub refuse_special: bool,
    /// Nothing is refused for what it is.
    pub force: bool,
}

/// A line that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.reason)
    }
}

/// What came of reading a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines of all files.
    pub lines: u64,
    /// Lines that were left out.
    pub bad: u64,
    /// The first [`SHOWN`] of them.
    pub faults: Vec<Fault>,
    /// What stood there more than once or within something else.
    pub merged: Merged,
}

/// A list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// What it holds.
    pub set: NetSet,
    /// What came of reading it.
    pub report: Report,
}

/// Why a list cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger than [`MAX_FILE`].
    #[error("{path} has more than the {MAX_FILE} bytes that are read")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// There are more than [`MAX_NETS`].
    #[error("{path}:{line}: these are more than {MAX_NETS} networks")]
    TooMany {
        /// The file.
        path: PathBuf,
        /// Where there was one too many.
        line: u64,
    },
    /// Not one line can be used, and there were such that should have been: this is no list.
    #[error("{path}:{line}: {reason}; no line of this list can be used")]
    NoList {
        /// The file with the first fault.
        path: PathBuf,
        /// Its line.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

impl List {
    /// Reads a list from its files, which together are one. Lines that cannot be used are left out and reported.
    ///
    /// # Errors
    /// A file cannot be read, or nothing in them can be used.
    pub fn read(paths: &[PathBuf], checks: &Checks) -> Result<Self, ListError> {
        let mut reader = Reader { checks, nets: Nets::default(), report: Report::default() };
        for path in paths {
            reader.file(path, &contents(path)?)?;
        }
        let Reader { nets, mut report, .. } = reader;
        let (set, merged) = NetSet::new(nets);
        if set.is_empty()
            && let Some(Fault { path, line, reason }) = report.faults.first().cloned()
        {
            return Err(ListError::NoList { path, line, reason });
        }
        report.merged = merged;
        Ok(Self { set, report })
    }
}

fn contents(path: &Path) -> Result<Vec<u8>, ListError> {
    let failed = |source| ListError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    // Bounded while it is read, for what is no regular file has no size to be asked for.
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    if read.map_err(failed)? as u64 > MAX_FILE {
        return Err(ListError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

struct Reader<'c> {
    checks: &'c Checks,
    nets: Nets,
    report: Report,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, bytes: &[u8]) -> Result<(), ListError> {
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if bytes.is_empty() {
            return Ok(());
        }
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            self.report.lines += 1;
            if let Err(reason) = self.line(line) {
                self.report.bad += 1;
                if self.report.faults.len() < SHOWN {
                    self.report.faults.push(Fault { path: path.to_owned(), line: number, reason });
                }
            }
            if self.nets.v4.len() + self.nets.v6.len() > MAX_NETS {
                return Err(ListError::TooMany { path: path.to_owned(), line: number });
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        match line::read(line).map_err(|error| error.to_string())? {
            Line::Nothing => {}
            Line::OneV4(net) => {
                self.check(net, &self.checks.own.v4, special_v4)?;
                self.nets.v4.push(net);
            }
            Line::OneV6(net) => {
                self.check(net, &self.checks.own.v6, special_v6)?;
                self.nets.v6.push(net);
            }
            Line::V4(nets) => {
                nets.iter().try_for_each(|net| self.check(*net, &self.checks.own.v4, special_v4))?;
                self.nets.v4.extend(nets);
            }
            Line::V6(nets) => {
                nets.iter().try_for_each(|net| self.check(*net, &self.checks.own.v6, special_v6))?;
                self.nets.v6.extend(nets);
            }
        }
        Ok(())
    }

    /// Says what speaks against a network.
    fn check<W: Word>(
        &self,
        net: Net<W>,
        own: &[Net<W>],
        special: impl Fn(Net<W>) -> Option<&'static str>,
    ) -> Result<(), String> {
        if self.checks.force {
            return Ok(());
        }
        if net.length() < W::SHORTEST {
            return Err(format!("{net} is too large: /{} is the largest network", W::SHORTEST));
        }
        if let Some(mine) = own.iter().find(|own| own.meets(net)) {
            return Err(format!("{net} meets your own network {mine}"));
        }
        match special(net) {
            Some(what) if self.checks.refuse_special => Err(format!("{net} meets what is {what}")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], checks: &Checks) -> Result<List, ListError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.txt");
        std::fs::write(&path, text).unwrap();
        List::read(&[path], checks)
    }

    fn strict() -> Checks {
        let mut own = Nets::default();
        own.add("203.0.113.0".parse().unwrap(), 24);
        own.add("2001:db8:1::".parse().unwrap(), 48);
        Checks { own, refuse_special: true, force: false }
    }

    #[test]
    fn lines_with_a_fault_are_left_out_and_named() {
        let text =
            b"\xef\xbb\xbf198.51.100.1\r\n\r\n# x\nnonsense\n198.51.100.1\n198.51.100.0/28\n8.0.0.0/7\n\
            10.1.2.3\n203.0.113.9\n2000::/15\n2001:db8:1::1\n2001:db8:2::/48\nff02::1\n";
        let List { set, report } = read(text, &strict()).unwrap();
        assert_eq!((set.v4().len(), set.v6().len()), (1, 1));
        assert_eq!((report.lines, report.bad), (13, 7));
        assert_eq!(report.merged, Merged { duplicates: 0, covered: 2 });
        let said: Vec<(u64, &str)> =
            report.faults.iter().map(|fault| (fault.line, fault.reason.as_str())).collect();
        let expected = [
            (4, "\"nonsense\" is no address, network or range"),
            (7, "8.0.0.0/7 is too large: /8 is the largest network"),
            (8, "10.1.2.3 meets what is private (RFC 1918)"),
            (9, "203.0.113.9 meets your own network 203.0.113.0/24"),
            (10, "2000::/15 is too large: /16 is the largest network"),
            (11, "2001:db8:1::1 meets your own network 2001:db8:1::/48"),
            (13, "ff02::1 meets what is multicast"),
        ];
        assert_eq!(said, expected);
        assert!(
            report.faults[0].to_string().ends_with("bad.txt:4: \"nonsense\" is no address, network or range")
        );
    }

    #[test]
    fn what_is_forced_is_not_refused_for_what_it_is() {
        let text = b"0.0.0.0/0\n10.1.2.3\n::/0\nnonsense";
        let List { set, report } = read(text, &Checks { force: true, ..strict() }).unwrap();
        assert_eq!((set.v4().len(), set.v6().len(), report.bad), (1, 1, 1));
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        let page = b"<html>\n<body>404</body>\n";
        let error = read(page, &strict()).unwrap_err().to_string();
        assert!(error.contains("bad.txt:1: \"<html>\" is no address"), "{error}");
        assert!(read(b"", &strict()).unwrap().set.is_empty());
        assert!(read(b"# nothing yet\n", &strict()).unwrap().set.is_empty());
        let missing = List::read(&["/nonexistent/list".into()], &strict()).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read /nonexistent/list: "), "{missing}");
    }

    #[test]
    fn faults_are_shown_up_to_a_bound_and_counted() {
        let mut text = b"198.51.100.1\n".to_vec();
        text.extend(b"x\n".repeat(1000));
        let report = read(&text, &strict()).unwrap().report;
        assert_eq!((report.bad, report.faults.len()), (1000, SHOWN));
    }

    #[test]
    fn a_million_lines_are_read() {
        use std::fmt::Write as _;
        let mut text = String::new();
        for number in 0..1_000_000_u32 {
            let address = std::net::Ipv4Addr::from(0x0100_0000 + number * 3);
            writeln!(text, "{address}").unwrap();
        }
        let List { set, report } = read(text.as_bytes(), &Checks::default()).unwrap();
        assert_eq!((set.v4().len(), report.lines, report.bad), (1_000_000, 1_000_000, 0));
    }
}
