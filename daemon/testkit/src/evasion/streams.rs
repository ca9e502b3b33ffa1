//! Data cut up, out of order, twice, overlapping, as segments and as fragments.

use super::rows::{Row, send};
use super::segment::{Segment, Step, Text, Wire};
use portcullis_wire::decoded::TcpFlags;
use std::time::Duration;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = whole();
    rows.extend(overlaps());
    rows.extend(fragments());
    rows
}

/// The text in pieces of so many bytes.
pub(super) fn pieces(text: &[u8], size: usize) -> Vec<Segment> {
    let places = (0..text.len()).step_by(size);
    places.map(|at| Segment::part(text, at..(at + size).min(text.len()))).collect()
}

/// What every host takes.
fn whole() -> Vec<Row> {
    let mut rows = Vec::new();
    for size in [1, 2, 3, 4, 7, 8, 24] {
        rows.push(Row::new(format!("segments: of {size}"), move |wire, text| {
            send(wire, &pieces(&text.bytes, size))
        }));
        rows.push(Row::new(format!("segments: of {size}, each twice"), move |wire, text| {
            let twice: Vec<_> =
                pieces(&text.bytes, size).into_iter().flat_map(|piece| [piece.clone(), piece]).collect();
            send(wire, &twice)
        }));
        rows.push(Row::new(format!("segments: of {size}, each over the one before"), move |wire, text| {
            let at = (0..text.bytes.len()).step_by(size);
            let over = at.map(|at| {
                Segment::part(&text.bytes, at.saturating_sub(1)..(at + size).min(text.bytes.len()))
            });
            send(wire, &over.collect::<Vec<_>>())
        }));
    }
    for size in [8, 9, 13, 24] {
        rows.push(Row::new(format!("segments: of {size}, backwards"), move |wire, text| {
            send(wire, &pieces(&text.bytes, size).into_iter().rev().collect::<Vec<_>>())
        }));
        rows.push(Row::new(format!("segments: of {size}, in pairs backwards"), move |wire, text| {
            let mut all = pieces(&text.bytes, size);
            all.chunks_mut(2).for_each(<[_]>::reverse);
            send(wire, &all)
        }));
        rows.push(Row::new(format!("segments: of {size}, odd ones first"), move |wire, text| {
            let all = pieces(&text.bytes, size);
            let odd = all.iter().skip(1).step_by(2).take(7);
            let rest = all.iter().step_by(2).chain(all.iter().skip(15).step_by(2));
            send(wire, &odd.chain(rest).cloned().collect::<Vec<_>>())
        }));
        rows.push(Row::new(format!("segments: of {size}, minutes apart"), move |wire, text| {
            let paced = pieces(&text.bytes, size)
                .into_iter()
                .flat_map(|piece| [Step::Send(piece.frame(wire)), Step::Wait(Duration::from_secs(100))]);
            paced.collect()
        }));
        rows.push(Row::new(format!("segments: of {size}, all again at the end"), move |wire, text| {
            let all = pieces(&text.bytes, size);
            send(wire, &[all.clone(), all].concat())
        }));
    }
    rows.push(Row::new("segments: one of all over pieces of it", |wire, text| {
        let mut all = pieces(&text.bytes, 9);
        all.truncate(4);
        all.push(Segment::part(&text.bytes, 0..text.bytes.len()));
        send(wire, &all)
    }));
    rows.push(Row::new("segments: empty ones between", |wire, text| {
        let all = pieces(&text.bytes, 5).into_iter().enumerate().flat_map(|(place, piece)| {
            let at = i64::try_from(place * 5).unwrap_or(0);
            [Segment::new(at, b"").flags(TcpFlags::ACK), piece]
        });
        send(wire, &all.collect::<Vec<_>>())
    }));
    rows.push(Row::new("segments: keep-alives between", |wire, text| {
        let mut all = Vec::new();
        for piece in (0..text.bytes.len()).step_by(6) {
            all.push(Segment::part(&text.bytes, piece..(piece + 6).min(text.bytes.len())));
            let last = (piece + 5).min(text.bytes.len() - 1);
            all.push(Segment::part(&text.bytes, last..last + 1).flags(TcpFlags::ACK));
        }
        send(wire, &all)
    }));
    rows.push(Row::new("segments: the last one with FIN", |wire, text| {
        let mut all = pieces(&text.bytes, 10);
        let last = all.pop().map(|last| last.flags(TcpFlags::ACK | TcpFlags::FIN));
        all.extend(last);
        send(wire, &all)
    }));
    rows.into_iter().map(Row::legal).collect()
}

