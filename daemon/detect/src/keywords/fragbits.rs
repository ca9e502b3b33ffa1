//! `fragbits`: the flags of the IPv4 header about fragments.

use super::fragment::field;
use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORD: Entry = Entry { names: &["fragbits"], takes: Takes::Value, setup };

/// Reserved, don't fragment, more fragments: the upper three bits of the field.
const BITS: [(u8, u16); 3] = [(b'R', 0x8000), (b'D', 0x4000), (b'M', 0x2000)];

/// How the wanted bits must be present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// These and no others.
    Exactly,
    /// `+`: these, others may be.
    All,
    /// `*`: one of these.
    Any,
    /// `!`: not exactly these.
    Not,
}

#[derive(Debug)]
struct Bits {
    mode: Mode,
    wanted: u16,
}

impl PacketTest for Bits {
    fn matches(&self, input: &Input<'_>) -> bool {
        let Some(bits) = field(input).map(|field| field & 0xe000) else { return false };
        match self.mode {
            Mode::Exactly => bits == self.wanted,
            Mode::All => bits & self.wanted == self.wanted,
            Mode::Any => bits & self.wanted != 0,
            Mode::Not => bits != self.wanted,
        }
    }
}

/// `[+|*|!]` and the letters M, D, R
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let value = setting.value;
    let (mode, letters) = match value.bytes.split_first() {
        Some((b'+', rest)) => (Mode::All, rest),
        Some((b'*', rest)) => (Mode::Any, rest),
        Some((b'!', rest)) => (Mode::Not, rest),
        _ => (Mode::Exactly, value.bytes),
    };
    let mut wanted = 0;
    let start = value.at + (value.bytes.len() - letters.len());
    for (at, letter) in (start..).zip(letters) {
        match BITS.iter().find(|(known, _)| known.eq_ignore_ascii_case(letter)) {
            Some((_, bit)) => wanted |= bit,
            None if letter.is_ascii_whitespace() => {}
            None => {
                let letter = char::from(*letter).escape_default();
                return Err(Fault::new(at, format!("expected M, D or R, found `{letter}`")));
            }
        }
    }
    if wanted == 0 {
        return Err(Fault::new(value.at, "expected at least one of M, D, R"));
    }
    draft.tests.push(Box::new(Bits { mode, wanted }));
    Ok(())
}
