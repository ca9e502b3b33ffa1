//! The threads of a replay: each drives one state of the packet module and lets one worker judge
//! what it lends, until the capture ends or cannot be read further.

use crate::exit::Failure;
use portcullis_capture::{Burst, CaptureStats, PacketModule, Poll};
use portcullis_event::Counters;
use portcullis_wire::Timestamp;
use std::convert::Infallible;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, ScopedJoinHandle, scope};
use std::time::Duration;

/// How often the waiting thread looks after the progress.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What judges packets: one a thread.
pub trait Worker: Send {
    /// Judges a burst: a verdict into every slot.
    fn inspect(&mut self, burst: &mut Burst<'_>);

    /// Ends every flow at `now`, reports them, and gives the counters, those of the module's state
    /// included.
    fn finish(self, now: Timestamp, capture: &CaptureStats) -> Counters;
}

/// What the workers came to.
#[derive(Debug)]
pub struct Judged<E> {
    /// All counters, merged.
    pub counters: Counters,
    /// Packets that each worker judged.
    pub packets_by_worker: Vec<u64>,
    /// The time at the end: the largest of any packet.
    pub now: Timestamp,
    /// Why the capture could not be read to its end.
    pub error: Option<E>,
}

/// One worker's end.
struct Ended<E> {
    counters: Counters,
    now: Timestamp,
    error: Option<E>,
}

/// Lets every worker judge what its state of the module lends, each in a thread of its own, and
/// calls `look` every now and then while they do.
///
/// # Errors
/// A thread could not be started, or panicked. That a module broke is no failure here: what was
/// judged before is in the result, with the error.
pub fn judge<M, W>(pairs: Vec<(M, W)>, look: impl FnMut()) -> Result<Judged<M::Error>, Failure>
where
    M: PacketModule,
    W: Worker,
{
    let ended = scope(|scope| {
        let (alive, gone) = channel::<Infallible>();
        let mut threads = Vec::with_capacity(pairs.len());
        for (index, (module, worker)) in pairs.into_iter().enumerate() {
            let alive = alive.clone();
            let thread = Builder::new()
                .name(format!("worker-{index}"))
                .spawn_scoped(scope, move || work(module, worker, alive))
                .map_err(|error| Failure::Runtime(format!("cannot start worker {index}: {error}")))?;
            threads.push(thread);
        }
        drop(alive);
        wait(&gone, look);
        threads.into_iter().enumerate().map(join).collect::<Result<Vec<_>, _>>()
    })?;
    let mut judged = Judged {
        counters: Counters::default(),
        packets_by_worker: Vec::new(),
        now: Timestamp::ZERO,
        error: None,
    };
    for end in ended {
        judged.packets_by_worker.push(end.counters.decoder_pkts);
        judged.counters.merge(&end.counters);
        judged.now = judged.now.max(end.now);
        judged.error = judged.error.or(end.error);
    }
    Ok(judged)
}

/// One thread's work. `alive` goes with the thread, however it ends.
fn work<M: PacketModule, W: Worker>(
    mut module: M,
    mut worker: W,
    alive: Sender<Infallible>,
) -> Ended<M::Error> {
    let error = drive(&mut module, &mut worker).err();
    let now = module.now();
    let counters = worker.finish(now, &module.stats());
    drop(alive);
    Ended { counters, now, error }
}

fn drive<M: PacketModule>(module: &mut M, worker: &mut impl Worker) -> Result<(), M::Error> {
    loop {
        match module.poll(&mut |burst| worker.inspect(burst))? {
            Poll::Received(_) => {}
            Poll::Empty => {
                module.wait(Timestamp::NEVER)?;
            }
            Poll::End => return Ok(()),
        }
    }
}

/// Calls `look` until no thread is alive.
fn wait(gone: &std::sync::mpsc::Receiver<Infallible>, mut look: impl FnMut()) {
    loop {
        match gone.recv_timeout(LOOK_EVERY) {
            Err(RecvTimeoutError::Timeout) => look(),
            Err(RecvTimeoutError::Disconnected) => return,
            Ok(never) => match never {},
        }
    }
}

fn join<E>((index, thread): (usize, ScopedJoinHandle<'_, Ended<E>>)) -> Result<Ended<E>, Failure> {
    thread.join().map_err(|_| Failure::Runtime(format!("worker {index} panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_capture::memory::MemoryModule;
    use portcullis_capture::{Poll, PortId, Properties, Verdict, Wake, WorkerId};
    use std::task::Waker;

    /// Steers every second packet to worker 1 and accepts what it is left with.
    struct Sharer {
        index: u8,
        panics: bool,
        counters: Counters,
    }

    impl Worker for Sharer {
        fn inspect(&mut self, burst: &mut Burst<'_>) {
            assert!(!self.panics, "as the test wants");
            for slot in 0..burst.len() {
                let id = burst.packets()[slot].meta.id;
                if self.index == 0 && id.is_multiple_of(2) {
                    burst.judge(slot, Verdict::Steer(WorkerId(1)));
                } else {
                    self.counters.decoder_pkts += 1;
                    burst.judge(slot, Verdict::Accept);
                }
            }
        }

        fn finish(mut self, _now: Timestamp, capture: &CaptureStats) -> Counters {
            self.counters.set_capture(capture);
            self.counters
        }
    }

    fn pairs(frames: u64, panics: bool) -> Vec<(MemoryModule, Sharer)> {
        let frames = (1..=frames).map(|second| (Timestamp::from_secs(second), PortId(0), vec![0; 60]));
        let (modules, _ports) = MemoryModule::open(frames, 2);
        let sharer = |index| Sharer { index, panics: panics && index == 1, counters: Counters::default() };
        modules.into_iter().zip([sharer(0), sharer(1)]).collect()
    }

    #[test]
    fn every_worker_judges_its_share() {
        let judged = judge(pairs(1001, false), || {}).unwrap();
        assert_eq!(judged.packets_by_worker, [501, 500]);
        assert_eq!(judged.counters.decoder_pkts, 1001);
        assert_eq!(judged.counters.capture_kernel_packets, 1001);
        assert_eq!(judged.counters.worker_steered_in, 500);
        assert_eq!(judged.now, Timestamp::from_secs(1001));
        assert!(judged.error.is_none());
    }

    #[test]
    fn a_worker_that_panics_is_a_failure_and_holds_up_nobody() {
        let failure = judge(pairs(1001, true), || {}).unwrap_err();
        assert_eq!(failure.to_string(), "worker 1 panicked");
    }

    /// Breaks at the first poll.
    struct Broken;

    impl PacketModule for Broken {
        type Error = std::io::Error;

        fn poll(&mut self, _inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, Self::Error> {
            Err(std::io::Error::other("broken"))
        }

        fn wait(&mut self, _until: Timestamp) -> Result<Wake, Self::Error> {
            Ok(Wake::Ready)
        }

        fn waker(&self) -> Waker {
            Waker::noop().clone()
        }

        fn properties(&self) -> Properties {
            Properties {
                multi_threaded: false,
                pass_through: true,
                is_realtime: false,
                mtu: Vec::new(),
                link: portcullis_wire::LinkType::Ethernet,
            }
        }

        fn now(&self) -> Timestamp {
            Timestamp::from_secs(3)
        }

        fn stats(&self) -> CaptureStats {
            CaptureStats::default()
        }
    }

    #[test]
    fn a_module_that_breaks_leaves_what_was_judged_and_its_error() {
        let sharer = Sharer { index: 1, panics: false, counters: Counters::default() };
        let judged = judge(vec![(Broken, sharer)], || {}).unwrap();
        assert_eq!(judged.now, Timestamp::from_secs(3));
        assert_eq!(judged.error.unwrap().to_string(), "broken");
    }
}
