//! What lists cost a frame: `sudo -E cargo run --release -p portcullis-bpf --example list_cost`.
//!
//! A million addresses and 50,000 networks are put in force on a gate. Frames from addresses that are on them, within
//! them, and on none are run through the program one by one in random order (`BPF_PROG_TEST_RUN`), so that tables are as
//! cold as floods of many sources make them, in turn with a program that does nothing but drop. What that means to live
//! frames is `list_rate`'s to tell.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

mod measure;

use measure::lists::{ADDRESSES, NETWORKS, SOURCES, Sources, blocklist, frame, scattered};
use measure::{bare_drop, mean_ns, median, program_of};
use portcullis_bpf::{Gate, GateConfig, GatePort, ListPolicy, ListRoom, Lists, device};
use portcullis_lists::{ListId, Marks, Table};
use portcullis_testkit::{NetNs, VethPair, require_root};
use std::time::Instant;

const FRAMES: u32 = 100_000;
const ROUNDS: usize = 7;

fn main() {
    require_root();
    let namespace = NetNs::new("listcost").unwrap();
    VethPair::between(&namespace, "port0", &namespace, "port1", 1, 1500).unwrap();
    let locks = tempfile::tempdir().unwrap();
    namespace.run(|| measure(locks.path()));
}

fn measure(locks: &std::path::Path) {
    let port = |name: &str| GatePort { name: name.to_owned(), queues: 1 };
    let gate = Gate::load(&GateConfig {
        name: "list-cost".to_owned(),
        ports: vec![port("port0"), port("port1")],
        lists: ListRoom::any(ADDRESSES + NETWORKS),
        lock_dir: locks.to_owned(),
        ..GateConfig::default()
    })
    .unwrap();
    let ifindex = device::ifindex("port0").unwrap();
    let (set, list) = (blocklist(), ListId::new(0).unwrap());
    let table = Table::new(std::iter::once((list, &set)));
    let mark = Marks::of(list);
    let policy =
        ListPolicy { sources: mark, destinations: mark, drop: mark, forward: true, ..ListPolicy::default() };
    let mut lists = Lists::open(&gate.lists().unwrap()).unwrap();
    let begin = Instant::now();
    lists.publish(&table, &[], &policy).unwrap();
    println!("{} entries put in force in {:?}", set.len(), begin.elapsed());
    let listed = program_of(ifindex);
    let bare = bare_drop();

    for (name, sources) in SOURCES {
        let frames = pick(sources);
        let mut costs = Vec::new();
        for _ in 0..ROUNDS {
            let own = mean_ns(&bare, ifindex, &frames);
            costs.push(mean_ns(&listed, ifindex, &frames) - own);
        }
        median(&format!("besides a bare XDP_DROP, for a source that meets {name}"), costs);
    }
    drop(lists);
    gate.detach().unwrap();
}

/// Frames of sources in another order than the lists are in.
fn pick(of: Sources) -> Vec<Vec<u8>> {
    (0..FRAMES).map(|number| frame(of.at(scattered(number) % NETWORKS))).collect()
}
