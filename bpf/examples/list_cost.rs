//! What lists cost a frame: `sudo -E cargo run --release -p portcullis-bpf --example list_cost`.
//!
//! A million addresses and 50,000 networks are put in force on a gate. Frames from addresses that are on them, within
//! them, and on none are run through the program one by one in random order (`BPF_PROG_TEST_RUN`), so that tables are as
//! cold as floods of many sources make them, in turn with a program that does nothing but drop. What a frame costs
//! besides is measured on live frames through that program.
#![expect(unsafe_code, reason = "loads a program of two instructions, and runs programs on frames")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use libbpf_sys as raw;
use portcullis_bpf::{Gate, GateConfig, GatePort, ListPolicy, ListRoom, Lists, device};
use portcullis_lists::net::Nets;
use portcullis_lists::{ListId, Marks, Net, NetSet, Table};
use portcullis_testkit::{NetNs, VethPair, require_root};
use portcullis_wire::builder::PacketBuilder;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Instant;

const ADDRESSES: u32 = 1_000_000;
const NETWORKS: u32 = 50_000;
const FRAMES: u32 = 100_000;
const ROUNDS: usize = 7;
const LIVE: u32 = 2_000_000;
const XDP_DROP: u32 = 1;

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

    let live = (0..ROUNDS).map(|_| live_ns(&bare, ifindex)).collect();
    let whole = median("live frame through a bare XDP_DROP", live);
    let kinds = [("an address", pick(address)), ("a network", pick(network)), ("no entry", pick(stranger))];
    for (name, sources) in kinds {
        let mut costs = Vec::new();
        for _ in 0..ROUNDS {
            let own = mean_ns(&bare, ifindex, &sources);
            costs.push(mean_ns(&listed, ifindex, &sources) - own);
        }
        let besides = median(&format!("besides, for a source that meets {name}"), costs);
        if name != "no entry" {
            println!("  {:.2} of bare XDP_DROP", whole / (whole + besides));
        }
    }
    drop(lists);
    gate.detach().unwrap();
}

/// Numbers without order, each once.
const fn scattered(number: u32) -> u32 {
    number.wrapping_mul(0x9e37_79b1)
}

const fn address(number: u32) -> u32 {
    0x0100_0000 | scattered(number) >> 1
}

const fn network(number: u32) -> u32 {
    0xc000_0000 | scattered(number) >> 3
}

const fn stranger(number: u32) -> u32 {
    0xa000_0000 | scattered(number) >> 4
}

fn blocklist() -> NetSet {
    let addresses = (0..ADDRESSES).map(|number| Net::single(address(number)));
    let lengths = [24, 24, 24, 22, 20, 28, 29];
    let networks = (0..NETWORKS).map(|number| Net::around(network(number), lengths[number as usize % 7]));
    NetSet::new(Nets { v4: addresses.chain(networks).collect(), v6: Vec::new() }).0
}

/// Sources in another order than the lists are in.
fn pick(of: impl Fn(u32) -> u32) -> Vec<u32> {
    (0..FRAMES).map(|number| of(scattered(number) % NETWORKS)).collect()
}

fn frame(source: u32) -> Vec<u8> {
    let frame = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    frame.ipv4(Ipv4Addr::from(source), Ipv4Addr::new(10, 0, 0, 1)).udp(1000, 7).minimum(60).to_vec()
}

/// Nanoseconds of a frame, as the kernel measured each.
fn mean_ns(program: &OwnedFd, ifindex: u32, sources: &[u32]) -> f64 {
    let total: u64 =
        sources.iter().map(|source| u64::from(run(program, ifindex, &frame(*source), 1, 0))).sum();
    total as f64 / sources.len() as f64
}

fn live_ns(program: &OwnedFd, ifindex: u32) -> f64 {
    let begin = Instant::now();
    run(program, ifindex, &frame(stranger(1)), LIVE, raw::BPF_F_TEST_XDP_LIVE_FRAMES);
    begin.elapsed().as_nanos() as f64 / f64::from(LIVE)
}

fn median(what: &str, mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values[values.len() / 2];
    println!("{what}: {middle:.0} ns ({:.0} to {:.0})", values[0], values[values.len() - 1]);
    middle
}

/// Runs a program on a frame; the nanoseconds of a run.
fn run(program: &OwnedFd, ifindex: u32, frame: &[u8], repeat: u32, flags: u32) -> u32 {
    let length = u32::try_from(frame.len()).unwrap();
    let context = [0, length, 0, ifindex, 0, 0];
    let mut options = raw::bpf_test_run_opts {
        sz: size_of::<raw::bpf_test_run_opts>() as raw::size_t,
        data_in: frame.as_ptr().cast(),
        data_size_in: length,
        ctx_in: context.as_ptr().cast(),
        ctx_size_in: u32::try_from(size_of_val(&context)).unwrap(),
        repeat: i32::try_from(repeat).unwrap(),
        flags,
        ..Default::default()
    };
    // SAFETY: `options` is a valid struct of the size it states, and what it points to lives over the call.
    let done = unsafe { raw::bpf_prog_test_run_opts(program.as_raw_fd(), &raw mut options) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    options.duration
}

/// The program that is attached to an interface.
fn program_of(ifindex: u32) -> OwnedFd {
    let mut id = 0;
    // SAFETY: the kernel's answer is written to `id`.
    let done = unsafe { raw::bpf_xdp_query_id(i32::try_from(ifindex).unwrap(), 0, &raw mut id) };
    assert_eq!(done, 0, "no program is attached");
    libbpf_rs::Program::fd_from_id(id).unwrap().as_fd().try_clone_to_owned().unwrap()
}

/// `r0 = XDP_DROP; exit`.
fn bare_drop() -> OwnedFd {
    let mut instructions = [
        raw::bpf_insn { code: 0xb7, ..Default::default() },
        raw::bpf_insn { code: 0x95, ..Default::default() },
    ];
    instructions[0].imm = XDP_DROP.cast_signed();
    let kind = raw::BPF_PROG_TYPE_XDP;
    // SAFETY: two instructions are read, and two C strings.
    let fd = unsafe {
        raw::bpf_prog_load(
            kind,
            c"bare".as_ptr(),
            c"GPL".as_ptr(),
            instructions.as_ptr(),
            2,
            std::ptr::null_mut(),
        )
    };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: a fresh descriptor that nobody else knows.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
