use crate::samples::{alert_record, ipv6_common, vlans};
use crate::{all_options, check, line};
use portcullis_capture::PortId;
use portcullis_eve::EveOptions;
use portcullis_event::*;

#[test]
fn an_alert_as_the_defaults_have_it() {
    let references: TextListBuf = ["http://example.com/1"].into_iter().collect();
    let metadata: TextListBuf = ["tag", "a", "color", "red", "tag", "b"].into_iter().collect();
    let mut record = alert_record();
    record.alert.references = references.as_list();
    record.alert.metadata = metadata.as_list();
    check(
        EveOptions::default(),
        &Record::Alert(record),
        &[
            r#"{"timestamp":"2026-11-21T09:57:47.426097+0000","flow_id":1234567890123456,"pcap_cnt":4,"#,
            r#""event_type":"alert","src_ip":"10.0.0.1","src_port":40000,"dest_ip":"10.0.0.2","dest_port":80,"#,
            r#""proto":"TCP","ip_v":4,"pkt_src":"wire/pcap","#,
            r#""alert":{"action":"allowed","gid":1,"signature_id":2100498,"rev":7,"#,
            r#""signature":"TEST \"quoted\"","category":"Misc activity","severity":3,"#,
            r#""metadata":{"tag":["a","b"],"color":["red"]}},"#,
            r#""direction":"to_server","#,
            r#""flow":{"pkts_toserver":3,"pkts_toclient":1,"bytes_toserver":210,"bytes_toclient":74,"#,
            r#""start":"2026-11-21T09:57:40.000001+0000","#,
            r#""src_ip":"10.0.0.1","dest_ip":"10.0.0.2","src_port":40000,"dest_port":80}}"#,
        ],
    );
}

