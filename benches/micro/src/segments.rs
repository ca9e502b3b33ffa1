//! TCP sessions and their segments: opened, sent in any order, and looked at as rules would.

use portcullis_flow::Direction;
use portcullis_stream::{Faults, Segment, StreamHandle, Streams};
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::{Tcp, TcpFlags, mapped};
use std::hint::black_box;

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Opens a session with its handshake; `None` where there is no memory for it.
pub fn open(streams: &mut Streams) -> Option<StreamHandle> {
    let mut session = None;
    for (direction, flags) in [
        (Direction::ToServer, TcpFlags::SYN),
        (Direction::ToClient, TcpFlags::SYN | TcpFlags::ACK),
        (Direction::ToServer, TcpFlags::ACK),
    ] {
        let mut segment = segment(direction, 0, 0, &[]);
        segment.tcp.flags = TcpFlags(flags);
        let syn = flags & TcpFlags::SYN != 0;
        segment.tcp.seq = segment.tcp.seq.wrapping_sub(u32::from(syn));
        session = streams.packet(session, &segment).session;
    }
    session
}

/// A segment whose payload is at this place of its stream, which acknowledges the other one up to there.
#[must_use]
pub fn segment(direction: Direction, place: u32, acknowledged: u32, payload: &[u8]) -> Segment<'_> {
    let tcp = Tcp {
        seq: 1001_u32.wrapping_add(place),
        ack: 1001_u32.wrapping_add(acknowledged),
        flags: TcpFlags(TcpFlags::ACK),
        window: 65_535,
        ..Tcp::default()
    };
    Segment {
        direction,
        tcp,
        options: &[],
        payload,
        ip_version: 4,
        destination: mapped([10, 0, 0, 1]),
        now: START,
        lost: false,
        pick_up: false,
        faults: Faults::default(),
    }
}

/// Takes a segment in, and the window that it is to be inspected in.
pub fn take(streams: &mut Streams, session: StreamHandle, segment: &Segment<'_>) {
    if black_box(streams.packet(Some(session), segment)).session.is_some() {
        black_box(streams.window(session, segment.direction, segment.payload));
    }
}
