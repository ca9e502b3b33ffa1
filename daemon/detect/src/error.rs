//! Why a rule was refused, and where.

/// A fault in a rule or classification file. The rest of the file is still loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {reason}")]
pub struct RuleError {
    /// Name of the file, as given in [`Source::name`](crate::Source::name).
    pub file: String,
    /// Line of the fault, from 1. In a rule that is continued over several lines, the one it is on.
    pub line: usize,
    /// Column of the fault, from 1, in bytes.
    pub column: usize,
    /// How many bytes are at fault, from the column on, within the line; 0 where something is missing.
    pub length: usize,
    /// What is wrong, naming what was found.
    pub reason: String,
    /// What may help: the word that was perhaps meant.
    pub help: Option<String>,
    /// The keyword at fault, or that the faulty value belongs to; `None` where it is not in an option.
    pub keyword: Option<String>,
    /// The rule's `sid`, if it could be read.
    pub sid: Option<u32>,
    /// The line, for people: what is not UTF-8 in it is replaced byte by byte.
    pub text: String,
}

/// A fault inside one rule: an offset into its text and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) reason: String,
    pub(crate) help: Option<String>,
    /// Does it follow from an option before that is missing? If that was refused, this says nothing new.
    pub(crate) follows: bool,
}

impl Fault {
    pub(crate) fn new(at: usize, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into(), help: None, follows: false }
    }

    /// A fault because of something before that is missing.
    pub(crate) fn following(at: usize, reason: impl Into<String>) -> Self {
        Self { follows: true, ..Self::new(at, reason) }
    }

    pub(crate) fn with_help(self, help: Option<String>) -> Self {
        Self { help, ..self }
    }
}

/// How much of `text` belongs to the fault at `at`: a quoted text, or a word.
pub(crate) fn extent(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        let mut escaped = false;
        let end = quoted.iter().position(|&byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        return end.map_or(1, |end| end + 2);
    }
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b",;:()]\"".contains(byte);
    let word = rest.iter().position(ends).unwrap_or(rest.len());
    word.max(usize::from(!rest.is_empty()))
}

/// The line as text of as many bytes.
pub(crate) fn printable(line: &[u8]) -> String {
    match std::str::from_utf8(line) {
        Ok(text) => text.to_owned(),
        Err(_) => line.iter().map(|&byte| if byte.is_ascii() { char::from(byte) } else { '?' }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_extends_over_its_word() {
        let check =
            |text: &str, at: usize, length: usize| assert_eq!(extent(text.as_bytes(), at), length, "{text}");
        check("nocase; x", 0, 6);
        check("content:\"a\\\";b\"; x", 8, 7);
        check("content:\"a; x", 8, 1);
        check("alert tcp any", 6, 3);
        check("(sid:1;)", 7, 1);
        check("(sid:1;", 7, 0);
    }

    #[test]
    fn lines_keep_their_length() {
        assert_eq!(printable("\u{e9}a".as_bytes()), "\u{e9}a");
        assert_eq!(printable(b"\xe9a"), "?a");
    }
}
