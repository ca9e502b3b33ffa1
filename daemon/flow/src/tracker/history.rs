//! The history of a flow in Zeek's letters (<https://docs.zeek.org/en/master/scripts/base/protocols/conn/main.zeek.html>,
//! field `history`): what was seen of whom, in the order it was first seen.
//!
//! | letter | means | recorded |
//! |---|---|---|
//! | `s` `h` | SYN, SYN with ACK | again when the sequence number differs from the last one's |
//! | `f` `r` | FIN, RST | the same |
//! | `a` `d` | ACK alone, data | once |
//! | `i` `q` | FIN with RST; SYN with FIN or RST | once |
//! | `c` `g` `t` `w` | bad checksum, gap, retransmission, zero window | the 1st, 10th, 100th … |
//! | `^` | the first packet was the responder's | once |
//!
//! Upper case is the initiator's, lower case the responder's. Zeek's `x` (analysis was given up) does not
//! happen here. Zeek's history has no bound; ours has [`HISTORY_LETTERS`], and counts the rest.

use super::event::FlowSide;
use portcullis_wire::decoded::{Tcp, TcpFlags};
use std::fmt;

/// Letters that a history holds.
pub const HISTORY_LETTERS: usize = 27;

/// A flow's history.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct History {
    letters: [u8; HISTORY_LETTERS],
    len: u8,
    refused: u32,
}

impl History {
    /// The letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let letters = self.letters.get(..usize::from(self.len)).unwrap_or(&[]);
        std::str::from_utf8(letters).unwrap_or_default()
    }

    /// Letters for which there was no room any more.
    #[must_use]
    pub const fn refused(&self) -> u32 {
        self.refused
    }

    fn push(&mut self, letter: u8) {
        match self.letters.get_mut(usize::from(self.len)) {
            Some(place) => {
                *place = letter;
                self.len += 1;
            }
            None => self.refused = self.refused.saturating_add(1),
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("History").field(&self.as_str()).finish()
    }
}

/// What is recorded once.
#[derive(Clone, Copy)]
pub(super) enum Once {
    Ack,
    Data,
    FinRst,
    MultiFlag,
}

/// What is recorded again with another sequence number.
#[derive(Clone, Copy)]
enum Marked {
    Syn,
    Fin,
    Rst,
}

/// What is recorded by powers of ten.
#[derive(Clone, Copy)]
pub(super) enum Counted {
    Checksum,
    Gap,
    Retransmission,
    ZeroWindow,
}

/// What the rules need to remember. Pairs are by side.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Rules {
    // What most packets read comes first.
    once: [u8; 2],
    marked: [u8; 2],
    counts: [[u32; 4]; 2],
    last: [[u32; 3]; 2],
}

impl Rules {
    /// The flow's first packet was the responder's.
    pub(super) fn flipped(history: &mut History) {
        history.push(b'^');
    }

    /// The control bits of a TCP segment with `payload` bytes of data, or its being data or an
    /// acknowledgement where it has none of them.
    pub(super) fn segment(&mut self, history: &mut History, side: FlowSide, tcp: &Tcp, payload: u32) {
        let (syn, fin, rst) =
            (tcp.flags.has(TcpFlags::SYN), tcp.flags.has(TcpFlags::FIN), tcp.flags.has(TcpFlags::RST));
        let ack = tcp.flags.has(TcpFlags::ACK);
        match (syn, fin, rst) {
            (_, true, true) => self.once(history, side, Once::FinRst),
            (true, true, _) | (true, _, true) => self.once(history, side, Once::MultiFlag),
            (true, false, false) => {
                let letter = if ack { b'h' } else { b's' };
                self.mark(history, side, Marked::Syn, letter, tcp.seq);
            }
            // A FIN comes after the data in its segment.
            (false, true, false) => {
                self.mark(history, side, Marked::Fin, b'f', tcp.seq.wrapping_add(payload));
            }
            (false, false, true) => self.mark(history, side, Marked::Rst, b'r', tcp.seq),
            (false, false, false) if payload > 0 => self.once(history, side, Once::Data),
            (false, false, false) if ack => self.once(history, side, Once::Ack),
            (false, false, false) => {}
        }
    }

    pub(super) fn once(&mut self, history: &mut History, side: FlowSide, what: Once) {
        let bit = 1 << what as u8;
        if self.once[side.index()] & bit == 0 {
            self.once[side.index()] |= bit;
            history.push(cased([b'a', b'd', b'i', b'q'][what as usize], side));
        }
    }

