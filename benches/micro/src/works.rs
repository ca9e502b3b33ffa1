//! Pieces of work with fixed seeds, the same for the suites of criterion, which time them, and for callgrind, which
//! counts their instructions.
//!
//! Each is made once, and then done any number of times: always so many units (packets, segments, records).

use crate::flows::{Prepared, Random, packet};
use crate::frames;
use crate::payloads;
use crate::rig::{Rig, looped};
use crate::rulegen;
use crate::samples::{self, Sample};
use crate::segments::{open, segment, take};
use crate::tables::{BURST, Ours, START, Table, fill, flow_table};
use portcullis_capture::memory::LoopModule;
use portcullis_defrag::{DefragSettings, Defragmenter, MAX_DATAGRAM, Outcome};
use portcullis_detect::{FlowFacts, Input, LoadOptions, RuleSet, Scratch, Source};
use portcullis_eve::{EveOptions, EventTypes, Formatter};
use portcullis_event::Record;
use portcullis_event::ring::{RingMode, ring};
use portcullis_flow::Direction;
use portcullis_stream::{Share, StreamSettings, Streams};
use portcullis_testkit::Traffic;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::{Tcp, TcpFlags, Transport, mapped};
use portcullis_wire::{Decoded, Decoder, DecoderConfig, LinkType, Timestamp};
use std::hint::black_box;

/// Few enough for valgrind; instructions do not depend on it.
const FLOWS: u32 = 4096;

/// One piece of work, ready to be done.
pub struct Work {
    /// Units each time.
    pub units: u64,
    run: Box<dyn FnMut()>,
}

impl Work {
    fn new(units: usize, run: impl FnMut() + 'static) -> Self {
        Self { units: units as u64, run: Box::new(run) }
    }

    /// Does it.
    pub fn run(&mut self) {
        (self.run)();
    }
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("units", &self.units).finish_non_exhaustive()
    }
}

/// A kind of work.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What it belongs to.
    pub group: &'static str,
    /// Its own name.
    pub name: &'static str,
    /// What its units are.
    pub unit: &'static str,
    /// Makes it, ready to be done.
    pub make: fn() -> Work,
}

const fn kind(group: &'static str, name: &'static str, unit: &'static str, make: fn() -> Work) -> Kind {
    Kind { group, name, unit, make }
}

/// All of them.
pub const ALL: &[Kind] = &[
    kind("decode", "decode", "packet", || decode(DecoderConfig::without_checksums())),
    kind("decode", "decode-verified", "packet", || decode(DecoderConfig::default())),
    kind("decode", "decode-plain", "frame", || samples(&samples::plain(), samples::ours())),
    kind("decode", "decode-mix", "frame", || samples(&samples::mixed(), samples::ours())),
    kind("decode", "etherparse-plain", "frame", || samples(&samples::plain(), samples::etherparse)),
    kind("decode", "etherparse-mix", "frame", || samples(&samples::mixed(), samples::etherparse)),
    kind("flow table", "table", "packet", || table(false)),
    kind("flow table", "table-and-sweep", "packet", || table(true)),
    kind("worker", "engine", "packet", || engine(false)),
    kind("worker", "engine-and-house", "packet", || engine(true)),
    kind("worker", "engine-tcp", "packet", acknowledgements),
    kind("worker", "conversations", "packet", conversations),
    kind("worker", "sessions", "packet", || sessions("")),
    kind("worker", "sessions-under-rules", "packet", || sessions(&rulegen::rules(RULES, false))),
    kind("rules", "rules", "payload", rules),
    kind("reassembly", "streams", "segment", streams),
    kind("reassembly", "fragments", "fragment", fragments),
    kind("EVE", "eve", "record", eve),
    kind("rings", "records", "record", records),
];

/// Rules where there are some.
const RULES: u32 = 1000;

/// Makes a piece of work by its name.
#[must_use]
pub fn by_name(name: &str) -> Option<Work> {
    ALL.iter().find(|kind| kind.name == name).map(|kind| (kind.make)())
}

fn decode(config: DecoderConfig) -> Work {
    let frames = frames::udp(FLOWS);
    let decoder = Decoder::new(config);
    let mut decoded = Decoded::default();
    Work::new(frames.len(), move || {
        for (_, _, frame) in &frames {
            decoder.decode_into(LinkType::Ethernet, None, false, black_box(frame), &mut decoded);
            black_box(&decoded);
        }
    })
}

