//! Any number of workers gives the same records: the test that keeps the owner function, steering
//! and the notion of time honest.

use portcullis_capture::memory::MemoryModule;
use portcullis_capture::{PacketModule, PortId, WorkerId};
use portcullis_detect::{LoadOptions, RuleSet, Source};
use portcullis_engine::{EngineSettings, FlowWorker, RecordSettings, Rules, WorkerParts, drive, publish};
use portcullis_event::{Counters, Record, RecordConsumer, RingMode, ring};
use portcullis_flow::Callbacks;
use portcullis_wire::Timestamp;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;
use std::sync::Arc;
use std::thread;

const RULES: &str = r#"
    alert icmp any any -> any any (msg:"ping"; sid:1;)
    drop udp any any -> any 53 (msg:"bad name"; content:"bad"; sid:2;)
    drop tcp any any -> any 80 (msg:"forbidden"; flow:established,to_server; content:"forbidden"; sid:3;)
    drop ip 10.9.0.0/28 any -> any any (msg:"bad net"; sid:4;)
    pass tcp any any -> any 443 (msg:"private"; sid:5;)
    alert udp any any -> any 53 (content:"good"; threshold:type limit,track by_both,count 2,seconds 60; sid:6;)
    drop udp any 53 -> any any (content:"good"; detection_filter:track by_both,count 3,seconds 60; sid:7;)
    alert icmp any any -> any any (content:"ping"; xbits:toggle,pinged,track ip_pair,expire 600; noalert; sid:8;)
    alert udp any any -> any 53 (content:"bad"; xbits:isset,pinged,track ip_pair; sid:9;)
"#;

type Frames = Vec<(Timestamp, PortId, Vec<u8>)>;

/// Traffic with everything that could go wrong between workers: both directions, errors from
/// routers, reuse of ports, gaps longer than the timeouts, stamps out of order, fragments of which some are
/// missing or come the wrong way round.
fn traffic(seed: u64) -> Frames {
    let mut random = seed;
    let mut next = move |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut now = 1_700_000_000_000_u64;
    let mut frames = Frames::new();
    let byte = |value: u64| u8::try_from(value).unwrap();
    for _ in 0..4000 {
        now += match next(200) {
            0 => 40_000,
            1 => 700_000,
            _ => next(50),
        };
        let late = if next(20) == 0 { next(3000) } else { 0 };
        let at = Timestamp::from_nanos((now - late) * 1_000_000);
        let (a, b) = ([10, byte(next(10)), 0, byte(next(12))], [10, 77, 0, byte(next(12))]);
        let sport = 1024 + u16::try_from(next(4)).unwrap();
        let forward = next(2) == 0;
        let (source, destination) = if forward { (a, b) } else { (b, a) };
        let builder = PacketBuilder::ethernet([2; 6], [4; 6]).ipv4(source, destination);
        let builder = builder.ip_id(u32::try_from(next(1 << 16)).unwrap());
        let ports = |service: u16| if forward { (sport, service) } else { (service, sport) };
        let udp_payload: &[u8] = if next(10) == 0 { b"a bad name" } else { b"a good name" };
        let quoted = PacketBuilder::raw().ipv4(destination, source).udp(ports(53).1, ports(53).0).to_vec();
        let packet = match next(8) {
            0 => builder.echo_request(1, u16::try_from(next(3)).unwrap()).payload(b"ping"),
            1 => {
                let router = PacketBuilder::ethernet([2; 6], [4; 6]).ipv4([192, 0, 2, 1], destination);
                router.icmp_error(3, 1, &quoted)
            }
            2..=4 => builder.udp(ports(53).0, ports(53).1).payload(udp_payload),
            _ => {
                let service = [80, 443, 25][usize::try_from(next(3)).unwrap()];
                let flags = [
                    TcpFlags::SYN,
                    TcpFlags::SYN | TcpFlags::ACK,
                    TcpFlags::ACK,
                    TcpFlags::ACK | TcpFlags::PSH,
                    TcpFlags::FIN | TcpFlags::ACK,
                    TcpFlags::RST,
                ][usize::try_from(next(6)).unwrap()];
                let payload: &[u8] = if flags & TcpFlags::PSH != 0 { b"GET /forbidden" } else { b"" };
                let seq = u32::try_from(next(3)).unwrap() * 1000;
                builder.tcp(ports(service).0, ports(service).1).flags(flags).seq(seq).payload(payload)
            }
        };
        let mut pieces = if next(6) == 0 { packet.to_fragments(8) } else { vec![packet.to_vec()] };
        match next(12) {
            0 => pieces.reverse(),
            1 if pieces.len() > 1 => drop(pieces.pop()),
            _ => {}
        }
        // Some networks are reached through tunnels, and never otherwise: a tunnel is one worker's, and what
        // rules count for two hosts would come from two workers at any time.
        let vxlan = next(2) == 0;
        for bytes in pieces {
            let bytes = if a[1] % 3 == 2 { tunnelled(&bytes, [a[1], b[1]], forward, vxlan) } else { bytes };
            frames.push((at, PortId(u8::from(!forward)), bytes));
        }
    }
    frames
}

