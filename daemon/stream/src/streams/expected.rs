//! The short way of the segments that everybody expects.

use super::Streams;
use crate::arena::StreamHandle;
use crate::segment::{Seen, Segment};

impl Streams {
    /// Takes in the segment that was expected; `None`, with nothing done, for any other.
    #[inline]
    pub(super) fn expected(&mut self, handle: StreamHandle, segment: &Segment<'_>) -> Option<Seen> {
        let session = self.arena.get_mut(handle)?;
        if !session.take_expected(segment) {
            return None;
        }
        let mut seen = Seen { session: Some(handle), unchanged: true, ..Seen::default() };
        let arrives = !segment.payload.is_empty() && !segment.lost;
        if self.reach.is_none() && session.peers.iter().all(|peer| peer.track.is_idle()) {
            // Nobody wants to know more of the streams than how far they are.
            if arrives {
                let sender = session.sides(segment.direction).0;
                sender.track.follow(&mut self.pages, sender.next_seq);
            }
            return Some(seen);
        }
        if arrives {
            self.take_payload(handle, segment, &mut seen);
        }
        self.settle(handle, segment.direction, &mut seen);
        self.stats.count(seen.events);
        seen.unchanged = !seen.bypass;
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use crate::segment::{Faults, Seen, Segment};
    use crate::settings::{Share, StreamSettings};
    use crate::streams::Streams;
    use crate::{SessionSummary, StreamHandle};
    use portcullis_flow::Direction;
    use portcullis_wire::Timestamp;
    use portcullis_wire::decoded::{Tcp, TcpFlags, mapped};
    use proptest::prelude::*;

    /// A segment, as far as it is not the next one.
    #[derive(Clone, Debug)]
    struct Told {
        back: bool,
        flags: u8,
        ahead: i32,
        acks_ahead: i32,
        length: usize,
        window: u16,
        tick: Option<i32>,
        lost: bool,
    }

    fn told() -> impl Strategy<Value = Told> {
        let flags = prop_oneof![12 => Just(0x10_u8), 6 => Just(0x18), 1 => any::<u8>().prop_map(|flags| flags & 0x37)];
        let near = || prop_oneof![12 => Just(0), 2 => -3..3_i32, 1 => -100_000..100_000_i32];
        let tick = prop_oneof![6 => Just(Some(0)), 3 => (-1..3_i32).prop_map(Some), 1 => Just(None)];
        let length = prop_oneof![Just(0_usize), Just(1), 2..1500_usize];
        let window = prop_oneof![8 => Just(8000_u16), 1 => any::<u16>()];
        let lost = prop_oneof![15 => Just(false), 1 => Just(true)];
        (any::<bool>(), flags, near(), near(), length, window, tick, lost).prop_map(
            |(back, flags, ahead, acks_ahead, length, window, tick, lost)| Told {
                back,
                flags,
                ahead,
                acks_ahead,
                length,
                window,
                tick,
                lost,
            },
        )
    }

    /// One session, and what its ends have sent and stamped.
    struct Side {
        streams: Streams,
        session: Option<StreamHandle>,
    }

    impl Side {
        fn new(inline: bool, reach: Option<u64>) -> Self {
            let mut settings = StreamSettings { inline, prealloc_sessions: 2, ..StreamSettings::default() };
            settings.reassembly.randomize_chunk_range = 0;
            settings.reassembly.segment_prealloc = 2;
            let mut streams = Streams::new(&settings, Share { workers: 1, seed: 1 }).expect("memory");
            streams.set_reach(reach);
            Self { streams, session: None }
        }

        fn summary(&self) -> SessionSummary {
            self.session.and_then(|session| self.streams.summary(session)).unwrap_or_default()
        }

        /// All that there is to know afterwards.
        fn all(&mut self, segment: &Segment<'_>, seen: &Seen) -> String {
            let session = self.session.and_then(|session| self.streams.arena.get(session).copied());
            let window = self
                .session
                .and_then(|session| self.streams.window(session, segment.direction, segment.payload))
                .map(|window| (window.bytes.to_vec(), window.new_from, window.offset));
            let seen = Seen { unchanged: false, ..*seen };
            format!("{seen:?} {session:?} {window:?} {:?}", self.streams.stats())
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        /// The short way says and does what the state machine does.
        #[test]
        fn what_is_expected_goes_by_the_book(
            inline: bool,
            rules in prop::option::of(1..3000_u64),
            stamps: bool,
            scale: bool,
            script in prop::collection::vec(told(), 1..40),
        ) {
            let (mut short, mut long) = (Side::new(inline, rules), Side::new(inline, rules));
            let mut next = [1000_u32, u32::MAX - 3000];
            let mut clocks = [7_u32, 9];
            let payload: Vec<u8> = (0..1500_u32).flat_map(u32::to_le_bytes).collect();
            let syn = |back, flags| Told {
                back, flags, ahead: 0, acks_ahead: 0, length: 0, window: 8000, tick: Some(0), lost: false,
            };
            let handshake = [syn(false, 2), syn(true, 0x12), syn(false, 0x10)];
            for (number, told) in handshake.into_iter().chain(script).enumerate() {
                let side = usize::from(told.back);
                let is_syn = told.flags & TcpFlags::SYN != 0;
                let mut options = Vec::new();
                if let Some(tick) = told.tick.filter(|_| stamps) {
                    clocks[side] = clocks[side].wrapping_add_signed(tick.max(0));
                    options.extend([1, 1, 8, 10]);
                    options.extend(clocks[side].wrapping_add_signed(tick.min(0)).to_be_bytes());
                    options.extend(clocks[1 - side].to_be_bytes());
                }
                if is_syn && scale {
                    options.extend([1, 3, 3, 2]);
                }
                let seq = next[side].wrapping_add_signed(told.ahead);
                let from = usize::try_from(seq % 64).unwrap();
                let segment = Segment {
                    direction: if told.back { Direction::ToClient } else { Direction::ToServer },
                    tcp: Tcp {
                        seq,
                        ack: if number == 0 { 0 } else { next[1 - side].wrapping_add_signed(told.acks_ahead) },
                        flags: TcpFlags(told.flags),
                        window: told.window,
                        ..Tcp::default()
                    },
                    options: &options,
                    payload: &payload[from..from + told.length],
                    ip_version: 4,
                    destination: mapped([10, 0, 0, 1]),
                    now: Timestamp::from_secs(1000 + number as u64),
                    lost: told.lost,
                    pick_up: false,
                    faults: Faults::default(),
                };
                let before = short.summary();
                let seen = short.streams.packet(short.session, &segment);
                short.session = seen.session;
                long.streams.arrived = None;
                let by_the_book = long.streams.by_the_book(long.session, &segment);
                long.session = by_the_book.session;
                prop_assert_eq!(short.all(&segment, &seen), long.all(&segment, &by_the_book), "{:?}", told);
                if seen.unchanged {
                    let of = |summary: SessionSummary| {
                        let sides = [summary.to_server, summary.to_client];
                        (summary.state, sides.map(|side| (side.isn, side.flags)))
                    };
                    prop_assert_eq!(of(before), of(short.summary()));
                }
                if told.ahead == 0 {
                    let length = u32::try_from(told.length).unwrap() + u32::from(is_syn);
                    next[side] = next[side].wrapping_add(length);
                }
            }
        }
    }

    /// A test that never goes the short way would prove nothing.
    #[test]
    fn acknowledgements_and_data_in_order_are_expected() {
        for reach in [None, Some(64)] {
            let mut side = Side::new(true, reach);
            let segment = |back: bool, flags, seq, ack, payload: &'static [u8]| Segment {
                direction: if back { Direction::ToClient } else { Direction::ToServer },
                tcp: Tcp { seq, ack, flags: TcpFlags(flags), window: 8000, ..Tcp::default() },
                options: &[],
                payload,
                ip_version: 4,
                destination: mapped([10, 0, 0, 1]),
                now: Timestamp::from_secs(1000),
                lost: false,
                pick_up: false,
                faults: Faults::default(),
            };
            let mut unchanged = Vec::new();
            for segment in [
                segment(false, 0x02, 0, 0, b""),
                segment(true, 0x12, 0, 1, b""),
                segment(false, 0x10, 1, 1, b""),
                segment(false, 0x18, 1, 1, b"first of its flags"),
                segment(true, 0x10, 1, 19, b"confirms"),
                segment(false, 0x18, 19, 9, b"data"),
                segment(true, 0x10, 9, 23, b""),
                segment(false, 0x10, 23, 9, b""),
                segment(false, 0x10, 22, 9, b"\0"),
                segment(false, 0x11, 23, 9, b""),
            ] {
                let seen = side.streams.packet(side.session, &segment);
                side.session = seen.session;
                unchanged.push(seen.unchanged);
            }
            let expected = [false, false, false, false, false, true, true, true, false, false];
            assert_eq!(unchanged, expected, "{reach:?}");
        }
    }
}
