//! What a packet costs through DPDK's packet module: received, judged, sent. Between ports in memory (net_ring), where
//! filling and emptying the wires is left out, and between ports that make and eat frames themselves (net_null), which is
//! all there is to it but the frames: they are empty.

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

/// Ports that make and eat frames.
const NULLS: [&str; 2] = ["net_null0", "net_null1"];

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
    let eal = EalConfig {
        devices: NULLS.map(str::to_owned).to_vec(),
        huge_pages: arguments.huge_pages,
        memory_mb: 512,
        ..EalConfig::default()
    };
    let eal = Eal::start(&eal)?;
    println!("{}", Eal::version());
    let packets = arguments.packets;
    let mut wires = Wires::open(&eal, arguments.flows)?;
    tell("net_ring, accepted unseen", packets, wires.measure(packets, accept)?);
    let mut rig = Rig::new("");
    tell("net_ring, judged", packets, wires.measure(packets, |module| Ok(rig.poll(module, true)))?);
    wires.close()?;
    let (set, mut module) = open(&eal, NULLS.map(str::to_owned))?;
    tell("net_null, accepted unseen", packets, straight(packets, || accept(&mut module))?);
    let mut rig = Rig::new("");
    tell("net_null, judged", packets, straight(packets, || Ok(rig.poll(&mut module, true)))?);
    balanced(set, module)
}

fn tell(what: &str, packets: u64, time: Duration) {
    let nanos = time.as_secs_f64() * 1e9 / packets as f64;
    println!("{what:<26} {nanos:7.1} ns a packet  {:7.2} M packets/s", 1e3 / nanos);
}

/// The CPU time that `poll` takes for so many packets, of which there are always more.
fn straight(packets: u64, mut poll: impl FnMut() -> Result<usize>) -> Result<Duration> {
    let (started, mut done) = (cpu_time(), 0);
    while done < packets {
        done += poll()? as u64;
    }
    Ok(cpu_time().saturating_sub(started))
}

/// The module between two ports.
fn open(eal: &Arc<Eal>, devices: [String; 2]) -> Result<(DpdkSet, DpdkModule)> {
    let port = |device: String| DpdkPort { name: device.clone(), device };
    let config = DpdkConfig { ports: devices.map(port).to_vec(), ..DpdkConfig::default() };
    let (set, modules) = DpdkSet::open(&config, eal)?;
    let module = modules.into_iter().next();
    Ok((set, module.ok_or_else(|| anyhow::anyhow!("there is no module"))?))
}

fn balanced(set: DpdkSet, module: DpdkModule) -> Result<()> {
    let count = set.close([module]);
    ensure!(count.missing() == 0, "buffers are missing: {count:?}");
    Ok(())
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
        let (set, module) = open(eal, [first, second])?;
        let pool = Pool::new(eal, 8191, 2048, -1)?;
        let (source, sink) = (outside(&source, &pool)?, outside(&sink, &pool)?);
        let frames = frames::udp(flows).into_iter().map(|(_, _, frame)| frame).collect();
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
        balanced(self.set, self.module)
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
