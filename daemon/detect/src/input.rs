//! What the caller knows about the packet to be judged.

use std::cell::Cell;

use portcullis_flow::{Direction, FlowBits};
use portcullis_stream::StreamEvents;
use portcullis_wire::Decoded;

/// One packet, as the rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What decoding found. Of an invalid packet only `pkthdr` rules are asked.
    pub decoded: &'a Decoded,
    /// The frame that `decoded` describes.
    pub frame: &'a [u8],
    /// The bytes that `content` looks at: the transport payload.
    pub payload: &'a [u8],
    /// The packet's flow; `None` where it has none (invalid, not tracked, table full).
    pub flow: Option<FlowFacts>,
    /// What rules remember about the flow: rules that match change it, and rules asked after them see
    /// that. `None` where the packet has no flow; needed only if [`RuleSet::uses_bits`].
    ///
    /// [`RuleSet::uses_bits`]: crate::RuleSet::uses_bits
    pub bits: Option<&'a Cell<FlowBits>>,
}

/// What is known about a packet's flow when the packet is judged, this packet already accounted for.
#[derive(Clone, Copy, Debug)]
pub struct FlowFacts {
    /// Which way the packet travels.
    pub direction: Direction,
    /// Is the flow established, by `flow:established`'s meaning: TCP's handshake complete; of other
    /// protocols, traffic seen both ways?
    pub established: bool,
    /// Is this the first packet in its direction? IP-only rules are asked then, and then only.
    pub first_in_direction: bool,
    /// Is `payload` part of a TCP stream that is followed? A content of a `tcp` rule then looks at the
    /// stream, and its action applies to the flow. Where no window of the stream is given, the payload is
    /// taken for one.
    pub stream_data: bool,
    /// What is wrong or remarkable about the packet in its TCP session.
    pub stream_events: StreamEvents,
    /// Whole seconds since the flow's first packet.
    pub age: u32,
    /// Packets to the server and to the client, this one included.
    pub packets: [u64; 2],
    /// Their bytes.
    pub bytes: [u64; 2],
    /// Bytes of stream that the client and the server have sent so far, by TCP's sequence numbers; `None`
    /// where streams are not followed: no `stream_size` matches then.
    pub stream_bytes: Option<[u64; 2]>,
}

impl Default for FlowFacts {
    /// A flow to the server about which nothing is known.
    fn default() -> Self {
        Self {
            direction: Direction::ToServer,
            established: false,
            first_in_direction: false,
            stream_data: false,
            age: 0,
            packets: [0; 2],
            bytes: [0; 2],
            stream_events: StreamEvents::NONE,
            stream_bytes: None,
        }
    }
}
