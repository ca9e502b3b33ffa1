//! Patterns rewritten so that PCRE2's match limit sees all of the work.
//!
//! PCRE2's machine code counts how often it goes on behind a repetition, but not how far it looked for that, and
//! it counts anew from each place where a match may begin. So a pattern such as `(\w+)=\1` looks at as many bytes
//! as the square of the length and meets no limit. Rewritten, a pattern
//!
//! - takes repetitions in pieces of at most [`PIECE`] bytes, each of which is counted;
//! - passes over the places where it does not match within itself, up to [`STARTS`] of them, so that all are counted
//!   together.
//!
//! What it matches, and which of its matches is found first, stays the same: a length is `16 a + b` in one way only,
//! and the lengths are tried in the same order.
//!
//! Beside it stands what a match must look like as far as a DFA can tell, which rules out nearly all payloads in linear
//! time: without look-around, with anything for a back reference, with many for an exact number.

use super::pcre::PcreSpec;

/// Bytes of a repetition that are taken as one.
const PIECE: u32 = 16;

/// Places where a match may begin that are passed over in one search.
pub(super) const STARTS: usize = 512;

/// Most repetitions that are written out.
const REPEATED_MAX: u32 = 8192;

/// A pattern and what became of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    /// The same, with all work counted.
    pub(super) counted: String,
    /// What matches wherever the pattern does, and maybe elsewhere; to be checked against what a DFA takes.
    pub(super) skim: String,
    /// Are there parts that keep what they took? What comes before them must not be made so by PCRE2 itself: it looks into
    /// such a part, does not see that it ends there if repeated groups are in it, and finds too little.
    pub(super) keeps: bool,
}

/// Rewrites the pattern of a rule that PCRE2 accepts; `None` where it uses what is not understood here.
pub(super) fn rewrite(spec: &PcreSpec) -> Option<Rewritten> {
    let PcreSpec { pattern, multi_line, ungreedy, .. } = spec;
    if !pattern.is_ascii() || spec.extended {
        return None;
    }
    let mut writer = Writer { multi_line: *multi_line, ungreedy: *ungreedy, ..Writer::default() };
    let mut rest = pattern.as_str();
    while let Some((token, after)) = token(rest) {
        rest = after;
        let quantifier = match token {
            Token::Byte(_) | Token::Close | Token::Back(_) => quantifier(&mut rest)?,
            Token::Anchor(..) if rest.starts_with('{') => return None,
            Token::Anchor(..) | Token::Open(..) | Token::Or => None,
        };
        writer.put(token, quantifier)?;
    }
    if !rest.is_empty() || !writer.open.is_empty() {
        return None;
    }
    Some(Rewritten { counted: writer.counted, skim: writer.skim, keeps: writer.keeps })
}

