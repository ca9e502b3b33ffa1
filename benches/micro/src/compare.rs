//! Look-up and update in every table, over the same packets, in turn.

use clap::Args;
use portcullis_bench_micro::cpu_time;
use portcullis_bench_micro::floor::Floor;
use portcullis_bench_micro::flows::{Popularity, Prepared, Random, packet};
use portcullis_bench_micro::spread::Spread;
use portcullis_bench_micro::tables::{Brown, Ours, START, Std, Table, fill, flow_table};
use portcullis_flow::Keyed;
use portcullis_wire::Timestamp;
use std::time::Duration;

/// Packets prepared before the clock runs: few enough to be in the cache.
const CHUNK: usize = 512;
/// Of four packets one begins a flow where flows come and go.
const NEWCOMER_EVERY: usize = 4;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Flows.
    #[arg(long, value_delimiter = ',', default_values_t = [65_536, 1_000_000, 10_000_000])]
    flows: Vec<u64>,
    /// IP versions.
    #[arg(long, value_delimiter = ',', default_values_t = [4, 6])]
    ip: Vec<u8>,
    /// Times that each table has its turn.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// The same while flows come and go: these turns are longer.
    #[arg(long, default_value_t = 3)]
    churn_rounds: usize,
    /// Packets of a turn; as many before them are not measured.
    #[arg(long, default_value_t = 200_000)]
    packets: usize,
}

/// What is asked of the tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    Known(Popularity),
    /// A flow is met in the first half of its life, then lingers until it is over.
    Churn,
}

/// What is set against the standard library's map at a time.
#[derive(Clone, Copy)]
struct Parts {
    ours: bool,
    hashbrown: bool,
}

impl Parts {
    /// All at once, or one after the other where all need more than 8 GB.
    const fn within_memory(flows: u64) -> &'static [Self] {
        if flows <= 4_000_000 {
            &[Self { ours: true, hashbrown: true }]
        } else {
            &[Self { ours: true, hashbrown: false }, Self { ours: false, hashbrown: true }]
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    println!(
        "ns of CPU time a packet, median (least to most); then std by this one, and this one by the floor"
    );
    for flows in &arguments.flows {
        for ip_version in arguments.ip.clone() {
            let uniform = ("uniform", Load::Known(Popularity::Uniform));
            let zipf = ("Zipf", Load::Known(Popularity::Zipf));
            for parts in Parts::within_memory(*flows) {
                one_fill(arguments, *flows, ip_version, *parts, &[uniform, zipf]);
                one_fill(arguments, *flows, ip_version, *parts, &[("churning", Load::Churn)]);
            }
        }
    }
    Ok(())
}

/// Fills all tables and measures these loads on them.
fn one_fill(arguments: &Arguments, flows: u64, ip_version: u8, parts: Parts, loads: &[(&str, Load)]) {
    let churning = loads.iter().any(|(_, load)| *load == Load::Churn);
    // Room for the flows that are over and not yet swept; and a full table would be in emergency mode.
    let room = flows + 1024 + if churning { flows / 8 } else { 0 };
    let mut tables: Vec<Box<dyn Table>> = vec![Box::new(Std::new(room))];
    if parts.ours {
        tables.push(Box::new(Ours { table: flow_table(room), sweeping: true }));
    }
    if parts.ours && !churning {
        tables.push(Box::new(Floor::new(room)));
    }
    if parts.hashbrown {
        tables.push(Box::new(Brown::new(room, false)));
        tables.push(Box::new(Brown::new(room, true)));
    }
    for table in &mut tables {
        fill(
            table.as_mut(),
            flows,
            ip_version,
            |flow| if churning { newcomer_time(flow, flows) } else { START },
        );
    }
    for (name, load) in loads {
        let course = Course::new(*load, flows, ip_version);
        let rounds = measure(arguments, &mut tables, &course);
        println!("\n{flows} flows, IPv{ip_version}, {name}:");
        let floor = tables.iter().position(|table| table.name() == "floor");
        for (place, table) in tables.iter().enumerate() {
            let column = |place: usize| rounds.iter().map(move |round: &Vec<f64>| round[place]);
            let ns = Spread::of(column(place));
            let gain = Spread::of(column(0).zip(column(place)).map(|(std, this)| std / this));
            print!("  {:<34} {ns:.1} | {gain:.2}", table.name());
            if let Some(floor) = floor {
                print!(
                    " | {:.2}",
                    Spread::of(column(place).zip(column(floor)).map(|(this, floor)| this / floor))
                );
            }
            println!(" ({} flows)", table.len());
        }
    }
}

/// Each table in turn, so often; nanoseconds a packet by round and table.
fn measure(arguments: &Arguments, tables: &mut [Box<dyn Table>], course: &Course) -> Vec<Vec<f64>> {
    let mut courses = vec![course.clone(); tables.len()];
    // While flows come and go a turn goes once through the table: the sweep comes by every place, and as
    // many flows end as begin.
    let all = usize::try_from(course.flows).unwrap_or(usize::MAX);
    let packets = if course.load == Load::Churn { arguments.packets.max(all) } else { arguments.packets };
    let rounds = if course.load == Load::Churn { arguments.churn_rounds } else { arguments.rounds };
    let mut round = || {
        let turns = tables.iter_mut().zip(&mut courses);
        turns.map(|(table, course)| turn(table.as_mut(), course, packets)).collect()
    };
    (0..rounds).map(|_| round()).collect()
}

fn turn(table: &mut dyn Table, course: &mut Course, packets: usize) -> f64 {
    let chunks = packets.div_ceil(CHUNK);
    let mut taken = Duration::ZERO;
    for chunk in 0..2 * chunks {
        course.prepare();
        let start = cpu_time();
        table.take(&course.packets, &course.gone, course.now);
        if chunk >= chunks {
            taken += cpu_time().saturating_sub(start);
        }
    }
    taken.as_secs_f64() * 1e9 / f64::from(u32::try_from(chunks * CHUNK).unwrap_or(u32::MAX))
}

/// The same packets for every table.
#[derive(Clone)]
struct Course {
    load: Load,
    flows: u64,
    ip_version: u8,
    random: Random,
    /// Flows that began, those that the table was filled with included.
    begun: u64,
    now: Timestamp,
    packets: Vec<Prepared>,
    gone: Vec<Keyed>,
}

impl Course {
    fn new(load: Load, flows: u64, ip_version: u8) -> Self {
        let (packets, gone) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
        let now = if load == Load::Churn { newcomer_time(flows, flows) } else { START };
        Self { load, flows, ip_version, random: Random(1), begun: flows, now, packets, gone }
    }

    fn prepare(&mut self) {
        self.packets.clear();
        self.gone.clear();
        for place in 0..CHUNK {
            let flow = match self.load {
                Load::Known(popularity) => popularity.choose(self.flows, &mut self.random),
                Load::Churn if place % NEWCOMER_EVERY == 0 => {
                    self.begun += 1;
                    self.gone.push(packet(self.begun - 1 - self.flows, self.ip_version).keyed);
                    self.begun - 1
                }
                Load::Churn => self.begun - 1 - self.random.below(self.flows / 2),
            };
            self.packets.push(packet(flow, self.ip_version));
        }
        if self.load == Load::Churn {
            self.now = newcomer_time(self.begun, self.flows);
        }
    }
}

/// When a flow begins where flows come and go: half of the flows in the 30 s after which one that
/// nobody answers is over.
fn newcomer_time(flow: u64, flows: u64) -> Timestamp {
    Timestamp::from_nanos(START.as_nanos() + flow * (60_000_000_000 / flows))
}