/// The text until the keyword's middle, the keyword's second half, and the rest.
pub(super) fn cut(text: &Text) -> [std::ops::Range<usize>; 3] {
    let middle = text.keyword.start + text.keyword.len() / 2;
    [0..middle, middle..text.keyword.end, text.keyword.end..text.bytes.len()]
}

/// Data in one place that differs: hosts choose.
fn overlaps() -> Vec<Row> {
    let mut rows = Vec::new();
    // How far the other data begins before the real one, and how far it ends behind it.
    for (before, after) in [(0, 0), (2, 0), (0, 2), (2, 2), (-1, 0), (0, -1), (-1, -1), (3, -1), (-1, 3)] {
        let shape = format!("begins {before} before and ends {after} behind");
        let other = move |text: &Text| {
            let [_, half, _] = cut(text);
            let at =
                |place: usize, by: i64| usize::try_from(i64::try_from(place).unwrap_or(0) + by).unwrap_or(0);
            Segment::part(&text.chaff(), at(half.start, -before)..at(half.end, after))
        };
        for chaff_first in [true, false] {
            let order = if chaff_first { "first" } else { "second" };
            rows.push(Row::new(format!("overlap: waiting chaff {order}, {shape}"), move |wire, text| {
                let [start, half, rest] = cut(text);
                let real = Segment::part(&text.bytes, half);
                let pair = if chaff_first { [other(text), real] } else { [real, other(text)] };
                let all = [&pair[..], &[Segment::part(&text.bytes, rest), Segment::part(&text.bytes, start)]];
                send(wire, &all.concat())
            }));
            rows.push(Row::new(format!("overlap: chaff {order}, {shape}"), move |wire, text| {
                let [start, half, rest] = cut(text);
                let real = Segment::part(&text.bytes, half);
                let pair = if chaff_first { [other(text), real] } else { [real, other(text)] };
                let all =
                    [&[Segment::part(&text.bytes, start)][..], &pair, &[Segment::part(&text.bytes, rest)]];
                send(wire, &all.concat())
            }));
        }
    }
    for size in [1, 2, 5] {
        rows.push(Row::new(format!("overlap: chaff and real by {size}, backwards"), move |wire, text| {
            let mut all = Vec::new();
            let span = text.keyword.start..text.keyword.end;
            let mut at = span.end;
            while at > span.start {
                let from = at.saturating_sub(size).max(span.start);
                all.push(Segment::part(&text.chaff(), from..at));
                all.push(Segment::part(&text.bytes, from..at));
                at = from;
            }
            all.push(Segment::part(&text.bytes, 0..text.keyword.start));
            all.push(Segment::part(&text.bytes, text.keyword.end..text.bytes.len()));
            send(wire, &all)
        }));
    }
    rows.push(Row::new("overlap: one long chaff over all that waits", |wire, text| {
        let [_, half, _] = cut(text);
        let chaff = text.chaff();
        let all = [
            Segment::part(&text.bytes, half.start..text.bytes.len()),
            Segment::part(&chaff, 1..chaff.len()),
            Segment::part(&text.bytes, 0..half.start),
        ];
        send(wire, &all)
    }));
    rows
}

