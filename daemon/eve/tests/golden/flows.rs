use crate::samples::{flow_record, icmp_common, vlans};
use crate::{all_options, check, line};
use portcullis_capture::{DropReason, PortId};
use portcullis_eve::EveOptions;
use portcullis_event::*;
use portcullis_flow::flow::Bypass;
use portcullis_flow::{EndReason, FlowAction, FlowState};
use portcullis_wire::decoded::TcpFlags;

#[test]
fn a_tcp_flow() {
    check(
        EveOptions::default(),
        &Record::Flow(flow_record()),
        &[
            r#"{"timestamp":"2026-11-21T09:57:47.426097+0000","flow_id":1234567890123456,"event_type":"flow","#,
            r#""src_ip":"10.0.0.1","src_port":40000,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","ip_v":4,"#,
            r#""flow":{"pkts_toserver":3,"pkts_toclient":1,"bytes_toserver":210,"bytes_toclient":74,"#,
            r#""start":"2026-11-21T09:57:40.000001+0000","end":"2026-11-21T09:57:46.999999+0000","age":6,"#,
            r#""state":"closed","reason":"timeout","alerted":false},"#,
            r#""tcp":{"tcp_flags":"1b","tcp_flags_ts":"1b","tcp_flags_tc":"12","#,
            r#""syn":true,"fin":true,"psh":true,"ack":true,"state":"time_wait","#,
            r#""ts_max_regions":1,"tc_max_regions":1}}"#,
        ],
    );
}

#[test]
fn a_flow_with_everything() {
    let macs = [[0, 0, 0x0c, 1, 1, 0x13], [0, 0, 0x0c, 1, 1, 0x11]];
    let flowbits: TextListBuf = ["bit"].into_iter().collect();
    let mut record = flow_record();
    record.common.in_iface = Some(PortId(0));
    record.common.vlans = vlans(&[6]);
    record.common.ether = Ether { source: &macs, destination: &macs[..1] };
    record.common.flowbits = flowbits.as_list();
    record.bypassed =
        Some(Counts { pkts_toserver: 2, pkts_toclient: 1, bytes_toserver: 20, bytes_toclient: 10 });
    record.emergency = true;
    record.state = FlowState::Bypassed;
    record.bypass = Some(Bypass::Local);
    record.reason = EndReason::Forced;
    record.alerted = true;
    record.uninspected = true;
    (record.elephant_toserver, record.elephant_toclient) = (true, true);
    record.action = Some(FlowAction::Drop(DropReason::Rules));
    record.exception_policies.set(ExceptionTarget::StreamMidstream, ExceptionPolicy::Ignore);
    record.exception_policies.set(ExceptionTarget::FlowMemcap, ExceptionPolicy::DropFlow);
    let tcp = record.tcp.as_mut().unwrap();
    tcp.flags = TcpFlags(0xff);
    tcp.session.as_mut().unwrap().gap_toserver = true;
    tcp.session.as_mut().unwrap().gap_toclient = true;
    check(
        all_options(),
        &Record::Flow(record),
        &[
            r#"{"timestamp":"2026-11-21T09:57:47.426097+0000","flow_id":1234567890123456,"in_iface":"eth1","#,
            r#""event_type":"flow","vlan":[6],"#,
            r#""src_ip":"10.0.0.1","src_port":40000,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","ip_v":4,"#,
            r#""flow":{"pkts_toserver":3,"pkts_toclient":1,"bytes_toserver":210,"bytes_toclient":74,"#,
            r#""bypassed":{"pkts_toserver":2,"pkts_toclient":1,"bytes_toserver":20,"bytes_toclient":10},"#,
            r#""start":"2026-11-21T09:57:40.000001+0000","end":"2026-11-21T09:57:46.999999+0000","age":6,"#,
            r#""emergency":true,"state":"bypassed","bypass":"local","reason":"forced","alerted":true,"#,
            r#""uninspected":true,"elephant":true,"elephant_direction":["toserver","toclient"],"action":"drop","#,
            r#""exception_policy":[{"target":"flow_memcap","policy":"drop_flow"},"#,
            r#"{"target":"stream_midstream","policy":"ignore"}]},"#,
            r#""metadata":{"flowbits":["bit"]},"#,
            r#""ether":{"dest_macs":["00:00:0c:01:01:13"],"src_macs":["00:00:0c:01:01:13","00:00:0c:01:01:11"]},"#,
            r#""tcp":{"tcp_flags":"ff","tcp_flags_ts":"1b","tcp_flags_tc":"12","#,
            r#""syn":true,"fin":true,"rst":true,"psh":true,"ack":true,"urg":true,"ecn":true,"cwr":true,"#,
            r#""state":"time_wait","ts_gap":true,"tc_gap":true,"ts_max_regions":1,"tc_max_regions":1}}"#,
        ],
    );
}

