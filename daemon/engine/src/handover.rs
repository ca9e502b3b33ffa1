//! A worker's flows as bytes, for the process that goes on with them: slices of records, each with a header
//! that says what made them, and a [`Router`] that sorts the records by the worker that owns them there.
//!
//! What goes along: key, id, times, counts, TTLs, state, verdict, bits, which rules matched of late (as far as
//! the other process has them under the same numbers), TCP state and the payload that is still needed (see
//! [`Streams::export`](portcullis_stream::Streams::export)), and what only records show. What does not: what
//! hooks keep beside flows, and their removal hooks; fragments of datagrams that are not whole; the bytes of
//! the last interval of `flow.rate-tracking`; and what rules count and remember of hosts.
//!
//! How flows are counted stays true in both processes: one that is handed over leaves with
//! [`EndReason::HandedOver`](portcullis_flow::EndReason::HandedOver), runs its removal hooks and finish
//! callbacks, and leaves no flow record; where it is taken over its init callbacks run (with an empty packet),
//! and its record is that of its whole life. So in each process `flow.total + flow.taken_over == flow.active +
//! flow.end.state + flow.handed_over`, and `init` and `finish` callbacks are as many as began and ended.
//!
//! Two ways: with packets still coming in, first [`Cursor::copying`] while the worker goes on judging, then, once
//! it has judged its last packet, [`Cursor::leaving`], which tells only of what has changed since. Or
//! [`Cursor::leaving`] alone.
//!
//! The format is that of one version of the program: a slice of another [version](VERSION) is refused. Bytes are
//! not believed: whatever they are, nothing panics, and what cannot be is refused and counted.

use crate::owner::Owner;
use crate::settings::EngineSettings;
use crate::worker::FlowWorker;
use portcullis_capture::WorkerId;
use portcullis_flow::portable::Reader;
use portcullis_flow::{Name, Pass};
use portcullis_wire::Timestamp;
use portcullis_wire::mix::fold;
use thiserror::Error;

/// The version of the format.
pub const VERSION: u16 = 1;

/// A good size for slices, in bytes: some hundred flows, which take a worker about as long as a few bursts.
pub const SLICE: usize = 64 << 10;

const MAGIC: [u8; 4] = *b"PCFH";

/// What stands before each record: its kind and its length.
const RECORD_HEAD: usize = 5;

/// Flows that one call looks at: while packets are judged about what the housekeeping after a burst costs, and as
/// many as are worth a call once none are.
const LOOKS_COPYING: usize = 64;
const LOOKS_LEAVING: usize = 1024;

/// Where an export is. One for each pass.
#[derive(Debug)]
pub struct Cursor {
    pass: Pass,
    place: u32,
}

impl Cursor {
    /// A pass that tells of every flow and leaves it where it is. Between the calls packets may be judged.
    #[must_use]
    pub const fn copying() -> Self {
        Self { pass: Pass::Copy, place: 0 }
    }

    /// A pass that takes every flow out of the worker, and tells of those that were not copied as they are
    /// now. Nothing may be judged any more once it has begun.
    #[must_use]
    pub const fn leaving() -> Self {
        Self { pass: Pass::Leave, place: 0 }
    }
}

/// What became of a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Flows that are new here.
    pub taken: u64,
    /// Flows that were taken over before, told of anew.
    pub renewed: u64,
    /// Flows that were taken over before and have ended.
    pub forgotten: u64,
    /// Records that could not be taken: counted as `flow.take_over_refused`.
    pub refused: u64,
}

/// Why a slice cannot be taken at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ImportError {
    /// It does not begin like one.
    #[error("no flows of another process")]
    NoSlice,
    /// Another version of the program made it.
    #[error("flows in format {0}, this program has {VERSION}")]
    Version(u16),
    /// The other process tells flows apart by other things (`use-for-tracking`, inline sets): none of its keys
    /// would be found.
    #[error("flows of a process with other inline sets or use-for-tracking settings")]
    OtherKeys,
}

/// What a slice begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    keys: u64,
    /// Says whether two processes have the same seed, and not what it is.
    seed: u64,
}

