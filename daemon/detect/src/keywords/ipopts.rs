//! `ipopts`: the options of the IPv4 header.

use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORD: Entry = Entry { names: &["ipopts"], takes: Takes::Value, setup };

/// `any`, or the name of an option that the packet must have.
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let name = setting.value.text()?;
    let known = OPTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let option = match known {
        Some(&(_, number)) => Some(number),
        None if name.eq_ignore_ascii_case("any") => None,
        None => return Err(Fault::new(setting.value.at, format!("unknown IP option `{name}`"))),
    };
    draft.tests.push(Box::new(HasOption(option)));
    Ok(())
}

/// The IPv4 option with this number; any where there is none.
#[derive(Debug)]
struct HasOption(Option<u8>);

impl PacketTest for HasOption {
    fn matches(&self, input: &Input<'_>) -> bool {
        let packet = input.decoded;
        let mut options = packet.ip_options.of(input.frame);
        if packet.ip_version != 4 || options.is_empty() {
            return false;
        }
        let Some(wanted) = self.0 else { return true };
        loop {
            options = match *options {
                [option, ..] if option == wanted => return true,
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

/// Names of IPv4 options, with their numbers (IANA's registry of IP options).
const OPTIONS: &[(&str, u8)] = &[
    ("eol", 0),
    ("nop", 1),
    ("rr", 7),
    ("ts", 68),
    ("sec", 130),
    ("lsrr", 131),
    ("lsrre", 131),
    ("esec", 133),
    ("cipso", 134),
    ("satid", 136),
    ("ssrr", 137),
    ("rtralt", 148),
];
