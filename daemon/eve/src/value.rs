//! Values that EVE prints in a way of its own, each written without allocation.

use crate::clock::Stamp;
use crate::protocol;
use crate::writer::OCTETS;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use portcullis_event::{Mac, TextList};
use portcullis_wire::Address;
use portcullis_wire::decoded::TcpFlags;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use std::fmt::{self, Display, Write};
use std::net::Ipv6Addr;

pub(crate) const HEX: &[u8; 16] = b"0123456789abcdef";

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        plain(&self.0, serializer)
    }
}

/// Any bytes as text: what is not UTF-8 becomes U+FFFD.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a>(pub(crate) &'a [u8]);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_str(self),
        }
    }
}

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

/// Bytes as text, with a dot for each that is neither printable ASCII nor the end of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printable<'a>(pub(crate) &'a [u8]);

impl Serialize for Printable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n');
        for run in self.0.chunk_by(|one, next| printable(one) == printable(next)) {
            if run.first().is_some_and(printable) {
                f.write_str(ascii(run))?;
            } else {
                run.iter().try_for_each(|_| f.write_char('.'))?;
            }
        }
        Ok(())
    }
}

/// Bytes in Base64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base64<'a>(pub(crate) &'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

/// A list of texts as an array.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts<'a>(pub(crate) TextList<'a>);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Text))
    }
}

/// A list of keys and values as an object: each key once, where it first appears, with an array
/// of all of its values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grouped<'a>(pub(crate) TextList<'a>);

impl Serialize for Grouped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (index, (key, _)) in self.0.pairs().enumerate() {
            let seen = self.0.pairs().take(index).any(|(earlier, _)| earlier == key);
            if !seen {
                map.serialize_entry(&Text(key), &ValuesOf { key, list: self.0 })?;
            }
        }
        map.end()
    }
}

struct ValuesOf<'a> {
    key: &'a [u8],
    list: TextList<'a>,
}

impl Serialize for ValuesOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut array = serializer.serialize_seq(None)?;
        for (_, value) in self.list.pairs().filter(|(key, _)| *key == self.key) {
            array.serialize_element(&Text(value))?;
        }
        array.end()
    }
}

/// An IP address. IPv6 is written in full, `2001:0db8:0000:…`, unless it is to be compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ip {
    pub(crate) address: Address,
    pub(crate) version: u8,
    pub(crate) compress: bool,
}

impl Serialize for Ip {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.version != 6 {
            let [.., a, b, c, d] = self.address;
            return plain_ipv4([a, b, c, d], serializer);
        }
        if self.compress {
            return serializer.collect_str(&Ipv6Addr::from(self.address));
        }
        plain(&full_ipv6(self.address), serializer)
    }
}

/// A protocol by name, or by number where it has none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol(pub(crate) u8);

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match protocol::name(self.0) {
            Some(name) => serializer.serialize_str(name),
            None => serializer.collect_str(&self.0),
        }
    }
}

/// An Ethernet address: `02:00:00:00:00:01`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EtherAddress(pub(crate) Mac);

impl Serialize for EtherAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [b':'; 17];
        for (place, byte) in text.chunks_mut(3).zip(self.0) {
            let nibbles = [byte >> 4, byte & 0xf];
            for (digit, nibble) in place.iter_mut().zip(nibbles) {
                *digit = HEX[usize::from(nibble)];
            }
        }
        plain(&text, serializer)
    }
}

/// TCP flags as two hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HexFlags(pub(crate) TcpFlags);

impl Serialize for HexFlags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let TcpFlags(bits) = self.0;
        let text = [HEX[usize::from(bits >> 4)], HEX[usize::from(bits & 0xf)]];
        plain(&text, serializer)
    }
}

/// IPv6 with all of its digits.
pub(crate) fn full_ipv6(address: Address) -> [u8; 39] {
    let mut text = [b':'; 39];
    for (place, pair) in text.chunks_mut(5).zip(address.as_chunks::<2>().0) {
        let nibbles = pair.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        for (digit, nibble) in place.iter_mut().zip(nibbles) {
            *digit = HEX[usize::from(nibble)];
        }
    }
    text
}