impl Head {
    /// That of an engine with these settings.
    pub(crate) fn new(settings: &EngineSettings) -> Self {
        let options = settings.flow.key;
        let flags = [options.vlan, options.recursion_level, options.inline_set];
        let flags = flags.iter().fold(1, |all, flag| all << 1 | u64::from(*flag));
        let sets = settings.inline_sets.iter().filter(|_| options.inline_set);
        let keys = sets.fold(flags, |all, set| fold(all ^ u64::from(*set), 0x9e37_79b9_7f4a_7c15));
        Self { keys, seed: seed_mark(settings.seed) }
    }

    fn tell(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.keys.to_le_bytes());
        out.extend_from_slice(&self.seed.to_le_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ImportError> {
        let magic = reader.array::<4>().ok_or(ImportError::NoSlice)?;
        let version = reader.u16().filter(|_| magic == MAGIC).ok_or(ImportError::NoSlice)?;
        if version != VERSION {
            return Err(ImportError::Version(version));
        }
        let mut next = || reader.u64().ok_or(ImportError::NoSlice);
        Ok(Self { keys: next()?, seed: next()? })
    }
}

fn seed_mark(seed: u64) -> u64 {
    fold(fold(seed, 0xa076_1d64_78bd_642f), 0xe703_7ed1_a0b4_28db)
}

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Flow,
    Departed,
}

/// Appends a record of what `tell` appends.
fn put_record(kind: Kind, out: &mut Vec<u8>, tell: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[kind as u8, 0, 0, 0, 0]);
    tell(out);
    let length = u32::try_from(out.len() - start - RECORD_HEAD).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start + 1..start + RECORD_HEAD) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

/// The next record; `None` at the end, and where what is left is no record.
fn next_record<'b>(reader: &mut Reader<'b>) -> Option<(Kind, &'b [u8])> {
    let kind = match reader.u8()? {
        0 => Kind::Flow,
        1 => Kind::Departed,
        _ => return None,
    };
    let length = usize::try_from(reader.u32()?).ok()?;
    Some((kind, reader.slice(length)?))
}

impl FlowWorker {
    /// Goes on with a pass: appends records to `out`, a slice that the call begins where it is empty, until it
    /// is about `limit` bytes long or enough of the table was looked at; it may also append nothing. Flows that left are finished here. One
    /// record may be larger than `limit`: up to 130 KiB. `false` once the pass is complete.
    pub fn export(&mut self, cursor: &mut Cursor, out: &mut Vec<u8>, limit: usize, now: Timestamp) -> bool {
        let begins = out.is_empty();
        if begins {
            self.head.tell(out);
        }
        let before = out.len();
        let more = self.export_records(cursor, out, limit, now);
        if begins && out.len() == before {
            out.clear();
        }
        more
    }

    /// Are there flows that ended after they were copied, and of which that was not told yet?
    #[must_use]
    pub fn has_departed(&self) -> bool {
        self.table.has_departed()
    }

    fn export_records(
        &mut self,
        cursor: &mut Cursor,
        out: &mut Vec<u8>,
        limit: usize,
        now: Timestamp,
    ) -> bool {
        let Self { table, judge, .. } = self;
        while out.len() < limit
            && let Some(name) = table.next_departed()
        {
            put_record(Kind::Departed, out, |out| name.tell(out));
        }
        if out.len() >= limit {
            return true;
        }
        let looks = match cursor.pass {
            Pass::Copy => LOOKS_COPYING,
            Pass::Leave => LOOKS_LEAVING,
        };
        let more = table.hand_over(cursor.pass, &mut cursor.place, looks, now, &mut |flow| {
            put_record(Kind::Flow, out, |out| judge.tell_flow(flow, out));
            out.len() < limit
        });
        self.finish_flows(looks, now);
        more || self.table.has_departed()
    }

