//! After start a worker allocates nothing: not for packets, flows, alerts, drops and their records,
//! not when a ring or the memory for flows is full, not for steering, not at the end.

use portcullis_capture::memory::LoopModule;
use portcullis_capture::{PacketModule, Poll, PortId, WorkerId};
use portcullis_defrag::DefragSettings;
use portcullis_detect::{LoadOptions, RuleSet, Source};
use portcullis_engine::{
    EngineSettings, ExceptionPolicies, ExceptionPolicy, FlowWorker, Published, RecordSettings, Rules,
    WorkerParts, publish,
};
use portcullis_event::{Counters, RecordConsumer, RingMode, ring};
use portcullis_flow::{FlowSettings, Registry};
use portcullis_wire::Timestamp;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;
use std::sync::Arc;

const RULES: &str = r#"
    alert udp any any -> any 53 (msg:"name"; content:"name"; nocase; reference:url,example.com; metadata:a b; sid:1;)
    reject udp any any -> any 53 (msg:"bad name"; content:"bad"; content:"name"; distance:1; sid:2;)
    rejectboth tcp any any -> any 80 (msg:"forbidden"; flow:established,to_server; content:"forbidden"; sid:3;)
    pass icmp any any -> any any (msg:"ping"; sid:4;)
    alert udp any any -> any 53 (content:"good"; threshold:type limit,track by_src,count 1,seconds 5; sid:5;)
    alert udp any any -> any 53 (content:"good"; hostbits:set,good,both; xbits:toggle,good,track ip_pair; sid:6;)
    alert udp any any -> any any (hostbits:isset,good; detection_filter:track by_flow,count 1,seconds 9; sid:7;)
"#;

/// Each is longer than any timeout, so that all flows of the one before end in it.
const ROUNDS: u64 = 5;

/// Packets of every kind that is judged in its own way.
fn frames() -> Vec<(Timestamp, PortId, Vec<u8>)> {
    let builder = || PacketBuilder::ethernet([2; 6], [4; 6]);
    let mut frames = Vec::new();
    let mut push = |number: u64, port: u8, bytes: Vec<u8>| {
        frames.push((
            Timestamp::from_nanos(1_700_000_000_000_000_000 + number * 400_000_000),
            PortId(port),
            bytes,
        ));
    };
    for number in 0..2000_u16 {
        let [high, low] = number.to_be_bytes();
        let (client, server) = ([10, 1, high, low], [10, 2, 0, low]);
        let tcp = |flags, seq, payload: &[u8]| {
            builder()
                .ipv4(client, server)
                .tcp(1024 + number, 80)
                .flags(flags)
                .seq(seq)
                .ack(501)
                .payload(payload)
                .to_vec()
        };
        let names: [&[u8]; 3] = [b"a good NAME", b"a bad name", b"nothing"];
        let name = names[usize::from(number % 3)];
        let at = u64::from(number);
        push(at, 0, builder().ipv4(client, server).udp(number, 53).payload(name).to_vec());
        push(at, 1, builder().ipv4(server, client).udp(53, number).payload(name).to_vec());
        push(at, 0, tcp(TcpFlags::SYN, 100, b""));
        let answer = builder().ipv4(server, client).tcp(80, 1024 + number);
        push(at, 1, answer.flags(TcpFlags::SYN | TcpFlags::ACK).seq(500).ack(101).to_vec());
        push(at, 0, tcp(TcpFlags::ACK, 101, b""));
        push(at, 0, tcp(TcpFlags::ACK | TcpFlags::PSH, 101, b"GET /forbidden"));
        push(at, 0, builder().ipv4(client, server).echo_request(number, 1).payload(b"ping").to_vec());
        push(at, 0, vec![0x5a; usize::from(number % 20)]);
        let datagram = builder().ipv4(client, server).ip_id(u32::from(number)).udp(number, 53).payload(name);
        for fragment in datagram.to_fragments(8) {
            push(at, 0, fragment);
        }
    }
    frames
}

