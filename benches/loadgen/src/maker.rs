//! Frames: what all of a trial have in common, and what makes each of them another one.
//!
//! Ethernet, IPv4 and UDP or TCP without options; where number and time are, says `bpf/frame.h`. The same is done there
//! (`send.bpf.c`) for frames that the kernel makes.

mod layout;

pub(crate) use layout::{Layout, TRAILER_MODE};

use crate::maker::layout::{IP_AT, L4_AT, MAGIC, TCP_PAYLOAD_AT, UDP_PAYLOAD_AT};
use portcullis_trial::{Protocol, Size, Trial};

/// Flows beyond this would need ports that do not exist.
const MOST_FLOWS: u64 = 0x4000 * 0xfff0;

/// How many frames have all lengths of IMIX among them.
pub(crate) const ORDER: usize = 12;

/// Room for that many, for the BPF program: a power of two.
const ORDER_ROOM: usize = 16;

/// Bytes of the header that all frames begin with.
pub(crate) const HEADER: usize = 56;

/// Frames of one length.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    /// The frame without what makes it another one.
    pub(crate) bytes: Vec<u8>,
    /// Of the payload after the stamp.
    pub(crate) payload_sum: u32,
}

/// Makes the frames of a trial.
#[derive(Clone, Debug)]
pub(crate) struct Maker {
    pub(crate) layout: Layout,
    /// What tells this trial's frames from others; an answer's has the bit `0x4000`.
    pub(crate) mark: u16,
    pub(crate) flows: u32,
    pub(crate) first_flow: u32,
    /// New flows by packet, in 1/2^32.
    pub(crate) churn: u64,
    pub(crate) sources: u32,
    pub(crate) source: u32,
    pub(crate) header: [u8; HEADER],
    pub(crate) ip_sum: u32,
    pub(crate) l4_sum: u32,
    pub(crate) classes: Vec<Class>,
    /// Which class each frame has, again and again.
    pub(crate) order: [u8; ORDER_ROOM],
}

impl Maker {
    /// For a trial whose frames are marked so.
    pub(crate) fn new(trial: &Trial, layout: Layout, mark: u16) -> Self {
        let header = layout::header(layout, mark, trial.target);
        let mut random = Random(trial.seed);
        let lengths: Vec<usize> = match (trial.size, layout) {
            // Nothing follows what opens a connection.
            (_, Layout::Opening) => vec![Size::SHORTEST.into()],
            (Size::Bytes(bytes), _) => vec![bytes.into()],
            (Size::Imix, _) => Size::IMIX.iter().map(|(bytes, _)| usize::from(*bytes)).collect(),
        };
        let longest = lengths.iter().copied().max().unwrap_or_default();
        let payload: Vec<u8> = (0..longest).map(|_| random.letter()).collect();
        let classes = lengths.iter().map(|length| class(layout, &header, *length, &payload)).collect();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a trial's churn is 0 to 1"
        )]
        let churn = (trial.churn * 4_294_967_296.0) as u64;
        let first_flow = if trial.seed == 0 { 0 } else { random.next() % MOST_FLOWS };
        Self {
            layout,
            mark,
            flows: trial.flows,
            first_flow: u32::try_from(first_flow).unwrap_or(0),
            churn,
            sources: trial.sources,
            source: trial.source.to_bits(),
            ip_sum: sum(&header[IP_AT..L4_AT]),
            l4_sum: sum(&header[L4_AT..TCP_PAYLOAD_AT])
                + sum(&trial.target.octets())
                + u32::from(u16::from(layout.protocol()).to_be()),
            header,
            classes,
            order: order(trial.size, &mut random),
        }
    }

    /// The class of a frame.
    pub(crate) fn class(&self, number: u32) -> &Class {
        let index = if self.classes.len() > 1 { self.order[(number % 12) as usize] } else { 0 };
        &self.classes[usize::from(index)]
    }

    /// What live frames are cut from: the longest class's frame. An answer to a TCP segment is made by cutting the
    /// segment's frame, and the kernel gives a page with such a cut frame on it its length back only if it is cut again:
    /// so there is a bit more than is ever needed.
    pub(crate) fn longest(&self) -> Vec<u8> {
        let mut frame = self
            .classes
            .iter()
            .map(|class| &class.bytes)
            .max_by_key(|bytes| bytes.len())
            .cloned()
            .unwrap_or_default();
        if self.layout == Layout::Tcp {
            frame.extend([0; 2]);
        }
        frame
    }

    /// The flow of a frame. Each frame has its flow's turn; after 1 / churn turns, a new flow has them.
    pub(crate) fn flow(&self, number: u32) -> u32 {
        let (slot, turn) = (number % self.flows, number / self.flows);
        let phase = u64::from(slot.wrapping_mul(0x9e37_79b9));
        let generation = (u64::from(turn).wrapping_mul(self.churn).wrapping_add(phase)) >> 32;
        let flow = u64::from(self.first_flow) + u64::from(slot) + generation * u64::from(self.flows);
        u32::try_from(flow % MOST_FLOWS).unwrap_or(0)
    }

    /// Makes frame `number` of the bytes of its [class](Self::class), sent at this time. Of TCP, `sequence` is how many
    /// bytes its flow has sent before.
    pub(crate) fn finish(&self, frame: &mut [u8], payload_sum: u32, number: u32, now: u64, sequence: u32) {
        let length = frame.len();
        let flow = self.flow(number);
        let address = (self.source + flow % self.sources).to_be_bytes();
        let ports = [10_000 + (flow & 0x3fff), 7 + (flow >> 14)].map(|port| low(port.into()));
        let ip_length = self.layout.ip_length(length);
        let l4_length = low((ip_length - 20) as u64);
        put(frame, IP_AT + 2, &low(ip_length as u64));
        put(frame, IP_AT + 12, &address);
        put(frame, L4_AT, ports.as_flattened());
        let mut total = self.l4_sum + sum(&address) + sum(ports.as_flattened()) + sum(&l4_length);
        let identification = if self.layout == Layout::Udp { [0; 2] } else { low(now) };
        put(frame, IP_AT + 4, &identification);
        let checksum_at = if self.layout == Layout::Udp {
            put(frame, L4_AT + 4, &l4_length);
            put(frame, UDP_PAYLOAD_AT, &MAGIC.to_be_bytes());
            put(frame, UDP_PAYLOAD_AT + 2, &self.mark.to_be_bytes());
            put(frame, UDP_PAYLOAD_AT + 4, &number.to_be_bytes());
            put(frame, UDP_PAYLOAD_AT + 8, &now.to_be_bytes());
            total += sum(&l4_length) + payload_sum + sum(&frame[UDP_PAYLOAD_AT..UDP_PAYLOAD_AT + 16]);
            L4_AT + 6
        } else {
            put(frame, TCP_PAYLOAD_AT, &number.to_be_bytes());
            put(frame, TCP_PAYLOAD_AT + 4, &low(now >> 16));
            let first = if self.layout == Layout::Tcp { 2_u32.wrapping_add(sequence) } else { 1 };
            put(frame, L4_AT + 4, &first.to_be_bytes());
            total += sum(&first.to_be_bytes());
            if self.layout == Layout::Tcp {
                total += payload_sum + sum(&frame[TCP_PAYLOAD_AT..TCP_PAYLOAD_AT + 6]);
            }
            L4_AT + 16
        };
        let checksum = match (!folded(total), self.layout) {
            // Zero would say that there is none (RFC 768).
            (0, Layout::Udp) => u16::MAX,
            (checksum, _) => checksum,
        };
        put(frame, checksum_at, &checksum.to_ne_bytes());
        let ip_sum = self.ip_sum + sum(&frame[IP_AT + 2..IP_AT + 6]) + sum(&address);
        put(frame, IP_AT + 10, &(!folded(ip_sum)).to_ne_bytes());
    }
}

