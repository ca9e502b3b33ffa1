//! The gate's packet module without an engine: every packet is accepted.

use super::nothing;
use crate::stop::Stop;
use crate::thread;
use anyhow::{Context, Result, bail};
use portcullis_bpf::{Gate, GateConfig};
use portcullis_capture::{CaptureStats, PacketModule, Poll, Verdict};
use portcullis_capture_xdp::{InlineSet, PortSetup, XdpConfig, XdpModule};
use portcullis_trial::{Forwarded, How};
use std::io;
use std::time::{Duration, Instant};

/// How long a worker without packets sleeps at most, as in the engine's own loop.
const IDLE: Duration = Duration::from_millis(100);

pub(super) fn run(
    iface: &str,
    to: &str,
    cpus: &[u32],
    stop: &Stop,
    ready: impl FnOnce() -> io::Result<()>,
) -> Result<Forwarded> {
    let first = PortSetup::apply(iface)?;
    let result = PortSetup::apply(to).map_err(anyhow::Error::from).and_then(|second| {
        let result = forward(iface, to, cpus, stop, ready);
        second.restore()?;
        result
    });
    first.restore()?;
    result
}

/// Between ports that are fit for it.
fn forward(
    iface: &str,
    to: &str,
    cpus: &[u32],
    stop: &Stop,
    ready: impl FnOnce() -> io::Result<()>,
) -> Result<Forwarded> {
    let scratch = tempfile::tempdir()?;
    let workers = u8::try_from(cpus.len().max(1)).context("too many workers")?;
    let config = XdpConfig {
        pairs: vec![(iface.to_owned(), to.to_owned())],
        workers: Some(workers),
        ..XdpConfig::default()
    };
    let mut gate = Gate::load(&GateConfig {
        name: "loadgen-xsk".to_owned(),
        ports: config.gate_ports()?,
        lock_dir: scratch.path().to_owned(),
        ..GateConfig::default()
    })?;
    let (set, mut modules) = InlineSet::open(&config, &mut gate)?;
    let start = Instant::now();
    let done = std::thread::scope(|scope| {
        let begin = |(index, module)| {
            let cpu = cpus.get(index).copied();
            scope.spawn(move || accept_all(module, cpu, stop))
        };
        let running: Vec<_> = modules.iter_mut().enumerate().map(begin).collect();
        ready()?;
        let ended =
            running.into_iter().map(|worker| worker.join().unwrap_or_else(|_| bail!("a worker died")));
        ended.collect::<Result<Vec<_>>>()
    })?;
    set.quiesce(&mut gate)?;
    let mut forwarded = nothing(How::Xsk);
    for (stats, cpu) in done {
        forwarded.received += stats.received;
        forwarded.forwarded += stats.accepted - stats.send_errors;
        forwarded.overflowed += stats.kernel_drops + stats.send_errors;
        forwarded.cpu_seconds += cpu.as_secs_f64();
    }
    Ok(Forwarded { seconds: start.elapsed().as_secs_f64(), ..forwarded })
}

/// A worker: what it counted, and its CPU time.
fn accept_all(module: &mut XdpModule, cpu: Option<u32>, stop: &Stop) -> Result<(CaptureStats, Duration)> {
    thread::pin(cpu)?;
    let before = thread::cpu_time();
    while !stop.is_wanted() {
        let poll = module.poll(&mut |burst| {
            for index in 0..burst.len() {
                burst.judge(index, Verdict::Accept);
            }
        })?;
        match poll {
            Poll::Received(_) => {}
            Poll::End => break,
            Poll::Empty => {
                module.wait(module.now().after(IDLE))?;
            }
        }
    }
    Ok((module.stats(), thread::cpu_time() - before))
}
