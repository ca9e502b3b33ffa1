//! `pcre`: regular expressions.

use super::{Entry, Setting, Takes};
use crate::content::Item;
use crate::content::pcre::PcreSpec;
use crate::draft::Draft;
use crate::error::Fault;
use crate::syntax::Value;

pub(super) const KEYWORD: Entry = Entry { names: &["pcre"], takes: Takes::Value, setup };

/// Flags that look at a part of an application protocol.
const APPLICATION: &[u8] = b"UIPQHDMCSYVWKZNTX";

/// `[!]"/pattern/flags"`
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let value = setting.value;
    let (negated, rest) = match value.bytes.strip_prefix(b"!") {
        Some(rest) => (true, rest.trim_ascii_start()),
        None => (false, value.bytes),
    };
    let quoted = Value { at: value.at + (value.bytes.len() - rest.len()), bytes: rest }.quoted()?;
    let end = quoted.bytes.iter().rposition(|&byte| byte == b'/').filter(|&end| end > 0);
    let (Some(end), Some(b'/')) = (end, quoted.bytes.first()) else {
        return Err(Fault::new(quoted.at, "expected `/pattern/flags`"));
    };
    let pattern = Value { at: quoted.at + 1, bytes: quoted.bytes.get(1..end).unwrap_or_default() };
    let flags = Value { at: quoted.at + end + 1, bytes: quoted.bytes.get(end + 1..).unwrap_or_default() };
    let mut spec = PcreSpec { negated, ..PcreSpec::default() };
    let mut ends_only = false;
    for (&flag, at) in flags.bytes.iter().zip(flags.at..) {
        match flag {
            b'i' => spec.caseless = true,
            b's' => spec.dot_all = true,
            b'm' => spec.multi_line = true,
            b'x' => spec.extended = true,
            b'A' => spec.anchored = true,
            b'E' => ends_only = true,
            b'G' => spec.ungreedy = true,
            b'R' => spec.relative = true,
            // Everything is looked at raw, and there is one match limit.
            b'B' | b'O' => {}
            flag if APPLICATION.contains(&flag) => {
                let reason = format!("flag `{}` needs an application-layer buffer", char::from(flag));
                return Err(Fault::new(at, reason));
            }
            b',' => return Err(Fault::new(at, "captures into variables are not supported")),
            flag => {
                let reason = format!("unknown flag `{}`", char::from(flag).escape_default());
                return Err(Fault::new(at, reason));
            }
        }
    }
    if pattern.bytes.starts_with(b"(*") {
        return Err(Fault::new(pattern.at, "a verb at the start of the pattern is not supported"));
    }
    if pattern.bytes.is_empty() {
        return Err(Fault::new(pattern.at, "the pattern is empty"));
    }
    spec.pattern = ascii(pattern.bytes, ends_only && !spec.multi_line);
    spec.check().map_err(|(at, reason)| {
        // The place is exact where nothing was rewritten before it.
        let at = at.filter(|_| pattern.bytes.is_ascii() && !ends_only).unwrap_or(0);
        Fault::new(pattern.at + at, format!("the pattern is not valid: {reason}"))
    })?;
    draft.push(setting.at, Item::Pcre(spec))
}

/// The pattern in ASCII, and with `\z` for `$` where that shall match at the very end only.
fn ascii(pattern: &[u8], ends_only: bool) -> String {
    let mut text = String::with_capacity(pattern.len());
    let (mut escaped, mut class) = (false, false);
    for &byte in pattern {
        match byte {
            0x80.. => {
                if escaped {
                    text.pop();
                }
                text.push_str(&format!("\\x{byte:02x}"));
            }
            b'$' if ends_only && !escaped && !class => text.push_str("\\z"),
            byte => text.push(char::from(byte)),
        }
        match byte {
            b'[' if !escaped => class = true,
            b']' if !escaped => class = false,
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_ascii() {
        let check = |pattern: &[u8], ends_only, expect: &str| assert_eq!(ascii(pattern, ends_only), expect);
        check(b"a$[$]\\$", true, "a\\z[$]\\$");
        check(b"a$", false, "a$");
        check(b"\xff\\\xfe\\\\", false, "\\xff\\xfe\\\\");
    }
}
