//! Single values: from what is written to what is meant. Everything that suricata.yaml writes as a
//! word may be a string or the TOML type it looks like: `"yes"` or `true`, `"15"` or `15`.

use super::tree::{Node, Value};
use std::path::PathBuf;
use std::time::Duration;

/// A value that a setting can have.
pub(crate) trait Setting: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// What was expected and found, as the end of a sentence.
    fn read(node: &Node) -> Result<Self, String>;
}

/// `expected WHAT, found …`.
pub(crate) fn expected<T>(what: &str, node: &Node) -> Result<T, String> {
    Err(format!("expected {what}, found {}", node.value.describe()))
}

impl Setting for bool {
    fn read(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Boolean(value) => Ok(*value),
            Value::Integer(1) => Ok(true),
            Value::Integer(0) => Ok(false),
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "yes" | "true" | "on" | "1" => Ok(true),
                "no" | "false" | "off" | "0" => Ok(false),
                _ => expected("yes or no", node),
            },
            _ => expected("yes or no", node),
        }
    }
}

/// Whole numbers of 0 and more.
impl Setting for u64 {
    fn read(node: &Node) -> Result<Self, String> {
        let number = match &node.value {
            Value::Integer(number) => Self::try_from(*number).ok(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.map_or_else(|| expected("a whole number", node), Ok)
    }
}

macro_rules! smaller_numbers {
    ($($number:ty)*) => {$(
        impl Setting for $number {
            fn read(node: &Node) -> Result<Self, String> {
                let wide = u64::read(node)?;
                Self::try_from(wide).map_err(|_| format!("{wide} is too large, the most is {}", Self::MAX))
            }
        }
    )*};
}
smaller_numbers!(u8 u16 u32);

impl Setting for usize {
    fn read(node: &Node) -> Result<Self, String> {
        let wide = u64::read(node)?;
        Self::try_from(wide).map_err(|_| format!("{wide} is too large"))
    }
}

impl Setting for String {
    fn read(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::String(text) => Ok(text.clone()),
            Value::Integer(number) => Ok(number.to_string()),
            Value::Other(_, text) => Ok(text.clone()),
            _ => expected("a string", node),
        }
    }
}

impl Setting for PathBuf {
    fn read(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::String(text) if text.is_empty() => {
                Err("expected a path, found an empty string".to_owned())
            }
            Value::String(text) => Ok(Self::from(text)),
            _ => expected("a path", node),
        }
    }
}

/// An array, or one value in place of an array of one.
impl<T: Setting> Setting for Vec<T> {
    fn read(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Array(items) => items.iter().map(T::read).collect(),
            Value::Table(_) => expected("an array", node),
            _ => T::read(node).map(|one| vec![one]),
        }
    }
}

/// A number of bytes, written as in suricata.yaml: `32mb`, `"128 MiB"`, `4kb`, `65536`. Units are
/// powers of 1024 whatever their spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

impl Setting for Size {
    fn read(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Integer(number) if *number >= 0 => u64::read(node).map(Self),
            Value::String(text) => parse_size(text).map_or_else(
                || Err(format!("expected a size such as \"32mb\", found {}", node.value.describe())),
                |bytes| Ok(Self(bytes)),
            ),
            _ => expected("a size such as \"32mb\"", node),
        }
    }
}

/// The bytes that `text` means; `None` where it is no size or more than 64 bits hold.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "kb" | "kib" => 10,
        "mb" | "mib" => 20,
        "gb" | "gib" => 30,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 6 {
        return None;
    }
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let whole: u64 = whole.parse().ok()?;
    let bytes = u128::from(whole) << shift;
    let rest = (u128::from(fraction) << shift) / u128::from(scale);
    u64::try_from(bytes + rest).ok()
}

/// A time in whole seconds.
impl Setting for Duration {
    fn read(node: &Node) -> Result<Self, String> {
        u32::read(node)
            .map(|seconds| Self::from_secs(u64::from(seconds)))
            .map_err(|reason| reason.replace("a whole number", "a whole number of seconds"))
    }
}

/// Defines an enumeration whose values are words in the file.
macro_rules! words {
    ($(#[$meta:meta])* $visibility:vis $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility enum $name { $($(#[$variant_meta])* $variant,)* }

        impl $name {
            /// The words, in order.
            $visibility const WORDS: &'static [&'static str] = &[$($word),*];

            /// The word for this value.
            #[must_use]
            $visibility const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl $crate::config::value::Setting for $name {
            fn read(node: &$crate::config::tree::Node) -> Result<Self, String> {
                match $crate::config::value::word(node) {
                    $(Some($word) => Ok(Self::$variant),)*
                    _ => $crate::config::value::unknown_word(Self::WORDS, node),
                }
            }
        }
    };
}
pub(crate) use words;

/// The word a node holds, if it is one.
pub(crate) fn word(node: &Node) -> Option<&str> {
    match &node.value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// The error for a word that is none of `words`, with the nearest of them.
pub(crate) fn unknown_word<T>(words: &[&str], node: &Node) -> Result<T, String> {
    let found = node.value.describe();
    let near = word(node).and_then(|text| super::section::nearest(text, words.iter().copied()));
    let near = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
    Err(format!("expected one of {}, found {found}{near}", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::Place;
    use proptest::prelude::*;

    fn node(value: Value) -> Node {
        Node { value, place: Place::Nowhere }
    }

    #[test]
    fn sizes() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(parse_size(text), expected, "{text:?}");
        check("0", Some(0));
        check("15", Some(15));
        check("4kb", Some(4096));
        check("4 KB", Some(4096));
        check("32mb", Some(32 << 20));
        check("1MB", Some(1 << 20));
        check("128 MiB", Some(128 << 20));
        check("1.5gb", Some(3 << 29));
        check("64b", Some(64));
        check("", None);
        check("mb", None);
        check(".5mb", None);
        check("1.2.3mb", None);
        check("128mbb", None);
        check("-1", None);
        check("99999999999gb", None);
    }

    #[test]
    fn words_of_yaml() {
        for text in ["yes", "true", "on", "1", "Yes", "TRUE"] {
            assert_eq!(bool::read(&node(Value::String(text.to_owned()))), Ok(true));
        }
        for text in ["no", "false", "off", "0"] {
            assert_eq!(bool::read(&node(Value::String(text.to_owned()))), Ok(false));
        }
        assert_eq!(
            bool::read(&node(Value::String("maybe".to_owned()))),
            Err("expected yes or no, found the string \"maybe\"".to_owned())
        );
        assert_eq!(u16::read(&node(Value::String("15".to_owned()))), Ok(15));
        assert_eq!(
            u16::read(&node(Value::Integer(70_000))),
            Err("70000 is too large, the most is 65535".to_owned())
        );
        assert!(u16::read(&node(Value::Integer(-1))).is_err());
    }

    proptest! {
        #[test]
        fn any_size_in_any_unit_is_exact(number in 0_u64..1 << 30, unit in 0_usize..4) {
            let (word, shift) = [("", 0), ("kb", 10), ("MB", 20), ("gib", 30)][unit];
            prop_assert_eq!(parse_size(&format!("{number}{word}")), Some(number << shift));
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = parse_size(&text);
        }
    }
}
