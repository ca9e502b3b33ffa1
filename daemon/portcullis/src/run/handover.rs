//! The flows of a gate that leaves, on their way to the one that follows: slices through a pipe, each with its length
//! before it, and a length of 0 when all have gone through. Copies go while packets are judged; what changed since goes
//! once the queues have been left.

use super::supervisor::Event;
use super::worker::Worker;
use crossbeam::channel::{Receiver, Sender, bounded};
use portcullis_engine::Command;
use portcullis_engine::handover::{Router, slices};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::OwnedFd;

/// Slices on their way from the workers to the pipe.
const WAITING: usize = 16;

/// Longest slice that is believed, in bytes.
const LONGEST: u32 = 1 << 20;

/// Has the workers give their flows away into the pipe; [`Event::Copied`] tells when it is worth to leave the queues.
///
/// # Errors
/// There is no thread to be had.
pub(crate) fn give(workers: &[Worker], pipe: OwnedFd, events: Sender<Event>) -> io::Result<()> {
    let (sender, slices) = bounded(WAITING);
    let told = workers.iter().filter(|worker| worker.tell(Command::HandOver(sender.clone()))).count();
    let thread = std::thread::Builder::new().name("handover".to_owned());
    let carry = move || {
        if let Err(error) = carry(&slices, File::from(pipe), told, || drop(events.send(Event::Copied))) {
            // The other process is gone, which the warden tells.
            tracing::debug!("flows are not handed over: {error}");
        }
    };
    thread.spawn(carry).map(drop)
}

/// Writes slices until no worker has any more; calls `copied` once each of `workers` has copied all it had.
fn carry(
    slices: &Receiver<Vec<u8>>,
    mut pipe: impl Write,
    workers: usize,
    copied: impl FnOnce(),
) -> io::Result<()> {
    let (mut left, mut copied) = (workers, Some(copied));
    loop {
        if left == 0
            && let Some(copied) = copied.take()
        {
            copied();
        }
        let Ok(slice) = slices.recv() else { break };
        if slice.is_empty() {
            left = left.saturating_sub(1);
            continue;
        }
        let length = u32::try_from(slice.len()).map_err(io::Error::other)?;
        pipe.write_all(&length.to_le_bytes())?;
        pipe.write_all(&slice)?;
    }
    pipe.write_all(&[0; 4])
}

/// Gives the flows that come out of the pipe to the workers that own them; returns when there are no more. Were those
/// all of them?
pub(crate) fn take(workers: &[Worker], router: &Router, pipe: OwnedFd) -> bool {
    let hand = |worker: usize, slice| {
        workers.get(worker).is_some_and(|worker| worker.hand(Command::TakeOver(slice)))
    };
    match sort(BufReader::new(File::from(pipe)), router, workers.len(), hand) {
        Ok(0) => return true,
        Ok(refused) => tracing::warn!("{refused} flows of the gate before could not be taken over"),
        Err(error) => tracing::warn!("not all flows of the gate before are taken over: {error}"),
    }
    false
}

/// Sorts what comes by its owner; how many flows nobody can own.
fn sort(
    mut pipe: impl Read,
    router: &Router,
    workers: usize,
    mut hand: impl FnMut(usize, Vec<u8>) -> bool,
) -> io::Result<u64> {
    let mut refused = 0;
    let count = u8::try_from(workers).map_err(io::Error::other)?;
    loop {
        let mut length = [0; 4];
        pipe.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length == 0 {
            return Ok(refused);
        }
        if length > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut slice = vec![0; length as usize];
        pipe.read_exact(&mut slice)?;
        let mut sorted = slices(count);
        refused += router.route(&slice, &mut sorted).map_err(io::Error::other)?;
        for (worker, slice) in sorted.into_iter().enumerate().filter(|(_, slice)| !slice.is_empty()) {
            if !hand(worker, slice) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_engine::EngineSettings;
    use std::cell::Cell;

    #[test]
    fn slices_go_through_and_copies_are_told_when_all_are_there() {
        let (sender, slices) = bounded(8);
        let mut pipe = Vec::new();
        let told = Cell::new(false);
        for slice in [vec![1], vec![], vec![2, 3], vec![]] {
            sender.send(slice).unwrap();
        }
        drop(sender);
        carry(&slices, &mut pipe, 2, || told.set(true)).unwrap();
        assert!(told.get());
        assert_eq!(pipe, [1, 0, 0, 0, 1, 2, 0, 0, 0, 2, 3, 0, 0, 0, 0]);
    }

    #[test]
    fn where_there_is_nobody_to_copy_nothing_is_waited_for() {
        let (sender, slices) = bounded::<Vec<u8>>(1);
        drop(sender);
        let told = Cell::new(false);
        carry(&slices, Vec::new(), 0, || told.set(true)).unwrap();
        assert!(told.get());
    }

    #[test]
    fn what_is_no_slice_is_refused() {
        let router = Router::new(&EngineSettings::default(), 1);
        let check = |bytes: &[u8], expected: Result<u64, io::ErrorKind>| {
            let got = sort(bytes, &router, 1, |_, _| true);
            assert_eq!(got.map_err(|error| error.kind()), expected, "{bytes:?}");
        };
        check(&[0; 4], Ok(0));
        check(&[], Err(io::ErrorKind::UnexpectedEof));
        check(&[9, 0, 0, 0, 1], Err(io::ErrorKind::UnexpectedEof));
        check(&[255; 8], Err(io::ErrorKind::InvalidData));
        check(&[1, 0, 0, 0, 7, 0, 0, 0, 0], Err(io::ErrorKind::Other));
    }
}
