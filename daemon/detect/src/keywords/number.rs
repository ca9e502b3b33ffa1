//! What the numeric keywords ask of a number: `N`, `!N`, `<N`, `>N`, `<=N`, `>=N`, `A<>B`.

use crate::error::Fault;
use crate::syntax::Value;

/// A condition on a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// From, to, both included.
    Within(u32, u32),
    /// Anything but.
    Not(u32),
}

impl Condition {
    pub(crate) fn holds(self, number: u32) -> bool {
        match self {
            Self::Within(first, last) => (first..=last).contains(&number),
            Self::Not(other) => number != other,
        }
    }

    /// Reads a condition on numbers up to `most`; `A<>B` asks for what lies between, without the ends.
    pub(super) fn parse(value: Value<'_>, most: u32) -> Result<Self, Fault> {
        let text = value.text()?;
        let part = |text: &str| {
            let at = value.at + (text.trim_start().as_ptr().addr() - value.bytes.as_ptr().addr());
            Value { at, bytes: text.trim().as_bytes() }.number(0, most)
        };
        let none = || Fault::new(value.at, format!("no number satisfies `{text}`"));
        let above = |number: u32| number.checked_add(1).ok_or_else(none);
        let below = |number: u32| number.checked_sub(1).ok_or_else(none);
        let condition = if let Some((first, last)) = text.split_once("<>") {
            Self::Within(above(part(first)?)?, below(part(last)?)?)
        } else if let Some(rest) = text.strip_prefix("<=") {
            Self::Within(0, part(rest)?)
        } else if let Some(rest) = text.strip_prefix(">=") {
            Self::Within(part(rest)?, most)
        } else if let Some(rest) = text.strip_prefix('<') {
            Self::Within(0, below(part(rest)?)?)
        } else if let Some(rest) = text.strip_prefix('>') {
            Self::Within(above(part(rest)?)?, most)
        } else if let Some(rest) = text.strip_prefix('!') {
            Self::Not(part(rest.strip_prefix('=').unwrap_or(rest))?)
        } else {
            let number = part(text)?;
            Self::Within(number, number)
        };
        match condition {
            Self::Within(first, last) if first > last => Err(none()),
            condition => Ok(condition),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        let check = |text: &str, expect: Result<Condition, (usize, &str)>| {
            let found = Condition::parse(Value { at: 5, bytes: text.as_bytes() }, 255);
            let found = found.as_ref().map_err(|fault| (fault.at, fault.reason.as_str()));
            assert_eq!(found.copied(), expect, "{text}");
        };
        check("8", Ok(Condition::Within(8, 8)));
        check("! 8", Ok(Condition::Not(8)));
        check("<8", Ok(Condition::Within(0, 7)));
        check("> 8", Ok(Condition::Within(9, 255)));
        check("<=8", Ok(Condition::Within(0, 8)));
        check(">=8", Ok(Condition::Within(8, 255)));
        check("7<>20", Ok(Condition::Within(8, 19)));
        check("7<>8", Err((5, "no number satisfies `7<>8`")));
        check("<0", Err((5, "no number satisfies `<0`")));
        check(">255", Err((5, "no number satisfies `>255`")));
        check("> 256", Err((7, "`256` is not a whole number from 0 to 255")));
        check("x", Err((5, "`x` is not a whole number from 0 to 255")));
    }
}
