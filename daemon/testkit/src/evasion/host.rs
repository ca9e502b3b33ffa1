//! A host that receives: TCP as systems have it, where they differ in the [`Manner`] asked for.

use super::frame;
use super::packet::Ip;
use super::pieces::{Overlap, Pieces};
use super::segment::{TICK, Wire};
use portcullis_wire::decoded::TcpFlags;
use std::collections::BTreeSet;
use std::time::Duration;

/// The window that the host grants.
const WINDOW: u16 = 65_535;

/// In what hosts differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Who wins where data overlaps that waits to be put together.
    pub overlap: Overlap,
    /// Is it some hops behind the inspector? What has too little time to live dies on the way.
    pub far: bool,
    /// Does it check all that today's systems check, or take what it can?
    pub strict: bool,
    /// Is urgent data part of its stream? Else the last byte of it is not.
    pub urgent_inline: bool,
    /// Does it take data that comes with a SYN?
    pub syn_data: bool,
}

/// The host.
#[derive(Clone, Debug)]
pub struct Host {
    wire: Wire,
    manner: Manner,
    ip: Ip,
    session: Option<Session>,
    /// What was read of sessions that are over.
    over: Vec<Vec<u8>>,
}

#[derive(Clone, Debug, Default)]
struct Session {
    /// The attacker's initial number.
    isn: u32,
    /// Is the handshake done?
    established: bool,
    /// Bytes read so far, those that were not part of the stream included.
    next: u64,
    waiting: Pieces,
    urgent: BTreeSet<u64>,
    fin: Option<u64>,
    ended: bool,
    stamps: Option<u32>,
    read: Vec<u8>,
}

/// A segment as the host reads it.
struct Received<'p> {
    seq: u32,
    ack: u32,
    flags: u8,
    urgent: u16,
    data: &'p [u8],
    stamp: Option<u32>,
    signed: bool,
}

impl Host {
    /// A host that listens, or is about to [connect](Self::connect).
    #[must_use]
    pub fn new(wire: &Wire, manner: &Manner) -> Self {
        Self { wire: *wire, manner: *manner, ip: Ip::default(), session: None, over: Vec::new() }
    }

    /// The host's SYN, where the attacker is the server.
    #[must_use]
    pub fn connect(&self) -> Option<Vec<u8>> {
        let stamps = [&[1, 1, 8, 10][..], &TICK.to_be_bytes(), &[0; 4]].concat();
        let wire = &self.wire;
        let tcp = wire.by_host().tcp(wire.host.2, wire.attacker.2).flags(TcpFlags::SYN).window(WINDOW);
        let options = if wire.timestamps { &stamps[..] } else { &[] };
        wire.serves.then(|| tcp.seq(wire.host_isn).tcp_options(options).to_vec())
    }

