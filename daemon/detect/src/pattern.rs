//! The bytes of a `content`: text, escapes, hex between bars.

use crate::error::Fault;
use crate::syntax::{Value, escape};

/// Longest pattern, as in Suricata.
const PATTERN_MAX: usize = 255;

/// Most places that a pattern may stand at to be looked for at those only.
const PLACES_MAX: u32 = 16;

/// What is looked for in the payload before a rule is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FastPattern {
    /// In lower case.
    pub(crate) bytes: Vec<u8>,
    /// The first and the last offset where it may begin, where the rule says.
    pub(crate) place: Option<(u32, u32)>,
}

impl FastPattern {
    /// Can it stand at few places only?
    pub(crate) fn is_anchored(&self) -> bool {
        self.place.is_some_and(|(first, last)| last.saturating_sub(first) < PLACES_MAX)
    }
}

/// Reads `[!]"…"`: whether it is negated, and its bytes.
pub(crate) fn parse(value: Value<'_>) -> Result<(bool, Vec<u8>), Fault> {
    let (negated, value) = match value.bytes.strip_prefix(b"!") {
        Some(rest) => {
            let blanks = rest.len() - rest.trim_ascii_start().len();
            (true, Value { at: value.at + 1 + blanks, bytes: rest.trim_ascii_start() })
        }
        None => (false, value),
    };
    let inner = value.quoted()?;
    let bytes = bytes(inner)?;
    if bytes.is_empty() {
        return Err(Fault::new(value.at, "the content is empty"));
    }
    if bytes.len() > PATTERN_MAX {
        let reason = format!("the content has {} bytes, more than {PATTERN_MAX}", bytes.len());
        return Err(Fault::new(value.at, reason));
    }
    Ok((negated, bytes))
}

fn bytes(inner: Value<'_>) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    // Where the open bar stands, and the first digit of an incomplete pair.
    let (mut bar, mut half) = (None, None::<(usize, u8)>);
    let mut rest = (inner.at..).zip(inner.bytes.iter().copied());
    while let Some((at, byte)) = rest.next() {
        match (byte, bar) {
            (b'|', None) => bar = Some(at),
            (b'|', Some(_)) => {
                if let Some((at, _)) = half {
                    return Err(Fault::new(at, "hex digits come in pairs"));
                }
                bar = None;
            }
            (byte, Some(_)) if byte.is_ascii_whitespace() => {
                if let Some((at, _)) = half {
                    return Err(Fault::new(at, "hex digits come in pairs"));
                }
            }
            (byte, Some(_)) => {
                let digit = hex_digit(byte).ok_or_else(|| {
                    Fault::new(at, format!("`{}` is not a hex digit", char::from(byte).escape_default()))
                })?;
                match half.take() {
                    Some((_, high)) => bytes.push(high << 4 | digit),
                    None => half = Some((at, digit)),
                }
            }
            (b'\\', None) => bytes.push(escape(at, rest.next().map(|(_, byte)| byte))?),
            (b'"', None) => return Err(Fault::new(at, "within quotes, write `\"` as `\\\"` or `|22|`")),
            (byte, None) => bytes.push(byte),
        }
    }
    match bar {
        Some(at) => Err(Fault::new(at, "`|` opens hex that is not closed")),
        None => Ok(bytes),
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(bool, Vec<u8>), (usize, String)> {
        parse(Value { at: 100, bytes: text.as_bytes() }).map_err(|fault| (fault.at, fault.reason))
    }

    #[test]
    fn contents_are_read() {
        let check = |text: &str, negated: bool, bytes: &[u8]| {
            assert_eq!(read(text), Ok((negated, bytes.to_vec())), "{text}");
        };
        check(r#""abc""#, false, b"abc");
        check(r#"! "a b""#, true, b"a b");
        check(r#""|41 42|c|4344|""#, false, b"ABcCD");
        check(r#""|0d 0A|""#, false, b"\r\n");
        check(r#""a\;b\"c\\d\:e:f""#, false, br#"a;b"c\d:e:f"#);
        check(r#""|| a""#, false, b" a");
        check("\"\u{e9}\"", false, "\u{e9}".as_bytes());
    }

    #[test]
    fn faults_are_placed() {
        let check = |text: &str, at: usize, reason: &str| {
            assert_eq!(read(text), Err((at, reason.to_owned())), "{text}");
        };
        check("abc", 100, "the value must be in double quotes");
        check(r#""""#, 100, "the content is empty");
        check(r#"!"||""#, 101, "the content is empty");
        check(r#""|4|""#, 102, "hex digits come in pairs");
        check(r#""|41 4 2|""#, 105, "hex digits come in pairs");
        check(r#""|4g|""#, 103, "`g` is not a hex digit");
        check(r#""a|41""#, 102, "`|` opens hex that is not closed");
        check(r#""a\x""#, 102, "unknown escape `\\x`");
        check(r#""a"b""#, 102, "within quotes, write `\"` as `\\\"` or `|22|`");
        let long = format!("\"{}\"", "a".repeat(256));
        check(&long, 100, "the content has 256 bytes, more than 255");
    }
}
