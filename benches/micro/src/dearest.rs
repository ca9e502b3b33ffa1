//! The dearest packet: a search over payloads, ports and directions for what costs the rules most. A payload that
//! costs more than the one it was made from takes its place; what is put into payloads is what the rules look for.

use anyhow::{Context, Result, ensure};
use portcullis_bench_micro::random::Random;
use portcullis_bench_micro::spread::Spread;
use portcullis_bench_micro::{cpu_time, payloads, rulegen};
use portcullis_detect::{Direction, FlowFacts, Input, LoadOptions, RuleSet, Scratch, Source};
use portcullis_wire::Decoded;
use portcullis_wire::decoded::{Tcp, TcpFlags, Transport, Udp, mapped};
use std::path::PathBuf;

/// How many packets are bred side by side.
const POPULATION: usize = 16;

/// Each is measured so often, and the quickest counts: what interrupts only adds.
const TRIES: usize = 3;

/// Arguments of `dearest`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A rule file; generated rules without one
    #[arg(long)]
    file: Option<PathBuf>,

    /// Number of generated rules
    #[arg(long, default_value_t = 1000)]
    rules: u32,

    /// Longest payload, in bytes
    #[arg(long, default_value_t = 1460)]
    length: usize,

    /// Packets tried
    #[arg(long, default_value_t = 30_000)]
    packets: u32,

    /// Work for one packet at most, in steps; the default is that of detection
    #[arg(long)]
    work: Option<u32>,

    /// Seed of the search
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// One packet, as far as rules care.
#[derive(Clone, Debug)]
struct Candidate {
    payload: Vec<u8>,
    direction: Direction,
    is_udp: bool,
    ports: (u16, u16),
}

/// What a packet cost.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    nanos: f64,
    work: u32,
    unjudged: u32,
}

/// Searches and prints.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let text = match &arguments.file {
        Some(path) => std::fs::read(path).with_context(|| path.display().to_string())?,
        None => rulegen::rules(arguments.rules, true).into_bytes(),
    };
    let mut options = LoadOptions::default();
    let home = "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]";
    // What public rules call networks and ports.
    for name in ["HOME_NET", "HTTP_SERVERS", "SMTP_SERVERS", "SQL_SERVERS", "DNS_SERVERS", "TELNET_SERVERS"] {
        options.address_groups.insert(name.to_owned(), home.to_owned());
    }
    options.address_groups.insert("EXTERNAL_NET".to_owned(), "any".to_owned());
    for (name, ports) in
        [("HTTP_PORTS", "80"), ("SHELLCODE_PORTS", "!80"), ("SSH_PORTS", "22"), ("ORACLE_PORTS", "1521")]
    {
        options.port_groups.insert(name.to_owned(), ports.to_owned());
    }
    options.packet_work_max = arguments.work.unwrap_or(options.packet_work_max);
    let loaded = RuleSet::load(&[Source { name: "rules", text: &text }], &options);
    ensure!(!loaded.rules.is_empty(), "no rule could be loaded");
    println!(
        "{} rules, {} more refused; at most {} steps",
        loaded.rules.len(),
        loaded.refused,
        options.packet_work_max
    );
    let tokens = tokens(&String::from_utf8_lossy(&text));
    let mut search = Search {
        rules: &loaded.rules,
        scratch: Scratch::new(&loaded.rules),
        random: Random::new(arguments.seed),
        tokens,
        length: arguments.length,
    };
    let (dearest, cost) = search.climb(arguments.packets);
    let times = Spread::of((0..101).map(|_| search.once(&dearest).nanos / 1000.0));
    println!("  dearest: {times:.1} µs, {} steps of work, {} rules unjudged", cost.work, cost.unjudged);
    let protocol = if dearest.is_udp { "udp" } else { "tcp" };
    let (from, to) = dearest.ports;
    println!("  {protocol} {from} -> {to} {}, {} bytes", dearest.direction.name(), dearest.payload.len());
    println!("  {:.200}", dearest.payload.escape_ascii().to_string());
    Ok(())
}

/// The contents in the rules' text.
fn tokens(text: &str) -> Vec<Vec<u8>> {
    let mut tokens = rulegen::sought(text);
    tokens.extend([b"\r\n".to_vec(), b"a".to_vec(), vec![0], vec![0xff; 4], b"<".to_vec(), b"name".to_vec()]);
    tokens
}

struct Search<'r> {
    rules: &'r RuleSet,
    scratch: Scratch,
    random: Random,
    tokens: Vec<Vec<u8>>,
    length: usize,
}

