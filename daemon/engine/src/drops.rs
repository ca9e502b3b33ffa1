//! The last drops, and what is known of a pair of ends: for operators who ask why something does not get through.
//!
//! Notes are written on drops only, into memory that is there from the start; they are copied out between two bursts, into
//! memory that whoever asks brings along.

use portcullis_capture::{DropReason, PortId};
use portcullis_flow::flow::Bypass;
use portcullis_flow::{Counts, FlowAction, FlowEnd, FlowState};
use portcullis_wire::decoded::VlanIds;
use portcullis_wire::{Address, Timestamp};

/// A packet that was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropNote {
    /// When.
    pub time: Timestamp,
    /// Its flow's id; 0 where it has none.
    pub flow: u64,
    /// The port it came in by.
    pub ingress: PortId,
    /// 4, 6, or 0 for a frame without IP: then there are no addresses.
    pub ip_version: u8,
    /// The IANA number of its protocol.
    pub protocol: u8,
    /// Its source.
    pub source: Address,
    /// Its destination.
    pub destination: Address,
    /// Its ports; 0 where the protocol has none.
    pub ports: (u16, u16),
    /// Its tags.
    pub vlans: VlanIds,
    /// Its length in bytes.
    pub length: u32,
    /// Why.
    pub reason: DropReason,
    /// The rule that dropped it or condemned its flow, by gid and sid.
    pub rule: Option<(u32, u32)>,
}

impl DropNote {
    /// Is it about these two ends, whichever of them sent it?
    #[must_use]
    pub fn is_between(&self, [one, other]: [FlowEnd; 2], protocol: u8) -> bool {
        let ends = [(self.source, self.ports.0), (self.destination, self.ports.1)];
        self.ip_version != 0 && self.protocol == protocol && (ends == [one, other] || ends == [other, one])
    }
}

/// The last of them, oldest overwritten first.
#[derive(Debug, Default)]
pub(crate) struct DropLog {
    notes: Vec<DropNote>,
    most: usize,
    next: usize,
}

impl DropLog {
    pub(crate) fn new(most: usize) -> Self {
        Self { notes: Vec::with_capacity(most), most, next: 0 }
    }

    /// Are drops noted at all?
    pub(crate) const fn is_kept(&self) -> bool {
        self.most > 0
    }

    pub(crate) fn note(&mut self, note: DropNote) {
        if self.notes.len() < self.most {
            self.notes.push(note);
        } else if let Some(oldest) = self.notes.get_mut(self.next) {
            *oldest = note;
            self.next = (self.next + 1) % self.most;
        }
    }

    /// From the last one back.
    pub(crate) fn latest(&self) -> impl Iterator<Item = &DropNote> {
        let (newer, older) = self.notes.split_at(self.next.min(self.notes.len()));
        newer.iter().rev().chain(older.iter().rev())
    }
}

/// What is asked about: two ends, in either direction.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Addresses, IPv4 in the mapped form, and ports.
    pub ends: [FlowEnd; 2],
    /// 4 or 6.
    pub ip_version: u8,
    /// The IANA number of the protocol.
    pub protocol: u8,
    /// The tags around the packets.
    pub vlans: VlanIds,
}

/// What a worker knows about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Explained {
    /// The flow, if there is one.
    pub flow: Option<FlowFacts>,
    /// The last drop of those that are still noted, and how many are.
    pub last_drop: Option<(DropNote, u64)>,
}

/// A flow as it stands.
#[derive(Clone, Copy, Debug)]
pub struct FlowFacts {
    /// Its id.
    pub id: u64,
    /// Its state.
    pub state: FlowState,
    /// What was decided about it.
    pub action: Option<FlowAction>,
    /// How it is bypassed.
    pub bypass: Option<Bypass>,
    /// The rule that condemned it, by gid and sid.
    pub condemned_by: Option<(u32, u32)>,
    /// Did a rule alert on it?
    pub alerted: bool,
    /// When it began.
    pub start: Timestamp,
    /// When its last packet came.
    pub last_seen: Timestamp,
    /// Its packets to the server and to the client.
    pub counts: [Counts; 2],
    /// Those of them that were answered before the engine.
    pub answered: [Counts; 2],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(flow: u64) -> DropNote {
        DropNote {
            time: Timestamp::ZERO,
            flow,
            ingress: PortId(0),
            ip_version: 4,
            protocol: 17,
            source: [1; 16],
            destination: [2; 16],
            ports: (5, 6),
            vlans: VlanIds::default(),
            length: 60,
            reason: DropReason::Rules,
            rule: None,
        }
    }

    #[test]
    fn the_last_ones_are_kept() {
        let check = |most: usize, drops: u64, expected: &[u64]| {
            let mut log = DropLog::new(most);
            (1..=drops).for_each(|flow| log.note(note(flow)));
            assert!(log.latest().map(|note| note.flow).eq(expected.iter().copied()), "{drops} of {most}");
            assert_eq!(log.notes.capacity(), most, "it never grows");
        };
        check(0, 3, &[]);
        check(3, 0, &[]);
        check(3, 2, &[2, 1]);
        check(3, 3, &[3, 2, 1]);
        check(3, 4, &[4, 3, 2]);
        check(3, 8, &[8, 7, 6]);
    }

    #[test]
    fn either_end_may_have_sent_it() {
        let (one, other) = (([1; 16], 5), ([2; 16], 6));
        assert!(note(1).is_between([one, other], 17) && note(1).is_between([other, one], 17));
        assert!(!note(1).is_between([one, other], 6));
        assert!(!note(1).is_between([(one.0, 6), other], 17));
        assert!(!DropNote { ip_version: 0, ..note(1) }.is_between([one, other], 17));
    }
}
