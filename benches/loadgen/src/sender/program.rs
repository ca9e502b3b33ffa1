//! The sending BPF programs, set up for a trial.

use crate::maker::{Layout, Maker};
use crate::pace::Pace;
use crate::sender::Sent;
use crate::skeleton::send::{OpenSendSkel, SendSkel, SendSkelBuilder};
use anyhow::{Context, Result};
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapCore, MapFlags, MapHandle, OpenObject};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

/// Which of the programs is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Live frames.
    Send,
    /// Another program's frames are made into ours.
    Stamp,
    /// Another program's frames are given a trailer.
    Trail,
}

/// What to set one up for.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) which: Which,
    pub(crate) maker: &'a Maker,
    pub(crate) pace: Pace,
    /// The interface that live frames leave by.
    pub(crate) egress: u32,
    /// Which connections are open, where that matters.
    pub(crate) open_flows: Option<BorrowedFd<'a>>,
}

/// Loads it.
pub(crate) fn load<'s>(storage: &'s mut MaybeUninit<OpenObject>, setup: &Setup<'_>) -> Result<SendSkel<'s>> {
    let mut open = SendSkelBuilder::default().open(storage)?;
    open.progs.send.set_autoload(setup.which == Which::Send);
    open.progs.stamp.set_autoload(setup.which == Which::Stamp);
    open.progs.trail.set_autoload(setup.which == Which::Trail);
    describe(&mut open, setup)?;
    if let Some(map) = setup.open_flows {
        open.maps.open_flows.reuse_fd(map)?;
    }
    if setup.maker.layout == Layout::Tcp {
        open.maps.sequences.set_max_entries(setup.maker.flows)?;
    }
    open.load().context("cannot load the sending BPF program (it needs root)")
}

fn describe(open: &mut OpenSendSkel<'_>, setup: &Setup<'_>) -> Result<()> {
    let constants = open.maps.rodata_data.as_deref_mut().context("the BPF object has no constants")?;
    let Setup { maker, pace, egress, .. } = setup;
    constants.egress = *egress;
    constants.mode = maker.layout.mode();
    constants.mark = maker.mark;
    constants.opening = u32::from(maker.layout == Layout::Opening);
    constants.flows = maker.flows;
    constants.first_flow = maker.first_flow;
    constants.churn = maker.churn;
    constants.sources = maker.sources;
    constants.source = maker.source;
    constants.header = maker.header;
    constants.ip_sum = maker.ip_sum;
    constants.l4_sum = maker.l4_sum;
    constants.class_count = u32::try_from(maker.classes.len())?;
    for (constant, class) in constants.classes.iter_mut().zip(&maker.classes) {
        constant.length = u32::try_from(class.bytes.len())?;
        constant.payload_sum = class.payload_sum;
    }
    constants.longest = u32::try_from(maker.longest().len())?;
    constants.order = maker.order;
    constants.gap = pace.gap;
    constants.catch_up = pace.catch_up;
    constants.burst = pace.burst;
    constants.pause_time = pace.pause;
    constants.duration = pace.duration;
    constants.limit = pace.limit;
    Ok(())
}

/// How far a sending program has come; to be asked from any thread.
#[derive(Debug)]
pub(crate) struct Progress(MapHandle);

impl Progress {
    pub(crate) fn of(skeleton: &SendSkel<'_>) -> Result<Self> {
        Ok(Self(MapHandle::try_from(&skeleton.maps.progress_map)?))
    }

    /// What it has sent, whether nothing more will be, and how many frames could not be given a number.
    pub(crate) fn look(&self) -> Result<(Sent, bool, u64)> {
        let value = self.0.lookup(&0_u32.to_ne_bytes(), MapFlags::ANY)?.unwrap_or_default();
        let (words, _) = value.as_chunks::<8>();
        let &[frames, bytes, first, last, _, flags, unfit] = words else {
            anyhow::bail!("the BPF object has another layout");
        };
        let [frames, bytes, first, last, unfit] = [frames, bytes, first, last, unfit].map(u64::from_ne_bytes);
        let [_, _, _, _, over @ ..] = flags;
        Ok((Sent { frames, bytes, first, last, ..Sent::default() }, over != [0; 4], unfit))
    }
}