/// Frames that etherparse decodes, too, by either.
fn samples(samples: &[Sample], mut take: impl FnMut(&Sample) + 'static) -> Work {
    let samples = samples.to_vec();
    Work::new(samples.len(), move || samples.iter().for_each(|sample| take(black_box(sample))))
}

/// Hash, look-up and update of known flows; `sweeping`: with what follows each burst.
fn table(sweeping: bool) -> Work {
    let flows = u64::from(FLOWS);
    let mut table = Ours { table: flow_table(2 * flows), sweeping };
    fill(&mut table, flows, 4, |_| START);
    let mut random = Random(1);
    let packets: Vec<Prepared> = (0..FLOWS).map(|_| packet(random.below(flows), 4)).collect();
    Work::new(packets.len(), move || packets.chunks(BURST).for_each(|burst| table.take(burst, &[], START)))
}

/// The flow worker on UDP packets of known flows, without rules, checksums verified.
fn engine(keep_house: bool) -> Work {
    let frames = frames::udp(FLOWS);
    let mut rig = Rig::new("");
    rig.judge(&mut looped(&frames, 1));
    let mut module = looped(&frames, u64::MAX);
    Work::new(frames.len(), move || {
        for _ in 0..frames.len() / BURST {
            rig.poll(&mut module, keep_house);
        }
    })
}

/// The flow worker on acknowledgements of established TCP connections, without rules, checksums verified, and what
/// follows each burst.
fn acknowledgements() -> Work {
    let frames::Connections { handshakes, acknowledgements } = frames::connections(FLOWS / 2);
    let mut rig = Rig::new("");
    rig.judge(&mut looped(&handshakes, 1));
    let mut module = looped(&acknowledgements, u64::MAX);
    Work::new(acknowledgements.len(), move || {
        for _ in 0..acknowledgements.len() / BURST {
            rig.poll(&mut module, true);
        }
    })
}

/// The same on connections with 250 segments of 100 bytes, and their begin and end.
fn conversations() -> Work {
    let frames = frames::conversations(16, 125, &[0x5a; 100]);
    let (mut rig, mut module) = (Rig::new(""), looped(&frames, u64::MAX));
    Work::new(frames.len(), move || {
        for _ in 0..frames.len() / BURST {
            rig.poll(&mut module, true);
        }
        rig.records(|record| {
            black_box(record);
        });
    })
}

/// The flow worker on whole flows, two of three over TCP, with handshake, data both ways and an end, flow records and
/// all.
fn sessions(rules: &str) -> Work {
    let (mut rig, mut module, packets) = (Rig::new(rules), traffic(), packets());
    Work::new(packets, move || {
        for _ in 0..packets / BURST {
            rig.poll(&mut module, true);
        }
        rig.records(|record| {
            black_box(record);
        });
    })
}