    /// Takes over the flows of a slice, all of which this worker must own: see [`Router`]. Flows for which there
    /// is no memory, and those of which packets came here first, are refused.
    ///
    /// # Errors
    /// The slice is not for this process: nothing of it is taken.
    pub fn import(&mut self, slice: &[u8], now: Timestamp) -> Result<Imported, ImportError> {
        let mut reader = Reader::new(slice);
        if Head::read(&mut reader)?.keys != self.head.keys {
            return Err(ImportError::OtherKeys);
        }
        let mut imported = Imported::default();
        while !reader.is_empty() {
            let Some((kind, record)) = next_record(&mut reader) else {
                imported.refused += 1;
                break;
            };
            let counter = match kind {
                Kind::Flow => match self.judge.take_flow(&mut self.table, record, now) {
                    Some(true) => &mut imported.taken,
                    Some(false) => &mut imported.renewed,
                    None => &mut imported.refused,
                },
                Kind::Departed => {
                    let mut reader = Reader::new(record);
                    match Name::read(&mut reader).filter(|_| reader.is_empty()) {
                        Some(name) => {
                            let known = self.table.forget(&name);
                            imported.forgotten += u64::from(known);
                            continue;
                        }
                        None => &mut imported.refused,
                    }
                }
            };
            *counter += 1;
        }
        self.judge.counters.flow_take_over_refused += imported.refused;
        Ok(imported)
    }
}

/// Sorts records by the worker that owns them in a process with so many workers.
#[derive(Debug)]
pub struct Router {
    owner: Owner,
    workers: u8,
    head: Head,
}

impl Router {
    /// For the workers of an engine with these settings. Flows within tunnels are owned by the tunnel's
    /// addresses, of which only a place under the seed is known: with another
    /// [seed](EngineSettings::seed) than the old process's, more than one worker cannot share them out.
    #[must_use]
    pub fn new(settings: &EngineSettings, workers: u8) -> Self {
        Self {
            owner: Owner::new(workers, settings.seed).with_spread(settings.spread.clone()),
            workers: workers.max(1),
            head: Head::new(settings),
        }
    }

    /// Appends the records of a slice to slices of their owners, `into` by worker; gives how many had to be left
    /// out, because they are damaged or nobody can tell their owner.
    ///
    /// # Errors
    /// The slice is not for these settings.
    pub fn route(&self, slice: &[u8], into: &mut [Vec<u8>]) -> Result<u64, ImportError> {
        let mut reader = Reader::new(slice);
        let head = Head::read(&mut reader)?;
        if head.keys != self.head.keys {
            return Err(ImportError::OtherKeys);
        }
        let mut refused = 0;
        while !reader.is_empty() {
            let Some((kind, record)) = next_record(&mut reader) else {
                refused += 1;
                break;
            };
            let owner = Name::read(&mut Reader::new(record)).and_then(|name| self.owner_of(&name, head.seed));
            let Some(out) = owner.and_then(|owner| into.get_mut(usize::from(owner.0))) else {
                refused += 1;
                continue;
            };
            if out.is_empty() {
                head.tell(out);
            }
            put_record(kind, out, |out| out.extend_from_slice(record));
        }
        Ok(refused)
    }

    fn owner_of(&self, name: &Name, seed: u64) -> Option<WorkerId> {
        let known = self.workers == 1 || name.outer == 0 || seed == self.head.seed;
        known.then(|| self.owner.of_flow(&name.key, name.outer))
    }
}

/// Empty slices for so many workers, to be routed into.
#[must_use]
pub fn slices(workers: u8) -> Vec<Vec<u8>> {
    (0..workers.max(1)).map(|_| Vec::with_capacity(SLICE)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_of_something_else_is_refused() {
        let router = Router::new(&EngineSettings::default(), 2);
        let mut slice = Vec::new();
        router.head.tell(&mut slice);
        let check = |bytes: &[u8], expected| {
            assert_eq!(router.route(bytes, &mut slices(2)), expected, "{bytes:?}");
        };
        assert_eq!(slice.len(), 22);
        check(&slice, Ok(0));
        check(&slice[..20], Err(ImportError::NoSlice));
        check(b"", Err(ImportError::NoSlice));
        let mut other = slice.clone();
        other[4] = 9;
        check(&other, Err(ImportError::Version(9)));
        let mut other = slice.clone();
        other[6] ^= 1;
        check(&other, Err(ImportError::OtherKeys));
        let mut other = slice.clone();
        other.extend_from_slice(&[0, 1, 0, 0, 0, 7]);
        check(&other, Ok(1));
        other.push(8);
        check(&other, Ok(2));
    }
}