/// IPv4 in its dotted form.
fn plain_ipv4<S: Serializer>(octets: [u8; 4], serializer: S) -> Result<S::Ok, S::Error> {
    let (mut text, mut length) = ([b'.'; 16], 0);
    for octet in octets {
        let [digits @ .., count] = OCTETS[usize::from(octet)];
        if let Some(place) = text.get_mut(length..length + 3) {
            place.copy_from_slice(&digits);
        }
        length += usize::from(count) + 1;
        if let Some(dot) = text.get_mut(length - 1) {
            *dot = b'.';
        }
    }
    plain(text.get(..length - 1).unwrap_or(&[]), serializer)
}

/// Text that was made here of ASCII that needs no escape: [`Json`](crate::writer::Json) need not look at it.
#[inline]
fn plain<S: Serializer>(text: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(ascii(text))
    } else {
        serializer.serialize_bytes(text)
    }
}

/// Text that was made of ASCII here.
fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_event::TextListBuf;
    use std::net::Ipv4Addr;

    fn check(value: &impl Serialize, expected: &str) {
        assert_eq!(serde_json::to_string(value).unwrap(), expected);
    }

    #[test]
    fn texts_are_always_valid_json() {
        check(&Text(b"plain"), r#""plain""#);
        check(&Text("\u{e4}".as_bytes()), "\"\u{e4}\"");
        check(&Text(b"a\xffb\xc3"), "\"a\u{fffd}b\u{fffd}\"");
        check(&Text(b"quote \" back \\ bell \x07 \xff"), "\"quote \\\" back \\\\ bell \\u0007 \u{fffd}\"");
    }

    #[test]
    fn unprintable_bytes_become_dots() {
        check(&Printable(b"GET /\r\n\x00\x01\xff~\t."), r#""GET /\r\n...~..""#);
        check(&Printable(b""), r#""""#);
    }

    #[test]
    fn base64_is_padded() {
        check(&Base64(b"GOOD"), r#""R09PRA==""#);
        check(&Base64(b""), r#""""#);
    }

    #[test]
    fn metadata_is_grouped_by_key() {
        let list: TextListBuf = ["tag", "one", "color", "red", "tag", "two"].into_iter().collect();
        check(&Grouped(list.as_list()), r#"{"tag":["one","two"],"color":["red"]}"#);
        check(&Texts(list.as_list()), r#"["tag","one","color","red","tag","two"]"#);
    }

    #[test]
    fn addresses() {
        let ipv4 = Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets();
        check(&Ip { address: ipv4, version: 4, compress: false }, r#""10.0.0.1""#);
        let ipv6 = "2001:db8::8a2e:370:7335".parse::<Ipv6Addr>().unwrap().octets();
        let full = r#""2001:0db8:0000:0000:0000:8a2e:0370:7335""#;
        check(&Ip { address: ipv6, version: 6, compress: false }, full);
        check(&Ip { address: ipv6, version: 6, compress: true }, r#""2001:db8::8a2e:370:7335""#);
        let mapped = r#""0000:0000:0000:0000:0000:ffff:0a00:0001""#;
        check(&Ip { address: ipv4, version: 6, compress: false }, mapped);
        check(&EtherAddress([0, 0x15, 0x17, 0x0d, 6, 0xf7]), r#""00:15:17:0d:06:f7""#);
    }

    #[test]
    fn every_octet() {
        for octet in 0..=u8::MAX {
            let octets = [octet, 1, octet, octet];
            let address = Ipv4Addr::from(octets);
            let ip = Ip { address: address.to_ipv6_mapped().octets(), version: 4, compress: false };
            check(&ip, &format!("\"{address}\""));
        }
    }

    #[test]
    fn flags_and_protocols() {
        check(&HexFlags(TcpFlags(0x02)), r#""02""#);
        check(&HexFlags(TcpFlags(0xdb)), r#""db""#);
        check(&Protocol(58), r#""IPv6-ICMP""#);
        check(&Protocol(253), r#""253""#);
    }
}
