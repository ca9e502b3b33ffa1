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

    /// The line of the file that holds the byte at `at`, without a backslash at its end.
    pub(crate) fn physical(&self, at: usize) -> &[u8] {
        let after = self.pieces.partition_point(|&(start, _)| start <= at);
        let start =
            after.checked_sub(1).and_then(|index| self.pieces.get(index)).map_or(0, |&(start, _)| start);
        let end = self.pieces.get(after).map_or(self.text.len(), |&(start, _)| start);
        self.text.get(start..end).unwrap_or_default()
    }
}

/// First words of rules, by which one that is commented out is told from prose.
const ACTIONS: &[&[u8]] =
    &[b"alert", b"drop", b"pass", b"reject", b"rejectsrc", b"rejectdst", b"rejectboth", b"config"];

/// How many comments of `text` begin like a rule: those that were switched off.
pub(crate) fn disabled(text: &[u8]) -> usize {
    let comments = text.split(|&byte| byte == b'\n').filter_map(|line| line.trim_ascii().strip_prefix(b"#"));
    comments.filter(|comment| is_disabled(comment)).count()
}

/// Is it a rule behind its `#`?
fn is_disabled(comment: &[u8]) -> bool {
    let text = comment.trim_ascii_start();
    let word = text.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    ACTIONS.contains(&word) && text.contains(&b'(')
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
        assert_eq!(lines[1].physical(7), b"  three");
    }

    #[test]
    fn rules_behind_a_comment_sign_are_counted_and_prose_is_not() {
        let text =
            b"# alert the press (soon)\n#alert tcp any any -> any any (sid:1;)\n## drop it\n# by (someone)";
        assert_eq!(disabled(text), 2, "the first line of prose begins like a rule");
    }
}