fn traffic() -> LoopModule {
    let mut frames = Vec::new();
    let traffic = Traffic { concurrent: 200, ..Traffic::new(7 * u64::from(FLOWS), FLOWS) };
    let made = traffic.for_each(|time, frame| {
        frames.push((time, portcullis_capture::PortId(0), frame.to_vec()));
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(_) = made;
    LoopModule::new(frames, u64::MAX)
}

const fn packets() -> usize {
    7 * FLOWS as usize
}

fn load(rules: &str) -> RuleSet {
    let source = Source { name: "bench.rules", text: rules.as_bytes() };
    RuleSet::load(&[source], &LoadOptions::default()).rules
}

/// HTTP-like payloads under rules in the shapes of public sets.
fn rules() -> Work {
    let (rules, payloads) = (load(&rulegen::rules(RULES, true)), payloads::http(500));
    let mut scratch = Scratch::new(&rules);
    let tcp = Tcp { flags: TcpFlags(TcpFlags::ACK | TcpFlags::PSH), ..Tcp::default() };
    let decoded = Decoded {
        ip_version: 4,
        protocol: 6,
        ttl: 64,
        source: mapped([10, 0, 0, 1]),
        destination: mapped([93, 184, 216, 34]),
        source_port: 40_000,
        destination_port: 80,
        transport: Transport::Tcp(tcp),
        ..Decoded::default()
    };
    let direction = portcullis_detect::Direction::ToServer;
    let flow = FlowFacts { direction, established: true, stream_data: true, ..FlowFacts::default() };
    Work::new(payloads.len(), move || {
        for payload in &payloads {
            let input = Input { decoded: &decoded, frame: payload, payload, flow: Some(flow), bits: None };
            let _ = black_box(rules.inspect(&input, &mut scratch));
        }
    })
}

/// Segments of 1460 bytes in order, acknowledged every sixteen, inspected by rules that look back 64 bytes.
///
/// # Panics
/// If there is no memory for one session.
fn streams() -> Work {
    const SEGMENTS: u32 = 4096;
    const LENGTH: u32 = 1460;
    let mut settings = StreamSettings { inline: true, ..StreamSettings::default() };
    settings.reassembly.depth = 0;
    let mut streams = match Streams::new(&settings, Share { workers: 1, seed: 7 }) {
        Ok(streams) => streams,
        Err(error) => panic!("{error}"),
    };
    streams.set_reach(Some(64));
    let payload = vec![b'x'; LENGTH as usize];
    Work::new(SEGMENTS as usize, move || {
        let Some(session) = open(&mut streams) else { panic!("no session") };
        for number in 0..SEGMENTS {
            let place = number * LENGTH;
            take(&mut streams, session, &segment(Direction::ToServer, place, 0, &payload));
            if number % 16 == 15 {
                take(&mut streams, session, &segment(Direction::ToClient, 0, place + LENGTH, &[]));
            }
        }
        streams.release(session);
    })
}

/// Datagrams of 64 KiB in fragments of 1480 bytes, put together.
///
/// # Panics
/// If there is no memory for the defragmenter.
fn fragments() -> Work {
    const LENGTH: u32 = 1480;
    const PARTS: u32 = 44;
    const DATAGRAMS: u32 = 32;
    let payload = vec![0x5a; LENGTH as usize];
    let lot: Vec<(Decoded, Vec<u8>)> = (0..DATAGRAMS * PARTS)
        .map(|number| {
            let (datagram, part) = (number / PARTS, number % PARTS);
            let frame = PacketBuilder::raw()
                .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
                .ip_id(datagram)
                .protocol(253)
                .fragment(u16::try_from(part * LENGTH).unwrap_or(0), part + 1 < PARTS)
                .payload(&payload)
                .to_vec();
            (Decoder::default().decode(LinkType::Raw, None, false, &frame), frame)
        })
        .collect();
    let settings = DefragSettings { inline: true, ..DefragSettings::default() };
    let mut defrag = match Defragmenter::new(&settings, 1, 7) {
        Ok(defrag) => defrag,
        Err(error) => panic!("{error}"),
    };
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut now = START;
    Work::new(lot.len(), move || {
        // Long enough for whoever waits from the last time to be gone.
        now = now.after(std::time::Duration::from_secs(3600));
        for (decoded, frame) in &lot {
            match defrag.insert(decoded, frame, 0, now).outcome {
                Outcome::Complete(ticket) => {
                    black_box(defrag.assemble(&ticket, &mut buffer));
                    defrag.conclude(ticket, true);
                }
                Outcome::Taken(ticket) | Outcome::Duplicate(ticket) => defrag.conclude(ticket, true),
                Outcome::Refused(_) => {}
            }
        }
    })
}

/// Flow records as the worker made them.
fn flow_records() -> Vec<Vec<u8>> {
    let (mut rig, mut module) = (Rig::new(""), traffic());
    for _ in 0..packets() / BURST {
        rig.poll(&mut module, true);
    }
    rig.worker().finish(module_end(), &portcullis_capture::CaptureStats::default());
    let mut records = Vec::new();
    rig.records(|record| records.push(record.to_vec()));
    records.truncate(1000);
    records
}

const fn module_end() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

/// Flow records, from bytes to lines.
fn eve() -> Work {
    let records = flow_records();
    let types = EventTypes { flow: true, ..EventTypes::NONE };
    let mut formatter = Formatter::new(EveOptions { types, ..EveOptions::default() });
    let mut line = Vec::with_capacity(4096);
    Work::new(records.len(), move || {
        for bytes in &records {
            line.clear();
            if let Ok(record) = Record::decode(bytes) {
                formatter.format(&record, &mut line);
            }
            black_box(&line);
        }
    })
}

/// Flow records through a ring: encoded, pushed, taken out.
fn records() -> Work {
    let records = flow_records();
    let (mut producer, mut consumer) = ring(1 << 20, RingMode::Live);
    let mut taken = Vec::with_capacity(4096);
    Work::new(records.len(), move || {
        for bytes in &records {
            if let Ok(record) = Record::decode(bytes) {
                // What is refused would be counted; nothing is, for it is taken at once.
                let _ = producer.push(&record);
            }
            black_box(consumer.pop(&mut taken));
        }
    })
}