/// A piece of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'p> {
    /// What stands for one byte.
    Byte(&'p str),
    /// What opens a group: as written, and of what kind it is.
    Open(&'p str, Kind),
    Close,
    Or,
    /// An anchor; may the DFA have it?
    Anchor(&'p str, bool),
    Back(&'p str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Group,
    /// Tells flags, within it or from here on, that a DFA has not.
    Flags,
    /// A flag for what follows in the group around it, with nothing in it.
    FlagsOnly,
    Around,
}

/// The first token of `rest`, and what follows; `None` at the end and where it is not understood.
fn token(rest: &str) -> Option<(Token<'_>, &str)> {
    let length = match rest.bytes().next()? {
        b'\\' => return escape(rest),
        b'(' => return open(rest),
        b')' => return Some((Token::Close, rest.get(1..)?)),
        b'|' => return Some((Token::Or, rest.get(1..)?)),
        b'^' | b'$' => return Some((Token::Anchor(rest.get(..1)?, true), rest.get(1..)?)),
        b'*' | b'+' | b'?' => return None,
        b'[' => class_length(rest.as_bytes())?,
        _ => 1,
    };
    let (byte, after) = rest.split_at_checked(length)?;
    Some((Token::Byte(byte), after))
}

fn escape(rest: &str) -> Option<(Token<'_>, &str)> {
    let bytes = rest.as_bytes();
    let byte = *bytes.get(1)?;
    let length = match byte {
        b'x' if bytes.get(2) == Some(&b'{') => rest.find('}')? + 1,
        b'x' => 2 + bytes.iter().skip(2).take(2).take_while(|digit| digit.is_ascii_hexdigit()).count(),
        b'1'..=b'9' => {
            // Of two digits it may be a byte in octal.
            let is_long = bytes.get(2).is_some_and(u8::is_ascii_digit);
            return (!is_long).then_some((Token::Back(rest.get(..2)?), rest.get(2..)?));
        }
        b'b' | b'B' | b'A' | b'z' => return Some((Token::Anchor(rest.get(..2)?, true), rest.get(2..)?)),
        b'Z' => return Some((Token::Anchor(rest.get(..2)?, false), rest.get(2..)?)),
        byte if b"dDwWsShHvVNtnrfae".contains(&byte) || byte.is_ascii_punctuation() => 2,
        _ => return None,
    };
    // `\N{...}` names a character.
    if byte == b'N' && bytes.get(2) == Some(&b'{') {
        return None;
    }
    let (byte, after) = rest.split_at_checked(length)?;
    Some((Token::Byte(byte), after))
}

fn open(rest: &str) -> Option<(Token<'_>, &str)> {
    let (length, kind) = match rest.get(1..)? {
        inner if inner.starts_with('*') => return None,
        inner if !inner.starts_with('?') => (1, Kind::Group),
        inner if inner.starts_with("?:") || inner.starts_with("?>") => (3, Kind::Group),
        inner if inner.starts_with("?=") || inner.starts_with("?!") => (3, Kind::Around),
        inner if inner.starts_with("?<=") || inner.starts_with("?<!") => (4, Kind::Around),
        inner => {
            let flags = inner.bytes().skip(1).take_while(|flag| b"ims-".contains(flag)).count();
            match inner.as_bytes().get(1 + flags) {
                Some(b':') if flags > 0 => (3 + flags, Kind::Flags),
                Some(b')') if flags > 0 => (3 + flags, Kind::FlagsOnly),
                _ => return None,
            }
        }
    };
    let (open, after) = rest.split_at_checked(length)?;
    Some((Token::Open(open, kind), after))
}

/// The length of the class at the beginning.
fn class_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1 + usize::from(bytes.get(1) == Some(&b'^'));
    // A bracket that comes first is one of the class.
    at += usize::from(bytes.get(at) == Some(&b']'));
    loop {
        match bytes.get(at)? {
            b']' => return Some(at + 1),
            b'\\' => {
                // `\Q` and the like.
                if matches!(bytes.get(at + 1), Some(b'Q' | b'E')) {
                    return None;
                }
                at += 2;
            }
            // `[:alpha:]` holds a bracket that does not close.
            b'[' if matches!(bytes.get(at + 1), Some(b':' | b'.' | b'=')) => return None,
            _ => at += 1,
        }
    }
}

/// How often something may stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quantifier {
    least: u32,
    most: Option<u32>,
    /// `?`, `+` or nothing behind it.
    suffix: &'static str,
}

/// Takes a quantifier off `rest`, if there is one; `None` where it is not understood.
fn quantifier(rest: &mut &str) -> Option<Option<Quantifier>> {
    let (least, most, length) = match rest.bytes().next() {
        Some(b'*') => (0, None, 1),
        Some(b'+') => (1, None, 1),
        Some(b'?') => (0, Some(1), 1),
        Some(b'{') => {
            let end = rest.find('}')?;
            let inner = rest.get(1..end)?;
            let (least, most) = inner.split_once(',').unwrap_or((inner, inner));
            let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number(least) {
                // Newer PCRE2 takes spaces and `{,n}` as quantifiers, which those before took for bytes.
                let is_bytes = !inner.bytes().all(|byte| byte.is_ascii_digit() || b", ".contains(&byte));
                return is_bytes.then_some(None);
            }
            let most = match most {
                "" => None,
                most if is_number(most) => Some(most.parse().ok()?),
                _ => return None,
            };
            (least.parse().ok()?, most, end + 1)
        }
        _ => return Some(None),
    };
    *rest = rest.get(length..)?;
    let suffix = match rest.bytes().next() {
        Some(b'?') => "?",
        Some(b'+') => "+",
        _ => "",
    };
    *rest = rest.get(suffix.len()..)?;
    Some(Some(Quantifier { least, most, suffix }))
}

impl Quantifier {
    fn text(self) -> String {
        let Self { least, most, suffix } = self;
        match most {
            None => format!("{{{least},}}{suffix}"),
            Some(most) => format!("{{{least},{most}}}{suffix}"),
        }
    }

    /// The same for the DFA, which does not count: it takes more than one for enough: what would count is what takes longest to
    /// compile.
    const fn skimmed(self) -> &'static str {
        match (self.least, self.most) {
            (0, Some(0 | 1)) => "?",
            (0, _) => "*",
            (1, Some(1)) => "",
            _ => "+",
        }
    }
}

/// Writes both.
#[derive(Default)]
struct Writer {
    counted: String,
    skim: String,
    /// Of each open group where its inside begins in what is counted, and whether it is for the DFA, too.
    open: Vec<(usize, bool)>,
    /// How many of the open groups look around.
    around: usize,
    multi_line: bool,
    keeps: bool,
    /// Is greedy what has a `?`, and lazy what has none?
    ungreedy: bool,
}

