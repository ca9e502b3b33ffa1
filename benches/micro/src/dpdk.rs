//! What a packet costs through DPDK's packet module, between ports in memory: received, judged, sent. Filling and
//! emptying the wires is left out.

use anyhow::{Result, ensure};
use arrayvec::ArrayVec;
use clap::Args;
use portcullis_bench_micro::rig::Rig;
use portcullis_bench_micro::{cpu_time, frames};
use portcullis_capture::{PacketModule as _, Poll, Verdict};
use portcullis_capture_dpdk::sys::{Lane, Mbuf, Pool, Port, PortRequest, wired_ports};
use portcullis_capture_dpdk::{DpdkConfig, DpdkModule, DpdkPort, DpdkSet, Eal, EalConfig};
use std::sync::Arc;
use std::time::Duration;

/// Packets on a wire at a time; it holds twice as many.
const WIRE: usize = 1024;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Packets of each measurement
    #[arg(long, default_value_t = 10_000_000)]
    packets: u64,
    /// Flows that they are of
    #[arg(long, default_value_t = 1024)]
    flows: u32,
    /// Memory from huge pages
    #[arg(long)]
    huge_pages: bool,
}

/// Measures the module alone, then with an engine behind it.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let eal = EalConfig { huge_pages: arguments.huge_pages, memory_mb: 512, ..EalConfig::default() };
    let mut wires = Wires::open(&Eal::start(&eal)?, arguments.flows)?;
    let alone = wires.measure(arguments.packets, accept)?;
    let mut rig = Rig::new("");
    let judged = wires.measure(arguments.packets, |module| Ok(rig.poll(module, true)))?;
    println!("{}", Eal::version());
    for (name, time) in [("accepted unseen", alone), ("judged", judged)] {
        let nanos = time.as_secs_f64() * 1e9 / arguments.packets as f64;
        println!("{name:<16} {nanos:7.1} ns a packet  {:7.2} M packets/s", 1e3 / nanos);
    }
    wires.close()
}

/// One poll, in which every packet is accepted.
fn accept(module: &mut DpdkModule) -> Result<usize> {
    let polled = module.poll(&mut |burst| {
        for index in 0..burst.len() {
            burst.judge(index, Verdict::Accept);
        }
    })?;
    Ok(if let Poll::Received(packets) = polled { packets } else { 0 })
}

/// The module between two outsides.
struct Wires {
    module: DpdkModule,
    set: DpdkSet,
    source: Lane,
    sink: Lane,
    pool: Arc<Pool>,
    frames: Vec<Vec<u8>>,
    next: usize,
}

impl Wires {
    fn open(eal: &Arc<Eal>, flows: u32) -> Result<Self> {
        let [first, source] = wired_ports(eal, "a", 1, 2048)?;
        let [second, sink] = wired_ports(eal, "b", 1, 2048)?;
        let port = |device: String| DpdkPort { name: device.clone(), device };
        let config = DpdkConfig { ports: vec![port(first), port(second)], ..DpdkConfig::default() };
        let (set, modules) = DpdkSet::open(&config, eal)?;
        let pool = Pool::new(eal, 8191, 2048, -1)?;
        let (source, sink) = (outside(&source, &pool)?, outside(&sink, &pool)?);
        let frames = frames::udp(flows).into_iter().map(|(_, _, frame)| frame).collect();
        let module = modules.into_iter().next();
        let module = module.ok_or_else(|| anyhow::anyhow!("there is no module"))?;
        Ok(Self { module, set, source, sink, pool, frames, next: 0 })
    }

    /// The CPU time that `poll` takes for so many packets.
    fn measure(
        &mut self,
        packets: u64,
        mut poll: impl FnMut(&mut DpdkModule) -> Result<usize>,
    ) -> Result<Duration> {
        let (mut time, mut done) = (Duration::ZERO, 0);
        while done < packets {
            self.fill()?;
            let started = cpu_time();
            let mut judged = 0;
            while judged < WIRE {
                judged += poll(&mut self.module)?;
            }
            time += cpu_time().saturating_sub(started);
            while self.sink.receive(32, drop) > 0 {}
            done += judged as u64;
        }
        let stats = self.module.stats();
        ensure!(stats.send_errors == 0 && stats.dropped == 0, "not all left: {stats:?}");
        Ok(time * u32::try_from(packets).unwrap_or(u32::MAX) / u32::try_from(done).unwrap_or(u32::MAX))
    }

    /// Puts packets on the first wire.
    fn fill(&mut self) -> Result<()> {
        for _ in 0..WIRE / 32 {
            let mut packets = ArrayVec::<Mbuf, 32>::new();
            for _ in 0..32 {
                let frame = self.frames.get(self.next).map_or(&[][..], Vec::as_slice);
                packets.extend(self.pool.packet(frame));
                self.next = (self.next + 1) % self.frames.len().max(1);
            }
            self.source.send(&mut packets);
            ensure!(packets.is_empty(), "the wire is full");
        }
        Ok(())
    }

    fn close(self) -> Result<()> {
        let count = self.set.close([self.module]);
        ensure!(count.missing() == 0, "buffers are missing: {count:?}");
        Ok(())
    }
}

fn outside(device: &str, pool: &Arc<Pool>) -> Result<Lane> {
    let request = PortRequest {
        queues: 1,
        rx_descriptors: 1024,
        tx_descriptors: 1024,
        mtu: None,
        checksum: false,
        scatter: false,
        promiscuous: true,
    };
    let (_, lanes) = Port::start(device, &request, pool)?;
    lanes.into_iter().next().ok_or_else(|| anyhow::anyhow!("{device} has no queue"))
}
