//! The least that can stand between two ports: a program of one redirect at each.

use super::nothing;
use crate::place::interface_index;
use crate::skeleton::forward::ForwardSkelBuilder;
use crate::stop::Stop;
use anyhow::{Context, Result};
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{Link, MapCore, MapFlags};
use portcullis_trial::{Forwarded, How};
use std::io;
use std::mem::MaybeUninit;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often to look whether that was all.
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(super) fn run(
    iface: &str,
    to: &str,
    stop: &Stop,
    ready: impl FnOnce() -> io::Result<()>,
) -> Result<Forwarded> {
    let ports = [interface_index(iface)?, interface_index(to)?];
    let mut storage = MaybeUninit::uninit();
    let mut open = ForwardSkelBuilder::default().open(&mut storage)?;
    open.maps.rodata_data.as_deref_mut().context("the BPF object has no constants")?.first = ports[0];
    let skeleton = open.load().context("cannot load the forwarding BPF program (it needs root)")?;
    for (key, port) in (0_u32..).zip(ports) {
        skeleton.maps.out.update(&key.to_ne_bytes(), &port.to_ne_bytes(), MapFlags::ANY)?;
    }
    let attach = |(port, name): (u32, &str)| -> Result<Link> {
        let link = skeleton.progs.pass_on.attach_xdp(i32::try_from(port)?);
        link.with_context(|| format!("cannot attach to {name} (is another XDP program there?)"))
    };
    // Detached when they go.
    let _attached: Vec<Link> = ports.into_iter().zip([iface, to]).map(attach).collect::<Result<_>>()?;
    ready()?;
    let start = Instant::now();
    while !stop.is_wanted() {
        sleep(LOOK_EVERY);
    }
    let mut forwarded = nothing(How::Devmap);
    for key in 0_u32..2 {
        let values = skeleton.maps.forwarded.lookup_percpu(&key.to_ne_bytes(), MapFlags::ANY)?;
        for value in values.unwrap_or_default() {
            forwarded.received += value.first_chunk().map_or(0, |word| u64::from_ne_bytes(*word));
        }
    }
    Ok(Forwarded { forwarded: forwarded.received, seconds: start.elapsed().as_secs_f64(), ..forwarded })
}
