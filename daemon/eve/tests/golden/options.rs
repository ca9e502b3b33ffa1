use crate::samples::{alert, alert_record, drop_record, flow_record, ipv6_common};
use crate::{all_options, line};
use jiff::tz::TimeZone;
use portcullis_eve::{DropFlows, EveOptions, EventTypes, Formatter};
use portcullis_event::*;
use portcullis_flow::Direction;

#[test]
fn what_is_not_wanted_is_left_out() {
    let written = |options: &EveOptions, record: &Record<'_>| {
        let mut out = Vec::new();
        let written = Formatter::with_time_zone(options.clone(), TimeZone::UTC).format(record, &mut out);
        assert_eq!(written, !out.is_empty());
        written
    };
    let (request, _) = flow_record().netflows(TtlRange::default(), TtlRange::default());
    let records = [
        ("alert", Record::Alert(alert_record())),
        ("drop", Record::Drop(drop_record())),
        ("flow", Record::Flow(flow_record())),
        ("netflow", Record::Netflow(request)),
        ("stats", Record::Stats(StatsRecord::default())),
    ];
    for (name, _) in &records {
        let mut options = EveOptions { types: EventTypes::NONE, ..EveOptions::default() };
        assert!(options.types.enable(name));
        for (other, record) in &records {
            assert_eq!(written(&options, record), name == other, "{other} with only {name}");
        }
    }
    let mut types = EventTypes::NONE;
    assert!(!types.enable("http"));

    let mut options = EveOptions::default();
    let repeated = Record::Drop(DropRecord { repeated: true, ..drop_record() });
    assert!(!written(&options, &repeated));
    options.drop.flows = DropFlows::All;
    assert!(written(&options, &repeated));
}

#[test]
fn every_record_with_a_tuple_has_a_community_id() {
    let options = EveOptions { community_id: Some(7), ..all_options() };
    let (request, reply) = flow_record().netflows(TtlRange::default(), TtlRange::default());
    let records = [
        Record::Alert(alert_record()),
        Record::Drop(drop_record()),
        Record::Flow(flow_record()),
        Record::Netflow(request),
        Record::Netflow(reply.unwrap()),
    ];
    let ids = |options: &EveOptions| {
        let id = |record| {
            let object: serde_json::Value = serde_json::from_str(&line(options.clone(), record)).unwrap();
            object.get("community_id").map(|id| id.as_str().unwrap().to_owned())
        };
        records.iter().map(id).collect::<Vec<_>>()
    };
    let seeded = ids(&options);
    assert!(seeded.iter().all(|id| id.as_ref().is_some_and(|id| id.starts_with("1:") && id.len() == 30)));
    assert_eq!(seeded[2..], [seeded[2].clone(), seeded[2].clone(), seeded[2].clone()], "of one flow");
    assert_ne!(ids(&EveOptions { community_id: Some(8), ..all_options() }), seeded);
    assert!(ids(&all_options()).iter().all(Option::is_none));
    let stats = line(options, &Record::Stats(StatsRecord::default()));
    assert!(!stats.contains("community_id"));
}

#[test]
fn options_take_parts_away() {
    let metadata: TextListBuf = ["tag", "a"].into_iter().collect();
    let mut record = alert_record();
    record.alert.metadata = metadata.as_list();
    record.payload = Some(b"x");
    record.packet = Some(b"y");
    let mut options = EveOptions::default();
    options.alert.set_metadata(false);
    let text = line(options, &Record::Alert(record));
    assert!(text.ends_with("\"severity\":3},\"direction\":\"to_server\"}\n"), "{text}");

    let mut options = all_options();
    options.drop.alerts = false;
    options.compress_ipv6 = true;
    let mut record = drop_record();
    record.common = ipv6_common();
    record.alert = Some(alert());
    record.direction = Some(Direction::ToClient);
    let text = line(options, &Record::Drop(record));
    assert!(!text.contains("\"alert\":{"));
    assert!(text.contains(r#""src_ip":"2001:db8:85a3::8a2e:370:7334""#));
    assert!(text.contains(r#""direction":"to_client""#));
}
