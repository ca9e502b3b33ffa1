//! Floods of IP fragments: what a fragment costs must not depend on how many came before it, and memory
//! must stay where the settings put it. Each flood is run at so many fragments, twice and four times as
//! many; the figure for each should be the same.

use clap::Args;
use portcullis_bench_micro::cpu_time;
use portcullis_bench_micro::flows::Random;
use portcullis_bench_micro::spread::Spread;
use portcullis_defrag::{DefragSettings, Defragmenter, MAX_DATAGRAM, Outcome, OverlapPolicy};
use portcullis_wire::{Decoded, Decoder, LinkType, Network, NetworkMap, PacketBuilder, Timestamp};
use std::hint::black_box;

const START: Timestamp = Timestamp::from_secs(1_700_000_000);
/// Frames are made in lots, outside of what is measured.
const LOT: usize = 1024;
/// Trackers looked at after each burst, as by the flow worker.
const SWEEP_PER_BURST: usize = 64;
const BURST: usize = 32;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Fragments of the shortest flood.
    #[arg(long, default_value_t = 100_000)]
    fragments: usize,
    /// How often each is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// Makes the fragment of this number: identification, offset, whether more follow, length.
type Flood = fn(u32, &mut Random) -> (u32, u16, bool, usize);

const FLOODS: [(&str, Flood); 6] = [
    ("datagrams of 64 KiB in order, 1480 bytes each", |number, _| {
        let place = number % 44;
        (number / 44, fitted(place * 1480), place != 43, 1480)
    }),
    ("the same in eights of bytes", |number, _| {
        let place = number % 8000;
        (number / 8000, fitted(place * 8), place != 7999, 8)
    }),
    ("one datagram, overlapping anywhere, 1480 bytes", |_, random| {
        (1, fitted(u32::try_from(random.below(7900)).unwrap_or(0) * 8), true, 1480)
    }),
    ("one datagram, overlapping anywhere, 8 bytes", |_, random| {
        (1, fitted(u32::try_from(random.below(8100)).unwrap_or(0) * 8), true, 8)
    }),
    ("overlaps in many datagrams, never complete", |number, random| {
        (number % 500, fitted(u32::try_from(random.below(4000)).unwrap_or(0) * 8), true, 512)
    }),
    ("a new datagram each, never complete", |number, _| (number, 0, true, 8)),
];

fn fitted(offset: u32) -> u16 {
    u16::try_from(offset).unwrap_or(0)
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    for inline in [true, false] {
        println!("{}", if inline { "inline" } else { "not inline, overlaps as Solaris settles them" });
        for (name, flood) in FLOODS {
            println!("  {name}");
            for factor in [1, 2, 4] {
                measure(arguments.fragments * factor, arguments.rounds, inline, flood)?;
            }
        }
    }
    Ok(())
}

fn measure(fragments: usize, rounds: usize, inline: bool, flood: Flood) -> anyhow::Result<()> {
    let mut nanos = Vec::new();
    let mut most = 0;
    let mut last = Default::default();
    let settings = settings(inline);
    for _ in 0..rounds {
        let mut defrag = Defragmenter::new(&settings, 1, 7)?;
        let mut random = Random(1);
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut spent = std::time::Duration::ZERO;
        let mut done = 0;
        while done < fragments {
            let lot = lot(done, LOT.min(fragments - done), flood, &mut random);
            let start = cpu_time();
            for (number, (decoded, frame)) in lot.iter().enumerate() {
                // 10 microseconds apart.
                let now = Timestamp::from_nanos(START.as_nanos() + (done + number) as u64 * 10_000);
                match defrag.insert(decoded, frame, 0, now).outcome {
                    Outcome::Complete(ticket) => {
                        black_box(defrag.assemble(&ticket, &mut buffer));
                        defrag.conclude(ticket, true);
                    }
                    Outcome::Taken(ticket) | Outcome::Duplicate(ticket) => defrag.conclude(ticket, true),
                    Outcome::Refused(_) => {}
                }
                if number % BURST == 0 {
                    defrag.sweep(now, SWEEP_PER_BURST);
                }
            }
            spent += cpu_time() - start;
            done += lot.len();
            most = most.max(defrag.stats().memuse);
        }
        nanos.push(spent.as_secs_f64() * 1e9 / fragments as f64);
        last = defrag.stats();
    }
    anyhow::ensure!(most <= settings.memcap, "{most} bytes are more than defrag.memcap");
    let refused =
        last.overlaps_refused + last.memcap_reached + last.max_frags_reached + last.max_trackers_reached;
    let spread = Spread::of(nanos.into_iter());
    println!(
        "    {fragments:>8} fragments: {spread:.0} ns each; {} datagrams, {refused} refused, at most {} KiB of {}",
        last.ipv4_reassembled,
        most >> 10,
        settings.memcap >> 10,
    );
    Ok(())
}

fn settings(inline: bool) -> DefragSettings {
    let policies = Network::new(4, [0; 16], 0).map(|all| (all, OverlapPolicy::Solaris));
    let policies = NetworkMap::new(policies.into_iter().collect());
    DefragSettings { inline, policies, ..DefragSettings::default() }
}

fn lot(from: usize, count: usize, flood: Flood, random: &mut Random) -> Vec<(Decoded, Vec<u8>)> {
    let payload = vec![0x5a; 1480];
    (from..from + count)
        .map(|number| {
            let (id, offset, more, length) = flood(u32::try_from(number).unwrap_or(0), random);
            let [high, low, ..] = (id >> 16).to_be_bytes();
            let frame = PacketBuilder::raw()
                .ipv4([10, 0, high, low], [10, 0, 0, 2])
                .ip_id(id & 0xffff)
                .protocol(253)
                .fragment(offset, more)
                .payload(payload.get(..length).unwrap_or(&payload))
                .to_vec();
            (Decoder::default().decode(LinkType::Raw, None, false, &frame), frame)
        })
        .collect()
}
