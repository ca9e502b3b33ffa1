//! The reassembler against a naive one that keeps all segments in a list.

use crate::script::{Rig, Told, ids, inline, tell};
use portcullis_flow::Direction;
use portcullis_stream::{Fate, StreamSettings};
use portcullis_wire::decoded::{Tcp, TcpFlags};
use portcullis_wire::{Network, NetworkMap, TargetOs};
use proptest::prelude::*;

/// What is left of one segment.
#[derive(Clone, Debug)]
struct Run {
    start: usize,
    bytes: Vec<u8>,
}

impl Run {
    fn end(&self) -> usize {
        self.start + self.bytes.len()
    }

    fn part(&self, from: usize, to: usize) -> Option<Self> {
        let (from, to) = (from.max(self.start), to.min(self.end()));
        (from < to)
            .then(|| Self { start: from, bytes: self.bytes[from - self.start..to - self.start].to_vec() })
    }
}

fn new_wins(os: TargetOs, new: &Run, old: &Run) -> bool {
    let before = new.start < old.start;
    match os {
        TargetOs::Bsd | TargetOs::BsdRight | TargetOs::Hpux10 | TargetOs::Irix => before,
        TargetOs::Linux => before || new.start == old.start && new.end() > old.end(),
        TargetOs::OldLinux | TargetOs::OldSolaris => new.start <= old.start,
        TargetOs::Windows => before && new.end() > old.end(),
        TargetOs::Solaris | TargetOs::Hpux11 => before || new.end() > old.end(),
        TargetOs::Last => true,
        TargetOs::First | TargetOs::Macos | TargetOs::Vista | TargetOs::Windows2k3 => false,
    }
}

/// Puts a segment among the runs that there are.
fn put(runs: &mut Vec<Run>, new: &Run, os: TargetOs) {
    let mut left = vec![new.clone()];
    let mut kept = Vec::new();
    for old in runs.drain(..) {
        if old.end() <= new.start || new.end() <= old.start {
            kept.push(old);
        } else if !new_wins(os, new, &old) {
            left = left
                .iter()
                .flat_map(|piece| [piece.part(0, old.start), piece.part(old.end(), usize::MAX)])
                .flatten()
                .collect();
            kept.push(old);
        } else if new.part(old.start, old.end()).map(|part| part.bytes)
            == old.part(new.start, new.end()).map(|part| part.bytes)
        {
            // The same bytes: whose they are makes no difference to the stream, and the reassembler
            // leaves them where they are.
            left = left
                .iter()
                .flat_map(|piece| [piece.part(0, old.start), piece.part(old.end(), usize::MAX)])
                .flatten()
                .collect();
            kept.push(old);
        } else {
            kept.extend(old.part(0, new.start));
            kept.extend(old.part(new.end(), usize::MAX));
        }
    }
    kept.extend(left);
    kept.sort_by_key(|run| run.start);
    *runs = kept;
}

/// The stream with gaps between its stretches.
fn stretches(runs: &[Run]) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut end = usize::MAX;
    for run in runs {
        if run.start == end {
            found.last_mut().expect("a stretch").extend(&run.bytes);
        } else {
            found.push(run.bytes.clone());
        }
        end = run.end();
    }
    found
}

fn opened(settings: &StreamSettings, isn: u32) -> Rig {
    let mut rig = Rig::new(settings);
    let _ = rig.packet(&tell(&format!("> S {isn} ws=5")));
    let _ = rig.packet(&tell(&format!("< SA 300 {} ws=5 w=65535", isn.wrapping_add(1))));
    let _ = rig.packet(&tell(&format!("> A {} 301", isn.wrapping_add(1))));
    let _ = rig.packet(&tell(&format!("< A 301 {} w=65535", isn.wrapping_add(1))));
    rig
}

fn data(isn: u32, run: &Run) -> Told {
    let seq = isn.wrapping_add(1).wrapping_add(u32::try_from(run.start).expect("small"));
    let flags = TcpFlags(TcpFlags::ACK);
    let tcp = Tcp { seq, ack: 301, window: 65535, flags, ..Tcp::default() };
    Told { tcp, payload: run.bytes.clone(), ..tell("> A 0 301") }
}