impl Search<'_> {
    /// Breeds packets; gives the dearest.
    fn climb(&mut self, packets: u32) -> (Candidate, Cost) {
        let mut living: Vec<(Candidate, Cost)> = Vec::new();
        let mut starts = payloads::http(POPULATION / 2);
        starts.extend(rulegen::dense(POPULATION / 2, &self.tokens));
        for mut payload in starts {
            payload.truncate(self.length);
            let first =
                Candidate { payload, direction: Direction::ToServer, is_udp: false, ports: (40_000, 80) };
            let cost = self.cost(&first);
            living.push((first, cost));
        }
        for _ in 0..packets {
            let place = usize::try_from(self.random.below(living.len() as u64)).unwrap_or(0);
            let mate = self.random.pick(&living).0.payload.clone();
            let Some((candidate, cost)) = living.get(place).cloned() else { continue };
            let changed = self.changed(candidate, &mate);
            let new = self.cost(&changed);
            // Once in a while the cheapest gives way to any.
            if new.nanos > cost.nanos {
                living[place] = (changed, new);
            }
        }
        living.sort_by(|(_, one), (_, other)| other.nanos.total_cmp(&one.nanos));
        living.swap_remove(0)
    }

    fn changed(&mut self, mut candidate: Candidate, mate: &[u8]) -> Candidate {
        for _ in 0..=self.random.below(3) {
            self.change(&mut candidate, mate);
        }
        candidate
    }

    fn change(&mut self, candidate: &mut Candidate, mate: &[u8]) {
        let payload = &mut candidate.payload;
        let at = usize::try_from(self.random.below(payload.len() as u64 + 1)).unwrap_or(0);
        match self.random.below(9) {
            0 => {
                candidate.ports.1 = *self.random.pick(&[80, 25, 21, 445, 1433, 53, 8080, 443, 22, 139, 6667])
            }
            1 => candidate.ports = (candidate.ports.1, candidate.ports.0),
            2 => {
                candidate.direction = match candidate.direction {
                    Direction::ToServer => Direction::ToClient,
                    Direction::ToClient => Direction::ToServer,
                }
            }
            3 => candidate.is_udp = !candidate.is_udp,
            // A piece again and again, from here on.
            4 => {
                let piece = self.random.pick::<Vec<u8>>(&self.tokens).clone();
                let times = usize::try_from(self.random.below(200)).unwrap_or(0);
                payload.truncate(at);
                payload.extend(piece.iter().cycle().take(piece.len() * times));
            }
            5 => {
                payload.truncate(at);
                payload.extend(mate.iter().skip(at));
            }
            6 => payload.insert(at, self.random.byte()),
            _ => {
                let piece = self.random.pick::<Vec<u8>>(&self.tokens);
                for (to, from) in payload.iter_mut().skip(at).zip(piece) {
                    *to = *from;
                }
            }
        }
        payload.truncate(self.length);
    }

    fn cost(&mut self, candidate: &Candidate) -> Cost {
        let tries = (0..TRIES).map(|_| self.once(candidate));
        tries.min_by(|one, other| one.nanos.total_cmp(&other.nanos)).unwrap_or_default()
    }

    fn once(&mut self, candidate: &Candidate) -> Cost {
        let Candidate { payload, direction, is_udp, ports } = candidate;
        let decoded = packet(*direction, *is_udp, *ports);
        let flow = FlowFacts {
            direction: *direction,
            established: true,
            stream_data: !is_udp,
            first_in_direction: true,
            ..FlowFacts::default()
        };
        let input = Input { decoded: &decoded, frame: payload, payload, flow: Some(flow), bits: None };
        let before = cpu_time();
        let outcome = std::hint::black_box(self.rules.inspect(&input, &mut self.scratch));
        let nanos = cpu_time().saturating_sub(before).as_nanos() as f64;
        Cost { nanos, work: outcome.work, unjudged: outcome.unjudged.rules }
    }
}

fn packet(direction: Direction, is_udp: bool, (source_port, destination_port): (u16, u16)) -> Decoded {
    let (client, server) = (mapped([10, 0, 0, 1]), mapped([192, 168, 0, 1]));
    let (source, destination) = match direction {
        Direction::ToServer => (client, server),
        Direction::ToClient => (server, client),
    };
    let tcp = Tcp { flags: TcpFlags(TcpFlags::ACK | TcpFlags::PSH), ..Tcp::default() };
    Decoded {
        ip_version: 4,
        protocol: if is_udp { 17 } else { 6 },
        ttl: 64,
        source,
        destination,
        source_port,
        destination_port,
        transport: if is_udp { Transport::Udp(Udp { length: 8 }) } else { Transport::Tcp(tcp) },
        ..Decoded::default()
    }
}
