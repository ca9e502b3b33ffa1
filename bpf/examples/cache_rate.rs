//! How many frames a second the verdict cache drops and passes with 100,000 flows in it, against a bare `XDP_DROP` and a
//! bare redirect, and against the least that can be done with so much memory: `sudo -E cargo run --release -p portcullis-bpf
//! --example cache_rate`.
//!
//! Live frames (`BPF_PROG_TEST_RUN`) of ever other flows go out of one end of a veth pair, as fast as they go, and the
//! program is at the other end. Rates are by CPU time of the thread that sends, on which the other end's work is done, so
//! that they can be compared also while others use the machine. In each round everyone has a turn.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

mod measure;

use measure::flows::{CLIENT, fill, key};
use measure::live::{Bounds, Sender, Sink, attach};
use measure::{bare_drop, median, ratio};
use portcullis_bpf::{CacheAction, Gate, GateConfig, GatePort};
use portcullis_testkit::{NetNs, VethPair, require_root};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::os::fd::AsFd as _;

const FLOWS: u32 = 100_000;
/// Frames of a turn.
const FRAMES: u32 = 300_000;
const ROUNDS: usize = 15;

fn main() {
    require_root();
    let mut cpus = CpuSet::new();
    cpus.set(0);
    sched_setaffinity(None, &cpus).unwrap();
    let namespace = NetNs::new("cacherate").unwrap();
    let pairs =
        [("src0", "port0"), ("port1", "dst0"), ("drop0", "drop1"), ("from0", "via0"), ("via1", "to0")];
    for (near, far) in pairs {
        VethPair::between(&namespace, near, &namespace, far, 1, 1500).unwrap();
    }
    let locks = tempfile::tempdir().unwrap();
    namespace.run(|| measure(locks.path()));
}

fn measure(locks: &std::path::Path) {
    let port = |name: &str| GatePort { name: name.to_owned(), queues: 1 };
    let gate = Gate::load(&GateConfig {
        name: "cache-rate".to_owned(),
        ports: vec![port("port0"), port("port1")],
        cache: FLOWS,
        lock_dir: locks.to_owned(),
        ..GateConfig::default()
    })
    .unwrap();
    let keys: Vec<u64> = (0..FLOWS).map(key).collect();
    let bounds = Bounds::new(FLOWS, &keys);
    let bare = bare_drop();
    attach("via0", bounds.redirect("via1"));
    let _sinks = [Sink::at("dst0"), Sink::at("to0")];
    for flows in [FLOWS, 1000] {
        println!("{flows} flows of {FLOWS}, nanoseconds of a frame:");
        let sender = |egress: &str| Sender::of_flows(egress, CLIENT, flows);
        let (aside, over, through) = (sender("drop0"), sender("from0"), sender("src0"));
        let turn = |program| {
            attach("drop1", program);
            aside.round(FRAMES)
        };
        let cached = |action| {
            fill(&gate, FLOWS, action);
            through.round(FRAMES / 4);
            let before = gate.counters().unwrap();
            let own = through.round(FRAMES);
            let counted = gate.counters().unwrap().since(&before);
            let answered = counted.cache_passed + counted.cache_dropped;
            assert!(answered > u64::from(FRAMES / 1000 * 999), "{counted:?}");
            own
        };
        let mut turns: [Vec<f64>; 6] = Default::default();
        for _ in 0..ROUNDS {
            let found = [
                turn(bare.as_fd()),
                cached(CacheAction::Drop),
                turn(bounds.one_line()),
                turn(bounds.plain_hash()),
                over.round(FRAMES),
                cached(CacheAction::Pass),
            ];
            turns.iter_mut().zip(found).for_each(|(turns, own)| turns.push(own));
        }
        let against =
            |bare: &[f64], own: &[f64]| bare.iter().zip(own).map(|(bare, own)| bare / own).collect();
        let [bare, dropped, line, hash, redirect, passed] = turns;
        let names = [
            ("a cached drop against a bare XDP_DROP", &bare, &dropped),
            ("  a line of memory in a program against it", &bare, &line),
            ("  the kernel's hash in a program against it", &bare, &hash),
            ("a cached pass against a bare redirect", &redirect, &passed),
        ];
        for (name, bare, own) in names {
            ratio(name, against(bare, own));
        }
        let names = ["XDP_DROP", "cached drop", "a line", "the kernel's hash", "redirect", "cached pass"];
        for (name, own) in names.iter().zip([bare, dropped, line, hash, redirect, passed]) {
            median(&format!("  {name}"), own);
        }
    }
    gate.detach().unwrap();
}