/// Segments that overlap a lot, of few letters, so that some overlaps agree; some of them long.
fn segments() -> impl Strategy<Value = Vec<Run>> {
    let letters = prop_oneof![Just(b'a'), Just(b'b'), Just(b'c')];
    let short = (0_usize..200, prop::collection::vec(letters.clone(), 1..40));
    let long = (0_usize..4000, (1_usize..3000, letters).prop_map(|(length, letter)| vec![letter; length]));
    let one = prop_oneof![3 => short, 1 => long].prop_map(|(start, bytes)| Run { start, bytes });
    prop::collection::vec(one, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_policy_is_the_naive_one(
        segments in segments(),
        os in prop::sample::select(TargetOs::ALL.to_vec()),
        isn in prop_oneof![Just(100_u32), Just(u32::MAX - 150), any::<u32>()],
    ) {
        let all = Network::new(4, [0; 16], 0).unwrap();
        let settings = StreamSettings { host_os: NetworkMap::new(vec![(all, os)]), ..ids() };
        let mut rig = opened(&settings, isn);
        let mut runs = Vec::new();
        for segment in &segments {
            let seen = rig.packet(&data(isn, segment));
            prop_assert_eq!(seen.fate, Fate::Valid);
            prop_assert!(seen.added);
            put(&mut runs, segment, os);
        }
        let session = rig.session.unwrap();
        let mut found = Vec::new();
        while let Some(window) = rig.streams.rest(session, Direction::ToServer) {
            found.push(window.bytes[window.new_from..].to_vec());
        }
        prop_assert_eq!(found, stretches(&runs));
        rig.streams.release(session);
        prop_assert_eq!(rig.stats().reassembly_memuse, 0);
    }

    /// Inline, whoever puts together what went out gets the same, whatever its policy; and whatever is in
    /// it was before the rules in one piece, when its last byte went by.
    #[test]
    fn inline_all_receivers_see_the_same(
        segments in segments(),
        os in prop::sample::select(TargetOs::ALL.to_vec()),
        reach in 1_u64..64,
        at in 0_usize..4000,
    ) {
        let mut rig = opened(&inline(), 7);
        rig.streams.set_reach(Some(reach));
        let session = rig.session.unwrap();
        let (mut out, mut first) = (Vec::new(), Vec::new());
        let mut windows: Vec<(usize, Vec<u8>)> = Vec::new();
        for segment in &segments {
            let told = data(7, segment);
            let seen = rig.packet(&told);
            prop_assert!(seen.added && seen.fate == Fate::Valid);
            let mut payload = told.payload.clone();
            if seen.conflict {
                rig.streams.rewrite(session, Direction::ToServer, told.tcp.seq, &mut payload);
            }
            let sent = Run { start: segment.start, bytes: payload.clone() };
            prop_assert_eq!(seen.conflict, sent.bytes != segment.bytes);
            let window = rig.streams.window(session, Direction::ToServer, &payload).unwrap();
            let offset = usize::try_from(window.offset).unwrap();
            prop_assert_eq!(offset + window.new_from, segment.start);
            windows.push((offset, window.bytes.to_vec()));
            put(&mut first, segment, TargetOs::First);
            put(&mut out, &sent, os);
        }
        let stream = stretches(&first);
        prop_assert_eq!(&stretches(&out), &stream);
        // Any piece of the stream as long as rules look back.
        let mut starts = Vec::new();
        let mut end = usize::MAX;
        for run in &first {
            if run.start != end {
                starts.push(run.start);
            }
            end = run.end();
        }
        let reach = usize::try_from(reach).unwrap();
        for (start, bytes) in starts.iter().zip(&stream) {
            let from = at % bytes.len();
            let Some(piece) = bytes.get(from..from + reach) else { continue };
            let whole = windows.iter().any(|(offset, window)| {
                (start + from).checked_sub(*offset).and_then(|skip| window.get(skip..skip + reach)) == Some(piece)
            });
            prop_assert!(whole, "{from}..{} of the stretch at {start} was in no window", from + reach);
        }
    }
}
