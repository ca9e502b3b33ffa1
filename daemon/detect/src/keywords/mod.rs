//! The keyword table: every option a rule can have.
//!
//! A keyword is an [`Entry`] of its family's table: its names, whether it takes a value, and how it
//! changes the [`Draft`]. One that looks at packets adds a [`PacketTest`](crate::draft::PacketTest).

mod bsize;
mod buffer;
mod byte_math;
mod bytes;
mod content;
mod detection_filter;
mod event;
mod flow;
mod flow_counts;
mod flowbits;
pub(crate) mod flowint;
mod fragment;
mod hostbits;
mod icmp;
mod ip;
pub(crate) mod number;
mod pcre;
mod requires;
mod size;
mod stream_size;
mod tcp;
mod text;
pub(crate) mod threshold;
mod unknown;
mod xbits;

use crate::draft::Draft;
use crate::error::Fault;
use crate::syntax::{RawOption, Value};

/// Does a keyword take a value?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// A value or nothing; for `fast_pattern`.
    Maybe,
    Value,
}

/// One keyword.
struct Entry {
    /// The name and its synonyms.
    names: &'static [&'static str],
    takes: Takes,
    setup: fn(&mut Draft, Setting<'_>) -> Result<(), Fault>,
}

/// One use of a keyword in a rule.
#[derive(Clone, Copy, Debug)]
struct Setting<'a> {
    /// Where the keyword stands.
    at: usize,
    /// The value; empty for a keyword without.
    value: Value<'a>,
}

/// All keywords, by family.
const TABLE: &[&[Entry]] = &[
    text::KEYWORDS,
    content::KEYWORDS,
    buffer::KEYWORDS,
    pcre::KEYWORDS,
    bytes::KEYWORDS,
    bsize::KEYWORDS,
    byte_math::KEYWORDS,
    flow::KEYWORDS,
    flow_counts::KEYWORDS,
    fragment::KEYWORDS,
    requires::KEYWORDS,
    stream_size::KEYWORDS,
    flowbits::KEYWORDS,
    flowint::KEYWORDS,
    hostbits::KEYWORDS,
    xbits::KEYWORDS,
    threshold::KEYWORDS,
    detection_filter::KEYWORDS,
    event::KEYWORDS,
    size::KEYWORDS,
    ip::KEYWORDS,
    icmp::KEYWORDS,
    tcp::KEYWORDS,
];

/// Is there a keyword of this name?
fn is_known(name: &str) -> bool {
    TABLE.iter().copied().flatten().any(|entry| entry.names.contains(&name))
}

/// Carries out one option of a rule.
pub(crate) fn apply(draft: &mut Draft, option: &RawOption<'_>) -> Result<(), Fault> {
    let entry = TABLE.iter().copied().flatten().find(|entry| entry.names.contains(&option.name));
    let Some(entry) = entry else {
        return Err(unknown::fault(option, TABLE.iter().copied().flatten().flat_map(|entry| entry.names)));
    };
    let given = option.value.filter(|value| !value.bytes.is_empty());
    match (entry.takes, given) {
        (Takes::Value, None) => Err(Fault::new(option.at, format!("`{}` needs a value", option.name))),
        (Takes::Nothing, Some(value)) => {
            Err(Fault::new(value.at, format!("`{}` does not take a value", option.name)))
        }
        (_, given) => {
            let value = given.unwrap_or(Value { at: option.at, bytes: b"" });
            (entry.setup)(draft, Setting { at: option.at, value })
        }
    }
}

/// Sets what may be set once.
fn once<T>(slot: &mut Option<T>, value: T, at: usize, name: &str) -> Result<(), Fault> {
    if slot.replace(value).is_some() {
        return Err(Fault::new(at, format!("`{name}` is given twice")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_is_taken_twice() {
        let names: Vec<_> = TABLE.iter().copied().flatten().flat_map(|entry| entry.names).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
