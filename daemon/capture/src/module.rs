//! The packet module: where packets come from and where verdicts are carried out.

use crate::burst::Burst;
use crate::verdict::Verdict;
use portcullis_wire::{LinkType, Timestamp};
use std::task::Waker;

/// A source and sink of packets: AF_XDP, DPDK, a capture file, memory. Modelled on Haka's packet
/// module, in Rust's terms: a module lends a whole burst and then carries out what it finds in
/// it, so that no frame can be forgotten, kept or judged twice.
///
/// One value is the state of one worker (Haka's `init_state` and `cleanup_state` are opening and
/// dropping it); it moves to the worker's thread and is never shared.
pub trait PacketModule: Send {
    /// What can go wrong for good. Passing troubles are counted in [`CaptureStats`].
    type Error: std::error::Error + Send + Sync + 'static;

    /// Lends received packets once, then applies the verdicts and carries out the outbox. Calls
    /// `inspect` at most once, and never with an empty burst. Never blocks.
    ///
    /// # Errors
    /// The module is then broken: do not poll it again.
    fn poll(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, Self::Error>;

    /// Sleeps until a packet, the waker or `until`. Haka's blocking `receive` is `wait`, then
    /// `poll`.
    ///
    /// # Errors
    /// As for [`poll`](Self::poll).
    fn wait(&mut self, until: Timestamp) -> Result<Wake, Self::Error>;

    /// Ends a [`wait`](Self::wait) from any thread.
    fn waker(&self) -> Waker;

    /// What kind of module this is; does not change while it is open.
    fn properties(&self) -> Properties;

    /// The time of the last burst: the wall clock where the module is real-time, else the
    /// largest packet time so far. After [`Poll::End`] every worker's state tells the same time,
    /// the largest of the whole source.
    fn now(&self) -> Timestamp;

    /// A time in which packets may have passed that no state of this module lent, or `None`. Each is told once,
    /// and before any packet that came after it is lent: ask before each [`poll`](Self::poll). Modules whose
    /// packets cannot pass them by have none.
    fn unseen(&mut self) -> Option<Unseen> {
        None
    }

    /// Counts since the module was opened.
    fn stats(&self) -> CaptureStats;
}

/// A time in which packets may have passed that nobody judged, on the module's [clock](PacketModule::now).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// The last moment at which all were lent.
    pub since: Timestamp,
    /// The first one after it.
    pub until: Timestamp,
}

/// What a poll brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// This many packets were lent and judged.
    Received(usize),
    /// Nothing now.
    Empty,
    /// Nothing ever again, and every verdict has been carried out.
    End,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// There may be packets.
    Ready,
    /// The waker was used.
    Woken,
    /// `until` has come.
    TimedOut,
}

/// What kind of module it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// May there be several states, one a worker?
    pub multi_threaded: bool,
    /// Traffic is only read: nothing that is judged or sent changes it.
    pub pass_through: bool,
    /// Is time the wall clock's? Otherwise it comes from the packets.
    pub is_realtime: bool,
    /// Largest frame that each port can send, in bytes, by [`PortId`](crate::PortId).
    pub mtu: Vec<u32>,
    /// What frames start with, where it is the same for all.
    pub link: LinkType,
}

/// Counts of a module's state, since it was opened. Between two polls
/// `received + reentered + steered_in == accepted + dropped + steered_out`, but for what waits in
/// a ring to be judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureStats {
    /// Packets received from the source (not those steered here).
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Forged packets received again as new, in this state.
    pub reentered: u64,
    /// Packets that another worker passed on to this one.
    pub steered_in: u64,
    /// Packets passed on to another worker.
    pub steered_out: u64,
    /// Packets sent to the peer port (or to the output file, or nowhere in pass-through).
    pub accepted: u64,
    /// Packets dropped by verdict.
    pub dropped: u64,
    /// Packets dropped because the ring to their owner was full.
    pub steer_refused: u64,
    /// Forged packets sent: out at once, or to be received again.
    pub forged: u64,
    /// Forged packets that could not be sent.
    pub forged_refused: u64,
    /// Packets accepted that could not be sent.
    pub send_errors: u64,
    /// Packets dropped unjudged because they had waited while their worker did not look for so long that it was taken
    /// for dead. Not in `received`.
    pub late_drops: u64,
    /// Packets that the kernel or the device lost before us.
    pub kernel_drops: u64,
    /// Errors that passed.
    pub errors: u64,
}

impl CaptureStats {
    /// Counts the verdict of a worker that can pass no packet on: steering it is an error, and drops it. Does it leave?
    #[inline]
    pub fn count_final(&mut self, verdict: Verdict) -> bool {
        let leaves = verdict == Verdict::Accept;
        self.accepted += u64::from(leaves);
        self.dropped += u64::from(!leaves);
        self.errors += u64::from(matches!(verdict, Verdict::Steer(_)));
        leaves
    }
}
