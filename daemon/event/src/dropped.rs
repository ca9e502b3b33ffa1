//! A packet was dropped: EVE's `drop`.

use crate::alert::{Alert, PacketVerdict};
use crate::common::Common;
use portcullis_capture::DropReason;
use portcullis_flow::Direction;
use portcullis_wire::Decoded;
use portcullis_wire::decoded::{TcpFlags, Transport};

/// A packet that was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropRecord<'a> {
    /// The packet's time and addresses.
    pub common: Common<'a>,
    /// The packet's direction in its flow; none without a flow.
    pub direction: Option<Direction>,
    /// Fields of its headers.
    pub packet: DroppedPacket,
    /// Why it was dropped.
    pub reason: DropReason,
    /// The rule that dropped it, if one did.
    pub alert: Option<Alert<'a>>,
    /// What became of it, where the output wants that.
    pub verdict: Option<PacketVerdict>,
    /// A later packet of a dropped flow in a direction of which one was reported already, and
    /// dropped by no rule of its own. The output's `flows: start` leaves these out; whoever knows
    /// that setting need not report them at all.
    pub repeated: bool,
    /// Overlong strings of the rule were cut. Set by encoding.
    pub truncated: bool,
}

/// What a drop record shows of a packet's headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedPacket {
    /// IPv4: total length. IPv6: payload length. In bytes.
    pub length: u32,
    /// Type of service or traffic class.
    pub tos: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// IPv4 identification.
    pub ip_id: u16,
    /// IPv6 flow label.
    pub flow_label: u32,
    /// Fields of the transport header.
    pub transport: DroppedTransport,
}

/// What a drop record shows of the transport header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DroppedTransport {
    /// Nothing: another protocol, or no valid header.
    #[default]
    None,
    /// TCP.
    Tcp {
        /// Sequence number.
        seq: u32,
        /// Acknowledgement number.
        ack: u32,
        /// Window as sent.
        window: u16,
        /// Control bits.
        flags: TcpFlags,
        /// Reserved bits.
        reserved: u8,
        /// Urgent pointer.
        urgent: u16,
    },
    /// UDP.
    Udp {
        /// Length as its header states it.
        length: u16,
    },
    /// An ICMP message that has these two fields.
    Icmp {
        /// Identifier.
        id: u16,
        /// Sequence number.
        sequence: u16,
    },
}

/// Length of the fixed IPv6 header (RFC 8200 §3), which its payload length does not count.
const IPV6_HEADER: usize = 40;

impl DroppedPacket {
    /// What a drop record shows of this packet.
    #[must_use]
    pub fn of(decoded: &Decoded) -> Self {
        let header = if decoded.ip_version == 6 { IPV6_HEADER } else { 0 };
        let length = decoded.ip.len().saturating_sub(header);
        Self {
            length: u32::try_from(length).unwrap_or(u32::MAX),
            tos: decoded.tos,
            ttl: decoded.ttl,
            ip_id: decoded.ip_id,
            flow_label: decoded.flow_label,
            transport: DroppedTransport::of(&decoded.transport),
        }
    }
}

impl DroppedTransport {
    fn of(transport: &Transport) -> Self {
        match transport {
            Transport::None => Self::None,
            Transport::Tcp(tcp) => Self::Tcp {
                seq: tcp.seq,
                ack: tcp.ack,
                window: tcp.window,
                flags: tcp.flags,
                reserved: tcp.reserved,
                urgent: tcp.urgent,
            },
            Transport::Udp(udp) => Self::Udp { length: udp.length },
            Transport::Icmpv4(icmp) | Transport::Icmpv6(icmp) => {
                icmp.echo.map_or(Self::None, |(id, sequence)| Self::Icmp { id, sequence })
            }
        }
    }
}
