//! One line of a list file: an address, a network (`198.51.100.0/24`) or a range (`198.51.100.7-198.51.100.9`) of
//! either family; empty, or with nothing but a comment behind `#` or `;`.

use crate::net::{Net, Word};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Letters of a line that a message shows.
const SHOWN: usize = 48;

/// What stands in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Nothing, or a comment.
    Nothing,
    /// Networks of IPv4: one, or those that a range is made of.
    V4(Vec<Net<u32>>),
    /// Networks of IPv6.
    V6(Vec<Net<u128>>),
    /// One network of IPv4, which is what most lines hold.
    OneV4(Net<u32>),
    /// One network of IPv6.
    OneV6(Net<u128>),
}

/// Why a line cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is no text.
    #[error("it is not UTF-8")]
    NotText,
    /// It is something else.
    #[error("{0:?} is no address, network or range")]
    Unknown(String),
    /// More bits than an address has.
    #[error("{length:?} is no length of a network: 0 to {most} is")]
    BadLength {
        /// What stands after the slash.
        length: String,
        /// The bits of an address of that family.
        most: u8,
    },
    /// Bits beyond the length: either of the two is a mistake.
    #[error("{address}/{length} has bits beyond its length: {meant} is the network around it")]
    HostBits {
        /// The address.
        address: IpAddr,
        /// The length.
        length: u8,
        /// The network around the address.
        meant: String,
    },
    /// The end comes before the beginning.
    #[error("the range ends before it begins")]
    Backwards,
    /// The ends are of different families.
    #[error("a range within one family is needed")]
    MixedRange,
}

/// Reads one line, without its end.
///
/// # Errors
/// Why nothing can be made of it.
pub fn read(line: &[u8]) -> Result<Line, LineError> {
    let end = line.iter().position(|byte| matches!(byte, b'#' | b';')).unwrap_or(line.len());
    let text = line.get(..end).unwrap_or_default().trim_ascii();
    if text.is_empty() {
        return Ok(Line::Nothing);
    }
    let text = std::str::from_utf8(text).map_err(|_| LineError::NotText)?;
    if let Some((address, length)) = text.split_once('/') {
        return match address.parse() {
            Ok(IpAddr::V4(address)) => network(address.into(), length).map(Line::OneV4),
            Ok(IpAddr::V6(address)) => network(address.into(), length).map(Line::OneV6),
            Err(_) => Err(unknown(text)),
        };
    }
    if let Some((first, last)) = text.split_once('-') {
        return range(first.trim_end(), last.trim_start()).ok_or_else(|| unknown(text))?;
    }
    match text.parse() {
        Ok(IpAddr::V4(address)) => Ok(Line::OneV4(Net::single(address.into()))),
        Ok(IpAddr::V6(address)) => Ok(Line::OneV6(Net::single(address.into()))),
        Err(_) => Err(unknown(text)),
    }
}

fn unknown(text: &str) -> LineError {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    LineError::Unknown(shown)
}

fn network<W: Word>(address: W, text: &str) -> Result<Net<W>, LineError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let length = text.parse().ok().filter(|length| digits && *length <= W::BITS);
    let Some(length) = length else {
        let length = text.chars().take(SHOWN).collect();
        return Err(LineError::BadLength { length, most: W::BITS });
    };
    Net::new(address, length).ok_or_else(|| {
        let meant = Net::around(address, length).to_string();
        LineError::HostBits { address: address.address(), length, meant }
    })
}

/// `None` where one of the ends is no address.
fn range(first: &str, last: &str) -> Option<Result<Line, LineError>> {
    if let (Ok(first), Ok(last)) = (first.parse::<Ipv4Addr>(), last.parse::<Ipv4Addr>()) {
        return Some(networks_of(first.into(), last.into()).map(Line::V4));
    }
    if let (Ok(first), Ok(last)) = (first.parse::<Ipv6Addr>(), last.parse::<Ipv6Addr>()) {
        return Some(networks_of(first.into(), last.into()).map(Line::V6));
    }
    let both = first.parse::<IpAddr>().is_ok() && last.parse::<IpAddr>().is_ok();
    both.then_some(Err(LineError::MixedRange))
}

