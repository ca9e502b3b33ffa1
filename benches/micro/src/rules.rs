//! Rules: how long a set takes to compile, how much memory, and how quickly payloads are judged by it.

use anyhow::{Result, ensure};
use portcullis_bench_micro::spread::Spread;
use portcullis_bench_micro::{cpu_time, payloads, rulegen};
use portcullis_detect::{Direction, FlowFacts, Input, LoadOptions, RuleSet, Scratch, Source};
use portcullis_wire::Decoded;
use portcullis_wire::decoded::{Tcp, TcpFlags, Transport, mapped};

/// Arguments of `rules`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Numbers of rules
    #[arg(long, value_delimiter = ',', default_value = "1000,25000")]
    rules: Vec<u32>,

    /// Networks in the lists of addresses
    #[arg(long, default_value_t = 100_000)]
    networks: u32,

    /// Payloads of each corpus
    #[arg(long, default_value_t = 2000)]
    payloads: usize,

    /// Rounds over each corpus
    #[arg(long, default_value_t = 20)]
    rounds: usize,
}

/// Measures and prints.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let http = payloads::http(arguments.payloads);
    for count in &arguments.rules {
        let text = rulegen::rules(*count, true);
        let rules = load(&text)?;
        // Of these very rules: whole patterns, which have to be judged.
        let dense = rulegen::dense(arguments.payloads, &rulegen::sought(&text));
        for (name, corpus) in [("HTTP-like", &http), ("match-dense", &dense)] {
            for direction in [Direction::ToServer, Direction::ToClient] {
                let rate = judge(&rules, corpus, direction, arguments.rounds);
                println!("  {name} {}: {rate:.1} Gbit/s of payload", direction.name());
            }
        }
    }
    let lists = load(&rulegen::lists(arguments.networks))?;
    let none = RuleSet::default();
    for (name, rules) in [("no rules", &none), ("lists of addresses", &lists)] {
        println!(
            "  {name}: {:.1} ns a packet that is the first of its flow",
            addresses(rules, arguments.rounds)
        );
    }
    Ok(())
}

fn load(text: &str) -> Result<RuleSet> {
    let before = cpu_time();
    let loaded =
        RuleSet::load(&[Source { name: "bench.rules", text: text.as_bytes() }], &LoadOptions::default());
    let took = cpu_time().saturating_sub(before);
    ensure!(
        loaded.errors.is_empty(),
        "{}",
        loaded.errors.first().map(ToString::to_string).unwrap_or_default()
    );
    let rules = loaded.rules;
    let memory = rules.search_memory() as f64 / f64::from(1 << 20);
    println!("{} rules: compiled in {took:.2?}, {memory:.1} MiB of search structures", rules.len());
    Ok(rules)
}

/// Gigabits of payload a second of CPU time.
fn judge(rules: &RuleSet, corpus: &[Vec<u8>], direction: Direction, rounds: usize) -> Spread {
    let decoded = packet(direction);
    let mut scratch = Scratch::new(rules);
    let flow = FlowFacts { direction, established: true, stream_data: true, ..FlowFacts::default() };
    let bits = corpus.iter().map(Vec::len).sum::<usize>() as f64 * 8.0;
    Spread::of((0..rounds).map(|_| {
        let before = cpu_time();
        for payload in corpus {
            let input = Input { decoded: &decoded, frame: payload, payload, flow: Some(flow), bits: None };
            let _ = std::hint::black_box(rules.inspect(&input, &mut scratch));
        }
        bits / cpu_time().saturating_sub(before).as_secs_f64() / 1e9
    }))
}

/// Nanoseconds of a packet without payload, each between other addresses.
fn addresses(rules: &RuleSet, rounds: usize) -> Spread {
    const PACKETS: u32 = 20_000;
    let mut scratch = Scratch::new(rules);
    let flow = FlowFacts { first_in_direction: true, ..FlowFacts::default() };
    let mut decoded = packet(Direction::ToServer);
    Spread::of((0..rounds).map(|_| {
        let before = cpu_time();
        for number in 0..PACKETS {
            decoded.source = mapped(number.wrapping_mul(2_654_435_761).to_be_bytes());
            decoded.destination = mapped(number.wrapping_mul(3_148_259_783).to_be_bytes());
            let input = Input { decoded: &decoded, frame: &[], payload: &[], flow: Some(flow), bits: None };
            let _ = std::hint::black_box(rules.inspect(&input, &mut scratch));
        }
        cpu_time().saturating_sub(before).as_secs_f64() * 1e9 / f64::from(PACKETS)
    }))
}

/// A segment of an HTTP connection.
fn packet(direction: Direction) -> Decoded {
    let (client, server) = ((mapped([10, 0, 0, 1]), 40_000), (mapped([93, 184, 216, 34]), 80));
    let (from, to) = match direction {
        Direction::ToServer => (client, server),
        Direction::ToClient => (server, client),
    };
    Decoded {
        ip_version: 4,
        protocol: 6,
        ttl: 64,
        source: from.0,
        destination: to.0,
        source_port: from.1,
        destination_port: to.1,
        transport: Transport::Tcp(Tcp { flags: TcpFlags(TcpFlags::ACK | TcpFlags::PSH), ..Tcp::default() }),
        ..Decoded::default()
    }
}
