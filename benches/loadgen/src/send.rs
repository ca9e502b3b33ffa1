//! The sender: frames out of nothing onto a wire, at a rate or as fast as it goes.

use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{ErrorKind, ProgramInput};
use portcullis_testkit::{NetNs, RawSocket};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::frame::{Frame, MOST_FLOWS, parse_hardware_address};
use crate::pace::{Due, Pace};
use crate::receive::interface_index;
use crate::report;
use crate::skeleton::LoadgenSkelBuilder;
use crate::stop::Stop;

/// `BPF_F_TEST_XDP_LIVE_FRAMES`: the frames of a test run are real and go where the program says.
const LIVE_FRAMES: u32 = 1 << 1;
/// Frames a test run: many, because beginning one takes some 20 ms, but no more than pass in a
/// fifth of a second, so that a signal is heard.
const MOST_FRAMES_A_RUN: u32 = 1 << 16;
/// Below this rate the kernel's batches of 64 frames would hold up everything else on their CPU for
/// too long.
const SLOWEST_LIVE_RATE: u32 = 10_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The interface to send on, in this namespace.
    #[arg(long)]
    iface: String,
    /// How frames are made.
    #[arg(long, value_enum, default_value_t = Mode::LiveFrames)]
    mode: Mode,
    /// Bytes of a frame, without its check sequence.
    #[arg(long, default_value_t = 60)]
    size: usize,
    /// Fill in the UDP checksum; otherwise it is zero, which says that there is none.
    #[arg(long)]
    checksum: bool,
    /// Flows, taken in turn; they differ by their ports.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_FLOWS)))]
    flows: u32,
    /// Stop after this many frames.
    #[arg(long, required_unless_present = "seconds")]
    count: Option<u64>,
    /// Stop after this many seconds.
    #[arg(long)]
    seconds: Option<f64>,
    /// Frames a second at most; as fast as it goes when not given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pps: Option<u32>,
    /// Pin the sender to this CPU (live frames come to the receive queue of the CPU's number).
    #[arg(long)]
    cpu: Option<usize>,
    /// Hardware address of the sender.
    #[arg(long, value_parser = parse_hardware_address, default_value = "02:00:00:00:00:01")]
    source_mac: [u8; 6],
    /// Hardware address of the receiver.
    #[arg(long, value_parser = parse_hardware_address, default_value = "02:00:00:00:00:02")]
    target_mac: [u8; 6],
    /// Address of the sender.
    #[arg(long, default_value_t = Ipv4Addr::new(10, 77, 0, 1))]
    source: Ipv4Addr,
    /// Address of the receiver.
    #[arg(long, default_value_t = Ipv4Addr::new(10, 77, 0, 2))]
    target: Ipv4Addr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// BPF_PROG_TEST_RUN over live frames: no socket buffer is ever made, millions a second.
    LiveFrames,
    /// A packet socket: the ordinary way out of a host.
    Packet,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let duration = arguments.seconds.map(Duration::try_from_secs_f64).transpose().context("--seconds")?;
    let pace = Pace { rate: arguments.pps, count: arguments.count, duration };
    let mut frame = Frame::new(
        arguments.size,
        (arguments.source_mac, arguments.source),
        (arguments.target_mac, arguments.target),
        arguments.checksum,
    )?;
    if let Some(cpu) = arguments.cpu {
        ensure!(cpu < CpuSet::MAX_CPU, "there is no CPU {cpu}");
        let mut cpus = CpuSet::new();
        cpus.set(cpu);
        sched_setaffinity(None, &cpus).with_context(|| format!("cannot pin to CPU {cpu}"))?;
    }
    let stop = Stop::on_signals()?;
    let (sent, elapsed) = match arguments.mode {
        Mode::LiveFrames => send_live(arguments, &frame, pace, &stop)?,
        Mode::Packet => send_by_socket(arguments, &mut frame, pace, &stop)?,
    };
    let seconds = elapsed.as_secs_f64();
    report("sent", sent)?;
    report("bytes", sent * u64::try_from(arguments.size)?)?;
    report("seconds", format_args!("{seconds:.6}"))?;
    report("pps", format_args!("{:.0}", rate(sent, elapsed)))?;
    Ok(())
}

/// Frames a second, 0 where no time has passed.
pub(crate) fn rate(frames: u64, elapsed: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate is printed without decimals")]
    let frames = frames as f64;
    if elapsed.is_zero() { 0.0 } else { frames / elapsed.as_secs_f64() }
}

fn send_live(arguments: &Arguments, frame: &Frame, pace: Pace, stop: &Stop) -> Result<(u64, Duration)> {
    ensure!(
        arguments.pps.is_none_or(|rate| rate >= SLOWEST_LIVE_RATE),
        "live frames come at {SLOWEST_LIVE_RATE} a second or more; use --mode packet for less"
    );
    let egress = interface_index(&arguments.iface)?;
    let mut storage = MaybeUninit::uninit();
    let mut open = LoadgenSkelBuilder::default().open(&mut storage)?;
    open.progs.sink.set_autoload(false);
    open.progs.pass_on.set_autoload(false);
    let constants = open.maps.rodata_data.as_deref_mut().context("the BPF object has no constants")?;
    constants.egress = egress;
    constants.flows = arguments.flows;
    constants.checksum = frame.checksum_without_ports().map_or(0, |checksum| 1 << 16 | u32::from(checksum));
    constants.gap_nanos = arguments.pps.map_or(0, |rate| 1_000_000_000 / u64::from(rate));
    let skeleton = open.load().context("cannot load the sending BPF program (it needs root)")?;
    let group = arguments.pps.map_or(MOST_FRAMES_A_RUN, |rate| (rate / 5).min(MOST_FRAMES_A_RUN));
    let (_, elapsed) = paced(Pace { rate: None, ..pace }, group, stop, |frames| {
        let input = ProgramInput {
            data_in: Some(frame.bytes()),
            flags: LIVE_FRAMES,
            repeat: frames,
            ..ProgramInput::default()
        };
        match skeleton.progs.send.test_run(input) {
            // The wish to stop came under way.
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            other => other.map(drop).context("the kernel refuses to run live frames"),
        }
    })?;
    let counted = skeleton.maps.bss_data.as_deref().context("the BPF object has no variables")?;
    Ok((counted.made, elapsed))
}

fn send_by_socket(
    arguments: &Arguments,
    frame: &mut Frame,
    pace: Pace,
    stop: &Stop,
) -> Result<(u64, Duration)> {
    let here = NetNs::open(Path::new("/proc/self/ns/net"), "this namespace")?;
    let socket = RawSocket::open(&here, &arguments.iface)?;
    let mut flow = 0;
    paced(pace, 1, stop, |frames| {
        for _ in 0..frames {
            socket.send(frame.for_flow(flow)).context("cannot send")?;
            flow = if flow + 1 < arguments.flows { flow + 1 } else { 0 };
        }
        Ok(())
    })
}

/// Calls `send` with how many frames are due until all is done; says how many went and how long it
/// took.
fn paced(
    pace: Pace,
    group: u32,
    stop: &Stop,
    mut send: impl FnMut(u32) -> Result<()>,
) -> Result<(u64, Duration)> {
    let start = Instant::now();
    let mut sent = 0;
    while !stop.is_wanted() {
        match pace.due(start.elapsed(), sent, group) {
            Due::Frames(frames) => {
                send(frames)?;
                sent += u64::from(frames);
            }
            Due::Wait(time) => sleep(time),
            Due::Finished => break,
        }
    }
    Ok((sent, start.elapsed()))
}
