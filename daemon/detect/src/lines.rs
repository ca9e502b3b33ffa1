//! Lines of a rule file, continued ones joined, with the way back to where each byte stood.

/// One line as the parser sees it.
#[derive(Debug)]
pub(crate) struct LogicalLine {
    pub(crate) text: Vec<u8>,
    /// Where in `text` each line of the file begins, and its number.
    pieces: Vec<(usize, usize)>,
}

impl LogicalLine {
    /// Line and column, both from 1, of the byte at `at`.
    pub(crate) fn place(&self, at: usize) -> (usize, usize) {
        let after = self.pieces.partition_point(|&(start, _)| start <= at);
        let (start, line) =
            after.checked_sub(1).and_then(|index| self.pieces.get(index)).map_or((0, 1), |&p| p);
        (line, at - start + 1)
    }
}

/// The lines of `text` that hold something: no blank lines, no comments. A line whose last visible byte
/// is a backslash goes on in the next; a comment does not.
pub(crate) fn logical_lines(text: &[u8]) -> impl Iterator<Item = LogicalLine> + '_ {
    let mut lines = text.split(|&byte| byte == b'\n').zip(1..);
    std::iter::from_fn(move || {
        loop {
            let (line, number) = lines.next()?;
            let visible = line.trim_ascii();
            if visible.is_empty() || visible.starts_with(b"#") {
                continue;
            }
            let mut logical = LogicalLine { text: Vec::new(), pieces: Vec::new() };
            let mut piece = Some((line, number));
            while let Some((line, number)) = piece {
                logical.pieces.push((logical.text.len(), number));
                let line = line.trim_ascii_end();
                let (part, continued) = line.strip_suffix(b"\\").map_or((line, false), |part| (part, true));
                logical.text.extend_from_slice(part);
                piece = if continued { lines.next() } else { None };
            }
            return Some(logical);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continued_lines_are_joined_and_remember_their_places() {
        let text = b"# comment \\\none\n\n  \ntwo \\\n  three\\ \r\nfour\n# five";
        let lines: Vec<_> = logical_lines(text).collect();
        let texts: Vec<_> =
            lines.iter().map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect();
        assert_eq!(texts, ["one", "two   threefour"]);
        assert_eq!(lines[0].place(2), (2, 3));
        assert_eq!(lines[1].place(0), (5, 1));
        assert_eq!(lines[1].place(6), (6, 3), "`three`");
        assert_eq!(lines[1].place(11), (7, 1), "`four`");
        assert_eq!(lines[1].place(15), (7, 5), "the end");
    }
}
