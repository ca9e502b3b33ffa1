//! What the attacker sends.

use super::frame;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;
use std::net::IpAddr;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

/// A session: between whom, and where the numbers of both sides begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The attacker's Ethernet address, IP address and port.
    pub attacker: ([u8; 6], IpAddr, u16),
    /// The same of the host.
    pub host: ([u8; 6], IpAddr, u16),
    /// The attacker's initial sequence number.
    pub isn: u32,
    /// The host's.
    pub host_isn: u32,
    /// Do both sides send timestamps?
    pub timestamps: bool,
    /// Is the attacker the server, to which the host connects?
    pub serves: bool,
}

impl Wire {
    /// Is it IPv6?
    #[must_use]
    pub const fn is_v6(&self) -> bool {
        self.host.1.is_ipv6()
    }

    /// A frame of the attacker's up to the IP header.
    pub(super) const fn by_attacker(&self) -> PacketBuilder<'static> {
        PacketBuilder::ethernet(self.attacker.0, self.host.0).ip(self.attacker.1, self.host.1)
    }

    /// A frame of the host's up to the IP header.
    pub(super) const fn by_host(&self) -> PacketBuilder<'static> {
        PacketBuilder::ethernet(self.host.0, self.attacker.0).ip(self.host.1, self.attacker.1)
    }

    /// The attacker's SYN, and its acknowledgement of the host's answer.
    #[must_use]
    pub fn handshake(&self) -> [Vec<u8>; 2] {
        let syn = Segment::new(-1, b"").flags(TcpFlags::SYN).acks(0).stamp(TICK);
        [syn.frame(self), Segment::new(0, b"").flags(TcpFlags::ACK).stamp(TICK).frame(self)]
    }

    /// The attacker's answer to the host's SYN.
    #[must_use]
    pub fn welcome(&self) -> Vec<u8> {
        Segment::new(-1, b"").flags(TcpFlags::SYN | TcpFlags::ACK).acks(0).stamp(TICK).frame(self)
    }
}

/// What a session carries, and where in it the keyword is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where the keyword, or what stands in its place, is.
    pub keyword: Range<usize>,
}

impl Text {
    /// What the rule drops.
    pub const KEYWORD: &'static [u8] = b"forbidden";

    /// Something harmless, as long.
    pub const HARMLESS: &'static [u8] = b"permitted";

    /// An HTTP request, with the keyword in its path or without.
    #[must_use]
    pub fn request(keyword: bool) -> Self {
        let word = if keyword { Self::KEYWORD } else { Self::HARMLESS };
        let before = b"GET /";
        let after = b" HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: matrix/1.0\r\n\r\n";
        Self { bytes: [before, word, after].concat(), keyword: before.len()..before.len() + word.len() }
    }

    /// The same with [`Self::HARMLESS`] where the keyword is.
    pub(super) fn chaff(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[self.keyword.clone()].copy_from_slice(Self::HARMLESS);
        bytes
    }
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// The attacker sends this frame.
    Send(Vec<u8>),
    /// Nothing is sent for so long.
    Wait(Duration),
}

/// The clock of the attacker's timestamps when it begins.
pub(super) const TICK: u32 = 100_000;

type Change = Rc<dyn Fn(&mut Vec<u8>)>;

/// A segment of the attacker's, described from the begin of its stream.
#[derive(Clone)]
pub struct Segment {
    at: i64,
    data: Vec<u8>,
    flags: u8,
    ack: Option<i64>,
    window: u16,
    urgent: u16,
    options: Option<Vec<u8>>,
    stamp: u32,
    ttl: u8,
    ip_id: u16,
    change: Option<(Change, frame::Repair)>,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment").field("at", &self.at).field("data", &self.data).finish_non_exhaustive()
    }
}

impl Segment {
    /// Data at this place of the stream: 0 is the byte after the SYN.
    #[must_use]
    pub fn new(at: i64, data: &[u8]) -> Self {
        Self {
            at,
            data: data.to_vec(),
            flags: TcpFlags::PSH | TcpFlags::ACK,
            ack: None,
            window: 65_535,
            urgent: 0,
            options: None,
            stamp: TICK + 1,
            ttl: 64,
            ip_id: u16::try_from((at + 2).rem_euclid(60_000)).unwrap_or(0),
            change: None,
        }
    }

