//! The least that can stand between two ports: a program of one redirect.

use std::mem::MaybeUninit;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapCore, MapFlags};

use crate::receive::interface_index;
use crate::report;
use crate::skeleton::LoadgenSkelBuilder;
use crate::stop::Stop;

/// How often to look whether that was all.
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The interface to receive on, in this namespace.
    #[arg(long)]
    iface: String,
    /// The interface to send on.
    #[arg(long)]
    to: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (from, to) = (interface_index(&arguments.iface)?, interface_index(&arguments.to)?);
    let stop = Stop::on_signals()?;
    let mut storage = MaybeUninit::uninit();
    let mut open = LoadgenSkelBuilder::default().open(&mut storage)?;
    open.progs.send.set_autoload(false);
    open.progs.sink.set_autoload(false);
    let skeleton = open.load().context("cannot load the forwarding BPF program (it needs root)")?;
    skeleton.maps.out.update(&0_u32.to_ne_bytes(), &to.to_ne_bytes(), MapFlags::ANY)?;
    // Detached when it goes out of scope.
    let _attached =
        skeleton.progs.pass_on.attach_xdp(i32::try_from(from)?).with_context(|| {
            format!("cannot attach to {} (is another XDP program there?)", arguments.iface)
        })?;
    report("state", "ready")?;
    while !stop.is_wanted() {
        sleep(LOOK_EVERY);
    }
    Ok(())
}