impl Writer {
    fn put(&mut self, token: Token<'_>, quantifier: Option<Quantifier>) -> Option<()> {
        match token {
            Token::Byte(byte) => self.byte(byte, quantifier)?,
            Token::Open(open, kind) => self.open(open, kind),
            Token::Close => self.close(quantifier)?,
            Token::Or => {
                self.counted.push('|');
                self.skim("|");
            }
            Token::Anchor(anchor, known) => {
                self.counted.push_str(anchor);
                // Without `m` the two languages' `$` differ.
                if known && (anchor != "$" || self.multi_line) {
                    self.skim(anchor);
                }
            }
            Token::Back(back) => {
                if quantifier.is_some() {
                    return None;
                }
                self.counted.push_str(back);
                self.skim(r"[\x00-\xff]*");
            }
        }
        Some(())
    }

    fn skim(&mut self, text: &str) {
        if self.around == 0 {
            self.skim.push_str(text);
        }
    }

    fn byte(&mut self, byte: &str, quantifier: Option<Quantifier>) -> Option<()> {
        let known = if matches!(byte, "{" | "}" | "]") { format!("\\{byte}") } else { byte.to_owned() };
        self.skim(&known);
        let Some(quantifier) = quantifier else {
            self.counted.push_str(byte);
            return Some(());
        };
        self.keeps |= quantifier.suffix == "+";
        self.skim(quantifier.skimmed());
        self.counted.push_str(&self.in_pieces(byte, quantifier)?);
        Some(())
    }

    fn open(&mut self, open: &str, kind: Kind) {
        self.counted.push_str(open);
        self.keeps |= open == "(?>";
        match kind {
            Kind::FlagsOnly => return self.skim(open),
            Kind::Around => self.around += 1,
            Kind::Flags => self.skim(open),
            Kind::Group => self.skim("(?:"),
        }
        self.open.push((self.counted.len(), kind != Kind::Around));
    }

    fn close(&mut self, quantifier: Option<Quantifier>) -> Option<()> {
        let (inside, is_skimmed) = self.open.pop()?;
        self.counted.push(')');
        if is_skimmed {
            self.skim(")");
        } else {
            self.around = self.around.checked_sub(1)?;
        }
        if let Some(quantifier) = quantifier {
            self.keeps |= quantifier.suffix == "+";
            // What is repeated is counted where it offers a choice.
            self.counted.insert_str(inside, "(?:|(?!))");
            self.counted.push_str(&quantifier.text());
            if is_skimmed {
                self.skim(quantifier.skimmed());
            }
        }
        Some(())
    }

    /// A byte that is repeated, a piece at a time.
    fn in_pieces(&self, byte: &str, quantifier: Quantifier) -> Option<String> {
        let Quantifier { least, most, suffix } = quantifier;
        if least.max(most.unwrap_or(0)) > REPEATED_MAX || most.is_some_and(|most| most < least) {
            return None;
        }
        if most.is_some_and(|most| most <= PIECE) {
            return Some(format!("{byte}{}", quantifier.text()));
        }
        // Greedy or not is for each part; possessive is for the whole, and always greedy.
        let lazy = if suffix == "?" || suffix == "+" && self.ungreedy { "?" } else { "" };
        let is_lazy = suffix != "+" && (suffix == "?") != self.ungreedy;
        let exact = match (least / PIECE, least % PIECE) {
            (0, 0) => String::new(),
            (0, rest) => format!("{byte}{{{rest}}}"),
            (pieces, rest) => format!("(?:{byte}{{{PIECE}}}){{{pieces}}}{byte}{{{rest}}}"),
        };
        let below = PIECE - 1;
        let any = match most.map(|most| most - least) {
            Some(0) => String::new(),
            None => format!("(?:{byte}{{{PIECE}}})*{lazy}{byte}{{0,{below}}}{lazy}"),
            Some(more) if more < PIECE => format!("{byte}{{0,{more}}}{lazy}"),
            Some(more) => {
                let (pieces, rest) = (more / PIECE, more % PIECE);
                let full = format!("(?:{byte}{{{PIECE}}}){{{pieces}}}{byte}{{0,{rest}}}{lazy}");
                let part =
                    format!("(?:{byte}{{{PIECE}}}){{0,{}}}{lazy}{byte}{{0,{below}}}{lazy}", pieces - 1);
                if is_lazy { format!("(?:{part}|{full})") } else { format!("(?:{full}|{part})") }
            }
        };
        let open = if suffix == "+" { "(?>" } else { "(?:" };
        Some(format!("{open}{exact}{any})"))
    }
}

#[cfg(test)]
mod tests;
