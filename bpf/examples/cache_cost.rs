//! What the verdict cache costs a frame with 100,000 flows in it.
//!
//! Frames go through the gate's program one by one in random order (`BPF_PROG_TEST_RUN`), so that the cache is as cold as
//! many flows make it, in turn with a program that does nothing but drop; the very same frame again and again is told, too.
//! A frame that passes is redirected to nobody here: what a redirect itself takes is not in it.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

mod measure;

use measure::flows::{fill, frame_of};
use measure::lists::scattered;
use measure::{bare_drop, mean_ns, median, program_of, run};
use portcullis_bpf::{CacheAction, Gate, GateConfig, GatePort, device};
use portcullis_testkit::{NetNs, VethPair, require_root};

const FLOWS: u32 = 100_000;
const FRAMES: u32 = 100_000;
const REPEATED: u32 = 1_000_000;
const ROUNDS: usize = 7;

fn main() {
    require_root();
    let namespace = NetNs::new("cachecost").unwrap();
    VethPair::between(&namespace, "port0", &namespace, "port1", 1, 1500).unwrap();
    let locks = tempfile::tempdir().unwrap();
    namespace.run(|| measure(locks.path()));
}

fn measure(locks: &std::path::Path) {
    let port = |name: &str| GatePort { name: name.to_owned(), queues: 1 };
    let gate = Gate::load(&GateConfig {
        name: "cache-cost".to_owned(),
        ports: vec![port("port0"), port("port1")],
        cache: FLOWS,
        lock_dir: locks.to_owned(),
        ..GateConfig::default()
    })
    .unwrap();
    let ifindex = device::ifindex("port0").unwrap();
    let (gated, bare) = (program_of(ifindex), bare_drop());
    let frames: Vec<Vec<u8>> = (0..FRAMES).map(|number| frame_of(scattered(number) % FLOWS)).collect();
    let turns =
        [("no entry", None), ("a drop", Some(CacheAction::Drop)), ("a pass", Some(CacheAction::Pass))];
    for (name, action) in turns {
        if let Some(action) = action {
            fill(&gate, FLOWS, action);
        }
        let (mut cold, mut hot) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let own = mean_ns(&bare, ifindex, &frames);
            cold.push(mean_ns(&gated, ifindex, &frames) - own);
            let own = run(&bare, ifindex, &frames[0], REPEATED, 0);
            hot.push(f64::from(run(&gated, ifindex, &frames[0], REPEATED, 0)) - f64::from(own));
        }
        median(&format!("besides a bare XDP_DROP, {name}, any flow"), cold);
        median(&format!("besides a bare XDP_DROP, {name}, one flow"), hot);
    }
    println!("{:?}", gate.counters().unwrap());
    gate.detach().unwrap();
}