struct Setup {
    module: LoopModule,
    worker: FlowWorker,
    published: Published,
    rings: [RecordConsumer; 2],
}

fn setup(settings: &EngineSettings, workers: u8, ring_size: usize) -> Setup {
    let source = Source { name: "test.rules", text: RULES.as_bytes() };
    let loaded = RuleSet::load(&[source], &LoadOptions::default());
    assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
    let (reporter, rings) = ring::rings(ring_size, ring_size, RingMode::Live);
    let (publisher, published) = publish::channel();
    let parts = WorkerParts {
        id: WorkerId(0),
        workers,
        rules: Arc::new(Rules::new(loaded.rules)),
        callbacks: Registry::default().instantiate(WorkerId(0)),
        reporter,
        publisher,
        start: Timestamp::from_secs(1),
    };
    let worker = FlowWorker::new(settings, parts).expect("memory for flows");
    Setup { module: LoopModule::new(frames(), ROUNDS), worker, published, rings }
}

/// Runs to the end as `drive` does, with the logger's part in the same thread; returns the counters.
fn check(what: &str, settings: &EngineSettings, workers: u8, ring_size: usize) -> Counters {
    let Setup { mut module, mut worker, mut published, mut rings } = setup(settings, workers, ring_size);
    let mut record = Vec::with_capacity(portcullis_event::MAX_RECORD);
    let info = allocation_counter::measure(|| {
        while let Ok(Poll::Received(_)) = module.poll(&mut |burst| worker.inspect(burst)) {
            worker.keep_house(module.now(), &module.stats());
            for ring in &mut rings {
                while ring.pop(&mut record) {}
            }
        }
        worker.idle(module.now(), &module.stats());
    });
    assert_eq!(info.count_total, 0, "{what}: {info:?}");
    let counters = *published.latest();
    let judged = counters.decoder_pkts;
    assert_eq!(counters.ips_accepted + counters.ips_blocked + counters.ips_rejected, judged, "{what}");
    let steered = module.stats().errors;
    assert_eq!(judged + steered, module.stats().received, "{what}");
    counters
}

#[test]
fn nothing_is_allocated_after_start() {
    let full = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(full.count_total, 1, "the counter counts");

    let records = RecordSettings {
        alert_payload: true,
        alert_packet: true,
        netflow: true,
        ethernet: true,
        ..RecordSettings::default()
    };
    let inline = EngineSettings {
        inline: true,
        may_send: true,
        drop_invalid: true,
        policies: ExceptionPolicies::all(ExceptionPolicy::Reject),
        records,
        defrag: DefragSettings { inline: true, ..DefragSettings::default() },
        ..EngineSettings::default()
    };
    let counters = check("with room", &inline, 1, 1 << 22);
    assert!(counters.defrag_ipv4_reassembled == 10_000, "{counters:?}");
    assert!(counters.ips_drop_reason_tunnel_packet_drop > 1000, "{counters:?}");
    assert!(counters.detect_alert > 1000 && counters.ips_blocked > 1000, "{counters:?}");
    assert!(
        counters.decoder_invalid > 1000
            && counters.ips_drop_reason_flow_drop + counters.ips_drop_reason_rules > 5000
    );
    assert!(counters.flow_total > 10_000 && counters.flow_callbacks_finish > 10_000, "{counters:?}");
    assert_eq!((counters.log_evidence_refused, counters.exception_policy_flow_memcap_reject), (0, 0));

    let cramped = FlowSettings { memcap: 100_000, prealloc: 0, ..FlowSettings::default() };
    let settings = EngineSettings { flow: cramped, ..inline.clone() };
    let counters = check("without memory for flows", &settings, 1, 1 << 22);
    assert!(counters.flow_get_used > 0 || counters.exception_policy_flow_memcap_reject > 0, "{counters:?}");

    let counters = check("with full rings", &inline, 1, 0);
    assert!(counters.log_evidence_pushed > 0, "{counters:?}");

    let counters = check("with packets of others", &inline, 3, 1 << 22);
    assert!(counters.decoder_pkts > 10_000, "{counters:?}");
}
