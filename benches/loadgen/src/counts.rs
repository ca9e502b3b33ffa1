//! What arrived: the receiving BPF programs, and what they have counted.

use crate::place::Opened;
use crate::skeleton::receive::{ReceiveSkel, ReceiveSkelBuilder};
use anyhow::{Context, Result, ensure};
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{Link, MapCore, MapFlags, OpenObject, ProgramMut};
use portcullis_trial::{BUCKETS, Histogram, Latency};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

/// What the receiver must know of the frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// What they are, for the BPF programs.
    pub(crate) mode: u32,
    pub(crate) mark: u16,
    pub(crate) flows: u32,
    /// Each so-and-so-many-th of a flow is answered; 0: none.
    pub(crate) answer_every: u32,
    /// Frames are numbered below this.
    pub(crate) numbers: u64,
}

/// The receiver, and who takes answers at the sender's end.
pub(crate) struct Counts<'s> {
    skeleton: ReceiveSkel<'s>,
    /// Programs are detached when these go.
    _attached: Vec<Link>,
}

/// What has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) reordered_in_flow: u64,
    pub(crate) furthest: u64,
    pub(crate) corrupted: u64,
    pub(crate) answers: u64,
    pub(crate) beyond: u64,
    pub(crate) times: Times,
    /// Answers that came back.
    pub(crate) returned: u64,
    pub(crate) round_trips: Times,
}

/// When it arrived, and how long it took, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) least: u64,
    pub(crate) most: u64,
    pub(crate) sum: u64,
}

impl<'s> Counts<'s> {
    /// Begins to receive; with answers, at both ends.
    pub(crate) fn begin(
        storage: &'s mut MaybeUninit<OpenObject>,
        expected: &Expected,
        from: &Opened,
        to: &Opened,
        answers: bool,
    ) -> Result<Self> {
        let mut open = ReceiveSkelBuilder::default().open(storage)?;
        open.progs.count.set_autoload(false);
        open.progs.returned.set_autoload(answers);
        let constants = open.maps.rodata_data.as_deref_mut().context("the BPF object has no constants")?;
        constants.mode = expected.mode;
        constants.mark = expected.mark;
        constants.flows = expected.flows;
        constants.answer_every = expected.answer_every;
        constants.numbers = expected.numbers;
        open.maps.seen.set_max_entries(u32::try_from(expected.numbers / 64 + 1)?)?;
        open.maps.flow_next.set_max_entries(expected.flows)?;
        open.maps.open_flows.set_max_entries(expected.flows / 64 + 1)?;
        let skeleton = open.load().context("cannot load the receiving BPF program (it needs root)")?;
        let mut attached = vec![attach(&skeleton.progs.receive, to)?];
        if answers {
            attached.push(attach(&skeleton.progs.returned, from)?);
        }
        Ok(Self { skeleton, _attached: attached })
    }

    /// Which connections are open.
    pub(crate) fn open_flows(&self) -> BorrowedFd<'_> {
        self.skeleton.maps.open_flows.as_fd()
    }

    /// How many connections are open.
    pub(crate) fn opened(&self) -> Result<u32> {
        let map = &self.skeleton.maps.open_flows;
        (0..map.max_entries()).try_fold(0, |sum, index| {
            let word = map.lookup(&index.to_ne_bytes(), MapFlags::ANY)?.unwrap_or_default();
            Ok(sum + word.iter().map(|byte| byte.count_ones()).sum::<u32>())
        })
    }

    /// What has arrived so far, on all CPUs together.
    pub(crate) fn look(&self) -> Result<Found> {
        let mut found = Found::default();
        for words in each_cpu(&self.skeleton.maps.found_map, 0)? {
            let [
                packets,
                bytes,
                duplicated,
                reordered,
                in_flow,
                furthest,
                corrupted,
                answers,
                beyond,
                times @ ..,
            ] = words.as_slice()
            else {
                anyhow::bail!("the BPF object has another layout");
            };
            found.packets += packets;
            found.bytes += bytes;
            found.duplicated += duplicated;
            found.reordered += reordered;
            found.reordered_in_flow += in_flow;
            found.furthest = found.furthest.max(*furthest);
            found.corrupted += corrupted;
            found.answers += answers;
            found.beyond += beyond;
            found.times.add(times);
        }
        for words in each_cpu(&self.skeleton.maps.answered_map, 0)? {
            if let [packets, times @ ..] = words.as_slice() {
                found.returned += packets;
                found.round_trips.add(times);
            }
        }
        ensure!(found.beyond == 0, "{} frames arrived with numbers that were never sent", found.beyond);
        Ok(found)
    }

    /// How long frames took.
    pub(crate) fn latency(&self, found: &Found) -> Result<Option<Latency>> {
        latency(&self.skeleton.maps.latencies, &found.times)
    }

    /// How long they took with their answers.
    pub(crate) fn round_trip(&self, found: &Found) -> Result<Option<Latency>> {
        latency(&self.skeleton.maps.round_trips, &found.round_trips)
    }
}

fn attach(program: &ProgramMut<'_>, place: &Opened) -> Result<Link> {
    place.inside(|| {
        program
            .attach_xdp(i32::try_from(place.index)?)
            .with_context(|| format!("cannot attach to {} (is another XDP program there?)", place.interface))
    })
}

fn latency(map: &impl MapCore, times: &Times) -> Result<Option<Latency>> {
    let counts: Result<Vec<u64>> = (0..u32::try_from(BUCKETS)?)
        .map(|index| Ok(each_cpu(map, index)?.iter().filter_map(|words| words.first()).sum()))
        .collect();
    Ok(Latency::of(Histogram::from_counts(&counts?), times.least, times.most, times.sum))
}

/// An entry's words, of each CPU.
fn each_cpu(map: &impl MapCore, index: u32) -> Result<Vec<Vec<u64>>> {
    let values = map.lookup_percpu(&index.to_ne_bytes(), MapFlags::ANY)?.unwrap_or_default();
    let words =
        |value: Vec<u8>| value.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    Ok(values.into_iter().map(words).collect())
}

impl Times {
    /// Another CPU's; one on which nothing arrived has zeros.
    fn add(&mut self, words: &[u64]) {
        let &[first, last, least, most, sum] = words else { return };
        if first == 0 {
            return;
        }
        let unset = self.first == 0;
        self.first = if unset { first } else { self.first.min(first) };
        self.least = if unset { least } else { self.least.min(least) };
        self.last = self.last.max(last);
        self.most = self.most.max(most);
        self.sum += sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_on_which_nothing_arrived_do_not_count() {
        let mut times = Times::default();
        for words in [[0; 5], [20, 30, 7, 9, 16], [0; 5], [10, 25, 8, 11, 19]] {
            times.add(&words);
        }
        assert_eq!(times, Times { first: 10, last: 30, least: 7, most: 11, sum: 35 });
    }
}
