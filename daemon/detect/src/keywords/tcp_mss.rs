//! `tcp.mss`: the largest segment that a side takes.

use portcullis_wire::decoded::Transport;

use super::number::Condition;
use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORD: Entry = Entry { names: &["tcp.mss"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    draft.tests.push(Box::new(SegmentSize(Condition::parse(setting.value, 65_535)?)));
    Ok(())
}

/// The maximum segment size option (RFC 9293 §3.2).
#[derive(Debug)]
struct SegmentSize(Condition);

impl PacketTest for SegmentSize {
    fn matches(&self, input: &Input<'_>) -> bool {
        let Transport::Tcp(header) = &input.decoded.transport else { return false };
        let mut options = header.options.of(input.frame);
        loop {
            options = match *options {
                [2, 4, high, low, ..] => return self.0.holds(u32::from(u16::from_be_bytes([high, low]))),
                [] | [0, ..] => return false,
                [1, ref rest @ ..] => rest,
                [_, length, ..] if length >= 2 => match options.get(usize::from(length)..) {
                    Some(rest) => rest,
                    None => return false,
                },
                _ => return false,
            };
        }
    }
}