/// The fewest networks that hold exactly the addresses from `first` to `last`.
fn networks_of<W: Word>(first: W, last: W) -> Result<Vec<Net<W>>, LineError> {
    if first > last {
        return Err(LineError::Backwards);
    }
    let mut nets = Vec::new();
    let mut at = first;
    loop {
        let mut length = W::BITS - at.trailing_zeros().min(W::BITS);
        while Net::around(at, length).last() > last {
            length += 1;
        }
        let net = Net::around(at, length);
        nets.push(net);
        match net.last().next() {
            Some(next) if next <= last => at = next,
            _ => return Ok(nets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(line: Line) -> Vec<String> {
        match line {
            Line::Nothing => Vec::new(),
            Line::OneV4(net) => vec![net.to_string()],
            Line::OneV6(net) => vec![net.to_string()],
            Line::V4(nets) => nets.iter().map(ToString::to_string).collect(),
            Line::V6(nets) => nets.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn what_lines_may_hold() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(shown(read(text.as_bytes()).unwrap()), expected, "{text:?}");
        };
        check("", &[]);
        check("   \t\r", &[]);
        check("# a comment", &[]);
        check("; another", &[]);
        check("198.51.100.7", &["198.51.100.7"]);
        check("  198.51.100.7\r", &["198.51.100.7"]);
        check("198.51.100.7 # why", &["198.51.100.7"]);
        check("198.51.100.0/24 ; SBL1", &["198.51.100.0/24"]);
        check("198.51.100.7/32", &["198.51.100.7"]);
        check("2001:db8::1", &["2001:db8::1"]);
        check("2001:DB8::/32;x", &["2001:db8::/32"]);
        check("198.51.100.7-198.51.100.7", &["198.51.100.7"]);
        check("198.51.100.0 - 198.51.100.255", &["198.51.100.0/24"]);
        check("198.51.100.7-198.51.100.9", &["198.51.100.7", "198.51.100.8/31"]);
        check("0.0.0.0-255.255.255.255", &["0.0.0.0/0"]);
        check("2001:db8::-2001:db8::2", &["2001:db8::/127", "2001:db8::2"]);
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        let check = |text: &[u8], expected: &str| {
            let error = read(text).unwrap_err().to_string();
            assert_eq!(error, expected, "{}", text.escape_ascii());
        };
        check(b"example.org", "\"example.org\" is no address, network or range");
        check(b"198.51.100", "\"198.51.100\" is no address, network or range");
        check(b"198.51.100.07", "\"198.51.100.07\" is no address, network or range");
        check(b"198.51.100.7 198.51.100.8", "\"198.51.100.7 198.51.100.8\" is no address, network or range");
        check(b"198.51.100.0/33", "\"33\" is no length of a network: 0 to 32 is");
        check(b"198.51.100.0/+8", "\"+8\" is no length of a network: 0 to 32 is");
        check(b"2001:db8::/129", "\"129\" is no length of a network: 0 to 128 is");
        check(
            b"198.51.100.7/24",
            "198.51.100.7/24 has bits beyond its length: 198.51.100.0/24 is the network around it",
        );
        check(b"198.51.100.9-198.51.100.7", "the range ends before it begins");
        check(b"198.51.100.9-2001:db8::", "a range within one family is needed");
        check(b"\xff\xfe", "it is not UTF-8");
        let long = "x".repeat(1000);
        check(long.as_bytes(), &format!("{:?} is no address, network or range", "x".repeat(48) + "…"));
    }

    proptest! {
        #[test]
        fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&line);
        }

        #[test]
        fn a_range_is_made_of_networks_without_gap_or_overlap(one: u32, other: u32, near: u8) {
            for last in [other, one.saturating_add(near.into())] {
                let (first, last) = (one.min(last), one.max(last));
                let nets = networks_of(first, last).unwrap();
                prop_assert_eq!(nets[0].first(), first);
                prop_assert_eq!(nets[nets.len() - 1].last(), last);
                prop_assert!(nets.windows(2).all(|two| two[0].last().next() == Some(two[1].first())));
                prop_assert!(nets.len() <= 62);
            }
        }
    }
}
