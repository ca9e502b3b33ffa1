//! Records made of arbitrary values, for property tests.

use portcullis_capture::{DropReason, PortId};
use portcullis_event::*;
use portcullis_flow::flow::Bypass;
use portcullis_flow::{Direction, EndReason, FlowAction, FlowState, TcpState};
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::{TcpFlags, VlanIds};
use proptest::collection::vec;
use proptest::prelude::*;

/// The values that a record is made of. Every choice comes from `numbers`, by position.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    numbers: Vec<u64>,
    address: [[u8; 16]; 2],
    macs: Vec<Mac>,
    texts: Vec<Vec<u8>>,
    lists: Vec<TextListBuf>,
    payload: Vec<u8>,
    packet: Vec<u8>,
}

/// Parts of records whose payload and packet have up to `longest` bytes each.
pub(crate) fn parts(longest: usize) -> impl Strategy<Value = Parts> {
    let text = || vec(any::<u8>(), 0..40);
    let list = || vec(text(), 0..4).prop_map(|entries| entries.into_iter().collect::<TextListBuf>());
    (
        vec(any::<u64>(), 40),
        any::<[[u8; 16]; 2]>(),
        vec(any::<Mac>(), 0..3),
        vec(text(), 3),
        vec(list(), 3),
        vec(any::<u8>(), 0..=longest),
        vec(any::<u8>(), 0..=longest),
    )
        .prop_map(|(numbers, address, macs, texts, lists, payload, packet)| Parts {
            numbers,
            address,
            macs,
            texts,
            lists,
            payload,
            packet,
        })
}

impl Parts {
    /// One record of each kind, from the same parts.
    pub(crate) fn records(&self) -> [Record<'_>; 7] {
        [
            Record::Alert(self.alert_record()),
            Record::Drop(self.drop_record()),
            Record::Flow(self.flow_record()),
            Record::Netflow(self.netflow_record()),
            Record::Stats(self.stats_record()),
            Record::Blind(self.blind_record()),
            Record::Listed(self.listed_record()),
        ]
    }