    pub(super) fn count(&mut self, history: &mut History, side: FlowSide, what: Counted) {
        let count = &mut self.counts[side.index()][what as usize];
        *count = count.saturating_add(1);
        if is_power_of_ten(*count) {
            history.push(cased([b'c', b'g', b't', b'w'][what as usize], side));
        }
    }

    fn mark(&mut self, history: &mut History, side: FlowSide, what: Marked, letter: u8, seq: u32) {
        let bit = 1 << what as u8;
        let last = &mut self.last[side.index()][what as usize];
        if self.marked[side.index()] & bit == 0 || *last != seq {
            history.push(cased(letter, side));
        }
        *last = seq;
        self.marked[side.index()] |= bit;
    }
}

const fn cased(letter: u8, side: FlowSide) -> u8 {
    match side {
        FlowSide::Initiator => letter.to_ascii_uppercase(),
        FlowSide::Responder => letter,
    }
}

const fn is_power_of_ten(count: u32) -> bool {
    let Some(digits) = count.checked_ilog10() else { return false };
    count == 10u32.pow(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use FlowSide::{Initiator, Responder};

    #[test]
    fn logarithmic_letters_come_at_powers_of_ten() {
        let (mut rules, mut history) = (Rules::default(), History::default());
        for (upto, expect) in [(1, "T"), (9, "T"), (10, "TT"), (99, "TT"), (100, "TTT"), (1000, "TTTT")] {
            while rules.counts[0][Counted::Retransmission as usize] < upto {
                rules.count(&mut history, Initiator, Counted::Retransmission);
            }
            assert_eq!(history.as_str(), expect, "after {upto}");
        }
        for what in [Counted::Checksum, Counted::Gap, Counted::ZeroWindow] {
            rules.count(&mut history, Responder, what);
        }
        assert_eq!(history.as_str(), "TTTTcgw");
    }

    fn check(segments: &[(FlowSide, u8, u32, u32)], expect: &str) {
        let (mut rules, mut history) = (Rules::default(), History::default());
        for (side, flags, seq, payload) in segments {
            let tcp = Tcp { seq: *seq, flags: TcpFlags(*flags), ..Tcp::default() };
            rules.segment(&mut history, *side, &tcp, *payload);
        }
        assert_eq!(history.as_str(), expect, "{segments:?}");
    }

    #[test]
    fn letters_by_flags_side_and_sequence_number() {
        const S: u8 = TcpFlags::SYN;
        const A: u8 = TcpFlags::ACK;
        const F: u8 = TcpFlags::FIN;
        const R: u8 = TcpFlags::RST;
        check(&[(Initiator, S, 1, 0), (Responder, S | A, 9, 0), (Initiator, A, 2, 0)], "ShA");
        check(
            &[(Initiator, S, 1, 0), (Initiator, S, 1, 0), (Initiator, S, 2, 0), (Initiator, S, 1, 0)],
            "SSS",
        );
        check(
            &[(Initiator, A, 1, 5), (Initiator, A, 6, 5), (Responder, A, 1, 0), (Responder, A, 1, 0)],
            "Da",
        );
        // Data in the segment moves the FIN: these two are the same one.
        check(&[(Responder, F | A, 10, 5), (Responder, F | A, 15, 0), (Responder, F, 16, 0)], "ff");
        check(&[(Initiator, R, 5, 0), (Initiator, R, 5, 0), (Responder, R | A, 5, 0)], "Rr");
        check(&[(Initiator, F | R, 1, 0), (Initiator, F | R, 2, 0), (Responder, S | F | R, 1, 0)], "Ii");
        check(&[(Initiator, S | F, 1, 0), (Responder, S | R, 2, 0), (Responder, S | F, 2, 0)], "Qq");
        check(&[(Initiator, 0, 1, 0), (Initiator, TcpFlags::PSH, 1, 1)], "D");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let (mut rules, mut history) = (Rules::default(), History::default());
        for seq in 0..100 {
            let tcp = Tcp { seq, flags: TcpFlags(TcpFlags::SYN), ..Tcp::default() };
            rules.segment(&mut history, Initiator, &tcp, 0);
        }
        assert_eq!((history.as_str().len(), history.refused()), (HISTORY_LETTERS, 100 - 27));
    }
}
