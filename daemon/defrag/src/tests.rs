//! What the defragmenter does with fragments of every kind, from outside.

use crate::{
    DefragEvent, DefragSettings, Defragmenter, Insertion, MAX_DATAGRAM, Outcome, OverlapPolicy, Refusal,
};
use portcullis_wire::decode::Decoder;
use portcullis_wire::{Decoded, LinkType, Network, NetworkMap, PacketBuilder, Timestamp};
use std::time::Duration;

mod limits;
mod overlaps;
mod wholes;

/// One fragment of a datagram: `data` at `offset`.
#[derive(Clone, Copy, Debug)]
struct Piece<'d> {
    offset: u16,
    more: bool,
    data: &'d [u8],
}

const fn piece(offset: u16, more: bool, data: &[u8]) -> Piece<'_> {
    Piece { offset, more, data }
}

/// The frame of a fragment, without link header.
fn frame(version: u8, id: u32, piece: Piece<'_>) -> Vec<u8> {
    of(version, PacketBuilder::raw())
        .ip_id(id)
        .fragment(piece.offset, piece.more)
        .payload(piece.data)
        .to_vec()
}

fn of(version: u8, builder: PacketBuilder<'_>) -> PacketBuilder<'_> {
    let addressed = match version {
        4 => builder.ipv4([10, 0, 0, 1], [10, 0, 0, 2]),
        _ => builder.ipv6([0x20; 16], [0x30; 16]),
    };
    addressed.protocol(253)
}

fn decode(frame: &[u8]) -> Decoded {
    Decoder::default().decode(LinkType::Raw, None, false, frame)
}

/// A defragmenter, and what it made of the fragments so far.
struct Rig {
    defrag: Defragmenter,
    buffer: Vec<u8>,
    now: Timestamp,
}

impl Rig {
    fn new(settings: &DefragSettings) -> Self {
        let defrag = Defragmenter::new(settings, 1, 7).expect("enough memory");
        Self { defrag, buffer: vec![0; MAX_DATAGRAM], now: Timestamp::from_secs(1_700_000_000) }
    }

    fn inline() -> Self {
        Self::new(&DefragSettings { inline: true, ..small() })
    }

    fn with_policy(policy: OverlapPolicy) -> Self {
        let all = |version| Network::new(version, [0; 16], 0).expect("the whole space");
        let policies = NetworkMap::new(vec![(all(4), policy), (all(6), policy)]);
        Self::new(&DefragSettings { policies, ..small() })
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }

    fn insert(&mut self, frame: &[u8]) -> Insertion {
        let decoded = decode(frame);
        assert_eq!(decoded.invalid, None);
        self.defrag.insert(&decoded, frame, 0, self.now)
    }

    /// Inserts and says what came of it; what may go out does.
    fn give(&mut self, frame: &[u8]) -> Came {
        self.judge(frame, true)
    }

    /// Inserts; a whole datagram goes out only with `let_through`.
    fn judge(&mut self, frame: &[u8], let_through: bool) -> Came {
        let Insertion { outcome, event } = self.insert(frame);
        let result = match outcome {
            Outcome::Taken(ticket) => {
                assert!(self.defrag.assemble(&ticket, &mut self.buffer).is_none());
                self.defrag.conclude(ticket, true);
                Result::Taken
            }
            Outcome::Duplicate(ticket) => {
                self.defrag.conclude(ticket, true);
                Result::Duplicate
            }
            Outcome::Complete(ticket) => {
                let datagram = self.defrag.assemble(&ticket, &mut self.buffer).expect("a whole datagram");
                let whole = datagram.frame.to_vec();
                self.defrag.conclude(ticket, let_through);
                Result::Whole(whole)
            }
            Outcome::Refused(refusal) => Result::Refused(refusal),
        };
        Came { result, event }
    }

    /// The data of the datagram that these fragments make, in this order.
    fn datagram(&mut self, version: u8, id: u32, pieces: &[Piece<'_>]) -> Option<Vec<u8>> {
        let mut whole = None;
        for piece in pieces {
            if let Result::Whole(packet) = self.give(&frame(version, id, *piece)).result {
                let decoded = decode(&packet);
                assert_eq!((decoded.invalid, decoded.fragment, decoded.protocol), (None, None, 253));
                assert!(!decoded.bad_checksums.ipv4);
                whole = Some(decoded.ip_payload.of(&packet).to_vec());
            }
        }
        whole
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Came {
    result: Result,
    event: Option<DefragEvent>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Result {
    Taken,
    Duplicate,
    Whole(Vec<u8>),
    Refused(Refusal),
}

/// Enough for the tests, and quickly set up.
fn small() -> DefragSettings {
    DefragSettings { memcap: 1 << 20, trackers: 64, prealloc: false, ..DefragSettings::default() }
}

/// Bytes that tell where they are.
fn data(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at * 7 % 251).unwrap_or(0)).collect()
}

const TAKEN: Came = Came { result: Result::Taken, event: None };

const fn refused(refusal: Refusal, event: Option<DefragEvent>) -> Came {
    Came { result: Result::Refused(refusal), event }
}
