//! A rule matched: EVE's `alert`, and the part of it that a `drop` record shows too.

use crate::common::{Common, Counts};
use crate::named::named_enum;
use crate::text::TextList;
use portcullis_flow::{Direction, Flow};
use portcullis_wire::{Address, Timestamp};

/// A rule that matched, with its strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert<'a> {
    /// Was the packet let through?
    pub action: AlertAction,
    /// What the rule would have done to the packet, had it been allowed to.
    pub would: Option<Would>,
    /// Group id.
    pub gid: u32,
    /// Signature id.
    pub sid: u32,
    /// Revision.
    pub rev: u32,
    /// The rule's `msg`. Any bytes: what is not UTF-8 is replaced when it is printed.
    pub signature: &'a [u8],
    /// Description of its `classtype`; empty without one.
    pub category: &'a [u8],
    /// Its priority: 1 is the most severe.
    pub severity: u8,
    /// Which side the rule says is attacked.
    pub target: Option<Target>,
    /// Its references, resolved to addresses.
    pub references: TextList<'a>,
    /// Its `metadata`: key, value, key, value …
    pub metadata: TextList<'a>,
    /// The rule as it was written; empty where that is not wanted.
    pub rule: &'a [u8],
}

/// A packet on which a rule alerted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertRecord<'a> {
    /// The packet's time and addresses.
    pub common: Common<'a>,
    /// The rule.
    pub alert: Alert<'a>,
    /// The packet's direction in its flow; none without a flow.
    pub direction: Option<Direction>,
    /// The packet's flow so far.
    pub flow: Option<AlertFlow>,
    /// The inspected bytes, where the output wants them.
    pub payload: Option<&'a [u8]>,
    /// Length of the inspected bytes before any cut.
    pub payload_length: u32,
    /// Did the rule match on the reassembled stream?
    pub stream: bool,
    /// The whole frame, where the output wants it.
    pub packet: Option<&'a [u8]>,
    /// Link type of `packet`, by its number in capture files.
    pub linktype: u32,
    /// What became of the packet, where the output wants it.
    pub verdict: Option<PacketVerdict>,
    /// Something was cut to fit the record into its bound: payload, packet or overlong strings.
    /// Set by encoding.
    pub truncated: bool,
}

/// A flow as an alert shows it, with addresses in the flow's direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertFlow {
    /// Packets and bytes so far, this packet included.
    pub counts: Counts,
    /// Time of the flow's first packet.
    pub start: Timestamp,
    /// The client.
    pub source: Address,
    /// The server.
    pub destination: Address,
    /// The client's port.
    pub source_port: u16,
    /// The server's port.
    pub destination_port: u16,
}

impl AlertFlow {
    /// A flow as it is now.
    #[must_use]
    pub fn of(flow: &Flow<'_>) -> Self {
        let ((source, source_port), (destination, destination_port)) = (flow.client(), flow.server());
        Self {
            counts: Counts::of(flow),
            start: flow.start(),
            source,
            destination,
            source_port,
            destination_port,
        }
    }
}

/// What became of a packet: EVE's `verdict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketVerdict {
    /// What was done.
    pub action: VerdictAction,
    /// To whom a reset or ICMP error was sent, if to anyone.
    pub reject: Option<RejectTarget>,
}

named_enum! {
    /// EVE's `alert.action`.
    pub enum AlertAction {
        /// The rule let the packet through.
        Allowed = "allowed",
        /// The rule dropped or rejected it.
        Blocked = "blocked",
    }
}

named_enum! {
    /// `alert.would` (ours).
    pub enum Would {
        /// Dropped it.
        Drop = "drop",
        /// Dropped it and told the ends.
        Reject = "reject",
    }
}

named_enum! {
    /// EVE's `verdict.action`.
    pub enum VerdictAction {
        /// Dropped.
        Drop = "drop",
        /// Accepted by a rule that says so.
        Accept = "accept",
        /// Passed by a pass rule.
        Pass = "pass",
        /// Let through; there was only an alert.
        Alert = "alert",
    }
}

named_enum! {
    /// Who is told that a packet was rejected. As in Suricata the names are about the packet, not
    /// about the flow: of a packet to the client the sender is the server.
    pub enum RejectTarget {
        /// The packet's sender.
        ToClient = "to_client",
        /// Whom the packet was for.
        ToServer = "to_server",
        /// Both ends.
        Both = "both",
    }
}

named_enum! {
    /// The attacked side of a packet, by a rule's `target` keyword.
    pub enum Target {
        /// `target:src_ip`
        Source = "src_ip",
        /// `target:dest_ip`
        Destination = "dest_ip",
    }
}
