//! Segments and what is expected of them, a line each:
//!
//! ```text
//! > SA 100 301 "data" ws=7 ts=9     -> established pkt_retransmission added "old|new"
//! direction, flags, seq, ack (with A), payload, options   state, events, words, window
//! ```
//!
//! Options: `w=` window (8192), `ws=` window scale, `ts=` timestamp, `urg=` urgent pointer, `t=` seconds,
//! `tfo` fast open, `sack` permitted, `lost`, `fault=session`, `fault=payload`. Words: `added`, `conflict`,
//! `bypass`, and the fates `invalid`, `midstream`, `session-memcap`, `memcap`, `urgent`. Events, words and
//! window are compared exactly.

use portcullis_flow::{Direction, TcpState};
use portcullis_stream::{
    Fate, Faults, Seen, Segment, Share, StreamHandle, StreamSettings, StreamStats, Streams,
};
use portcullis_wire::Timestamp;
use portcullis_wire::decoded::{Tcp, TcpFlags, mapped};

/// One session under test.
pub(crate) struct Rig {
    pub(crate) streams: Streams,
    pub(crate) session: Option<StreamHandle>,
}

/// The settings most tests begin with.
pub(crate) fn inline() -> StreamSettings {
    let mut settings = ids();
    settings.inline = true;
    settings
}

pub(crate) fn ids() -> StreamSettings {
    let mut settings = StreamSettings { prealloc_sessions: 4, ..StreamSettings::default() };
    settings.reassembly.randomize_chunk_range = 0;
    settings.reassembly.segment_prealloc = 4;
    settings
}

/// Runs a script on fresh sessions.
pub(crate) fn check(settings: &StreamSettings, script: &str) -> Rig {
    let mut rig = Rig::new(settings);
    rig.run(script);
    rig
}

/// A segment as a script tells it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) direction: Direction,
    pub(crate) tcp: Tcp,
    pub(crate) options: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) secs: u64,
    pub(crate) lost: bool,
    pub(crate) faults: Faults,
}

impl Told {
    pub(crate) fn segment(&self) -> Segment<'_> {
        Segment {
            direction: self.direction,
            tcp: self.tcp,
            options: &self.options,
            payload: &self.payload,
            ip_version: 4,
            destination: mapped([10, 0, 0, 1]),
            now: Timestamp::from_secs(1_000 + self.secs),
            lost: self.lost,
            pick_up: false,
            faults: self.faults,
        }
    }
}

impl Rig {
    pub(crate) fn new(settings: &StreamSettings) -> Self {
        let streams = Streams::new(settings, Share { workers: 1, seed: 1 }).expect("memory");
        Self { streams, session: None }
    }

    /// Runs each line and compares what is said about it.
    pub(crate) fn run(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (left, right) = line.split_once("->").expect("an expectation");
            let told = tell(left);
            let seen = self.packet(&told);
            let window = self.window(&told);
            let expected: Vec<String> = words(right);
            let mut found = vec![self.state().name().to_owned()];
            found.extend(seen.events.iter().map(|event| event.name().to_owned()));
            found.extend(said(&seen).map(str::to_owned));
            found.extend(window);
            assert_eq!(found, expected, "{line}");
        }
    }

    pub(crate) fn packet(&mut self, told: &Told) -> Seen {
        let seen = self.streams.packet(self.session, &told.segment());
        self.session = seen.session;
        seen
    }

    pub(crate) fn state(&self) -> TcpState {
        let summary = self.session.and_then(|session| self.streams.summary(session));
        summary.map_or(TcpState::None, |summary| summary.state)
    }

    pub(crate) fn stats(&self) -> StreamStats {
        self.streams.stats()
    }

    /// The window after a segment, old bytes and new ones apart.
    fn window(&mut self, told: &Told) -> Option<String> {
        let session = self.session?;
        let mut payload = told.payload.clone();
        let seq = told.tcp.seq.wrapping_add(u32::from(told.tcp.flags.has(TcpFlags::SYN)));
        self.streams.rewrite(session, told.direction, seq, &mut payload);
        let window = self.streams.window(session, told.direction, &payload)?;
        Some(shown(window.bytes, window.new_from))
    }

    /// All that is left when the flow ends.
    pub(crate) fn rest(&mut self, direction: Direction) -> Vec<String> {
        let session = self.session.expect("a session");
        let mut found = Vec::new();
        while let Some(window) = self.streams.rest(session, direction) {
            found.push(shown(window.bytes, window.new_from));
        }
        found
    }
}

