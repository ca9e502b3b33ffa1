//! What the verdict cache costs a frame with 100,000 flows in it.
//!
//! Frames go through the gate's program one by one in random order (`BPF_PROG_TEST_RUN`), so that the cache is as cold as
//! many flows make it, in turn with a program that does nothing but drop; the very same frame again and again is told, too.
//! A frame that passes is redirected to nobody here: what a redirect itself takes is not in it.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

mod measure;

use measure::{bare_drop, mean_ns, median, program_of, run};
use portcullis_bpf::pulse::coarse_now;
use portcullis_bpf::{CacheAction, CacheEntry, Gate, GateConfig, GatePort, Side, Tuple, device};
use portcullis_testkit::{NetNs, VethPair, require_root};
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::mapped;

const FLOWS: u32 = 100_000;
const FRAMES: u32 = 100_000;
const REPEATED: u32 = 1_000_000;
const ROUNDS: usize = 7;
const CLIENT: [u8; 4] = [10, 77, 0, 1];
const SERVER: [u8; 4] = [10, 77, 0, 2];

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
    let frames: Vec<Vec<u8>> = (0..FRAMES).map(|number| frame(scattered(number) % FLOWS)).collect();
    let turns =
        [("no entry", None), ("a drop", Some(CacheAction::Drop)), ("a pass", Some(CacheAction::Pass))];
    for (name, action) in turns {
        if let Some(action) = action {
            fill(&gate, action);
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

fn fill(gate: &Gate, action: CacheAction) {
    let cache = gate.cache().unwrap();
    cache.set_generation(1);
    let until = coarse_now() + 3_600_000_000_000;
    let entry = CacheEntry { packets: 0, bytes: 0, until, generation: 1, action };
    let refused = (0..FLOWS).filter(|flow| cache.put(&tuple(*flow), &entry).is_err()).count();
    println!("{refused} of {FLOWS} flows found no room");
}

/// Numbers without order, each once.
const fn scattered(number: u32) -> u32 {
    number.wrapping_mul(0x9e37_79b1)
}

fn ports(flow: u32) -> (u16, u16) {
    let number = |number: u32| u16::try_from(number).unwrap();
    (number(10_000 + (flow & 0x3fff)), number(7 + (flow >> 14)))
}

fn tuple(flow: u32) -> Tuple {
    let (source_port, destination_port) = ports(flow);
    Tuple {
        source: mapped(CLIENT),
        destination: mapped(SERVER),
        source_port,
        destination_port,
        vlans: [None; 3],
        version: 4,
        protocol: 17,
        set: 0,
        side: Side::First,
    }
}

fn frame(flow: u32) -> Vec<u8> {
    let (source, destination) = ports(flow);
    let frame = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    frame.ipv4(CLIENT, SERVER).udp(source, destination).minimum(60).to_vec()
}
