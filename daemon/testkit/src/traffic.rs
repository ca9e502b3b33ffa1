//! Traffic made on the spot: so many packets over so many flows, the same every time.

use std::fs::File;
use std::io::{self, BufWriter};
use std::net::Ipv4Addr;
use std::path::Path;

use portcullis_wire::Timestamp;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;

use crate::pcap_file::PcapWriter;

/// A description of traffic; equal descriptions give equal bytes.
///
/// Two flows of three are TCP (handshake, data and acknowledgements both ways, and, given at least
/// seven packets, an orderly end), the third is UDP (requests and answers). Flow `n` begins when an
/// earlier one has sent its last packet, so about `concurrent` of them are under way at any time.
/// All addresses are in 10.0.0.0/8 and 172.16.0.0/12, no two flows share a key, every length and
/// checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Packets in all; at least `flows`.
    pub packets: u64,
    /// Flows in all, at least 1; each gets `packets / flows` packets, the first ones one more.
    pub flows: u32,
    /// How many flows are under way at a time, at least 1.
    pub concurrent: u32,
    /// Payload bytes of each packet that carries data, at most 1460.
    pub payload: u16,
}

/// What a [`Traffic`] gave, counted while it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficSummary {
    /// Packets.
    pub packets: u64,
    /// Bytes of frames.
    pub bytes: u64,
    /// Flows over TCP.
    pub tcp_flows: u32,
    /// Flows over UDP.
    pub udp_flows: u32,
}

impl Traffic {
    /// The time of the first packet: the start of the year 2026, UTC.
    pub const START: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);
    /// The time from one packet to the next.
    pub const SPACING_NANOS: u64 = 10_000;

    /// `packets` packets over `flows` flows, a thousand at a time, 200 bytes of payload.
    #[must_use]
    pub const fn new(packets: u64, flows: u32) -> Self {
        Self { packets, flows, concurrent: 1000, payload: 200 }
    }

    /// Writes the traffic to a capture file.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_pcap(&self, file: &Path) -> io::Result<TrafficSummary> {
        let mut writer = PcapWriter::new(BufWriter::with_capacity(1 << 20, File::create(file)?))?;
        let summary = self.for_each(|time, frame| writer.write(time, frame))?;
        writer.finish()?;
        Ok(summary)
    }

    /// Gives each frame with its time to `take`, in order, until one of them is refused.
    ///
    /// # Errors
    ///
    /// The first error of `take`.
    pub fn for_each<E>(
        &self,
        mut take: impl FnMut(Timestamp, &[u8]) -> Result<(), E>,
    ) -> Result<TrafficSummary, E> {
        let flows = self.flows.max(1);
        let concurrent = flows.min(self.concurrent.max(1));
        let mut lanes: Vec<Lane> = (0..concurrent).map(|flow| Lane { flow, step: 0 }).collect();
        let mut next_flow = concurrent;
        let payload = vec![b'x'; usize::from(self.payload.min(1460))];
        let mut frame = vec![0; 14 + 20 + 20 + 1460];
        let mut summary = TrafficSummary::default();
        while !lanes.is_empty() {
            lanes.retain_mut(|lane| {
                if lane.step == self.length_of(lane.flow) && next_flow < flows {
                    *lane = Lane { flow: next_flow, step: 0 };
                    next_flow += 1;
                }
                lane.step < self.length_of(lane.flow)
            });
            for lane in &mut lanes {
                let (is_tcp, length) = (is_tcp(lane.flow), self.length_of(lane.flow));
                if lane.step == 0 {
                    summary.tcp_flows += u32::from(is_tcp);
                    summary.udp_flows += u32::from(!is_tcp);
                }
                let time = Self::START.as_nanos() + summary.packets * Self::SPACING_NANOS;
                let packet = packet(lane.flow, lane.step, length, &payload);
                // Never cut: payloads are short and the buffer holds the longest packet.
                let size = packet.write_to(&mut frame).unwrap_or_default();
                take(Timestamp::from_nanos(time), &frame[..size])?;
                lane.step += 1;
                summary.packets += 1;
                summary.bytes += u64::try_from(size).unwrap_or_default();
            }
        }
        Ok(summary)
    }

    fn length_of(&self, flow: u32) -> u64 {
        let flows = u64::from(self.flows.max(1));
        self.packets / flows + u64::from(u64::from(flow) < self.packets % flows)
    }
}