/// The frame in a tunnel between the gates of both networks: in VXLAN, whose ports are one-way, or in GRE.
fn tunnelled(frame: &[u8], networks: [u8; 2], forward: bool, vxlan: bool) -> Vec<u8> {
    let [near, far] = networks.map(|network| [172, 16, network, 1]);
    let (source, destination) = if forward { (near, far) } else { (far, near) };
    let outer = PacketBuilder::ethernet([6; 6], [8; 6]).ipv4(source, destination);
    if vxlan {
        let payload = [&[8, 0, 0, 0, 0, 0, 7, 0], frame].concat();
        outer.udp(50_000, 4789).payload(&payload).to_vec()
    } else {
        outer.protocol(47).payload(&[&[0, 0, 8, 0], &frame[14..]].concat()).to_vec()
    }
}

/// A record without what may differ: the ids of the flow and of the one around it.
fn show(record: &Record<'_>) -> String {
    match record.clone() {
        Record::Alert(mut alert) => {
            alert.common.flow_id = alert.common.flow_id.map(|_| 1);
            alert.common.parent_id = alert.common.parent_id.map(|_| 1);
            format!("{alert:?}")
        }
        Record::Drop(mut dropped) => {
            dropped.common.flow_id = dropped.common.flow_id.map(|_| 1);
            dropped.common.parent_id = dropped.common.parent_id.map(|_| 1);
            format!("{dropped:?}")
        }
        Record::Flow(mut flow) => {
            flow.common.flow_id = flow.common.flow_id.map(|_| 1);
            flow.common.parent_id = flow.common.parent_id.map(|_| 1);
            format!("{flow:?}")
        }
        Record::Netflow(mut netflow) => {
            netflow.common.flow_id = netflow.common.flow_id.map(|_| 1);
            netflow.common.parent_id = netflow.common.parent_id.map(|_| 1);
            format!("{netflow:?}")
        }
        Record::Stats(stats) => format!("{stats:?}"),
        Record::Blind(blind) => format!("{blind:?}"),
        Record::Listed(listed) => format!("{listed:?}"),
    }
}

fn drain(mut consumers: Vec<RecordConsumer>) -> Vec<String> {
    let (mut records, mut bytes) = (Vec::new(), Vec::new());
    while !consumers.is_empty() {
        consumers.retain_mut(|consumer| {
            let finished = consumer.is_finished();
            while consumer.pop(&mut bytes) {
                records.push(show(&Record::decode(&bytes).unwrap()));
            }
            !finished
        });
        thread::yield_now();
    }
    records
}

