//! The options of IPv4 (RFC 791) and of IPv6 extension headers (RFC 8200 section 4.2): do their
//! lengths and fields make sense?

use crate::decoded::{DecodeEvent, DecodeEvents};

/// Remarks on the options of an IPv4 header. Where they end is the header's to say, so that what cannot be read
/// in them hides nothing.
#[cold]
pub(super) fn ipv4(mut options: &[u8], events: &mut DecodeEvents) {
    if !options.len().is_multiple_of(8) {
        events.insert(DecodeEvent::Ipv4OptionPadRequired);
    }
    let mut seen = [0_u64; 4];
    loop {
        match *options {
            [] | [0, ..] => return,
            [1, ref rest @ ..] => options = rest,
            [_] => {
                events.insert(DecodeEvent::Ipv4OptionEolRequired);
                return;
            }
            [kind, length, ..] => {
                let Some((option, rest)) =
                    options.split_at_checked(usize::from(length)).filter(|_| length >= 2)
                else {
                    events.insert(DecodeEvent::Ipv4OptionInvalidLength);
                    return;
                };
                let (word, bit) = (usize::from(kind / 64), 1 << (kind % 64));
                if seen[word] & bit != 0 {
                    events.insert(DecodeEvent::Ipv4OptionDuplicate);
                }
                seen[word] |= bit;
                if let Some(event) = ipv4_fault(kind, option) {
                    events.insert(event);
                }
                options = rest;
            }
        }
    }
}

/// What is wrong with one option, of two bytes at least.
fn ipv4_fault(kind: u8, option: &[u8]) -> Option<DecodeEvent> {
    let length = option.len();
    let exactly = |wanted: usize| (length != wanted).then_some(DecodeEvent::Ipv4OptionInvalidLength);
    // Counted from 1, and one past the end where the space is used up.
    let pointer = option.get(2).copied().map(usize::from);
    let malformed = |first: usize, unit: usize| {
        let pointer = pointer?;
        let sound = pointer >= first && pointer <= length + 1 && (pointer - first).is_multiple_of(unit);
        (!sound).then_some(DecodeEvent::Ipv4OptionMalformed)
    };
    match kind {
        // Record route, loose and strict source route (RFC 791 section 3.1).
        7 | 131 | 137 if length < 3 => Some(DecodeEvent::Ipv4OptionInvalidLength),
        7 | 131 | 137 => malformed(4, 4),
        // Timestamp: without, with given, with prespecified addresses.
        68 if length < 5 => Some(DecodeEvent::Ipv4OptionInvalidLength),
        68 => match option.get(3).map(|flags| flags & 0x0f) {
            Some(0) => malformed(5, 4),
            Some(1 | 3) => malformed(5, 8),
            _ => Some(DecodeEvent::Ipv4OptionMalformed),
        },
        // Stream, router alert (RFC 2113), quick start (RFC 4782).
        136 | 148 => exactly(4),
        25 => exactly(8),
        // Security (RFC 1108), its extension, and commercial security.
        130 | 133 if length < 3 => Some(DecodeEvent::Ipv4OptionInvalidLength),
        134 if length < 6 => Some(DecodeEvent::Ipv4OptionInvalid),
        130 | 133 | 134 => None,
        _ => Some(DecodeEvent::Ipv4OptionUnknown),
    }
}

/// What an extension header with options may have wrong.
#[derive(Clone, Copy)]
pub(super) struct Ipv6Events {
    unknown: DecodeEvent,
    only_padding: DecodeEvent,
}

/// Those of the hop-by-hop header.
pub(super) const HOP_BY_HOP: Ipv6Events = Ipv6Events {
    unknown: DecodeEvent::Ipv6HopOptionUnknown,
    only_padding: DecodeEvent::Ipv6HopOptionsOnlyPadding,
};

/// Those of the destination options header.
pub(super) const DESTINATION: Ipv6Events = Ipv6Events {
    unknown: DecodeEvent::Ipv6DestinationOptionUnknown,
    only_padding: DecodeEvent::Ipv6DestinationOptionsOnlyPadding,
};

