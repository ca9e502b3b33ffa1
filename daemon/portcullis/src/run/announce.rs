//! What a gate that starts says about how it really stands, and refuses where that is less than was asked for.

use super::plan::Plan;
use super::warden::GateFacts;
use crate::config::AfXdpRequire;
use crate::exit::Failure;
use portcullis_bpf::AttachedMode;
use portcullis_capture_xdp::InlineSet;
use portcullis_event::RuleCounts;

pub(crate) fn require_native(require: AfXdpRequire, facts: &GateFacts) -> Result<(), Failure> {
    let generic = facts.ports.iter().find(|port| port.mode == AttachedMode::Generic);
    match generic {
        Some(port) if require != AfXdpRequire::Copy => Err(Failure::Runtime(format!(
            "{} has XDP in generic mode only, but capture.af-xdp.require asks for more",
            port.name
        ))),
        _ => Ok(()),
    }
}

pub(crate) fn require_zero_copy(require: AfXdpRequire, set: &InlineSet) -> Result<(), Failure> {
    let copying = set.bound().iter().find(|bound| !bound.zero_copy);
    match copying {
        Some(bound) if require == AfXdpRequire::ZeroCopy => Err(Failure::Runtime(format!(
            "queue {} of {} could be bound with copying only, but capture.af-xdp.require asks for zero-copy",
            bound.queue, bound.interface
        ))),
        _ => Ok(()),
    }
}

/// Says how the gate really stands.
pub(crate) fn announce_gate(plan: &Plan, facts: &GateFacts, set: &InlineSet) {
    for port in &facts.ports {
        let own = || set.bound().iter().filter(|bound| bound.interface == port.name);
        let zero_copy = own().filter(|bound| bound.zero_copy).count();
        let queues = own().count();
        let memory = if zero_copy == queues { "zero-copy" } else { "copy" };
        let mode = match port.mode {
            AttachedMode::Native => "native",
            AttachedMode::Generic => "generic",
            AttachedMode::Offloaded => "offloaded",
        };
        tracing::info!("{}: XDP {mode}, {queues} queues, {memory}", port.name);
    }
    if facts.adopted {
        tracing::info!("took over the gate that a predecessor left pinned");
    }
    if plan.capture.huge_pages && !set.huge_pages() {
        tracing::info!("no huge pages are free: packet memory lies in ordinary ones");
    }
    if plan.capture.busy_poll.is_some() && !set.busy_poll() {
        tracing::warn!("the kernel has no busy polling for AF_XDP: interrupts go on to bring packets");
    }
}

/// Says what runs.
pub(crate) fn announce(plan: &Plan, workers: u8, cpus: Option<&[usize]>, rules: RuleCounts) {
    let pinned = match cpus {
        Some(cpus) => format!("on CPUs {cpus:?}"),
        None => "not pinned, for there are fewer CPUs than workers".to_owned(),
    };
    let sets = plan.sets.iter().map(|set| format!("{:?} (fail {})", set.name, set.fail.word()));
    tracing::info!(
        "running: inline set{} {}, {}, {workers} workers {pinned}, {} rules",
        if plan.sets.len() == 1 { "" } else { "s" },
        sets.collect::<Vec<_>>().join(", "),
        match plan.capture.copy_mode {
            portcullis_capture_xdp::CopyMode::Ips => "ips",
            portcullis_capture_xdp::CopyMode::Tap => "tap",
            portcullis_capture_xdp::CopyMode::Ids => "ids",
        },
        rules.loaded,
    );
}