fn shown(bytes: &[u8], new_from: usize) -> String {
    let (old, new) = bytes.split_at(new_from);
    format!("\"{}|{}\"", String::from_utf8_lossy(old), String::from_utf8_lossy(new))
}

fn said(seen: &Seen) -> impl Iterator<Item = &'static str> {
    let fate = match seen.fate {
        Fate::Valid => None,
        Fate::Invalid => Some("invalid"),
        Fate::Midstream => Some("midstream"),
        Fate::SessionMemcap => Some("session-memcap"),
        Fate::ReassemblyMemcap => Some("memcap"),
        Fate::Urgent => Some("urgent"),
    };
    let marks = [(seen.added, "added"), (seen.conflict, "conflict"), (seen.bypass, "bypass")];
    fate.into_iter().chain(marks.into_iter().filter_map(|(is, word)| is.then_some(word)))
}

/// Words of a line; what is in quotes is one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let end = match rest.strip_prefix('"') {
            Some(quoted) => quoted.find('"').expect("a closing quote") + 2,
            None => rest.find(' ').unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(end);
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

/// Reads the left half of a line.
pub(crate) fn tell(line: &str) -> Told {
    let words = words(line);
    let mut words = words.iter().map(String::as_str);
    let direction = match words.next() {
        Some(">") => Direction::ToServer,
        Some("<") => Direction::ToClient,
        other => panic!("direction {other:?} in {line}"),
    };
    let flags = words.next().expect("flags").bytes().fold(0, |flags, letter| {
        flags
            | match letter {
                b'S' => TcpFlags::SYN,
                b'A' => TcpFlags::ACK,
                b'F' => TcpFlags::FIN,
                b'R' => TcpFlags::RST,
                b'P' => TcpFlags::PSH,
                b'U' => TcpFlags::URG,
                b'E' => TcpFlags::ECN | TcpFlags::CWR,
                b'-' => 0,
                other => panic!("flag {}", char::from(other)),
            }
    });
    let mut told = Told {
        direction,
        tcp: Tcp { flags: TcpFlags(flags), window: 8192, ..Tcp::default() },
        options: Vec::new(),
        payload: Vec::new(),
        secs: 0,
        lost: false,
        faults: Faults::default(),
    };
    told.tcp.seq = words.next().expect("seq").parse().expect("seq");
    if flags & TcpFlags::ACK != 0 {
        told.tcp.ack = words.next().expect("ack").parse().expect("ack");
    }
    for word in words {
        option(&mut told, word);
    }
    told
}

fn option(told: &mut Told, word: &str) {
    if let Some(text) = word.strip_prefix('"') {
        told.payload = text.trim_end_matches('"').as_bytes().to_vec();
        return;
    }
    let (name, value) = word.split_once('=').unwrap_or((word, "0"));
    let number = || value.parse::<u32>().expect(word);
    match name {
        "w" => told.tcp.window = u16::try_from(number()).expect(word),
        "ws" => told.options.extend([3, 3, u8::try_from(number()).expect(word)]),
        "ts" => {
            told.options.extend([8, 10]);
            told.options.extend(number().to_be_bytes());
            told.options.extend([0; 4]);
        }
        "sack" => told.options.extend([4, 2]),
        "tfo" => told.options.extend([34, 4, 1, 2]),
        "urg" => {
            told.tcp.flags.0 |= TcpFlags::URG;
            told.tcp.urgent = u16::try_from(number()).expect(word);
        }
        "t" => told.secs = u64::from(number()),
        "ack" => told.tcp.ack = number(),
        "x" => told.payload = vec![b'x'; number() as usize],
        "lost" => told.lost = true,
        "fault" => told.faults = Faults { session: value == "session", payload: value == "payload" },
        other => panic!("option {other}"),
    }
}
