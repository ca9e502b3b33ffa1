//! Flows about which the engine has decided, put forward to somebody before it who can answer their packets (the
//! verdict cache of the XDP program), and what was counted there meanwhile.
//!
//! Both directions are bounded rings: the worker never waits, never wakes anybody, and what finds no room is put
//! forward again with a later packet. The engine does not know who is at the other end.

use portcullis_capture::PortId;
use portcullis_flow::{Direction, FlowKey};
use portcullis_wire::Address;
use portcullis_wire::decoded::VlanIds;
use rtrb::{Consumer, Producer, RingBuffer};

/// What becomes of the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffloadAction {
    /// They are dropped.
    Drop,
    /// They leave through the peer of the port that they came in by.
    Pass,
}

/// One direction of a flow that is decided, as one of its packets had it: what looks the same as that packet, up to
/// the network and transport header, may be answered.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// The flow's id.
    pub flow: u64,
    /// Its key.
    pub key: FlowKey,
    /// The direction.
    pub direction: Direction,
    /// What was decided.
    pub action: OffloadAction,
    /// The generation of the rules that were in use then ([`Rules::generation`](crate::Rules::generation)).
    pub generation: u32,
    /// The port that the packet came in by.
    pub ingress: PortId,
    /// Its source.
    pub source: Address,
    /// Its destination.
    pub destination: Address,
    /// Its ports; of an ICMP echo type and code.
    pub ports: (u16, u16),
    /// Its tags.
    pub vlans: VlanIds,
    /// 4 or 6.
    pub ip_version: u8,
    /// TCP, UDP, or the ICMP of the version.
    pub protocol: u8,
}

/// What a worker asks for.
#[derive(Clone, Copy, Debug)]
pub enum OffloadRequest {
    /// Answer these packets.
    Put(Offer),
    /// The flow with this id is over: answer none of its packets any more.
    Withdraw(u64),
}

/// Packets of a flow that were answered since the last time.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// The flow's id.
    pub flow: u64,
    /// Its key.
    pub key: FlowKey,
    /// Their direction.
    pub direction: Direction,
    /// How many.
    pub packets: u64,
    /// Their bytes, link headers included.
    pub bytes: u64,
}

/// Requests that may wait; more are put forward again later.
const REQUESTS: usize = 4096;

/// Counts that may wait for a worker; more are told later.
const ANSWERED: usize = 16_384;

/// The worker's end.
#[derive(Debug)]
pub struct OffloadLink {
    pub(crate) requests: Producer<OffloadRequest>,
    pub(crate) answered: Consumer<Answered>,
}

/// The other end.
#[derive(Debug)]
pub struct OffloadDesk {
    requests: Consumer<OffloadRequest>,
    answered: Producer<Answered>,
}

/// A pair of ends.
#[must_use]
pub fn channel() -> (OffloadLink, OffloadDesk) {
    let (requests, asked) = RingBuffer::new(REQUESTS);
    let (told, answered) = RingBuffer::new(ANSWERED);
    (OffloadLink { requests, answered }, OffloadDesk { requests: asked, answered: told })
}

impl OffloadDesk {
    /// The next request.
    pub fn request(&mut self) -> Option<OffloadRequest> {
        self.requests.pop().ok()
    }

    /// Tells the worker; false where it has no room: then tell it later, with what came to it until then.
    pub fn tell(&mut self, answered: Answered) -> bool {
        self.answered.push(answered).is_ok()
    }

    /// Is the worker gone?
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.requests.is_abandoned()
    }
}
