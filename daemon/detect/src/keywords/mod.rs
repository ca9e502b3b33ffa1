//! The keyword table: every option a rule can have.
//!
//! A keyword is a file with an [`Entry`]: its names, whether it takes a value, and how it changes the [`Draft`]; and a
//! line of the table here. One that looks at packets adds a [`PacketTest`](crate::draft::PacketTest). What several
//! keywords share has files of its own.

mod ack;
mod bsize;
mod bypass;
mod byte_extract;
mod byte_jump;
mod byte_math;
mod byte_test;
mod bytes;
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
mod flow_facts;
mod flow_pkts;
mod flow_pkts_toclient;
mod flow_pkts_toserver;
mod flowbits;
pub(crate) mod flowint;
mod fragbits;
mod fragment;
mod fragoffset;
mod gid;
mod hostbits;
mod icmp_id;
mod icmp_number;
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
pub(crate) mod number;
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
mod tcp_number;
pub(crate) mod threshold;
mod tos;
mod ttl;
mod udp_hdr;
mod unknown;
mod window;
mod within;
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

/// All keywords. One that is not here is not used, and the compiler says so.
const TABLE: &[Entry] = &[
    ack::KEYWORD,
    bsize::KEYWORD,
    bypass::KEYWORD,
    byte_extract::KEYWORD,
    byte_jump::KEYWORD,
    byte_math::KEYWORD,
    byte_test::KEYWORD,
    classtype::KEYWORD,
    content::KEYWORD,
    decode_event::KEYWORD,
    depth::KEYWORD,
    detection_filter::KEYWORD,
    distance::KEYWORD,
    dsize::KEYWORD,
    endswith::KEYWORD,
    fast_pattern::KEYWORD,
    flags::KEYWORD,
    flow::KEYWORD,
    flow_age::KEYWORD,
    flow_bytes::KEYWORD,
    flow_bytes_toclient::KEYWORD,
    flow_bytes_toserver::KEYWORD,
    flow_pkts::KEYWORD,
    flow_pkts_toclient::KEYWORD,
    flow_pkts_toserver::KEYWORD,
    flowbits::KEYWORD,
    flowint::KEYWORD,
    fragbits::KEYWORD,
    fragoffset::KEYWORD,
    gid::KEYWORD,
    hostbits::KEYWORD,
    icmp_id::KEYWORD,
    icmp_seq::KEYWORD,
    icmpv4_hdr::KEYWORD,
    icmpv6_hdr::KEYWORD,
    icmpv6_mtu::KEYWORD,
    icode::KEYWORD,
    id::KEYWORD,
    ip_proto::KEYWORD,
    ipopts::KEYWORD,
    ipv4_hdr::KEYWORD,
    ipv6_hdr::KEYWORD,
    isdataat::KEYWORD,
    itype::KEYWORD,
    metadata::KEYWORD,
    msg::KEYWORD,
    noalert::KEYWORD,
    nocase::KEYWORD,
    offset::KEYWORD,
    pcre::KEYWORD,
    pkt_data::KEYWORD,
    priority::KEYWORD,
    rawbytes::KEYWORD,
    reference::KEYWORD,
    requires::KEYWORD,
    rev::KEYWORD,
    sameip::KEYWORD,
    seq::KEYWORD,
    sid::KEYWORD,
    startswith::KEYWORD,
    stream_event::KEYWORD,
    stream_size::KEYWORD,
    target::KEYWORD,
    tcp_hdr::KEYWORD,
    tcp_mss::KEYWORD,
    threshold::KEYWORD,
    tos::KEYWORD,
    ttl::KEYWORD,
    udp_hdr::KEYWORD,
    window::KEYWORD,
    within::KEYWORD,
    xbits::KEYWORD,
];

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