    pub(crate) fn listed_record(&self) -> ListedRecord<'_> {
        let DropRecord { common, packet, .. } = self.drop_record();
        ListedRecord { common, packet, list: &self.texts[0], dropped: self.flag(1) }
    }

    pub(crate) fn blind_record(&self) -> BlindRecord {
        BlindRecord {
            timestamp: self.time(0),
            port: PortId(self.one_of(0, &[0, 1, 255])),
            queue: self.one_of(1, &[0, 7, u32::MAX]),
            start: self.time(1),
            end: self.time(2),
            packets: self.one_of(2, &[1, u64::MAX]),
            passed: self.one_of(3, &[0, u64::MAX]),
        }
    }

    pub(crate) fn alert_record(&self) -> AlertRecord<'_> {
        AlertRecord {
            common: self.common(),
            alert: self.alert(),
            direction: self.maybe(0, self.one_of(1, &[Direction::ToServer, Direction::ToClient])),
            flow: self.maybe(
                2,
                AlertFlow {
                    counts: self.counts(),
                    start: self.time(3),
                    source: self.address[0],
                    destination: self.address[1],
                    source_port: self.number(4),
                    destination_port: self.number(5),
                },
            ),
            payload: self.maybe(6, &self.payload),
            payload_length: self.number(7),
            stream: self.flag(8),
            packet: self.maybe(9, &self.packet),
            linktype: self.number(10),
            verdict: self.verdict(),
            truncated: false,
        }
    }

    pub(crate) fn drop_record(&self) -> DropRecord<'_> {
        let transports = [
            DroppedTransport::None,
            DroppedTransport::Tcp {
                seq: self.number(1),
                ack: self.number(2),
                window: self.number(3),
                flags: TcpFlags(self.number(4)),
                reserved: self.number(5),
                urgent: self.number(6),
            },
            DroppedTransport::Udp { length: self.number(1) },
            DroppedTransport::Icmp { id: self.number(1), sequence: self.number(2) },
        ];
        DropRecord {
            common: self.common(),
            direction: self.maybe(7, self.one_of(8, &[Direction::ToServer, Direction::ToClient])),
            packet: DroppedPacket {
                length: self.number(9),
                tos: self.number(10),
                ttl: self.number(11),
                ip_id: self.number(12),
                flow_label: self.number(13),
                transport: self.one_of(14, &transports),
            },
            reason: self.one_of(15, &DropReason::ALL),
            alert: self.maybe(16, self.alert()),
            verdict: self.verdict(),
            repeated: self.flag(17),
            truncated: false,
        }
    }

    pub(crate) fn flow_record(&self) -> FlowRecord<'_> {
        let actions = [FlowAction::Pass, FlowAction::Drop(self.one_of(2, &DropReason::ALL))];
        let mut exception_policies = PolicyTargets::default();
        for (index, target) in ExceptionTarget::ALL.iter().enumerate() {
            if self.flag(20 + index) {
                exception_policies.set(*target, self.one_of(26, ExceptionPolicy::ALL));
            }
        }
        FlowRecord {
            common: self.common(),
            counts: self.counts(),
            bypassed: self.maybe(0, self.counts()),
            start: self.time(3),
            end: self.time(4),
            emergency: self.flag(5),
            state: self
                .one_of(6, &[FlowState::New, FlowState::Established, FlowState::Closed, FlowState::Bypassed]),
            bypass: self.maybe(7, self.one_of(8, &[Bypass::Local, Bypass::Capture])),
            reason: self.one_of(9, &[EndReason::TcpReuse, EndReason::Timeout, EndReason::Unknown]),
            alerted: self.flag(10),
            uninspected: self.flag(12),
            elephant_toserver: self.flag(13),
            elephant_toclient: self.flag(14),
            action: self.maybe(11, self.one_of(12, &actions)),
            exception_policies,
            tcp: self.maybe(13, self.tcp()),
        }
    }

    pub(crate) fn netflow_record(&self) -> NetflowRecord<'_> {
        NetflowRecord {
            common: self.common(),
            pkts: self.number(1),
            bytes: self.number(2),
            start: self.time(3),
            end: self.time(4),
            ttl: TtlRange { min: self.number(5), max: self.number(6) },
            tcp_flags: self.maybe(7, TcpFlags(self.number(8))),
        }
    }

    pub(crate) fn stats_record(&self) -> StatsRecord {
        let counters = Counters {
            capture_kernel_packets: self.number(1),
            flow_end_state_new: self.number(2),
            log_flow_refused: self.number(3),
            ..Counters::default()
        };
        let rules = RuleCounts {
            last_reload: self.time(4),
            loaded: self.number(5),
            failed: self.number(6),
            skipped: self.number(7),
        };
        StatsRecord {
            timestamp: self.time(8),
            uptime: self.number(9),
            counters: Box::new(counters),
            rules: self.maybe(10, rules),
        }
    }

    fn common(&self) -> Common<'_> {
        let mut vlans = VlanIds::default();
        for index in 0..self.number::<u8>(27) % 4 {
            vlans.push(self.number(usize::from(index)));
        }
        let icmp = IcmpType { kind: self.number(28), code: self.number(29) };
        Common {
            timestamp: self.time(30),
            flow_id: self.maybe(31, self.number(32)),
            parent_id: self.maybe(32, self.number(33)),
            in_iface: self.maybe(33, PortId(self.number(34))),
            pcap_cnt: self.maybe(34, self.number(35)),
            vlans,
            ip_version: self.one_of(35, &[0, 4, 6]),
            source: self.address[0],
            destination: self.address[1],
            source_port: self.number(36),
            destination_port: self.number(37),
            protocol: self.number(38),
            icmp: self.maybe(36, icmp),
            response_icmp: self.maybe(37, icmp),
            spi: self.maybe(38, self.number(39)),
            pkt_src: self.maybe(39, self.one_of(0, PacketSource::ALL)),
            tunnel: self.maybe(
                16,
                Tunnel {
                    ip_version: self.one_of(35, &[0, 4, 6]),
                    source: self.address[1],
                    destination: self.address[0],
                    source_port: self.number(36),
                    destination_port: self.number(37),
                    protocol: self.number(38),
                    depth: self.number(17),
                    pcap_cnt: self.maybe(34, self.number(35)),
                    pkt_src: self.one_of(1, PacketSource::ALL),
                },
            ),
            ether: Ether { source: &self.macs, destination: &self.macs },
            flowbits: self.lists[0].as_list(),
        }
    }

    fn alert(&self) -> Alert<'_> {
        Alert {
            action: self.one_of(18, AlertAction::ALL),
            would: self.maybe(29, self.one_of(30, Would::ALL)),
            gid: self.number(19),
            sid: self.number(20),
            rev: self.number(21),
            signature: &self.texts[0],
            category: &self.texts[1],
            severity: self.number(22),
            target: self.maybe(23, self.one_of(24, Target::ALL)),
            references: self.lists[1].as_list(),
            metadata: self.lists[2].as_list(),
            rule: &self.texts[2],
        }
    }

    fn tcp(&self) -> TcpPart {
        let session = TcpSession {
            state: self.one_of(14, &TcpState::ALL),
            gap_toserver: self.flag(15),
            gap_toclient: self.flag(16),
            max_regions_toserver: self.number(17),
            max_regions_toclient: self.number(18),
        };
        TcpPart {
            flags: TcpFlags(self.number(19)),
            flags_toserver: TcpFlags(self.number(20)),
            flags_toclient: TcpFlags(self.number(21)),
            session: self.maybe(22, session),
        }
    }

    fn verdict(&self) -> Option<PacketVerdict> {
        let verdict = PacketVerdict {
            action: self.one_of(25, VerdictAction::ALL),
            reject: self.maybe(26, self.one_of(27, RejectTarget::ALL)),
        };
        self.maybe(28, verdict)
    }

    fn counts(&self) -> Counts {
        Counts {
            pkts_toserver: self.number(36),
            pkts_toclient: self.number(37),
            bytes_toserver: self.number(38),
            bytes_toclient: self.number(39),
        }
    }

    fn flag(&self, index: usize) -> bool {
        self.numbers[index] & 1 == 1
    }

    fn maybe<T>(&self, index: usize, value: T) -> Option<T> {
        self.flag(index).then_some(value)
    }

    fn one_of<T: Copy>(&self, index: usize, values: &[T]) -> T {
        values[self.number::<u8>(index) as usize % values.len()]
    }

    fn time(&self, index: usize) -> Timestamp {
        Timestamp::from_nanos(self.numbers[index])
    }

    /// The lowest bits that fit.
    fn number<T: FromLow>(&self, index: usize) -> T {
        T::from_low(self.numbers[index] >> 8)
    }
}

pub(crate) trait FromLow {
    fn from_low(value: u64) -> Self;
}

macro_rules! from_low {
    ($($kind:ty)*) => {
        $(impl FromLow for $kind {
            fn from_low(value: u64) -> Self {
                let mut bytes = [0; size_of::<Self>()];
                bytes.copy_from_slice(&value.to_le_bytes()[..size_of::<Self>()]);
                Self::from_le_bytes(bytes)
            }
        })*
    };
}

from_low!(u8 u16 u32 u64);
