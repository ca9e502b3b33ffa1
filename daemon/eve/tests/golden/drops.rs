use crate::samples::{alert, drop_record, ipv6_common, packet_common};
use crate::{all_options, check, line};
use portcullis_capture::DropReason;
use portcullis_eve::{EveOptions, EventTypes, Formatter};
use portcullis_event::*;
use portcullis_wire::decoded::TcpFlags;

#[test]
fn a_dropped_tcp_packet() {
    let mut record = drop_record();
    record.packet.transport = DroppedTransport::Tcp {
        seq: 1000,
        ack: 2000,
        window: 512,
        flags: TcpFlags(TcpFlags::PSH | TcpFlags::ACK),
        reserved: 0,
        urgent: 9,
    };
    record.alert = Some(Alert { action: AlertAction::Blocked, ..alert() });
    record.verdict = Some(PacketVerdict { action: VerdictAction::Drop, reject: None });
    check(
        all_options(),
        &Record::Drop(record),
        &[
            r#"{"timestamp":"2026-11-21T09:57:47.426097+0000","flow_id":1234567890123456,"pcap_cnt":4,"#,
            r#""event_type":"drop","src_ip":"10.0.0.1","src_port":40000,"dest_ip":"10.0.0.2","dest_port":80,"#,
            r#""proto":"TCP","ip_v":4,"pkt_src":"wire/pcap","direction":"to_server","#,
            r#""drop":{"len":60,"tos":4,"ttl":64,"ipid":4711,"tcpseq":1000,"tcpack":2000,"tcpwin":512,"#,
            r#""syn":false,"ack":true,"psh":true,"rst":false,"urg":false,"fin":false,"tcpres":0,"tcpurgp":9,"#,
            r#""reason":"rules"},"verdict":{"action":"drop"},"#,
            r#""alert":{"action":"blocked","gid":1,"signature_id":2100498,"rev":7,"#,
            r#""signature":"TEST \"quoted\"","category":"Misc activity","severity":3}}"#,
        ],
    );
}

#[test]
fn a_dropped_udp_packet_and_an_ipv6_echo() {
    let mut record = drop_record();
    record.common.protocol = 17;
    record.reason = DropReason::FlowMemcap;
    record.packet.transport = DroppedTransport::Udp { length: 40 };
    let text = line(EveOptions::default(), &Record::Drop(record));
    assert!(
        text.contains(
            r#""drop":{"len":60,"tos":4,"ttl":64,"ipid":4711,"udplen":40,"reason":"flow memcap"}}"#
        )
    );

    record.common = ipv6_common();
    record.packet.flow_label = 0xabcde;
    record.packet.transport = DroppedTransport::Icmp { id: 1, sequence: 2 };
    let text = line(EveOptions::default(), &Record::Drop(record));
    assert!(text.contains(
        r#""drop":{"len":60,"tc":4,"hoplimit":64,"flowlbl":703710,"icmp_id":1,"icmp_seq":2,"reason":"flow memcap"}}"#
    ));
}

#[test]
fn a_dropped_frame_that_is_not_ip() {
    let mut record = drop_record();
    record.common = Common { ip_version: 0, flow_id: None, ..packet_common() };
    record.direction = None;
    record.reason = DropReason::DecodeError;
    check(
        EveOptions::default(),
        &Record::Drop(record),
        &[
            r#"{"timestamp":"2026-11-21T09:57:47.426097+0000","pcap_cnt":4,"event_type":"drop","#,
            r#""pkt_src":"wire/pcap","drop":{"reason":"decode error"}}"#,
        ],
    );
}

#[test]
fn a_packet_that_a_list_decided() {
    let packet = DroppedPacket { transport: DroppedTransport::Udp { length: 40 }, ..drop_record().packet };
    let common = Common { flow_id: None, pcap_cnt: None, protocol: 17, ..packet_common() };
    let record = ListedRecord { common, packet, list: b"feed", dropped: true };
    let header = |kind: &str| {
        format!(
            concat!(
                r#"{{"timestamp":"2026-11-21T09:57:47.426097+0000","event_type":"{}","src_ip":"10.0.0.1","#,
                r#""src_port":40000,"dest_ip":"10.0.0.2","dest_port":80,"proto":"UDP","ip_v":4,"#,
                r#""pkt_src":"wire/pcap","#
            ),
            kind
        )
    };
    let drop = r#""drop":{"len":60,"tos":4,"ttl":64,"ipid":4711,"udplen":40,"reason":"blocklist"},"#;
    let list = |action: &str| format!("\"list\":{{\"name\":\"feed\",\"action\":\"{action}\"}}}}\n");
    let shown = line(EveOptions::default(), &Record::Listed(record));
    assert_eq!(shown, format!("{}{drop}{}", header("drop"), list("drop")));
    let told = line(EveOptions::default(), &Record::Listed(ListedRecord { dropped: false, ..record }));
    assert_eq!(told, format!("{}{}", header("list"), list("alert")));
    let types = EventTypes { drop: false, ..EventTypes::NONE };
    let mut out = Vec::new();
    let options = EveOptions { types, ..EveOptions::default() };
    assert!(!Formatter::new(options).format(&Record::Listed(record), &mut out));
}