/// A place in which flows run one after another.
#[derive(Clone, Copy, Debug)]
struct Lane {
    flow: u32,
    step: u64,
}

fn is_tcp(flow: u32) -> bool {
    flow % 3 != 2
}

/// Both ends of a flow; the client's first when the packet goes to the server.
#[derive(Clone, Copy, Debug)]
struct Ends {
    source: End,
    destination: End,
}

#[derive(Clone, Copy, Debug)]
struct End {
    hardware: [u8; 6],
    address: Ipv4Addr,
    port: u16,
}

impl Ends {
    /// The ends of flow number `flow`: the number spread over client address and port, the server
    /// by residue.
    fn of(flow: u32) -> Self {
        const PORTS: u32 = 20_000;
        let [_, a, b, c] = (flow / PORTS + 1).to_be_bytes();
        let server = u8::try_from(flow % 200 + 1).unwrap_or(1);
        let source = End {
            hardware: [0x02, 0, 0, a, b, c],
            address: Ipv4Addr::new(10, a, b, c),
            port: u16::try_from(30_000 + flow % PORTS).unwrap_or_default(),
        };
        let destination = End {
            hardware: [0x02, 0, 0xff, 0, 0, server],
            address: Ipv4Addr::new(172, 16, 0, server),
            port: if is_tcp(flow) { 80 } else { 53 },
        };
        Self { source, destination }
    }

    fn reversed(self) -> Self {
        Self { source: self.destination, destination: self.source }
    }

    fn ipv4<'a>(self) -> PacketBuilder<'a> {
        PacketBuilder::ethernet(self.source.hardware, self.destination.hardware)
            .ipv4(self.source.address, self.destination.address)
            .dont_fragment()
    }

    fn udp<'a>(self) -> PacketBuilder<'a> {
        self.ipv4().udp(self.source.port, self.destination.port)
    }

    fn tcp<'a>(self, sequence: u32, acknowledgement: u32, flags: u8) -> PacketBuilder<'a> {
        let builder = self.ipv4().tcp(self.source.port, self.destination.port);
        builder.seq(sequence).ack(acknowledgement).flags(flags).window(64_240)
    }
}

