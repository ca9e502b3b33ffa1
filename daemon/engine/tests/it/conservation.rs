//! Flows are conserved, at every moment: each that began is active or has ended, each beginning and each end
//! has its callback, and each end its record or a refusal. Whatever way flows end, whatever rules there are.

use crate::rig::{Rig, ethernet, inline, load};
use portcullis_capture::{CaptureStats, Packet, PortId, WorkerId};
use portcullis_detect::LoadOptions;
use portcullis_engine::{EngineSettings, ExceptionPolicies, ExceptionPolicy, Rules};
use portcullis_event::{Counters, Record};
use portcullis_flow::{
    EndReason, Flow, FlowCallbacks, FlowMatch, FlowSelector, FlowSettings, HookId, PacketAccess, Registry,
    RemovalHook, WorkerContext,
};
use portcullis_wire::Decoded;
use portcullis_wire::decoded::TcpFlags;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const MEMCAP: u64 = 60_000;

/// As few as a ring takes: not all flows that end between two readings find room.
const RING_BYTES: usize = 0;

/// What rules are swapped for what others, again and again.
const RULES: [&str; 4] = [
    "",
    r#"alert udp any any -> any any (flowbits:isnotset,seen; flowbits:set,seen; sid:1;)
       pass udp any any -> any 53 (content:"by"; bypass; sid:2;)"#,
    r#"drop tcp any any -> any 80 (flags:R; sid:3;)
       reject udp any any -> any any (content:"by"; flowbits:isset,seen; sid:4;)"#,
    r#"drop ip any any -> any any (threshold:type threshold,track by_src,count 50,seconds 9; sid:5;)"#,
];

/// The same numbers each time (Sebastiano Vigna's `SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn port(&mut self, bound: u64) -> u16 {
        u16::try_from(1024 + self.below(bound)).unwrap()
    }
}

/// What callbacks saw, counted by themselves.
#[derive(Default)]
struct Seen {
    init: AtomicU64,
    removed: AtomicU64,
    finish: AtomicU64,
}

impl Seen {
    fn all(&self) -> [u64; 3] {
        [&self.init, &self.removed, &self.finish].map(|count| count.load(Ordering::Relaxed))
    }
}

struct Watch(Arc<Seen>, HookId);

impl FlowCallbacks for Watch {
    fn init(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>, _: &Packet<'_>, _: &Decoded) {
        self.0.init.fetch_add(1, Ordering::Relaxed);
        flow.register_removal_hook(self.1);
    }

    fn update(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>, packet: &mut PacketAccess<'_, '_>) {
        if flow.id().is_multiple_of(40) {
            packet.drop_packet();
        }
    }

    fn finish(&mut self, _: &mut WorkerContext, _: &mut Flow<'_>) {
        self.0.finish.fetch_add(1, Ordering::Relaxed);
    }
}

fn watched() -> (Registry, Arc<Seen>) {
    let (seen, mut registry) = (Arc::new(Seen::default()), Registry::default());
    let shared = Arc::clone(&seen);
    let removal = move |_| {
        let shared = Arc::clone(&shared);
        Box::new(move |_: &mut WorkerContext, _: &mut Flow<'_>| {
            shared.removed.fetch_add(1, Ordering::Relaxed);
        }) as Box<dyn RemovalHook>
    };
    let id = registry.removal_hook("removed", Box::new(removal)).unwrap();
    let shared = Arc::clone(&seen);
    registry.register("watch", Box::new(move |_| Box::new(Watch(Arc::clone(&shared), id)))).unwrap();
    (registry, seen)
}