fn class(layout: Layout, header: &[u8; HEADER], length: usize, payload: &[u8]) -> Class {
    let stamped = layout.stamped();
    let mut bytes = header[..TCP_PAYLOAD_AT].to_vec();
    bytes.resize(stamped, 0);
    bytes.extend(&payload[..length - stamped]);
    Class { payload_sum: sum(&bytes[stamped..]), bytes }
}

/// The order of lengths: as many of each as they are to be, mixed.
fn order(size: Size, random: &mut Random) -> [u8; ORDER_ROOM] {
    let mut order = [0; ORDER_ROOM];
    if size == Size::Imix {
        let classes = (0_u8..).zip(Size::IMIX);
        let each = classes.flat_map(|(class, (_, times))| std::iter::repeat_n(class, times.into()));
        order.iter_mut().zip(each).for_each(|(place, class)| *place = class);
        for last in (1..ORDER).rev() {
            order.swap(last, usize::try_from(random.next() % (last as u64 + 1)).unwrap_or(0));
        }
    }
    order
}

fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
}

/// The lowest 16 bits, as they are sent.
fn low(value: u64) -> [u8; 2] {
    let [.., high, low] = value.to_be_bytes();
    [high, low]
}

/// Of 16-bit words as they lie in memory (RFC 1071: the byte order does not matter).
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<2>();
    let odd = rest.first().map_or(0, |byte| u32::from(u16::from_ne_bytes([*byte, 0])));
    words.iter().map(|word| u32::from(u16::from_ne_bytes(*word))).sum::<u32>() + odd
}

fn folded(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    u16::try_from(sum).unwrap_or(u16::MAX)
}

/// SplitMix64: the same numbers from the same seed, everywhere.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn letter(&mut self) -> u8 {
        b'a' + u8::try_from(self.next() % 26).unwrap_or(0)
    }
}

impl Layout {
    /// As a trial asks.
    pub(crate) const fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Udp => Self::Udp,
            Protocol::TcpEstablished => Self::Tcp,
            Protocol::Syn => Self::Syn,
        }
    }
}

#[cfg(test)]
mod tests;
