//! The shape of a rule: seven header words, then options in parentheses. What they mean is not known here.

use crate::error::Fault;

/// A rule cut into its parts.
#[derive(Debug)]
pub(crate) struct RawRule<'a> {
    pub(crate) header: [Word<'a>; 7],
    pub(crate) options: Vec<RawOption<'a>>,
}

/// A word of the header and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word<'a> {
    pub(crate) at: usize,
    pub(crate) text: &'a str,
}

/// `name;` or `name:value;`
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawOption<'a> {
    pub(crate) at: usize,
    pub(crate) name: &'a str,
    pub(crate) value: Option<Value<'a>>,
}

/// An option's value as written, without the blanks around it, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    pub(crate) at: usize,
    pub(crate) bytes: &'a [u8],
}

const HEADER: [&str; 7] = [
    "action",
    "protocol",
    "source address",
    "source port",
    "direction",
    "destination address",
    "destination port",
];

/// Cuts the rule `text` into its parts.
pub(crate) fn cut(text: &[u8]) -> Result<RawRule<'_>, Fault> {
    let mut at = 0;
    let mut header = [Word { at: 0, text: "" }; 7];
    for (word, what) in header.iter_mut().zip(HEADER) {
        *word = header_word(text, &mut at, what)?;
    }
    let open = skip_blanks(text, at);
    match text.get(open) {
        Some(b'(') => {}
        Some(_) => return Err(Fault::new(open, "expected `(` after the destination port")),
        None => return Err(Fault::new(text.len(), "the rule has no options: expected `(`")),
    }
    let end = text.trim_ascii_end().len();
    if end <= open + 1 || text.get(end - 1) != Some(&b')') {
        return Err(Fault::new(end, "expected `)` at the end of the rule"));
    }
    Ok(RawRule { header, options: options(text, open + 1, end - 1)? })
}

fn header_word<'a>(text: &'a [u8], at: &mut usize, what: &str) -> Result<Word<'a>, Fault> {
    let start = skip_blanks(text, *at);
    let mut depth = 0_usize;
    let mut end = start;
    while let Some(&byte) = text.get(end) {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            b'(' => break,
            byte if byte.is_ascii_whitespace() && depth == 0 => break,
            _ => {}
        }
        end += 1;
    }
    *at = end;
    let word = text.get(start..end).unwrap_or_default();
    let word = std::str::from_utf8(word)
        .map_err(|error| Fault::new(start + error.valid_up_to(), format!("the {what} is not valid UTF-8")))?
        .trim_end();
    if word.is_empty() {
        return Err(Fault::new(start, format!("the {what} is missing")));
    }
    Ok(Word { at: start, text: word })
}

fn skip_blanks(text: &[u8], at: usize) -> usize {
    let blanks = text.iter().skip(at).take_while(|byte| byte.is_ascii_whitespace()).count();
    at + blanks
}

/// The options between `start` and `end`. A `;` ends one, also within quotes, unless a backslash is
/// before it.
fn options(text: &[u8], start: usize, end: usize) -> Result<Vec<RawOption<'_>>, Fault> {
    let mut options = Vec::new();
    let mut from = start;
    let mut escaped = false;
    for at in start..end {
        let byte = text.get(at).copied().unwrap_or_default();
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b';' => {
                options.push(option(text, from, at)?);
                from = at + 1;
            }
            _ => {}
        }
    }
    let rest = skip_blanks(text, from);
    if rest < end {
        return Err(Fault::new(rest, "the last option is not ended by `;`"));
    }
    Ok(options)
}

fn option(text: &[u8], from: usize, end: usize) -> Result<RawOption<'_>, Fault> {
    let at = skip_blanks(text, from).min(end);
    let body = text.get(at..end).unwrap_or_default();
    let colon = body.iter().position(|&byte| byte == b':');
    let name = body.get(..colon.unwrap_or(body.len())).unwrap_or_default().trim_ascii();
    let name = std::str::from_utf8(name).map_err(|_| Fault::new(at, "the keyword is not valid UTF-8"))?;
    if name.is_empty() {
        return Err(Fault::new(at, "expected a keyword before `;`"));
    }
    let value = colon.map(|colon| {
        let start = skip_blanks(text, at + colon + 1).min(end);
        Value { at: start, bytes: text.get(start..end).unwrap_or_default().trim_ascii() }
    });
    Ok(RawOption { at, name, value })
}

