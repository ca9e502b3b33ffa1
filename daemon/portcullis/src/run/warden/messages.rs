//! What warden and gate say to each other: plain data, with descriptors beside it. Nothing here names a port's
//! configuration, a path or a policy.

use crate::run::link_watch::LinkFacts;
use portcullis_bpf::{AttachedMode, BlindWindow, GateCounters, ListMaps, Passed, Pulses, VerdictCache};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Raised whenever a message changes: a gate of another version is refused.
pub(crate) const VERSION: u32 = 3;

/// What a gate can ask for; nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The first of all. Answered by [`Reply::Welcome`], beside it the socket that [`Order`]s come by and a
    /// descriptor to hold as long as the process lives.
    Hello { version: u32 },
    /// Make the ports fit for inspection and load, attach and pin the XDP program, unless that is done. The fail policy
    /// acts on all traffic from then on. Answered by [`Reply::Gate`], beside it the maps of [`GateFacts`].
    SetUp,
    /// Open the log for appending; its descriptor is beside the answer.
    OpenLog,
    /// Open the control socket; the listener is beside the answer.
    OpenControl,
    /// All is ready but for the queues. Where another gate has them, it is told to leave; beside the answer is the pipe
    /// that its flows come by.
    Prepared,
    /// There are no more flows to come. Answered when no other gate has the queues any more.
    Follow,
    /// Let a queue's frames go to the socket beside the request.
    Publish { port: u8, queue: u32 },
    /// Let the fail policy act on a queue.
    Withdraw { port: u8, queue: u32 },
    /// Take the interface of a port down and up again.
    RestartPort { port: u8 },
    /// The start has come to its end: what a predecessor left is ours from now on.
    Settle,
    /// What did the kernel count?
    Counters,
    /// Which times passed in which no worker saw a frame?
    Windows,
    /// What was seen of the ports' links?
    Links,
    /// Nothing: only so that something was said.
    Alive,
    /// Have another gate take over; with `upgrade`, one of the program that is installed now. How that went is told by
    /// [`Order::Restarted`].
    Restart { upgrade: bool },
    /// The queues are free for the next gate.
    HandedOver,
    /// This is the end: take everything back, program off, pins removed, ports as they were.
    TakeDown,
}

/// The answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// It is done.
    Done,
    /// Come in.
    Welcome(Past),
    /// The gate stands.
    Gate(GateFacts),
    /// Frames by outcome.
    Counters(GateCounters),
    /// Blind windows that have ended.
    Windows(Vec<BlindWindow>),
    /// What was seen of the links.
    Links(LinkFacts),
    /// It could not be done; the text says why.
    Refused(String),
}

/// What became of the gates before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Past {
    /// How many have died so far.
    pub(crate) restarts: u64,
    /// How many of them were killed because they hung.
    pub(crate) hangs: u64,
    /// How long ago one began that had no flows from another.
    pub(crate) age: Duration,
}

/// What the warden tells a gate unasked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// End gracefully.
    End,
    /// Open the log files anew.
    ReopenLogs,
    /// Judge by the rules and lists as the files have them now.
    ReloadRules,
    /// The next gate is prepared: give it your flows by the pipe beside the order, and leave the queues to it.
    HandOver,
    /// What came of a restart: the next gate judges, or why this one goes on.
    Restarted(Result<(), String>),
}

/// What came of loading the gate.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct GateFacts {
    /// The interfaces by port, with the queues of each and how the program is attached.
    pub(crate) ports: Vec<PortFacts>,
    /// Does the kernel side send to peers?
    pub(crate) forwards: bool,
    /// Were links and maps of a dead predecessor adopted?
    pub(crate) adopted: bool,
    /// An older heartbeat is a dead worker's.
    pub(crate) beat_limit: Duration,
    /// Lines of the maps of lists.
    pub(crate) list_sizes: [u32; 2],
    /// What puts lists in force: the last three descriptors.
    #[serde(skip)]
    pub(crate) lists: Option<Arc<ListMaps>>,
    /// Where workers tell that they live: mapped by the gate, from the first descriptor beside the answer.
    #[serde(skip)]
    pub(crate) pulses: Option<Pulses>,
    /// What passed unjudged: mapped from the second descriptor.
    #[serde(skip)]
    pub(crate) passed: Option<Passed>,
    /// Lines of the verdict cache's map.
    pub(crate) cache_lines: u32,
    /// The verdict cache, of the third descriptor.
    #[serde(skip)]
    pub(crate) cache: Option<Arc<VerdictCache>>,
}

/// One port of the gate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PortFacts {
    pub(crate) name: String,
    pub(crate) queues: u32,
    pub(crate) mode: AttachedMode,
}
