//! The keyword table: every option a rule can have.
//!
//! A keyword is a file with an [`Entry`]: its names, whether it takes a value, and how it changes the [`Draft`]; and a
//! line in `keywords!` here. One that looks at packets adds a [`PacketTest`](crate::draft::PacketTest). What several
//! keywords share has files of its own.

mod bytes;
mod flow_facts;
mod fragment;
mod icmp_number;
pub(crate) mod number;
mod tcp_number;
mod unknown;

use crate::draft::Draft;
use crate::error::Fault;
use crate::syntax::{RawOption, Value};

/// Declares the keywords' modules, and the table of what they say.
macro_rules! keywords {
    ($($visible:vis mod $name:ident;)*) => {
        $($visible mod $name;)*

        /// All keywords.
        const TABLE: &[Entry] = &[$($name::KEYWORD),*];
    };
}

keywords! {
    mod ack;
    mod bsize;
    mod bypass;
    mod byte_extract;
    mod byte_jump;
    mod byte_math;
    mod byte_test;
    mod classtype;
    mod content;
    mod decode_event;
    mod depth;
    mod detection_filter;
    mod distance;
    mod dsize;
    mod endswith;
    mod fast_pattern;
    mod flags;
    mod flow;
    mod flow_age;
    mod flow_bytes;
    mod flow_bytes_toclient;
    mod flow_bytes_toserver;
    mod flow_pkts;
    mod flow_pkts_toclient;
    mod flow_pkts_toserver;
    mod flowbits;
    pub(crate) mod flowint;
    mod fragbits;
    mod fragoffset;
    mod gid;
    mod hostbits;
    mod icmp_id;
    mod icmp_seq;
    mod icmpv4_hdr;
    mod icmpv6_hdr;
    mod icmpv6_mtu;
    mod icode;
    mod id;
    mod ip_proto;
    mod ipopts;
    mod ipv4_hdr;
    mod ipv6_hdr;
    mod isdataat;
    mod itype;
    mod metadata;
    mod msg;
    mod noalert;
    mod nocase;
    mod offset;
    mod pcre;
    mod pkt_data;
    mod priority;
    mod rawbytes;
    mod reference;
    mod requires;
    mod rev;
    mod sameip;
    mod seq;
    mod sid;
    mod startswith;
    mod stream_event;
    mod stream_size;
    mod target;
    mod tcp_hdr;
    mod tcp_mss;
    pub(crate) mod threshold;
    mod tos;
    mod ttl;
    mod udp_hdr;
    mod window;
    mod within;
    mod xbits;
}

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

/// Is there a keyword of this name?
fn is_known(name: &str) -> bool {
    TABLE.iter().any(|entry| entry.names.contains(&name))
}

/// Carries out one option of a rule.
pub(crate) fn apply(draft: &mut Draft, option: &RawOption<'_>) -> Result<(), Fault> {
    let entry = TABLE.iter().find(|entry| entry.names.contains(&option.name));
    let Some(entry) = entry else {
        return Err(unknown::fault(option, TABLE.iter().flat_map(|entry| entry.names)));
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
        let names: Vec<_> = TABLE.iter().flat_map(|entry| entry.names).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
