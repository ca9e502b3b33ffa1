//! Segments at random through the sessions of a worker: nothing panics, memory stays within its bounds and comes
//! back, and inline whoever puts together what went out, by what came first or by what came last, gets the same
//! stream, of which nothing went by uninspected.
//!
//! The first two bytes choose the settings; then seven make a segment: what it is, its place (two), its length,
//! its letter and the time that passes, how far it acknowledges, an option or urgent pointer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_flow::portable::Reader;
use portcullis_flow::{Direction, TcpState};
use portcullis_stream::{
    Fate, Faults, Segment, Share, StreamHandle, StreamSettings, Streams, Urgent, UrgentPolicy,
};
use portcullis_wire::decoded::{Tcp, TcpFlags, mapped};
use portcullis_wire::{Network, NetworkMap, TargetOs, Timestamp};

const MEMCAP: u64 = 1 << 19;
/// Beyond every place in a window.
const FARTHEST: u32 = 1 << 17;
/// Where the client's and the server's numbers begin: one of them goes over the end.
const ISNS: [u32; 2] = [u32::MAX - 700, 5000];

/// What went out of the client's stream, by place. Whatever comes there later must be the same, or else who takes
/// the first and who takes the last would differ.
#[derive(Default)]
struct Sent {
    bytes: Vec<Option<u8>>,
    /// How far the server has said that it has it.
    acknowledged: u32,
}

fuzz_target!(|bytes: &[u8]| {
    let [choice, more, rest @ ..] = bytes else { return };
    let inline = choice & 1 == 1;
    let mut settings = StreamSettings {
        memcap: 1 << 16,
        prealloc_sessions: 1,
        midstream: choice & 2 != 0,
        async_oneside: choice & 4 != 0,
        inline,
        host_os: policy(usize::from(*more)),
        ..StreamSettings::default()
    };
    settings.reassembly.memcap = MEMCAP;
    settings.reassembly.segment_prealloc = 1;
    settings.reassembly.depth = if choice & 8 != 0 { 3000 } else { 0 };
    settings.reassembly.max_regions = choice >> 4 & 3;
    let urgent = UrgentPolicy::ALL[usize::from(choice >> 6)];
    settings.reassembly.urgent = Urgent { policy: urgent, limit_policy: UrgentPolicy::Drop };
    let mut streams = Streams::new(&settings, Share { workers: 1, seed: 3 }).expect("enough memory");
    let reach = u64::from(more >> 4);
    streams.set_reach((more & 0x80 == 0).then_some(reach + 1));
    let checked = inline && choice & 0x4e == 0 && more & 0x80 == 0;
    let mut now = Timestamp::from_secs(1_700_000_000);
    let mut session = None;
    let mut sent = Sent::default();
    // Both handshakes of two: most of what is told by chance begins no session.
    for (to_server, flags, ack) in
        [(true, TcpFlags::SYN, 0), (false, TcpFlags::SYN | TcpFlags::ACK, 0), (true, TcpFlags::ACK, 0)]
    {
        let tcp = number(to_server, flags, 0_u32.wrapping_sub(u32::from(flags & TcpFlags::SYN != 0)), ack);
        session = send(&mut streams, session, to_server, tcp, &[], &[], now).0;
    }
    for record in rest.chunks_exact(7) {
        let &[what, place, high, length, letter, ack, option] = record else { return };
        now = now.after(std::time::Duration::from_millis(u64::from(letter) * 4));
        let to_server = what & 1 == 0;
        let flags =
            FLAGS[usize::from(what >> 1) % FLAGS.len()] | if option & 1 == 1 { TcpFlags::URG } else { 0 };
        let at = u32::from(place) + u32::from(high & 0x3f) * 97;
        let mut tcp = number(to_server, flags, at, u32::from(ack) * 25);
        tcp.urgent = u16::from(option >> 1);
        if high & 0x80 != 0 {
            tcp.seq ^= 1 << (option % 32);
        }
        let payload = vec![b'a' + letter % 3; usize::from(length) * if high & 0x40 != 0 { 11 } else { 1 }];
        let options: &[u8] = if option == 0xff { &[1, 1, 8, 10, 0, 0, 0, letter, 0, 0, 0, 0] } else { &[] };
        let (next, fate, added, out) = send(&mut streams, session, to_server, tcp, options, &payload, now);
        session = next;
        let Some(handle) = session else { continue };
        let summary = streams.summary(handle).expect("it is there");
        if checked && to_server && fate == Fate::Valid {
            note(&mut sent, &tcp, &out, added, summary.state);
        }
        // What is dropped for its data has been said all the same.
        if checked
            && !to_server
            && fate != Fate::Invalid
            && flags & (TcpFlags::ACK | TcpFlags::SYN) == TcpFlags::ACK
        {
            sent.acknowledged = sent.acknowledged.max(u32::from(ack) * 25);
        }
        if what & 0xf0 == 0xf0 {
            let mut told = Vec::new();
            assert!(streams.export(handle, &u64::from, &mut told));
            if let Ok(copy) = streams.import(&u64::from, &mut Reader::new(&told)) {
                assert_eq!(streams.summary(copy).map(|summary| summary.state), Some(summary.state));
                streams.release(copy);
            }
            // Whatever the bytes, they are a session or refused.
            let at = usize::from(place) * 5 % told.len();
            told[at] ^= letter | 1;
            if let Ok(copy) = streams.import(&u64::from, &mut Reader::new(&told)) {
                streams.release(copy);
            }
        }
        let stats = streams.stats();
        assert!(stats.reassembly_memuse <= MEMCAP && stats.memuse <= 1 << 16);
    }
    for direction in [Direction::ToServer, Direction::ToClient] {
        while let Some(window) = session.and_then(|session| streams.rest(session, direction)) {
            assert!(window.new_from <= window.bytes.len());
        }
    }
    if let Some(session) = session {
        streams.release(session);
    }
    assert_eq!((streams.stats().reassembly_memuse, streams.stats().active_sessions), (0, 0));
});