/// The text in one segment, of which IP carries fragments.
fn fragments() -> Vec<Row> {
    let mut rows = Vec::new();
    let all =
        |wire: &Wire, text: &[u8], size| Segment::part(text, 0..text.len()).ip_id(7).fragments(wire, size);
    let steps = |frames: Vec<Vec<u8>>| frames.into_iter().map(Step::Send).collect::<Vec<_>>();
    for size in [8, 16, 24, 32] {
        let legal = [
            ("", Box::new(|_: &mut Vec<Vec<u8>>| {}) as Box<dyn Fn(&mut Vec<Vec<u8>>)>),
            (", backwards", Box::new(|frames: &mut Vec<Vec<u8>>| frames.reverse())),
            (", the last one first", Box::new(|frames: &mut Vec<Vec<u8>>| frames.rotate_right(1))),
            (", the first one last", Box::new(|frames: &mut Vec<Vec<u8>>| frames.rotate_left(1))),
            (
                ", in pairs backwards",
                Box::new(|frames: &mut Vec<Vec<u8>>| {
                    frames.chunks_mut(2).for_each(<[_]>::reverse);
                }),
            ),
        ];
        for (name, arrange) in legal {
            let row = Row::new(format!("fragments: of {size}{name}"), move |wire, text| {
                let mut frames = all(wire, &text.bytes, size);
                arrange(&mut frames);
                steps(frames)
            });
            rows.push(row.legal());
        }
        rows.push(Row::new(format!("fragments: of {size}, each twice"), move |wire, text| {
            steps(all(wire, &text.bytes, size).into_iter().flat_map(|frame| [frame.clone(), frame]).collect())
        }));
        for (name, chaff_first, backwards) in [
            ("chaff before each", true, false),
            ("chaff after each", false, false),
            ("chaff before each, backwards", true, true),
            ("chaff after each, backwards", false, true),
        ] {
            rows.push(Row::new(format!("fragments: of {size}, {name}"), move |wire, text| {
                let real = all(wire, &text.bytes, size);
                let chaff = all(wire, &text.chaff(), size);
                let pairs = real
                    .into_iter()
                    .zip(chaff)
                    .flat_map(|(real, chaff)| if chaff_first { [chaff, real] } else { [real, chaff] });
                let mut frames: Vec<_> = pairs.collect();
                if backwards {
                    frames.reverse();
                }
                steps(frames)
            }));
        }
        for (name, wide_first) in [("a wide chaff before", true), ("a wide chaff behind", false)] {
            rows.push(Row::new(format!("fragments: of {size}, {name}"), move |wire, text| {
                let mut real = all(wire, &text.bytes, size);
                // Twice as long, so that it lies over two.
                let wide = all(wire, &text.chaff(), size * 2).swap_remove(1);
                let last = real.pop();
                let at = if wide_first { 1 } else { real.len() };
                real.insert(at.min(real.len()), wide);
                real.extend(last);
                steps(real)
            }));
        }
        for seconds in [20, 40, 59, 61, 90] {
            rows.push(Row::new(
                format!("fragments: of {size}, the last after {seconds} s"),
                move |wire, text| {
                    let mut frames = all(wire, &text.bytes, size);
                    let last = frames.pop();
                    let mut steps = steps(frames);
                    steps.push(Step::Wait(Duration::from_secs(seconds)));
                    steps.extend(last.map(Step::Send));
                    steps
                },
            ));
        }
        rows.push(Row::new(
            format!("fragments: of {size}, an old chaff whose time is over"),
            move |wire, text| {
                // The host forgets it, and so must whoever judges.
                let mut steps = vec![Step::Send(all(wire, &text.chaff(), size).swap_remove(1))];
                steps.push(Step::Wait(Duration::from_secs(45)));
                steps.extend(all(wire, &text.bytes, size).into_iter().map(Step::Send));
                steps
            },
        ));
    }
    rows.push(
        Row::new("fragments: segments of 10 in fragments of 8", |wire, text| {
            let fragments = pieces(&text.bytes, 10).into_iter().flat_map(|piece| piece.fragments(wire, 8));
            fragments.map(Step::Send).collect()
        })
        .legal(),
    );
    rows.push(Row::new("fragments: overlapping segments in fragments", |wire, text| {
        let [start, half, rest] = cut(text);
        let chaff = Segment::part(&text.chaff(), half.clone()).ip_id(900);
        let segments = [
            chaff,
            Segment::part(&text.bytes, half).ip_id(901),
            Segment::part(&text.bytes, rest),
            Segment::part(&text.bytes, start),
        ];
        segments.iter().flat_map(|segment| segment.fragments(wire, 16)).map(Step::Send).collect()
    }));
    rows
}