struct Run {
    rig: Rig,
    random: Random,
    rules: Vec<Arc<Rules>>,
    seen: Arc<Seen>,
    /// Flow records that were read, by reason.
    reasons: BTreeMap<&'static str, u64>,
    seq: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let flow = FlowSettings { memcap: MEMCAP, prealloc: 20, ..FlowSettings::default() };
        let policies = ExceptionPolicies::all(ExceptionPolicy::Reject);
        let settings = EngineSettings { flow, policies, may_send: true, ..inline() };
        let (registry, seen) = watched();
        let rig = Rig::with_rings(&settings, RULES[0], &registry, (WorkerId(0), 1), RING_BYTES);
        let rules = RULES.map(|rules| load(rules, &LoadOptions::default())).to_vec();
        Self { rig, random: Random(seed), rules, seen, reasons: BTreeMap::new(), seq: 0 }
    }

    /// Does one thing of those that may happen to a worker.
    fn step(&mut self) {
        match self.random.below(100) {
            0..=49 => self.burst(),
            50..=54 => {
                let place = usize::try_from(self.random.below(RULES.len() as u64)).unwrap();
                self.rig.worker.swap_rules(Arc::clone(&self.rules[place]));
            }
            55..=57 => {
                let ports = self.random.port(300);
                let flows = FlowMatch { ports: Some(ports..=ports + 40), ..FlowMatch::default() };
                self.rig.worker.end_flows(FlowSelector { flows, ..FlowSelector::default() });
            }
            58 => self.rig.worker.end_flows(FlowSelector::default()),
            59..=69 => self.rig.worker.idle(self.rig.now(), &CaptureStats::default()),
            70..=79 => self.rig.pass(1),
            // Longer than most timeouts: the next packet of a flow finds it over before the sweep does.
            80 => self.rig.pass(70),
            // Seldom enough for the rings to fill.
            81 if self.random.below(10) == 0 => self.read(),
            _ => self.burst(),
        }
    }

    fn burst(&mut self) {
        let packets = 1 + self.random.below(32);
        let frames: Vec<_> = (0..packets).map(|_| self.frame()).collect();
        let port = PortId(u8::try_from(self.random.below(2)).unwrap());
        let _ = self.rig.send_on(port, &frames);
    }

    fn frame(&mut self) -> Vec<u8> {
        let random = &mut self.random;
        let (client, server) = ([10, 0, 0, u8::try_from(random.below(3)).unwrap()], [10, 9, 0, 1]);
        let (there, back) = (ethernet().ipv4(client, server), ethernet().ipv4(server, client));
        let port = random.port(300);
        let payload: &[u8] = if random.below(9) == 0 { b"by" } else { b"else" };
        match random.below(12) {
            0..=3 => there.udp(port, 53).payload(payload).to_vec(),
            4 => back.udp(53, port).payload(payload).to_vec(),
            5 => there.echo_request(1, 1).to_vec(),
            6 => {
                let quoted = ethernet().ipv4(client, server).udp(port, 53).to_vec();
                back.icmp_error(3, 3, &quoted[14..]).to_vec()
            }
            7 => vec![0x45; usize::from(port % 60)],
            // A few sessions, which begin, are reset, and begin anew between the same ports.
            8..=9 => {
                self.seq = self.seq.wrapping_add(1000);
                there.tcp(port % 8, 80).flags(TcpFlags::SYN).seq(self.seq).to_vec()
            }
            10 => {
                let flags = TcpFlags::RST | TcpFlags::ACK;
                back.tcp(80, port % 8).flags(flags).ack(self.seq.wrapping_add(1)).to_vec()
            }
            _ => there.tcp(port, 443).flags(TcpFlags::ACK).seq(1).ack(1).payload(payload).to_vec(),
        }
    }

    /// What the logger does.
    fn read(&mut self) {
        for reason in self.rig.records(|record| match record {
            Record::Flow(flow) => Some(flow.reason.name()),
            _ => None,
        }) {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    fn check(&mut self) -> Counters {
        let counters = self.rig.counters();
        let ended = counters.flow_end_state_new
            + counters.flow_end_state_established
            + counters.flow_end_state_closed
            + counters.flow_end_state_local_bypassed
            + counters.flow_end_state_capture_bypassed;
        assert_eq!(counters.flow_total, counters.flow_active + ended);
        assert_eq!(
            (counters.flow_callbacks_init, counters.flow_callbacks_finish),
            (counters.flow_total, ended)
        );
        assert_eq!(self.seen.all(), [counters.flow_total, ended, ended]);
        assert_eq!(counters.log_flow_pushed + counters.log_flow_refused, ended);
        let by_protocol = counters.flow_tcp + counters.flow_udp + counters.flow_icmpv4;
        assert_eq!(by_protocol, counters.flow_total);
        assert!(counters.flow_memuse <= MEMCAP, "{} bytes", counters.flow_memuse);
        let judged = counters.ips_accepted + counters.ips_blocked + counters.ips_rejected;
        assert_eq!(judged, counters.decoder_pkts);
        counters
    }
}

#[test]
fn flows_are_conserved_whatever_happens() {
    for seed in 1..=4 {
        let mut run = Run::new(seed);
        for _ in 0..3000 {
            run.step();
            run.check();
        }
        let before = run.check();
        run.read();
        run.rig.finish();
        let counters = run.check();
        run.read();
        assert_eq!(counters.flow_active, 0, "seed {seed}");
        assert_eq!(
            run.reasons.values().sum::<u64>(),
            counters.log_flow_pushed,
            "all that was pushed arrived"
        );
        for reason in [EndReason::TcpReuse, EndReason::Forced, EndReason::Timeout, EndReason::Shutdown] {
            let found = run.reasons.get(reason.name()).copied().unwrap_or(0);
            assert!(found > 10, "seed {seed}: {reason:?} in {:?}", run.reasons);
        }
        let ways = [
            counters.flow_get_used,
            counters.flow_wrk_flows_injected,
            counters.flow_memcap,
            counters.log_flow_refused,
            counters.flow_emerg_mode_over,
            counters.flow_bypassed_local_pkts,
            counters.ips_drop_reason_callback,
            counters.ips_drop_reason_rules,
        ];
        assert!(ways.iter().all(|way| *way > 3), "seed {seed}: {ways:?}");
        assert!(before.flow_total > 5_000 && before.flow_active > 0, "seed {seed}: {}", before.flow_total);
    }
}
