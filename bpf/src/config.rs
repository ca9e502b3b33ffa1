//! What to attach where, and what happens to frames without a worker.

use crate::lists::ListRoom;
use std::path::PathBuf;
use std::time::Duration;

/// What happens to a frame that no worker's socket can take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fail {
    /// It goes to the peer port in the kernel, uninspected and counted.
    #[default]
    Open,
    /// It is dropped and counted.
    Closed,
}

/// What happens to a frame whose worker lives, but holds as many as it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overload {
    /// It is dropped and counted.
    #[default]
    Drop,
    /// It goes to the peer port in the kernel, uninspected and counted.
    Bypass,
}

/// When a worker counts as dead or busy. The default watches nothing but its socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Liveness {
    /// What happens where a worker is busy.
    pub overload: Overload,
    /// Frames of a slot that a worker can hold; with as many outstanding it is busy. 0: that is not watched.
    pub room: u32,
    /// A worker whose heartbeat is older is dead. Zero: heartbeats are not watched.
    pub beat_limit: Duration,
    /// The same for a worker that holds as much as it can: it looks at its rings all the time.
    pub full_limit: Duration,
    /// A slot that was blind more often within a minute fails as `latched_fail` says from then on, so that nobody who
    /// can stall a worker holds the gate open. 0: never.
    pub latch_after: u32,
    /// The policy of such a slot.
    pub latched_fail: Fail,
}

/// UDP ports, at either end, of datagrams that are looked into for a packet: the kernel never answers them by their
/// outer ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TunnelPorts {
    /// Every port may be one.
    Any,
    /// These, at most [`TunnelPorts::MOST`].
    These(Vec<u16>),
}

impl TunnelPorts {
    /// Most ports that can be told apart; of more, [`Any`](Self::Any) has to be said.
    pub const MOST: usize = crate::layout::TUNNEL_PORTS;
}

impl Default for TunnelPorts {
    /// None.
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

/// How the program is to be attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XdpMode {
    /// The kernel's choice: in the driver where it can, else generic.
    #[default]
    Auto,
    /// In the driver; an error where it cannot.
    Native,
    /// In the stack, for any interface. Slow.
    Generic,
}

/// One port of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatePort {
    /// The interface's name, in the network namespace of the calling thread.
    pub name: String,
    /// How many receive queues it must have. Exactly: frames of a queue too many would pass uninspected.
    pub queues: u32,
}

/// Some of the ports: an inline set with policies of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateSet {
    /// How many ports it has: an even number, for they are whole pairs.
    pub ports: usize,
    /// What happens without a worker.
    pub fail: Fail,
    /// What happens where a worker is busy.
    pub overload: Overload,
    /// The policy of a slot that was blind too often.
    pub latched_fail: Fail,
}

/// What [`Gate::load`](crate::Gate::load) is asked for.
#[derive(Clone, Debug)]
pub struct GateConfig {
    /// Names the pins and the lock file: letters, digits, `-` and `_` only (a bpffs takes no dots). Where there are
    /// several sets, the names of all of them, with `+` between.
    pub name: String,
    /// The ports; pair *n* is ports 2*n* and 2*n*+1. An even number of them, 2 to 256.
    pub ports: Vec<GatePort>,
    /// The inline sets that the ports are of, in their order; none: one set, with the policies below.
    pub sets: Vec<GateSet>,
    /// What happens without a worker.
    pub fail: Fail,
    /// When a worker counts as dead or busy.
    pub liveness: Liveness,
    /// UDP that the gate looks into.
    pub tunnels: TunnelPorts,
    /// Most flows in the verdict cache; the kernel keeps 128 bytes for each. At 0 there is none.
    pub cache: u32,
    /// How many entries of lists there is to be room for.
    pub lists: ListRoom,
    /// Do frames leave through the peer port? Otherwise the set only listens, and nothing is ever sent.
    pub forward: bool,
    /// Must frames be taken that do not fit one buffer (an MTU above [`MAX_MTU`](crate::device::MAX_MTU), or longer than
    /// packet memory's frames)? Not every driver can.
    pub frags: bool,
    /// How to attach.
    pub mode: XdpMode,
    /// A directory in a bpffs under which links and maps are pinned, so that they outlive a crash. `None`: they
    /// die with the process.
    pub pin_dir: Option<PathBuf>,
    /// Where the lock file lies, which keeps a second instance away (a bpffs holds no locks).
    pub lock_dir: PathBuf,
}

impl Default for GateConfig {
    /// An open gate that forwards, without ports yet: nothing is pinned, nothing watched.
    fn default() -> Self {
        Self {
            name: "gate".to_owned(),
            ports: Vec::new(),
            sets: Vec::new(),
            fail: Fail::default(),
            liveness: Liveness::default(),
            tunnels: TunnelPorts::default(),
            cache: 0,
            lists: ListRoom::default(),
            forward: true,
            frags: false,
            mode: XdpMode::default(),
            pin_dir: None,
            lock_dir: Self::LOCK_DIR.into(),
        }
    }
}

impl GateConfig {
    /// What the program is told of each port: its set's number, when a worker of it is dead or busy, and what then
    /// happens.
    pub(crate) fn by_port(&self) -> Vec<(u32, Fail, Liveness)> {
        if self.sets.is_empty() {
            return vec![(0, self.fail, self.liveness); self.ports.len()];
        }
        let of_set = |(number, set): (u32, &GateSet)| {
            let GateSet { ports, fail, overload, latched_fail } = *set;
            let liveness = Liveness { overload, latched_fail, ..self.liveness };
            std::iter::repeat_n((number, fail, liveness), ports)
        };
        (0..).zip(&self.sets).flat_map(of_set).collect()
    }

    /// Where Portcullis pins.
    pub const PIN_DIR: &str = "/sys/fs/bpf/portcullis";
    /// Where Portcullis locks.
    pub const LOCK_DIR: &str = "/run/portcullis";
}