#[test]
fn an_alert_within_a_tunnel() {
    let check = |tunnel: Tunnel, expected: &str| {
        let mut record = alert_record();
        record.common.pkt_src = Some(PacketSource::Vxlan);
        record.common.tunnel = Some(tunnel);
        let line = line(EveOptions::default(), &Record::Alert(record));
        assert!(line.contains(r#""pkt_src":"vxlan encapsulation""#) && line.contains(expected), "{line}");
    };
    let address = |last| std::net::Ipv4Addr::new(192, 0, 2, last).to_ipv6_mapped().octets();
    let tunnel = Tunnel {
        ip_version: 4,
        source: address(1),
        destination: address(2),
        source_port: 40_000,
        destination_port: 4789,
        protocol: 17,
        depth: 1,
        pcap_cnt: Some(4),
        pkt_src: PacketSource::Wire,
    };
    check(
        tunnel,
        concat!(
            r#""tunnel":{"src_ip":"192.0.2.1","src_port":40000,"dest_ip":"192.0.2.2","dest_port":4789,"#,
            r#""proto":"UDP","depth":1,"pcap_cnt":4,"pkt_src":"wire/pcap"}"#
        ),
    );
    check(
        Tunnel { protocol: 4, depth: 2, pcap_cnt: None, ..tunnel },
        concat!(
            r#""tunnel":{"src_ip":"192.0.2.1","dest_ip":"192.0.2.2","proto":"IP-in-IP","depth":2,"#,
            r#""pkt_src":"wire/pcap"}"#
        ),
    );
    check(
        Tunnel { ip_version: 0, pcap_cnt: None, ..tunnel },
        r#""tunnel":{"depth":1,"pkt_src":"wire/pcap"}"#,
    );
}

#[test]
fn an_alert_with_everything() {
    let references: TextListBuf = ["http://example.com/1", "cve,2026-1"].into_iter().collect();
    let flowbits: TextListBuf = ["seen.one", "seen.two"].into_iter().collect();
    let mut record = alert_record();
    record.common.in_iface = Some(PortId(1));
    record.common.parent_id = Some(5);
    record.common.vlans = vlans(&[10, 100]);
    record.common.ether = Ether { source: &[[2, 0, 0, 0, 0, 1]], destination: &[[2, 0, 0, 0, 0, 0xab]] };
    record.common.flowbits = flowbits.as_list();
    record.alert.action = AlertAction::Blocked;
    record.alert.target = Some(Target::Destination);
    record.alert.references = references.as_list();
    record.alert.rule = b"drop tcp any any -> any any (sid:2100498;)";
    record.payload = Some(b"EVIL\x00");
    record.payload_length = 5;
    record.stream = true;
    record.packet = Some(b"GOOD");
    record.verdict =
        Some(PacketVerdict { action: VerdictAction::Drop, reject: Some(RejectTarget::ToClient) });
    check(
        all_options(),
        &Record::Alert(record),
        &[
            r#"{"timestamp":"2026-11-21T09:57:47.426097+0000","flow_id":1234567890123456,"parent_id":5,"#,
            r#""in_iface":"eth2","pcap_cnt":4,"event_type":"alert","vlan":[10,100],"#,
            r#""src_ip":"10.0.0.1","src_port":40000,"dest_ip":"10.0.0.2","dest_port":80,"#,
            r#""proto":"TCP","ip_v":4,"pkt_src":"wire/pcap","#,
            r#""metadata":{"flowbits":["seen.one","seen.two"]},"#,
            r#""ether":{"src_mac":"02:00:00:00:00:01","dest_mac":"02:00:00:00:00:ab"},"#,
            r#""alert":{"action":"blocked","gid":1,"signature_id":2100498,"rev":7,"#,
            r#""signature":"TEST \"quoted\"","category":"Misc activity","severity":3,"#,
            r#""source":{"ip":"10.0.0.1","port":40000},"target":{"ip":"10.0.0.2","port":80},"#,
            r#""references":["http://example.com/1","cve,2026-1"],"#,
            r#""rule":"drop tcp any any -> any any (sid:2100498;)"},"#,
            r#""direction":"to_server","#,
            r#""flow":{"pkts_toserver":3,"pkts_toclient":1,"bytes_toserver":210,"bytes_toclient":74,"#,
            r#""start":"2026-11-21T09:57:40.000001+0000","#,
            r#""src_ip":"10.0.0.1","dest_ip":"10.0.0.2","src_port":40000,"dest_port":80},"#,
            r#""payload":"RVZJTAA=","payload_length":5,"payload_printable":"EVIL.","stream":1,"#,
            r#""packet":"R09PRA==","packet_info":{"linktype":1,"linktype_name":"EN10MB"},"#,
            r#""verdict":{"action":"drop","reject_target":"to_client","reject":["tcp-reset"]}}"#,
        ],
    );
}

#[test]
fn an_alert_without_flow_on_ipv6() {
    let mut record = alert_record();
    record.common = Common { flow_id: None, pcap_cnt: None, ..ipv6_common() };
    record.alert.target = Some(Target::Source);
    record.alert.signature = b"latin-1: \xe9";
    record.direction = None;
    record.flow = None;
    record.verdict = Some(PacketVerdict { action: VerdictAction::Alert, reject: None });
    let mut options = EveOptions::default();
    options.alert.verdict = true;
    check(
        options,
        &Record::Alert(record),
        &[
            r#"{"timestamp":"2026-11-21T09:57:47.426097+0000","event_type":"alert","#,
            r#""src_ip":"2001:0db8:85a3:0000:0000:8a2e:0370:7334","#,
            r#""dest_ip":"2001:0db8:85a3:0000:0000:8a2e:0370:7335","#,
            r#""proto":"IPv6-ICMP","ip_v":6,"icmp_type":128,"icmp_code":0,"pkt_src":"wire/pcap","#,
            r#""alert":{"action":"allowed","gid":1,"signature_id":2100498,"rev":7,"#,
            "\"signature\":\"latin-1: \u{fffd}\",",
            r#""category":"Misc activity","severity":3,"#,
            r#""source":{"ip":"2001:0db8:85a3:0000:0000:8a2e:0370:7335"},"#,
            r#""target":{"ip":"2001:0db8:85a3:0000:0000:8a2e:0370:7334"}},"#,
            r#""verdict":{"action":"alert"}}"#,
        ],
    );
}

#[test]
fn an_alert_tells_what_its_rule_would_have_done() {
    let mut record = alert_record();
    record.alert.would = Some(Would::Reject);
    let text = line(all_options(), &Record::Alert(record));
    assert!(text.contains(r#""alert":{"action":"allowed","would":"reject","gid":1,"#), "{text}");
}

#[test]
fn what_a_rejected_packet_is_answered_with() {
    let verdict = |protocol, reject| {
        let mut record = alert_record();
        record.common.protocol = protocol;
        record.verdict = Some(PacketVerdict { action: VerdictAction::Drop, reject: Some(reject) });
        let text = line(all_options(), &Record::Alert(record));
        text.split_once(r#""verdict":"#).unwrap().1.to_owned()
    };
    let check =
        |protocol, reject, expected: &str| assert_eq!(verdict(protocol, reject), format!("{expected}}}\n"));
    check(6, RejectTarget::Both, r#"{"action":"drop","reject_target":"both","reject":["tcp-reset"]}"#);
    check(
        17,
        RejectTarget::ToServer,
        r#"{"action":"drop","reject_target":"to_server","reject":["icmp-prohib"]}"#,
    );
    check(47, RejectTarget::ToClient, r#"{"action":"drop","reject_target":"to_client","reject":[]}"#);
}