#[test]
fn an_icmp_flow_has_types_and_no_ports() {
    let mut record = flow_record();
    record.common = icmp_common();
    record.state = FlowState::Established;
    record.reason = EndReason::Shutdown;
    record.tcp = None;
    check(
        EveOptions::default(),
        &Record::Flow(record),
        &[
            r#"{"timestamp":"2026-11-21T09:57:47.426097+0000","flow_id":1234567890123456,"event_type":"flow","#,
            r#""src_ip":"10.0.0.1","dest_ip":"10.0.0.2","proto":"ICMP","ip_v":4,"#,
            r#""icmp_type":8,"icmp_code":0,"response_icmp_type":0,"response_icmp_code":0,"#,
            r#""flow":{"pkts_toserver":3,"pkts_toclient":1,"bytes_toserver":210,"bytes_toclient":74,"#,
            r#""start":"2026-11-21T09:57:40.000001+0000","end":"2026-11-21T09:57:46.999999+0000","age":6,"#,
            r#""state":"established","reason":"shutdown","alerted":false}}"#,
        ],
    );
}

#[test]
fn a_tcp_flow_without_session_has_flags_and_no_state() {
    let mut record = flow_record();
    record.tcp = Some(TcpPart::default());
    let text = line(EveOptions::default(), &Record::Flow(record));
    assert!(
        text.ends_with(",\"tcp\":{\"tcp_flags\":\"00\",\"tcp_flags_ts\":\"00\",\"tcp_flags_tc\":\"00\"}}\n")
    );
}

#[test]
fn a_flow_of_a_protocol_without_name_and_one_of_esp() {
    let mut record = flow_record();
    record.common.protocol = 253;
    record.tcp = None;
    let text = line(EveOptions::default(), &Record::Flow(record));
    assert!(text.contains(r#""src_ip":"10.0.0.1","dest_ip":"10.0.0.2","proto":"253","ip_v":4,"flow""#));
    record.common.protocol = 50;
    record.common.spi = Some(77);
    let text = line(EveOptions::default(), &Record::Flow(record));
    assert!(text.contains(r#""dest_ip":"10.0.0.2","proto":"ESP","ip_v":4,"spi":77,"flow""#));
}

#[test]
fn two_netflows_of_a_flow() {
    let flow = flow_record();
    let (request, reply) = flow.netflows(TtlRange { min: 63, max: 64 }, TtlRange { min: 50, max: 50 });
    check(
        all_options(),
        &Record::Netflow(request),
        &[
            r#"{"timestamp":"2026-11-21T09:57:47.426097+0000","flow_id":1234567890123456,"event_type":"netflow","#,
            r#""src_ip":"10.0.0.1","src_port":40000,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","ip_v":4,"#,
            r#""netflow":{"pkts":3,"bytes":210,"start":"2026-11-21T09:57:40.000001+0000","#,
            r#""end":"2026-11-21T09:57:46.999999+0000","age":6,"min_ttl":63,"max_ttl":64},"#,
            r#""tcp":{"tcp_flags":"1b","syn":true,"fin":true,"psh":true,"ack":true}}"#,
        ],
    );
    check(
        all_options(),
        &Record::Netflow(reply.unwrap()),
        &[
            r#"{"timestamp":"2026-11-21T09:57:47.426097+0000","flow_id":1234567890123456,"event_type":"netflow","#,
            r#""src_ip":"10.0.0.2","src_port":80,"dest_ip":"10.0.0.1","dest_port":40000,"proto":"TCP","ip_v":4,"#,
            r#""netflow":{"pkts":1,"bytes":74,"start":"2026-11-21T09:57:40.000001+0000","#,
            r#""end":"2026-11-21T09:57:46.999999+0000","age":6,"min_ttl":50,"max_ttl":50},"#,
            r#""tcp":{"tcp_flags":"12","syn":true,"ack":true}}"#,
        ],
    );
    let unanswered = FlowRecord { counts: Counts { pkts_toclient: 0, ..flow.counts }, ..flow };
    assert_eq!(unanswered.netflows(TtlRange::default(), TtlRange::default()).1, None);
    let icmp = FlowRecord { common: icmp_common(), tcp: None, ..flow };
    let (request, reply) = icmp.netflows(TtlRange::default(), TtlRange::default());
    assert_eq!(request.common.icmp, Some(IcmpType { kind: 8, code: 0 }));
    assert_eq!(reply.unwrap().common.icmp, Some(IcmpType { kind: 0, code: 0 }));
}
