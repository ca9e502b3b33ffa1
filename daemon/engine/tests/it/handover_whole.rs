//! A capture that is judged half here and half in another process, with another number of workers, leaves the
//! records that one process would have left.

use crate::rig::{Rig, ethernet, inline};
use portcullis_capture::{PortId, Verdict, WorkerId};
use portcullis_engine::EngineSettings;
use portcullis_engine::handover::{self, Cursor, Router};
use portcullis_event::{Counters, Record};
use portcullis_flow::Registry;
use portcullis_wire::decoded::TcpFlags;
use std::collections::VecDeque;

const ACK: u8 = TcpFlags::ACK;

const RULES: &str = r#"
    alert tcp any any -> any 80 (content:"attack"; sid:1;)
    drop tcp any any -> any 80 (content:"kill"; sid:2;)
    alert tcp any 80 -> any any (content:"secret"; content:"handshake"; distance:0; sid:3;)
    alert udp any any -> any 53 (content:"one"; flowbits:set,one; noalert; sid:4;)
    alert udp any any -> any 53 (content:"two"; flowbits:isset,one; sid:5;)
    pass tcp any any -> any 80 (content:"skip"; sid:6;)
"#;

/// What is sent from client to server (`true`) or back, in order, by one flow.
type Script = VecDeque<Vec<u8>>;

fn host(number: u8) -> [u8; 4] {
    [10, 0, 7, number]
}

fn session(number: u8, pieces: &[(bool, u32, &str)], end: bool) -> Script {
    const SERVER: [u8; 4] = [10, 0, 0, 80];
    let segment = |to_server: bool, flags: u8, seq: u32, ack: u32, payload: &[u8]| {
        let builder = match to_server {
            true => ethernet().ipv4(host(number), SERVER).tcp(4000, 80),
            false => ethernet().ipv4(SERVER, host(number)).tcp(80, 4000),
        };
        builder.flags(flags).seq(seq).ack(ack).payload(payload).to_vec()
    };
    let mut frames = Script::new();
    frames.push_back(segment(true, TcpFlags::SYN, 100, 0, b""));
    frames.push_back(segment(false, TcpFlags::SYN | ACK, 500, 101, b""));
    frames.push_back(segment(true, ACK, 101, 501, b""));
    let mut sent = [101_u32, 501];
    for &(to_server, at, text) in pieces {
        let (base, other) = if to_server { (101, sent[1]) } else { (501, sent[0]) };
        frames.push_back(segment(to_server, ACK, base + at, other, text.as_bytes()));
        let side = usize::from(!to_server);
        let length = u32::try_from(text.len()).unwrap();
        // What fills a hole acknowledges all behind it, too.
        sent[side] = if base + at <= sent[side] { sent[side].max(base + at + length) } else { sent[side] };
        frames.push_back(segment(!to_server, ACK, sent[1 - side], sent[side], b""));
    }
    if end {
        frames.push_back(segment(true, TcpFlags::FIN | ACK, sent[0], sent[1], b""));
        frames.push_back(segment(false, TcpFlags::FIN | ACK, sent[1], sent[0] + 1, b""));
        frames.push_back(segment(true, ACK, sent[0] + 1, sent[1] + 1, b""));
    }
    frames
}

fn queries(number: u8, texts: &[&str]) -> Script {
    let query = |text: &&str| {
        ethernet().ipv4(host(number), [10, 0, 0, 53]).udp(5000, 53).payload(text.as_bytes()).to_vec()
    };
    texts.iter().map(query).collect()
}

/// Packets of a flow within a tunnel, which the tunnel's addresses own.
fn tunnelled(number: u8, texts: &[&str]) -> Script {
    let wrapped = |text: &&str| {
        let inner = portcullis_wire::builder::PacketBuilder::raw()
            .ipv4([192, 168, 0, number], [10, 0, 0, 53])
            .udp(5000, 53)
            .payload(text.as_bytes())
            .to_vec();
        ethernet().ipv4(host(number), [10, 0, 9, 9]).protocol(4).payload(&inner).to_vec()
    };
    texts.iter().map(wrapped).collect()
}

/// All frames: of each flow in order, the flows in turns.
fn capture() -> Vec<Vec<u8>> {
    let mut flows = vec![
        session(1, &[(true, 0, "GET an att"), (true, 10, "ack now"), (false, 0, "ok")], true),
        session(2, &[(true, 4, "tack"), (true, 0, "  at"), (true, 8, " more")], false),
        session(3, &[(true, 0, "ki"), (true, 2, "ll"), (true, 4, "gone"), (true, 8, "gone")], false),
        session(
            4,
            &[(false, 0, "secret "), (false, 7, "and "), (false, 11, "handshake"), (true, 0, "x")],
            true,
        ),
        session(5, &[(true, 0, "skip"), (true, 4, "attack"), (false, 0, "attack")], true),
        session(6, &[(true, 0, "attack attack"), (true, 13, " att"), (true, 17, "ack")], false),
        queries(7, &["one", "nothing", "two", "two"]),
        queries(8, &["two", "one", "one"]),
    ];
    for number in 10..20 {
        flows.push(tunnelled(number, &["one", "nothing", "two"]));
        flows.push(queries(number, &["none", "two"]));
    }
    let mut frames = Vec::new();
    while flows.iter().any(|flow| !flow.is_empty()) {
        frames.extend(flows.iter_mut().filter_map(VecDeque::pop_front));
    }
    frames
}

/// The workers of one process.
struct Fleet(Vec<Rig>);

impl Fleet {
    fn new(settings: &EngineSettings, workers: u8) -> Self {
        let rig = |id| Rig::with(settings, RULES, &Registry::default(), WorkerId(id), workers);
        Self((0..workers).map(rig).collect())
    }