const FLAGS: [u8; 8] = [
    TcpFlags::ACK,
    TcpFlags::ACK | TcpFlags::PSH,
    TcpFlags::ACK,
    TcpFlags::ACK | TcpFlags::FIN,
    TcpFlags::RST,
    TcpFlags::SYN,
    0,
    TcpFlags::RST | TcpFlags::ACK,
];

fn policy(choice: usize) -> NetworkMap<TargetOs> {
    let all = TargetOs::ALL[choice % TargetOs::ALL.len()];
    NetworkMap::new(Network::new(4, [0; 16], 0).into_iter().map(|network| (network, all)).collect())
}

/// A segment at these places of both streams.
fn number(to_server: bool, flags: u8, at: u32, ack: u32) -> Tcp {
    let [own, other] = if to_server { ISNS } else { [ISNS[1], ISNS[0]] };
    let acks = flags & TcpFlags::ACK != 0;
    Tcp {
        seq: own.wrapping_add(1).wrapping_add(at),
        ack: if acks { other.wrapping_add(1).wrapping_add(ack) } else { 0 },
        flags: TcpFlags(flags),
        window: 0xffff,
        ..Tcp::default()
    }
}

/// Sends a segment; returns its session, what becomes of it, whether it was taken in, and its payload as it
/// leaves.
fn send(
    streams: &mut Streams,
    session: Option<StreamHandle>,
    to_server: bool,
    tcp: Tcp,
    options: &[u8],
    payload: &[u8],
    now: Timestamp,
) -> (Option<StreamHandle>, Fate, bool, Vec<u8>) {
    let direction = if to_server { Direction::ToServer } else { Direction::ToClient };
    let segment = Segment {
        direction,
        tcp,
        options,
        payload,
        ip_version: 4,
        destination: mapped([10, 0, 0, 1]),
        now,
        lost: false,
        pick_up: false,
        faults: Faults::default(),
    };
    let seen = streams.packet(session, &segment);
    let mut out = payload.to_vec();
    if let Some(session) = seen.session {
        if seen.conflict {
            let seq = tcp.seq.wrapping_add(u32::from(tcp.flags.has(TcpFlags::SYN)));
            streams.rewrite(session, direction, seq, &mut out);
        }
        if let Some(window) = streams.window(session, direction, &out) {
            // Nothing of it is new where all that came is out of band.
            assert!(window.new_from <= window.bytes.len());
        }
    }
    (seen.session, seen.fate, seen.added, out)
}

/// A segment went out to the server.
fn note(sent: &mut Sent, tcp: &Tcp, payload: &[u8], added: bool, state: TcpState) {
    if tcp.flags.has(TcpFlags::SYN) || tcp.flags.has(TcpFlags::RST) || !tcp.flags.has(TcpFlags::ACK) {
        return;
    }
    let start = tcp.seq.wrapping_sub(ISNS[0].wrapping_add(1));
    let mut fresh = 0;
    for (place, byte) in (0..).zip(payload) {
        let at = start.wrapping_add(place);
        // What the server has, or what is far behind, it takes no more.
        if at < sent.acknowledged || at > FARTHEST {
            continue;
        }
        fresh += 1;
        // Nothing is sent beyond all places and the longest payload.
        let place = usize::try_from(at).expect("a small number");
        if sent.bytes.len() <= place {
            sent.bytes.resize(place + payload.len(), None);
        }
        let kept = *sent.bytes[place].get_or_insert(*byte);
        assert_eq!(kept, *byte, "at {at}: receivers differ");
    }
    // One byte before what is acknowledged asks whether its receiver is alive.
    assert!(added || fresh <= 1 || state == TcpState::None, "{fresh} bytes went by in {state:?}");
}