/// Packet number `step` of `length` of a flow.
fn packet(flow: u32, step: u64, length: u64, payload: &[u8]) -> PacketBuilder<'_> {
    const DATA: u8 = TcpFlags::PSH | TcpFlags::ACK;
    const LAST: u8 = TcpFlags::FIN | TcpFlags::ACK;
    let forward = Ends::of(flow);
    let backward = forward.reversed();
    if !is_tcp(flow) {
        let ends = if step.is_multiple_of(2) { forward } else { backward };
        return ends.udp().payload(payload);
    }
    // Both ends start at numbers of their own; each data packet moves its sender by one payload.
    let size = u32::try_from(payload.len()).unwrap_or_default();
    let client_start = flow.wrapping_mul(0x9e37_79b1);
    let server_start = flow.wrapping_mul(0x85eb_ca6b);
    // Data alternates from step 3 on, the client first.
    let sent_by = |first: u64, until: u64| {
        let packets = until.saturating_sub(3 + first).div_ceil(2);
        u32::try_from(packets).unwrap_or_default().wrapping_mul(size)
    };
    let closes = length >= 7;
    let data_end = if closes { length - 3 } else { length };
    let until = step.min(data_end);
    let client = client_start.wrapping_add(1).wrapping_add(sent_by(0, until));
    let server = server_start.wrapping_add(1).wrapping_add(sent_by(1, until));
    match step {
        0 => forward.tcp(client_start, 0, TcpFlags::SYN),
        1 => backward.tcp(server_start, client_start.wrapping_add(1), TcpFlags::SYN | TcpFlags::ACK),
        2 => forward.tcp(client, server, TcpFlags::ACK),
        _ if closes && step == length - 3 => forward.tcp(client, server, LAST),
        _ if closes && step == length - 2 => backward.tcp(server, client.wrapping_add(1), LAST),
        _ if closes && step == length - 1 => {
            forward.tcp(client.wrapping_add(1), server.wrapping_add(1), TcpFlags::ACK)
        }
        _ if !step.is_multiple_of(2) => forward.tcp(client, server, DATA).payload(payload),
        _ => backward.tcp(server, client, DATA).payload(payload),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::convert::Infallible;

    use portcullis_wire::LinkType;
    use portcullis_wire::decode::Decoder;
    use portcullis_wire::decoded::BadChecksums;

    use super::*;

    fn frames(traffic: Traffic) -> (TrafficSummary, Vec<(u64, Vec<u8>)>) {
        let mut all = Vec::new();
        let result = traffic.for_each(|time, frame| {
            all.push((time.as_nanos(), frame.to_vec()));
            Ok::<_, Infallible>(())
        });
        let Ok(summary) = result;
        (summary, all)
    }

    #[test]
    fn a_capture_file_has_every_packet() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let summary = Traffic::new(1000, 70).write_pcap(file.path()).unwrap();
        assert_eq!((summary.packets, summary.tcp_flows, summary.udp_flows), (1000, 47, 23));
        // A header for the file and one for each packet.
        assert_eq!(file.as_file().metadata().unwrap().len(), 24 + 1000 * 16 + summary.bytes);
    }

    /// The flow a frame belongs to, the same for both directions.
    fn flow_key(frame: &[u8]) -> Vec<u8> {
        let (source, destination) = (&frame[26..30], &frame[30..34]);
        let (source_port, destination_port) = (&frame[34..36], &frame[36..38]);
        let forward = [source, source_port].concat();
        let backward = [destination, destination_port].concat();
        let (low, high) = if forward < backward { (forward, backward) } else { (backward, forward) };
        [low, high, vec![frame[23]]].concat()
    }

    fn check(packets: u64, flows: u32, concurrent: u32) {
        let traffic = Traffic { packets, flows, concurrent, payload: 50 };
        let (summary, all) = frames(traffic);
        assert_eq!(summary.packets, packets, "{traffic:?}");
        assert_eq!(summary.tcp_flows + summary.udp_flows, flows, "{traffic:?}");
        assert_eq!(u64::try_from(all.len()).unwrap(), packets);
        let keys: HashSet<Vec<u8>> = all.iter().map(|(_, frame)| flow_key(frame)).collect();
        assert_eq!(keys.len(), usize::try_from(flows).unwrap(), "{traffic:?}");
        assert!(all.is_sorted_by(|a, b| a.0 < b.0), "times grow");
    }

    #[test]
    fn counts_are_exact() {
        check(1, 1, 1);
        check(70, 10, 3);
        check(71, 10, 3);
        check(10, 10, 1000);
        check(5000, 700, 64);
        check(45_000, 41_000, 1000);
    }

    #[test]
    fn every_frame_decodes_without_a_remark() {
        let decoder = Decoder::default();
        for payload in [0, 1, 200, 1460] {
            let (_, all) = frames(Traffic { payload, ..Traffic::new(400, 40) });
            for (_, frame) in all {
                let decoded = decoder.decode(LinkType::Ethernet, None, false, &frame);
                assert_eq!(decoded.invalid, None);
                assert!(decoded.events.is_empty(), "{:?}", decoded.events);
                assert_eq!(decoded.bad_checksums, BadChecksums::default());
            }
        }
    }

    #[test]
    fn the_same_twice() {
        let traffic = Traffic::new(500, 40);
        assert_eq!(frames(traffic), frames(traffic));
    }

    /// Both ends of every connection agree on sequence numbers: what one sends next is what the
    /// other acknowledges.
    #[test]
    fn sequence_numbers_follow_each_other() {
        let (_, all) = frames(Traffic { packets: 600, flows: 30, concurrent: 7, payload: 99 });
        // By sender (source address and port): the next sequence number it will use.
        let mut next: HashMap<(Vec<u8>, Vec<u8>), u32> = HashMap::new();
        for (_, frame) in all.iter().filter(|(_, frame)| frame[23] == 6) {
            let forward = (frame[26..30].to_vec(), frame[34..36].to_vec());
            let backward = (frame[30..34].to_vec(), frame[36..38].to_vec());
            let word = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
            let (sequence, acknowledgement, flags) = (word(38), word(42), frame[47]);
            if let Some(&expected) = next.get(&forward) {
                assert_eq!(sequence, expected);
            }
            if flags & TcpFlags::ACK != 0 {
                assert_eq!(acknowledgement, next[&backward]);
            }
            let payload = u32::try_from(frame.len() - 54).unwrap();
            let phantom = u32::from(flags & (TcpFlags::SYN | TcpFlags::FIN) != 0);
            next.insert(forward, sequence.wrapping_add(payload + phantom));
        }
        assert_eq!(next.len(), 2 * 20);
    }
}
