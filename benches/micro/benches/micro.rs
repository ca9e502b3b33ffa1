//! Nanoseconds: each piece of work with a fixed seed (decoder, flow table, worker, rules, reassembly, EVE, rings), the
//! module alone, the engine over few and many flows, and the tables.
//!
//! `cargo bench -p portcullis-bench-micro`

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use portcullis_bench_micro::floor::Floor;
use portcullis_bench_micro::flows::{Random, packet};
use portcullis_bench_micro::frames;
use portcullis_bench_micro::rig::{Rig, accept_all, looped};
use portcullis_bench_micro::tables::{Brown, Ours, START, Std, Table, fill, flow_table};
use portcullis_bench_micro::works;
use std::hint::black_box;
use std::time::Instant;

/// Each piece of work by itself.
fn works(c: &mut Criterion) {
    for kind in works::ALL {
        let mut work = (kind.make)();
        let mut group = c.benchmark_group(kind.group);
        group.throughput(Throughput::Elements(work.units));
        group.bench_function(kind.name, |b| b.iter(|| work.run()));
        group.finish();
    }
}

fn engine(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine");
    group.sample_size(10);
    for (flows, rounds) in [(1_000_u32, 500), (1_000_000, 1)] {
        let frames = frames::udp(flows);
        group.throughput(Throughput::Elements(u64::from(flows) * rounds));
        let mut rig = Rig::new("");
        // All flows are there before the first measured packet.
        rig.judge(&mut looped(&frames, 1));
        group.bench_function(format!("module alone, {flows} flows"), |b| {
            b.iter_custom(|iterations| {
                let mut module = looped(&frames, rounds * iterations);
                let start = Instant::now();
                black_box(accept_all(&mut module));
                start.elapsed()
            });
        });
        group.bench_function(format!("flow tracking, {flows} flows"), |b| {
            b.iter_custom(|iterations| {
                let mut module = looped(&frames, rounds * iterations);
                let start = Instant::now();
                black_box(rig.judge(&mut module));
                start.elapsed()
            });
        });
    }
    group.finish();
}

/// Look-up and update at 64 k flows; `bench-micro tables` has the larger ones.
fn tables(c: &mut Criterion) {
    const FLOWS: u64 = 65_536;
    const PACKETS: usize = 512;
    let mut group = c.benchmark_group("tables");
    group.throughput(Throughput::Elements(PACKETS as u64));
    let mut tables: Vec<Box<dyn Table>> = vec![
        Box::new(Ours { table: flow_table(2 * FLOWS), sweeping: true }),
        Box::new(Floor::new(FLOWS)),
        Box::new(Std::new(FLOWS)),
        Box::new(Brown::new(FLOWS, false)),
        Box::new(Brown::new(FLOWS, true)),
    ];
    for table in &mut tables {
        fill(table.as_mut(), FLOWS, 4, |_| START);
        let mut random = Random(1);
        group.bench_function(table.name(), |b| {
            let draw = || (0..PACKETS).map(|_| packet(random.below(FLOWS), 4)).collect::<Vec<_>>();
            b.iter_batched_ref(draw, |packets| table.take(packets, &[], START), BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, works, engine, tables);
criterion_main!(benches);