    /// Takes a frame from the wire; returns its answers.
    pub fn receive(&mut self, bytes: &[u8], now: Duration) -> Vec<Vec<u8>> {
        let Some(segment) = self.ip.receive(&self.wire, &self.manner, bytes, now) else { return Vec::new() };
        let sum = match (self.wire.attacker.1, self.wire.host.1) {
            (std::net::IpAddr::V4(from), std::net::IpAddr::V4(to)) => {
                sum(&from.octets(), &to.octets(), &segment)
            }
            (std::net::IpAddr::V6(from), std::net::IpAddr::V6(to)) => {
                sum(&from.octets(), &to.octets(), &segment)
            }
            _ => false,
        };
        let ports = segment.first_chunk::<4>().map(|[a, b, c, d]| {
            (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))
                == (self.wire.attacker.2, self.wire.host.2)
        });
        match read(&segment) {
            Some(segment) if sum && ports == Some(true) => self.segment(&segment),
            _ => Vec::new(),
        }
    }

    /// What the program on the host has read: the stream of each connection.
    pub fn streams(&self) -> impl Iterator<Item = &[u8]> {
        let now = self.session.iter().map(|session| &session.read[..]);
        self.over.iter().map(|read| &read[..]).chain(now)
    }

    /// Has the program read the keyword?
    #[must_use]
    pub fn has_read(&self, keyword: &[u8]) -> bool {
        self.streams().any(|read| read.windows(keyword.len()).any(|window| window == keyword))
    }

    fn segment(&mut self, segment: &Received<'_>) -> Vec<Vec<u8>> {
        if segment.signed && self.manner.strict {
            return Vec::new();
        }
        if self.session.is_none() && self.wire.serves {
            return self.connected(segment);
        }
        let Some(session) = &mut self.session else { return self.listen(segment) };
        let expected = session.isn.wrapping_add(1).wrapping_add(low(session.next));
        if segment.flags & TcpFlags::RST != 0 {
            let ahead = segment.seq.wrapping_sub(expected);
            if ahead == 0 || !self.manner.strict && ahead < u32::from(WINDOW) {
                self.over.extend(self.session.take().map(|session| session.read));
            }
            return Vec::new();
        }
        if segment.flags & TcpFlags::SYN != 0 {
            let again = segment.seq == session.isn;
            let inside = segment.seq.wrapping_sub(expected) < u32::from(WINDOW);
            if !session.established && again {
                return vec![self.answer(TcpFlags::SYN | TcpFlags::ACK)];
            }
            // RFC 793 resets the connection; RFC 5961 asks whether its other side is there.
            if inside && !self.manner.strict {
                self.over.extend(self.session.take().map(|session| session.read));
                return Vec::new();
            }
            return vec![self.answer(TcpFlags::ACK)];
        }
        let acks = segment.flags & TcpFlags::ACK != 0;
        // The host has sent nothing. What acknowledges more, or is too old, is made up (RFC 5961 section 5).
        let acked = segment.ack.wrapping_sub(self.wire.host_isn.wrapping_add(1));
        let sound = acks && (acked == 0 || acked.wrapping_neg() <= u32::from(WINDOW));
        if self.manner.strict && !sound || !acks && !session.established {
            return Vec::new();
        }
        if let Some(latest) = session.stamps {
            let old = segment.stamp.is_none_or(|stamp| stamp.wrapping_sub(latest) > 1 << 31);
            if old && self.manner.strict {
                return vec![self.answer(TcpFlags::ACK)];
            }
        }
        session.established |= acks && acked == 0;
        if !session.established {
            return Vec::new();
        }
        self.data(segment, segment.seq)
    }

    fn listen(&mut self, segment: &Received<'_>) -> Vec<Vec<u8>> {
        const KINDS: u8 = TcpFlags::SYN | TcpFlags::ACK | TcpFlags::RST;
        let fin = segment.flags & TcpFlags::FIN != 0;
        if segment.flags & KINDS != TcpFlags::SYN || fin && self.manner.strict {
            return Vec::new();
        }
        let stamps = segment.stamp.filter(|_| self.wire.timestamps);
        self.session = Some(Session { isn: segment.seq, stamps, ..Session::default() });
        if self.manner.syn_data {
            self.data(segment, segment.seq.wrapping_add(1));
        }
        vec![self.answer(TcpFlags::SYN | TcpFlags::ACK)]
    }

    /// The answer to the host's SYN, if it is one and the host still waits for it.
    fn connected(&mut self, segment: &Received<'_>) -> Vec<Vec<u8>> {
        let is_answer = segment.flags & (TcpFlags::SYN | TcpFlags::ACK | TcpFlags::RST)
            == TcpFlags::SYN | TcpFlags::ACK
            && segment.ack == self.wire.host_isn.wrapping_add(1);
        if !is_answer || !self.over.is_empty() {
            return Vec::new();
        }
        let stamps = segment.stamp.filter(|_| self.wire.timestamps);
        let session = Session { isn: segment.seq, stamps, established: true, ..Session::default() };
        self.session = Some(session);
        vec![self.answer(TcpFlags::ACK)]
    }

    /// Takes data in, of which the first byte has this number.
    fn data(&mut self, segment: &Received<'_>, number: u32) -> Vec<Vec<u8>> {
        let Some(session) = &mut self.session else { return Vec::new() };
        let ahead = number.wrapping_sub(session.isn.wrapping_add(1).wrapping_add(low(session.next)));
        // Behind what was read, or ahead of it.
        let (start, skip) = match i32::from_ne_bytes(ahead.to_ne_bytes()) {
            ahead @ 0.. => (session.next + u64::from(ahead.unsigned_abs()), 0),
            behind => (session.next, behind.unsigned_abs() as usize),
        };
        let end = start + (segment.data.len() as u64).saturating_sub(skip as u64);
        let edge = session.next + u64::from(WINDOW);
        let beyond = start >= edge;
        if segment.data.len() < skip || beyond || session.ended {
            return vec![self.answer(TcpFlags::ACK)];
        }
        let room = usize::try_from(edge - start).unwrap_or(0);
        let data = &segment.data[skip..];
        let data = &data[..data.len().min(room)];
        // A pointer of zero means the first byte to Linux, and nothing to BSD.
        let points = segment.flags & TcpFlags::URG != 0 && (segment.urgent > 0 || self.manner.strict);
        if points && !self.manner.urgent_inline {
            let place = start + u64::from(segment.urgent).saturating_sub(1);
            if let Some(place) = place.checked_sub(skip as u64) {
                session.urgent.insert(place);
            }
        }
        if let Some(stamp) = segment.stamp.filter(|stamp| {
            start == session.next && session.stamps.is_some_and(|latest| stamp.wrapping_sub(latest) < 1 << 31)
        }) {
            session.stamps = Some(stamp);
        }
        session.waiting.add(start, data, self.manner.overlap);
        if segment.flags & TcpFlags::FIN != 0 {
            session.fin = session.fin.or(Some(end));
        }
        loop {
            if session.fin == Some(session.next) {
                session.ended = true;
                break;
            }
            let Some(byte) = session.waiting.take(session.next) else { break };
            if !session.urgent.contains(&session.next) {
                session.read.push(byte);
            }
            session.next += 1;
        }
        if segment.data.is_empty() && segment.flags & TcpFlags::FIN == 0 {
            return Vec::new();
        }
        vec![self.answer(TcpFlags::ACK)]
    }

    fn answer(&self, flags: u8) -> Vec<u8> {
        let (wire, session) = (&self.wire, self.session.as_ref());
        let next = session.map_or(0, |session| session.next + u64::from(session.ended));
        let isn = session.map_or(0, |session| session.isn);
        let seq = wire.host_isn.wrapping_add(u32::from(flags & TcpFlags::SYN == 0));
        let mut options = vec![1, 1, 8, 10];
        options.extend(TICK.to_be_bytes());
        options.extend(session.and_then(|session| session.stamps).unwrap_or_default().to_be_bytes());
        let options = if wire.timestamps { &options[..] } else { &[] };
        let tcp = wire.by_host().tcp(wire.host.2, wire.attacker.2).flags(flags).window(WINDOW);
        tcp.seq(seq).ack(isn.wrapping_add(1).wrapping_add(low(next))).tcp_options(options).to_vec()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a circle of 2^32")]
const fn low(offset: u64) -> u32 {
    offset as u32
}

fn sum(from: &[u8], to: &[u8], segment: &[u8]) -> bool {
    let length = u32::try_from(segment.len()).unwrap_or(u32::MAX);
    frame::sum(&[from, to, &[0, 6], &length.to_be_bytes(), segment]) == 0xffff
}

fn read(segment: &[u8]) -> Option<Received<'_>> {
    let header = segment.first_chunk::<20>()?;
    let length = usize::from(header[12] >> 4) * 4;
    let options = segment.get(20..length)?;
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let mut received = Received {
        seq: word(4),
        ack: word(8),
        flags: header[13],
        urgent: u16::from_be_bytes([header[18], header[19]]),
        data: &segment[length..],
        stamp: None,
        signed: false,
    };
    let mut left = options;
    while let [kind, ref rest @ ..] = *left {
        left = match (kind, rest) {
            (0, _) => break,
            (1, rest) => rest,
            (_, &[length, ..]) if length >= 2 && usize::from(length) <= left.len() => {
                if kind == 8 && length == 10 {
                    received.stamp = Some(u32::from_be_bytes([left[2], left[3], left[4], left[5]]));
                }
                received.signed |= kind == 19 || kind == 29;
                &left[usize::from(length)..]
            }
            // What cannot be read ends the options.
            _ => break,
        };
    }
    Some(received)
}