/// Judges the frames with so many workers, each in its thread. Returns records, sorted, what left,
/// and the counters.
fn judge(rules: &str, frames: Frames, workers: u8) -> (Vec<String>, Vec<(u64, PortId)>, Counters) {
    let source = Source { name: "workers.rules", text: rules.as_bytes() };
    let loaded = RuleSet::load(&[source], &LoadOptions::default());
    assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
    let rules = Arc::new(Rules::new(loaded.rules));
    let records = RecordSettings { netflow: true, ..RecordSettings::default() };
    let mut settings = EngineSettings { inline: true, records, ..EngineSettings::default() };
    settings.defrag.inline = true;
    let (modules, ports) = MemoryModule::open(frames, usize::from(workers));
    let (mut consumers, mut published, mut threads) = (Vec::new(), Vec::new(), Vec::new());
    for (id, mut module) in (0..workers).zip(modules) {
        let (reporter, rings) = ring::rings(1 << 16, 1 << 16, RingMode::Lossless);
        let (publisher, output) = publish::channel();
        consumers.extend(rings);
        published.push(output);
        let rules = Arc::clone(&rules);
        let settings = settings.clone();
        let start = Timestamp::from_secs(1);
        threads.push(thread::spawn(move || {
            let id = WorkerId(id);
            let callbacks = Callbacks::default();
            let parts = WorkerParts { id, workers, rules, callbacks, reporter, publisher, start };
            let mut worker = FlowWorker::new(&settings, parts).unwrap();
            let (_commands, receiver) = crossbeam::channel::bounded(1);
            drive(&mut module, &mut worker, &receiver).unwrap();
            assert_eq!(module.stats().errors, 0);
        }));
    }
    let mut records = drain(consumers);
    records.sort();
    for thread in threads {
        thread.join().unwrap();
    }
    let mut total = Counters::default();
    for output in &mut published {
        total.merge(output.latest());
    }
    let left = ports.take_departed().into_iter().map(|frame| (frame.id, frame.egress)).collect();
    (records, left, total)
}

#[test]
fn records_verdicts_and_counters_do_not_depend_on_the_number_of_workers() {
    for seed in 1..4 {
        let frames = traffic(seed);
        let (records, left, one) = judge(RULES, frames.clone(), 1);
        let kinds = |kind: &str| records.iter().filter(|record| record.starts_with(kind)).count();
        assert!(kinds("Alert") > 50 && kinds("Drop") > 50 && kinds("Flow") > 500, "the traffic is worth it");
        assert_eq!(
            one.flow_total,
            one.flow_end_state_new + one.flow_end_state_established + one.flow_end_state_closed
        );
        assert_eq!(one.flow_callbacks_init, one.flow_callbacks_finish);
        let fragments =
            |counters: &Counters| (counters.defrag_ipv4_fragments, counters.defrag_ipv4_reassembled);
        assert!(fragments(&one).1 > 200, "{:?}", fragments(&one));
        for workers in [2, 4, 8] {
            let (others, others_left, many) = judge(RULES, frames.clone(), workers);
            assert!(many.worker_steered_out > 1000, "{} steered", many.worker_steered_out);
            for (a, b) in records.iter().zip(&others) {
                assert_eq!(a, b, "seed {seed}, {workers} workers");
            }
            assert_eq!(records.len(), others.len());
            assert_eq!(left, others_left, "the same packets leave, in the same order");
            assert_eq!(many.flow_total, one.flow_total);
            assert_eq!((many.flow_active, many.flow_callbacks_finish), (0, many.flow_total));
            assert_eq!(many.decoder_pkts, one.decoder_pkts);
            assert_eq!(fragments(&many), fragments(&one));
            assert_eq!((many.ips_accepted, many.ips_blocked), (one.ips_accepted, one.ips_blocked));
        }
    }
}

/// What is counted for all workers together comes to the same, whichever packets it falls on.
#[test]
fn what_workers_count_together_does_not_depend_on_their_number() {
    let rules = r#"
        alert udp any any -> any any (content:"name"; threshold:type threshold,track by_rule,count 10,seconds 1000000; sid:1;)
        alert icmp any any -> any any (itype:8; threshold:type limit,track by_src,count 3,seconds 1000000; sid:2;)
        drop tcp any any -> any any (dsize:>0; detection_filter:track by_dst,count 20,seconds 1000000; sid:3;)
    "#;
    let frames = traffic(7);
    let counts = |workers| {
        let (_, _, counters) = judge(rules, frames.clone(), workers);
        (counters.detect_alert, counters.detect_alerts_suppressed, counters.host_refused)
    };
    let one = counts(1);
    assert!(one.0 > 100 && one.1 > 100 && one.2 == 0, "{one:?}");
    for workers in [2, 4, 8] {
        assert_eq!(counts(workers), one, "{workers} workers");
    }
}