impl<'a> Value<'a> {
    /// The value as text.
    pub(crate) fn text(self) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.bytes)
            .map_err(|error| Fault::new(self.at + error.valid_up_to(), "the value is not valid UTF-8"))
    }

    /// What stands between the quotes, escapes and all.
    pub(crate) fn quoted(self) -> Result<Self, Fault> {
        let Some(inner) = self.bytes.strip_prefix(b"\"") else {
            return Err(Fault::new(self.at, "the value must be in double quotes"));
        };
        match inner.strip_suffix(b"\"") {
            Some(inner) if !ends_in_escape(inner) => Ok(Self { at: self.at + 1, bytes: inner }),
            _ => Err(Fault::new(self.at, "the quotes are not closed (within them, write `;` as `\\;`)")),
        }
    }

    /// The text between the quotes with its escapes resolved.
    pub(crate) fn quoted_text(self) -> Result<String, Fault> {
        let inner = self.quoted()?;
        let mut bytes = Vec::with_capacity(inner.bytes.len());
        let mut rest = inner.bytes.iter().copied().enumerate();
        while let Some((index, byte)) = rest.next() {
            match byte {
                b'\\' => bytes.push(escape(inner.at + index, rest.next().map(|(_, byte)| byte))?),
                b'"' => return Err(Fault::new(inner.at + index, "within quotes, write `\"` as `\\\"`")),
                byte => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).map_err(|error| {
            Fault::new(inner.at + error.utf8_error().valid_up_to(), "the text is not valid UTF-8")
        })
    }

    /// The parts between commas, trimmed, each with its place.
    pub(crate) fn list(self) -> impl Iterator<Item = Self> {
        let mut start = 0;
        self.bytes.split(|&byte| byte == b',').map(move |part| {
            let blanks = part.len() - part.trim_ascii_start().len();
            let value = Self { at: self.at + start + blanks, bytes: part.trim_ascii() };
            start += part.len() + 1;
            value
        })
    }

    /// The value as a whole number between `least` and `most`.
    pub(crate) fn number<N>(self, least: N, most: N) -> Result<N, Fault>
    where
        N: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        let text = self.text()?;
        let plain = text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| plain && *number >= least && *number <= most);
        number.ok_or_else(|| {
            Fault::new(self.at, format!("`{text}` is not a whole number from {least} to {most}"))
        })
    }
}

/// Is the last byte escaped by a backslash before it, that is: does `text` end in an open escape?
fn ends_in_escape(text: &[u8]) -> bool {
    text.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// The byte that `\` and `next` stand for; the backslash stands at `at`.
pub(crate) fn escape(at: usize, next: Option<u8>) -> Result<u8, Fault> {
    match next {
        Some(byte @ (b'\\' | b'"' | b';' | b':')) => Ok(byte),
        Some(byte) => {
            Err(Fault::new(at, format!("unknown escape `\\{}`", char::from(byte).escape_default())))
        }
        None => Err(Fault::new(at, "nothing follows the backslash")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_cut() {
        let text = br#" alert tcp [1.1.1.1, 2.2.2.2] any -> any 80( msg : "a\;b: (c)" ; nocase;sid:1;  ) "#;
        let rule = cut(text).unwrap();
        let header: Vec<_> = rule.header.iter().map(|word| (word.at, word.text)).collect();
        let expect =
            [(1, "alert"), (7, "tcp"), (11, "[1.1.1.1, 2.2.2.2]"), (30, "any"), (34, "->"), (37, "any")];
        assert_eq!(header[..6], expect);
        assert_eq!(header[6], (41, "80"));
        let names: Vec<_> = rule.options.iter().map(|option| option.name).collect();
        assert_eq!(names, ["msg", "nocase", "sid"]);
        let msg = rule.options[0].value.unwrap();
        assert_eq!((msg.at, msg.quoted_text().unwrap().as_str()), (51, "a;b: (c)"));
        assert!(rule.options[1].value.is_none());
    }

    #[test]
    fn faults_are_placed() {
        let check = |text: &str, at: usize, reason: &str| {
            let fault = cut(text.as_bytes()).map(|_| ()).unwrap_err();
            assert_eq!((fault.at, fault.reason.as_str()), (at, reason), "{text}");
        };
        check("alert", 5, "the protocol is missing");
        check("alert tcp any any -> any (sid:1;)", 25, "the destination port is missing");
        check("alert tcp any any -> any any", 28, "the rule has no options: expected `(`");
        check("alert tcp any any -> any any x (sid:1;)", 29, "expected `(` after the destination port");
        check("alert tcp any any -> any any (sid:1;", 36, "expected `)` at the end of the rule");
        check("alert tcp any any -> any any (", 30, "expected `)` at the end of the rule");
        check("alert tcp any any -> any any (sid:1; rev:2)", 37, "the last option is not ended by `;`");
        check("alert tcp any any -> any any (sid:1;;)", 36, "expected a keyword before `;`");
    }

    #[test]
    fn quoted_values() {
        let check = |text: &str, expect: Result<&str, (usize, &str)>| {
            let found = Value { at: 10, bytes: text.as_bytes() }.quoted_text();
            let found = found.as_deref().map_err(|fault| (fault.at, fault.reason.as_str()));
            assert_eq!(found, expect, "{text}");
        };
        check(r#""a \"b\" \\ \: \;""#, Ok(r#"a "b" \ : ;"#));
        check(r#""""#, Ok(""));
        check("plain", Err((10, "the value must be in double quotes")));
        check(r#""open"#, Err((10, "the quotes are not closed (within them, write `;` as `\\;`)")));
        check(r#""open\""#, Err((10, "the quotes are not closed (within them, write `;` as `\\;`)")));
        check(r#"""#, Err((10, "the quotes are not closed (within them, write `;` as `\\;`)")));
        check(r#""a"b""#, Err((12, "within quotes, write `\"` as `\\\"`")));
        check(r#""a\n""#, Err((12, "unknown escape `\\n`")));
    }
}
