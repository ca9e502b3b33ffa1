//! `flags`: the flags of a TCP segment.

use portcullis_wire::decoded::{TcpFlags, Transport};

use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::header_table::HeaderKey;
use crate::input::Input;
use crate::syntax::Value;

pub(super) const KEYWORD: Entry = Entry { names: &["flags", "tcp.flags"], takes: Takes::Value, setup };

/// How the wanted flags must be present.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flags {
    mode: Mode,
    wanted: u8,
    ignored: u8,
}

impl Flags {
    fn hold(self, flags: u8) -> bool {
        let flags = flags & !self.ignored;
        match self.mode {
            Mode::Exactly => flags == self.wanted,
            Mode::All => flags & self.wanted == self.wanted,
            Mode::Any => flags & self.wanted != 0,
            Mode::Not => flags != self.wanted,
        }
    }

    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        let mut parts = value.list();
        let Some(first) = parts.next() else { return Err(Fault::new(value.at, "expected flags")) };
        let (mode, letters) = match first.bytes.split_first() {
            Some((b'+', rest)) => (Mode::All, rest),
            Some((b'*', rest)) => (Mode::Any, rest),
            Some((b'!', rest)) => (Mode::Not, rest),
            _ => (Mode::Exactly, first.bytes),
        };
        let at = first.at + (first.bytes.len() - letters.len());
        let wanted = mask(Value { at, bytes: letters })?;
        let ignored = parts.next().map_or(Ok(0), mask)?;
        match parts.next() {
            Some(more) => Err(Fault::new(more.at, "expected nothing after the flags to ignore")),
            None => Ok(Self { mode, wanted: wanted & !ignored, ignored }),
        }
    }
}

impl PacketTest for Flags {
    fn matches(&self, input: &Input<'_>) -> bool {
        matches!(&input.decoded.transport, Transport::Tcp(header) if self.hold(header.flags.0))
    }

    fn admits(&self, key: HeaderKey) -> bool {
        matches!(key, HeaderKey::TcpFlags(flags) if self.hold(flags))
    }
}

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    draft.tests.push(Box::new(Flags::parse(setting.value)?));
    Ok(())
}

fn mask(letters: Value<'_>) -> Result<u8, Fault> {
    if letters.bytes.is_empty() {
        return Err(Fault::new(letters.at, "expected flags (F S R P A U C E, or 0 for none)"));
    }
    letters.bytes.iter().zip(letters.at..).try_fold(0, |mask, (&letter, at)| {
        let bit = match letter.to_ascii_uppercase() {
            b'F' => TcpFlags::FIN,
            b'S' => TcpFlags::SYN,
            b'R' => TcpFlags::RST,
            b'P' => TcpFlags::PSH,
            b'A' => TcpFlags::ACK,
            b'U' => TcpFlags::URG,
            b'C' | b'1' => TcpFlags::CWR,
            b'E' | b'2' => TcpFlags::ECN,
            b'0' => 0,
            other => {
                let reason = format!("unknown flag `{}`", char::from(other).escape_default());
                return Err(Fault::new(at, reason));
            }
        };
        Ok(mask | bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_conditions() {
        let check = |text: &str, flags: u8, expect: bool| {
            let test = Flags::parse(Value { at: 0, bytes: text.as_bytes() }).unwrap();
            assert_eq!(test.hold(flags), expect, "{text} on {flags:#04x}");
        };
        check("S", TcpFlags::SYN, true);
        check("S", TcpFlags::SYN | TcpFlags::ACK, false);
        check("SA", TcpFlags::SYN | TcpFlags::ACK, true);
        check("+S", TcpFlags::SYN | TcpFlags::ACK, true);
        check("+SA", TcpFlags::SYN, false);
        check("*SA", TcpFlags::ACK, true);
        check("*SA", TcpFlags::FIN, false);
        check("!S", TcpFlags::ACK, true);
        check("!S", TcpFlags::SYN, false);
        check("S,CE", TcpFlags::SYN | TcpFlags::CWR | TcpFlags::ECN, true);
        check("S,12", TcpFlags::SYN | TcpFlags::ECN, true);
        check("0", 0, true);
        check("0", TcpFlags::ACK, false);
    }

    #[test]
    fn faults_are_placed() {
        let check = |text: &str, at: usize, reason: &str| {
            let fault = Flags::parse(Value { at: 7, bytes: text.as_bytes() }).unwrap_err();
            assert_eq!((fault.at, fault.reason.as_str()), (at, reason), "{text}");
        };
        check("+SX", 9, "unknown flag `X`");
        check("S,", 9, "expected flags (F S R P A U C E, or 0 for none)");
        check("S,C,E", 11, "expected nothing after the flags to ignore");
    }
}