/// Remarks on the options of an IPv6 extension header; what follows the header is found without
/// them.
pub(super) fn ipv6(mut options: &[u8], about: Ipv6Events, events: &mut DecodeEvents) {
    let mut only_padding = true;
    while let [kind, ref rest @ ..] = *options {
        if kind == 0 {
            options = rest;
            continue;
        }
        let Some((&length, rest)) = rest.split_first() else {
            events.insert(DecodeEvent::Ipv6InvalidOptionLength);
            return;
        };
        let Some(after) = rest.get(usize::from(length)..) else {
            events.insert(DecodeEvent::Ipv6InvalidOptionLength);
            return;
        };
        options = after;
        only_padding &= kind == 1;
        let sound = match kind {
            1 if length == 0 => {
                events.insert(DecodeEvent::Ipv6ZeroLengthPadding);
                true
            }
            1 => true,
            // Router alert (RFC 2711), jumbo payload (RFC 2675), home address (RFC 6275).
            0x05 => length == 2,
            0xc2 => length == 4,
            0xc9 => length == 16,
            _ => {
                events.insert(about.unknown);
                true
            }
        };
        if !sound {
            events.insert(DecodeEvent::Ipv6InvalidOptionLength);
        }
    }
    if only_padding {
        events.insert(about.only_padding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(events: DecodeEvents) -> Vec<&'static str> {
        events.iter().map(DecodeEvent::name).collect()
    }

    #[test]
    fn ipv4_options() {
        let check = |options: &[u8], expected: &[&str]| {
            let mut events = DecodeEvents::default();
            let padded = [options, &[0].repeat(40 - options.len())].concat();
            ipv4(&padded, &mut events);
            assert_eq!(names(events), expected, "{options:?}");
        };
        let malformed = ["ipv4.opt_malformed"];
        let short = ["ipv4.opt_invalid_len"];
        check(&[7, 7, 4, 0, 0, 0, 0], &[]);
        check(&[7, 7, 8, 0, 0, 0, 0], &[]);
        check(&[7, 7, 12, 0, 0, 0, 0], &malformed);
        check(&[131, 7, 3, 0, 0, 0, 0], &malformed);
        check(&[137, 7, 5, 0, 0, 0, 0], &malformed);
        check(&[7, 2], &short);
        check(&[68, 8, 5, 0, 0, 0, 0, 0], &[]);
        check(&[68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0], &[]);
        check(&[68, 12, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0], &malformed);
        check(&[68, 12, 5, 2, 0, 0, 0, 0, 0, 0, 0, 0], &malformed);
        check(&[68, 4, 5, 0], &short);
        check(&[148, 4, 0, 0], &[]);
        check(&[148, 5, 0, 0, 0], &short);
        check(&[136, 3, 0], &short);
        check(&[25, 8, 0, 0, 0, 0, 0, 0], &[]);
        check(&[130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]);
        // The shortest that each may be, and one byte less.
        check(&[7, 3, 4], &[]);
        check(&[68, 5, 5, 0, 0], &[]);
        check(&[130, 3, 0], &[]);
        check(&[130, 2], &short);
        check(&[133, 3, 0], &[]);
        check(&[133, 2], &short);
        check(&[134, 6, 0, 0, 0, 0], &[]);
        check(&[134, 5, 0, 0, 0], &["ipv4.opt_invalid"]);
        check(&[99, 2], &["ipv4.opt_unknown"]);
        check(&[148, 4, 0, 0, 148, 4, 0, 0], &["ipv4.opt_duplicate"]);
    }

    #[test]
    fn ipv6_options() {
        let check = |options: &[u8], expected: &[&str]| {
            let mut events = DecodeEvents::default();
            ipv6(options, HOP_BY_HOP, &mut events);
            assert_eq!(names(events), expected, "{options:?}");
        };
        check(&[5, 2, 0, 0, 0, 0], &[]);
        check(&[0xc2, 4, 0, 1, 0, 0], &[]);
        check(&[5, 3, 0, 0, 0, 0], &["ipv6.exthdr_invalid_optlen"]);
        check(&[0xc9, 4, 0, 0, 0, 0], &["ipv6.exthdr_invalid_optlen"]);
        check(&[5, 2, 0, 0, 1, 7], &["ipv6.exthdr_invalid_optlen"]);
        check(&[5, 2, 0, 0, 0, 1], &["ipv6.exthdr_invalid_optlen"]);
        check(&[5, 2, 0, 0, 1, 0], &["ipv6.zero_len_padn"]);
        check(&[77, 4, 0, 0, 0, 0], &["ipv6.hopopts_unknown_opt"]);
        check(&[1, 4, 0, 0, 0, 0], &["ipv6.hopopts_only_padding"]);
        check(&[0; 6], &["ipv6.hopopts_only_padding"]);
        let mut events = DecodeEvents::default();
        ipv6(&[77, 0, 1, 2, 0, 0], DESTINATION, &mut events);
        ipv6(&[0; 6], DESTINATION, &mut events);
        assert_eq!(names(events), ["ipv6.dstopts_unknown_opt", "ipv6.dstopts_only_padding"]);
    }
}