    /// A part of a text, in its place.
    #[must_use]
    pub fn part(text: &[u8], range: Range<usize>) -> Self {
        Self::new(i64::try_from(range.start).unwrap_or(0), &text[range])
    }

    #[must_use]
    pub(super) fn flags(self, flags: u8) -> Self {
        Self { flags, ..self }
    }

    /// Acknowledges so many bytes of the host's.
    #[must_use]
    pub(super) fn acks(self, ack: i64) -> Self {
        Self { ack: Some(ack), ..self }
    }

    #[must_use]
    pub(super) fn window(self, window: u16) -> Self {
        Self { window, ..self }
    }

    /// Urgent, up to this byte of it.
    #[must_use]
    pub(super) fn urgent(self, urgent: u16) -> Self {
        Self { urgent, flags: self.flags | TcpFlags::URG, ..self }
    }

    #[must_use]
    pub(super) fn options(self, options: &[u8]) -> Self {
        Self { options: Some(options.to_vec()), ..self }
    }

    #[must_use]
    pub(super) fn stamp(self, stamp: u32) -> Self {
        Self { stamp, ..self }
    }

    #[must_use]
    pub(super) fn ttl(self, ttl: u8) -> Self {
        Self { ttl, ..self }
    }

    #[must_use]
    pub(super) fn ip_id(self, ip_id: u16) -> Self {
        Self { ip_id, ..self }
    }

    /// Changes the finished frame; `repair` says which checksums are made right afterwards.
    #[must_use]
    pub(super) fn change(self, repair: frame::Repair, change: impl Fn(&mut Vec<u8>) + 'static) -> Self {
        Self { change: Some((Rc::new(change), repair)), ..self }
    }

    fn with<T>(&self, wire: &Wire, make: impl FnOnce(PacketBuilder<'_>) -> T) -> T {
        let ack = self.ack.map_or(0, |ack| u32::try_from(ack.rem_euclid(1 << 32)).unwrap_or(0));
        let begun = self.flags & TcpFlags::ACK != 0 || self.ack.is_some_and(|ack| ack != 0);
        let ack = if begun { wire.host_isn.wrapping_add(1).wrapping_add(ack) } else { 0 };
        let at = u32::try_from(self.at.rem_euclid(1 << 32)).unwrap_or(0);
        let mut stamps = vec![1, 1, 8, 10];
        stamps.extend(self.stamp.to_be_bytes());
        stamps.extend(if begun { TICK.to_be_bytes() } else { [0; 4] });
        let options: &[u8] = match &self.options {
            Some(options) => options,
            None if wire.timestamps => &stamps,
            None => &[],
        };
        // Sessions between the same hosts do not share numbers: hosts and inspectors remember datagrams.
        let ip_id = self.ip_id.wrapping_add(wire.attacker.2.wrapping_mul(97));
        let tcp = wire.by_attacker().ttl(self.ttl).ip_id(u32::from(ip_id));
        let tcp = tcp.tcp(wire.attacker.2, wire.host.2).flags(self.flags).window(self.window);
        let tcp = tcp.seq(wire.isn.wrapping_add(1).wrapping_add(at)).ack(ack);
        make(tcp.urgent(self.urgent).tcp_options(options).payload(&self.data))
    }

    /// The frame.
    #[must_use]
    pub fn frame(&self, wire: &Wire) -> Vec<u8> {
        let mut frame = self.with(wire, |builder| builder.to_vec());
        if let Some((change, repair)) = &self.change {
            change(&mut frame);
            frame::repair(&mut frame, *repair);
        }
        frame
    }

    /// The frame, cut into fragments of so many bytes of what IP carries.
    #[must_use]
    pub fn fragments(&self, wire: &Wire, size: usize) -> Vec<Vec<u8>> {
        self.with(wire, |builder| builder.to_fragments(size))
    }
}
