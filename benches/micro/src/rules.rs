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

    /// One corpus instead of both
    #[arg(long)]
    corpus: Option<Corpus>,
}

/// What is inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Corpus {
    /// Requests, pages, scripts, data
    Http,
    /// Nothing but contents of the rules
    Dense,
}

/// Measures and prints.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let http = payloads::http(arguments.payloads);
    for count in &arguments.rules {
        let text = rulegen::rules(*count, true);
        let rules = load(&text)?;
        // Of these very rules: whole patterns, which have to be judged.
        let dense = rulegen::dense(arguments.payloads, &rulegen::sought(&text));
        let corpora = [(Corpus::Http, "HTTP-like", &http), (Corpus::Dense, "match-dense", &dense)];
        for (_, name, corpus) in
            corpora.into_iter().filter(|(kind, ..)| arguments.corpus.is_none_or(|one| one == *kind))
        {
            for direction in [Direction::ToServer, Direction::ToClient] {
                let rate = judge(&rules, corpus, direction, arguments.rounds);
                println!("  {name} {}: {rate:.1} Gbit/s of payload", direction.name());
            }
        }
    }
    let none = RuleSet::default();
    for version in [4, 6] {
        let lists = load(&rulegen::lists(arguments.networks, version))?;
        for (name, rules) in [("no rules", &none), ("lists of addresses", &lists)] {
            let took = addresses(rules, version, arguments.rounds);
            println!("  IPv{version}, {name}: {took:.1} ns a packet that is the first of its flow");
        }
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
fn addresses(rules: &RuleSet, version: u8, rounds: usize) -> Spread {
    const PACKETS: u32 = 20_000;
    let mut scratch = Scratch::new(rules);
    let flow = FlowFacts { first_in_direction: true, ..FlowFacts::default() };
    let mut decoded = Decoded { ip_version: version, ..packet(Direction::ToServer) };
    let address = |number: u32, spread: u32| {
        let number = number.wrapping_mul(spread);
        match version {
            4 => mapped(number.to_be_bytes()),
            // Its networks are spread over 2000::/3.
            _ => {
                (0x2000_u128 << 112 | u128::from(number) << 93 | u128::from(number.rotate_left(9)) << 64 | 1)
                    .to_be_bytes()
            }
        }
    };
    Spread::of((0..rounds).map(|_| {
        let before = cpu_time();
        for number in 0..PACKETS {
            decoded.source = address(number, 2_654_435_761);
            decoded.destination = address(number, 3_148_259_783);
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
