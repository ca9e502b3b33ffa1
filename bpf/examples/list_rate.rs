//! How many frames a second a blocklist of a million addresses and 50,000 networks drops, against a bare `XDP_DROP`, and what
//! is lost while it is put in force anew over and over.
//!
//! Live frames (`BPF_PROG_TEST_RUN`) from ever other sources go out of one end of a veth pair, as fast as they go, and the
//! program is at the other end. Rates are by CPU time of the thread that sends, on which the other end's work is done, so
//! that they can be compared also while others use the machine. Every round has its bare one before it.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

mod measure;
use measure::lists::{ADDRESSES, NETWORKS, SOURCES, blocklist};
use measure::live::{Sender, Sink, attach, attach_nothing};
use measure::{bare_drop, median, ratio};
use portcullis_bpf::{Gate, GateConfig, GatePort, ListPolicy, ListRoom, Lists};
use portcullis_lists::{ListId, Marks, Table};
use portcullis_testkit::{NetNs, VethPair, require_root};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// Frames of a round.
const FRAMES: u32 = 300_000;
const ROUNDS: usize = 9;
/// Rounds while lists are put in force anew.
const RELOADED: usize = 10;

fn main() {
    require_root();
    let mut cpus = CpuSet::new();
    cpus.set(0);
    sched_setaffinity(None, &cpus).unwrap();
    let namespace = NetNs::new("listrate").unwrap();
    for (near, far) in [("bare0", "bare1"), ("src0", "port0"), ("port1", "dst0")] {
        VethPair::between(&namespace, near, &namespace, far, 1, 1500).unwrap();
    }
    let locks = tempfile::tempdir().unwrap();
    namespace.run(|| measure(locks.path()));
}

fn measure(locks: &std::path::Path) {
    let port = |name: &str| GatePort { name: name.to_owned(), queues: 1 };
    let gate = Gate::load(&GateConfig {
        name: "list-rate".to_owned(),
        ports: vec![port("port0"), port("port1")],
        lists: ListRoom::any(ADDRESSES + NETWORKS),
        lock_dir: locks.to_owned(),
        ..GateConfig::default()
    })
    .unwrap();
    let (set, list) = (blocklist(), ListId::new(0).unwrap());
    let table = Table::new(std::iter::once((list, &set)));
    let mark = Marks::of(list);
    let policy =
        ListPolicy { sources: mark, destinations: mark, drop: mark, forward: true, ..ListPolicy::default() };
    let mut lists = Lists::open(&gate.lists().unwrap()).unwrap();
    lists.publish(&table, &[], &policy).unwrap();
    let bare = bare_drop();
    attach("bare1", bare.as_fd());

    for (name, sources) in SOURCES {
        let aside = Sender::new("bare0", sources);
        let through = Sender::new("src0", sources);
        if sources.listed {
            let (mut rates, mut ratios) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let bare = aside.round(FRAMES);
                let before = gate.counters().unwrap();
                let own = through.round(FRAMES);
                let blocked = gate.counters().unwrap().since(&before).list_blocked;
                assert_eq!(blocked, u64::from(FRAMES), "{name}: all that was sent is dropped by the list");
                ratios.push(bare / own);
                rates.push(own);
            }
            median(&format!("{name}: dropped by the list"), rates);
            ratio("  of a bare XDP_DROP's rate", ratios);
        }
        reloaded(&gate, &through, sources.listed, name, || lists.publish(&table, &[], &policy).unwrap());
    }
    gate.detach().unwrap();
}

/// Sends while lists are put in force anew, one after the other: what is on them is dropped, and what is not arrives.
fn reloaded(gate: &Gate, sender: &Sender, is_listed: bool, name: &str, mut publish: impl FnMut() + Send) {
    let sink = Sink::at("dst0");
    let before = gate.counters().unwrap();
    let done = AtomicBool::new(false);
    let reloads = std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            // Where there is another CPU, on that.
            let mut cpus = CpuSet::new();
            (0..CpuSet::MAX_CPU).for_each(|cpu| cpus.set(cpu));
            sched_setaffinity(None, &cpus).unwrap();
            let mut reloads = 0;
            while !done.load(Ordering::Relaxed) {
                publish();
                reloads += 1;
            }
            reloads
        });
        (0..RELOADED).for_each(|_| {
            sender.round(FRAMES);
        });
        done.store(true, Ordering::Relaxed);
        publishing.join().unwrap()
    });
    let sent = u64::from(FRAMES) * RELOADED as u64;
    let counted = gate.counters().unwrap().since(&before);
    let (blocked, passed, arrived) = (counted.list_blocked, counted.uninspected, sink.arrived());
    println!(
        "{name}: {sent} frames during {reloads} reloads: {blocked} dropped by the list, {passed} passed on, {arrived} arrived"
    );
    let expected = if is_listed { (sent, 0, 0) } else { (0, sent, sent) };
    assert_eq!((blocked, passed, arrived), expected, "{name}");
    attach_nothing("dst0");
}
