//! MPLS (RFC 3032): a stack of labels, and what is below it.

use super::cursor::Cursor;
use super::link::{IPV4, IPV6};
use super::{Job, Step};
use crate::decoded::{DecodeEvent, Layer};

/// The last label of the stack.
const BOTTOM: u32 = 0x100;

const IPV4_EXPLICIT_NULL: u32 = 0;
const ROUTER_ALERT: u32 = 1;
const IPV6_EXPLICIT_NULL: u32 = 2;
const IMPLICIT_NULL: u32 = 3;
/// The first label that is not reserved (RFC 3032 section 2.1).
const FIRST_LABEL: u32 = 16;

impl Job<'_> {
    /// The stack says where it ends but not what follows: that is told from its first nibble, as
    /// routers do (RFC 4928).
    pub(super) fn mpls(&mut self, ethertype: u16, stack: Cursor<'_>) -> Step {
        self.descend()?;
        self.out.layers.insert(Layer::Mpls);
        self.out.ethertype = ethertype;
        let mut rest = stack;
        let label = loop {
            let Some((entry, below)) = rest.take::<4>() else { return Err(DecodeEvent::MplsHeaderTooSmall) };
            rest = below;
            let entry = u32::from_be_bytes(*entry);
            if entry & BOTTOM != 0 {
                break entry >> 12;
            }
        };
        match label {
            IPV4_EXPLICIT_NULL => return self.network(IPV4, rest),
            IPV6_EXPLICIT_NULL => return self.network(IPV6, rest),
            ROUTER_ALERT => self.note(DecodeEvent::MplsRouterAlert),
            IMPLICIT_NULL => self.note(DecodeEvent::MplsImplicitNull),
            // Entropy, generic associated channel, alert and extension (RFC 6790 and others) are not
            // at the bottom alone.
            label if label < FIRST_LABEL => self.note(DecodeEvent::MplsReserved),
            _ => {}
        }
        // Remarked, but looked into: whoever receives it may well do so.
        let Some(&[first, ..]) = rest.peek::<4>() else { return Err(DecodeEvent::MplsTooSmall) };
        match first >> 4 {
            4 => self.network(IPV4, rest),
            6 => self.network(IPV6, rest),
            // The control word of an Ethernet pseudowire (RFC 4448 section 4.6).
            0 => match rest.take::<4>() {
                Some((_, frame)) if frame.len() >= 14 => self.ethernet(frame),
                _ => Err(DecodeEvent::MplsTooSmall),
            },
            _ => {
                self.note(DecodeEvent::MplsUnknownPayload);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode, ethernet, events, layers, tcp_v6, udp};
    use crate::decoded::DecodeEvent;

    fn entry(label: u32, bottom: bool) -> [u8; 4] {
        (label << 12 | u32::from(bottom) << 8 | 64).to_be_bytes()
    }

    fn frame(stack: &[[u8; 4]], payload: &[u8]) -> Vec<u8> {
        ethernet().ethertype(0x8847).payload(&[stack.as_flattened(), payload].concat()).to_vec()
    }

    #[test]
    fn what_is_below() {
        let v4 = &udp().payload(b"data").to_vec()[14..];
        let v6 = &tcp_v6().payload(b"data").to_vec()[14..];
        let pseudowire = [&[0; 4], &tcp_v6().payload(b"data").to_vec()[..]].concat();
        let check = |stack: &[[u8; 4]], payload: &[u8], expected: &[&str], remarks: &[&str]| {
            let frame = frame(stack, payload);
            let decoded = decode(&frame);
            assert_eq!((decoded.invalid, events(&decoded)), (None, remarks.to_vec()), "{stack:?}");
            assert_eq!(layers(&decoded), expected);
            assert_eq!(decoded.payload.of(&frame), b"data");
        };
        let four = ["ethernet", "ipv4", "udp", "mpls"];
        let six = ["ethernet", "ipv6", "tcp", "mpls"];
        check(&[entry(100, true)], v4, &four, &[]);
        check(&[entry(16, false), entry(17, false), entry(1_048_575, true)], v6, &six, &[]);
        check(&[entry(100, true)], &pseudowire, &six, &[]);
        check(&[entry(0, true)], v4, &four, &[]);
        check(&[entry(2, true)], v6, &six, &[]);
        check(&[entry(1, true)], v4, &four, &["mpls.bad_label_router_alert"]);
        check(&[entry(3, true)], v4, &four, &["mpls.bad_label_implicit_null"]);
        check(&[entry(7, false), entry(13, true)], v4, &four, &["mpls.bad_label_reserved"]);
    }

    #[test]
    fn stacks_gone_wrong() {
        let whole = frame(&[entry(100, false), entry(200, true)], &[0x45; 4]);
        for length in 14..22 {
            assert_eq!(decode(&whole[..length]).invalid, Some(DecodeEvent::MplsHeaderTooSmall), "{length}");
        }
        for length in 22..26 {
            assert_eq!(decode(&whole[..length]).invalid, Some(DecodeEvent::MplsTooSmall), "{length}");
        }
        assert_eq!(decode(&frame(&[entry(9, true)], &[0; 17])).invalid, Some(DecodeEvent::MplsTooSmall));
        // An explicit null is believed.
        let wrong = decode(&frame(&[entry(0, true)], &[0x65; 40]));
        assert_eq!(wrong.invalid, Some(DecodeEvent::Ipv4WrongVersion));
        let unknown = decode(&frame(&[entry(100, true)], &[0x50; 40]));
        assert_eq!((unknown.invalid, events(&unknown)), (None, vec!["mpls.unknown_payload_type"]));
    }
}
