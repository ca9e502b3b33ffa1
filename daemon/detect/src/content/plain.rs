//! Which patterns mean the same to the DFA's syntax and to PCRE.
//!
//! The two languages look alike and differ in corners. What is let through here is a common core, told by
//! a list of what is known to be the same; whatever is not on it goes to PCRE2.

/// Escapes that mean the same in both, besides escaped punctuation.
const ESCAPES: &[u8] = b"dDwWsSbBAztnrfa";

/// Does `pattern` keep to the common core?
pub(super) fn is_plain(pattern: &str, multi_line: bool) -> bool {
    let mut rest = pattern.as_bytes();
    let mut last = Last::Nothing;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        last = match byte {
            b'\\' => match escape(&mut rest) {
                Some(true) => Last::Nothing,
                Some(false) => Last::Atom,
                None => return false,
            },
            b'[' => {
                if !class(&mut rest) {
                    return false;
                }
                Last::Atom
            }
            b'(' => {
                if let Some(named) = rest.strip_prefix(b"?") {
                    let Some(group) = named.strip_prefix(b":") else { return false };
                    rest = group;
                } else if rest.first() == Some(&b'*') {
                    return false;
                }
                Last::Nothing
            }
            b')' => Last::Atom,
            b'|' | b'^' => Last::Nothing,
            // Without `m`, PCRE's `$` also matches before a line feed at the end.
            b'$' if multi_line => Last::Nothing,
            b'$' => return false,
            b'*' | b'+' | b'?' if last == Last::Atom => Last::Repetition,
            b'?' if last == Last::Repetition => Last::Nothing,
            b'{' if last == Last::Atom => match repetition(rest) {
                Some(after) => {
                    rest = after;
                    Last::Repetition
                }
                None => return false,
            },
            b'*' | b'+' | b'?' | b'{' | b'}' => return false,
            0x80.. => return false,
            _ => Last::Atom,
        };
    }
    true
}

/// What was read last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Nothing that can be repeated.
    Nothing,
    Atom,
    Repetition,
}

/// Reads what follows a backslash; is it of zero width? `None` where it may mean different things.
fn escape(rest: &mut &[u8]) -> Option<bool> {
    let (&byte, after) = rest.split_first()?;
    *rest = after;
    match byte {
        b'b' | b'B' | b'A' | b'z' => Some(true),
        b'x' => {
            *rest = two_digits(after)?;
            Some(false)
        }
        b'<' | b'>' => None,
        byte if ESCAPES.contains(&byte) || byte.is_ascii_punctuation() => Some(false),
        _ => None,
    }
}

/// Reads a class after its `[`: single bytes, ranges, and escapes; no sets within sets.
fn class(rest: &mut &[u8]) -> bool {
    if let Some(after) = rest.strip_prefix(b"^") {
        *rest = after;
    }
    let mut first = true;
    let mut before = 0;
    while let Some((&byte, after)) = rest.split_first() {
        *rest = after;
        match byte {
            b']' if !first => return true,
            b'\\' => match after.split_first() {
                Some((b'x', digits)) => match two_digits(digits) {
                    Some(after) => *rest = after,
                    None => return false,
                },
                Some((byte, after)) if b"dDwWsStnrf".contains(byte) || byte.is_ascii_punctuation() => {
                    *rest = after
                }
                _ => return false,
            },
            b']' | b'[' | 0x80.. => return false,
            // `&&`, `--` and `~~` are operators of the one language only.
            b'&' | b'-' | b'~' if before == byte => return false,
            _ => {}
        }
        before = byte;
        first = false;
    }
    false
}

fn two_digits(rest: &[u8]) -> Option<&[u8]> {
    let (digits, after) = rest.split_at_checked(2)?;
    digits.iter().all(u8::is_ascii_hexdigit).then_some(after)
}

/// Reads `n}`, `n,}` or `n,m}`.
fn repetition(rest: &[u8]) -> Option<&[u8]> {
    let end = rest.iter().position(|&byte| byte == b'}')?;
    let (inner, after) = rest.split_at(end);
    let text = std::str::from_utf8(inner).ok()?;
    let (least, most) = text.split_once(',').map_or((text, None), |(least, most)| (least, Some(most)));
    let digits =
        |text: &str| !text.is_empty() && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = digits(least) && most.is_none_or(|most| most.is_empty() || digits(most));
    if fits { after.get(1..) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_core_is_plain() {
        for pattern in [
            r"abc",
            r"^[^\r\n]+\.(?:t(?:ar|gz)|exe)",
            r"\x22mining\x2E(subscribe|authorize)\x22",
            r"[a-f0-9]{16}",
            r"a{3,}?b{2,5}",
            r"[\w.\-]+\s*=",
            r"\d+?x",
        ] {
            assert!(is_plain(pattern, false), "{pattern}");
        }
        assert!(is_plain("^a$", true));
    }

    #[test]
    fn what_may_differ_is_not() {
        for pattern in [
            r"(a)\1",
            r"a(?=b)",
            r"a(?i)b",
            r"a$",
            r"a++",
            r"a*+",
            r"\Qa\E",
            r"\h",
            r"\v",
            r"\<a",
            r"[[:alpha:]]",
            r"[a&&b]",
            r"{?a",
            r"a{,3}",
            r"a}",
            r"\x{41}",
            r"\x4",
            r"(*SKIP)a",
            r"(?P<n>a)",
            r"\p{L}",
            r"\101",
            r"[\b]",
            r"*a",
            r"a**",
            r"^*",
            r"[]]",
        ] {
            assert!(!is_plain(pattern, false), "{pattern}");
        }
    }
}