    fn send(&mut self, frames: &[Vec<u8>]) {
        for frame in frames {
            let frame = std::slice::from_ref(frame);
            if let [Verdict::Steer(owner)] = self.0[0].send_on(PortId(0), frame)[..] {
                self.0[usize::from(owner.0)].send_on(PortId(0), frame);
            }
        }
    }

    /// What all workers hold, as slices.
    fn export(&mut self, mut cursor: impl FnMut() -> Cursor) -> Vec<Vec<u8>> {
        let mut slices = Vec::new();
        for rig in &mut self.0 {
            let mut cursor = cursor();
            let mut more = true;
            while more {
                let mut slice = Vec::new();
                // So small that a slice has a few flows only.
                more = rig.worker.export(&mut cursor, &mut slice, 1000, rig.now());
                slices.extend(Some(slice).filter(|slice| !slice.is_empty()));
            }
        }
        slices
    }

    fn import(&mut self, settings: &EngineSettings, slices: &[Vec<u8>]) {
        let router = Router::new(settings, u8::try_from(self.0.len()).unwrap());
        for slice in slices {
            let mut routed = handover::slices(u8::try_from(self.0.len()).unwrap());
            assert_eq!(router.route(slice, &mut routed), Ok(0));
            for (rig, slice) in self.0.iter_mut().zip(routed).filter(|(_, slice)| !slice.is_empty()) {
                assert_eq!(rig.worker.import(&slice, rig.now()).unwrap().refused, 0);
            }
        }
    }

    fn finish(&mut self) -> Counters {
        let mut all = Counters::default();
        for rig in &mut self.0 {
            all.merge(&rig.finish());
        }
        let ended = all.flow_end_state_new
            + all.flow_end_state_established
            + all.flow_end_state_closed
            + all.flow_end_state_local_bypassed;
        assert_eq!(all.flow_active, 0);
        assert_eq!(all.flow_total + all.flow_taken_over, ended + all.flow_handed_over);
        assert_eq!(all.flow_callbacks_init, all.flow_total + all.flow_taken_over);
        assert_eq!(all.flow_callbacks_finish, ended + all.flow_handed_over);
        assert_eq!(all.log_flow_pushed, ended);
        assert_eq!((all.tcp_active_sessions, all.flow_take_over_refused), (0, 0));
        all
    }

    /// Every record, less what cannot be the same: ids.
    fn records(&mut self) -> Vec<String> {
        self.0.iter_mut().flat_map(|rig| rig.records(|record| Some(shown(record)))).collect()
    }
}

fn shown(record: &Record<'_>) -> String {
    match record {
        Record::Alert(alert) => {
            let mut common = alert.common;
            (common.flow_id, common.parent_id, common.pcap_cnt, common.tunnel) = (None, None, None, None);
            format!("alert {} {:?} {:?} {:?}", alert.alert.sid, common, alert.verdict, alert.direction)
        }
        Record::Drop(drop) => {
            let mut common = drop.common;
            (common.flow_id, common.parent_id, common.pcap_cnt) = (None, None, None);
            format!("drop {:?} {common:?} {:?} {}", drop.reason, drop.direction, drop.repeated)
        }
        Record::Flow(flow) => {
            let mut flow = *flow;
            (flow.common.flow_id, flow.common.parent_id) = (None, None);
            format!("{flow:?}")
        }
        other => format!("{other:?}"),
    }
}

/// One process from beginning to end.
fn in_one(settings: &EngineSettings, workers: u8) -> Vec<String> {
    let mut fleet = Fleet::new(settings, workers);
    fleet.send(&capture());
    fleet.finish();
    let mut records = fleet.records();
    records.sort_unstable();
    records
}

/// Handed over after `cut` frames; the flows are copied `before` frames earlier, if that is not 0.
fn in_two(settings: &EngineSettings, workers: [u8; 2], cut: usize, before: usize) -> Vec<String> {
    let (mut old, mut new) = (Fleet::new(settings, workers[0]), Fleet::new(settings, workers[1]));
    let frames = capture();
    let copied = cut.saturating_sub(before);
    old.send(&frames[..copied]);
    if before > 0 {
        let slices = old.export(Cursor::copying);
        new.import(settings, &slices);
        old.send(&frames[copied..cut]);
    }
    let slices = old.export(Cursor::leaving);
    new.import(settings, &slices);
    let left = old.finish();
    new.send(&frames[cut..]);
    let ended = new.finish();
    assert_eq!(left.flow_handed_over, ended.flow_taken_over, "cut at {cut}");
    let mut records = old.records();
    records.extend(new.records());
    records.sort_unstable();
    records
}

fn check(settings: &EngineSettings, workers: [u8; 2], before: usize) {
    let expected = in_one(settings, 1);
    assert!(expected.iter().filter(|record| record.starts_with("alert")).count() >= 8);
    let frames = capture().len();
    for cut in (0..=frames).step_by(7).chain([1, frames - 1]) {
        let found = in_two(settings, workers, cut, before);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{workers:?} workers, cut at {cut}, copied {before} earlier");
        }
        assert_eq!(found.len(), expected.len(), "{workers:?} workers, cut at {cut}");
    }
}

#[test]
fn inline_any_cut_leaves_the_same_records() {
    check(&inline(), [1, 3], 0);
    check(&inline(), [4, 2], 0);
}

#[test]
fn watching_only_any_cut_leaves_the_same_records() {
    check(&EngineSettings::default(), [2, 3], 0);
}

#[test]
fn copied_beforehand_any_cut_leaves_the_same_records() {
    check(&inline(), [2, 3], 1);
    check(&inline(), [3, 1], 40);
    check(&EngineSettings::default(), [1, 2], 15);
}
