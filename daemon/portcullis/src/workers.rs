//! The threads of a replay: each drives one state of the packet module and lets one worker judge
//! what it lends, until the capture ends or cannot be read further.

use crate::exit::Failure;
use crate::plugins;
use portcullis_capture::PacketModule;
use portcullis_event::Counters;
use portcullis_flow::HookCost;
use portcullis_wire::Timestamp;
use std::convert::Infallible;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, ScopedJoinHandle, scope};
use std::time::Duration;

/// How often the waiting thread looks after the progress.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the workers came to.
#[derive(Debug)]
pub struct Judged<E> {
    /// All counters, merged.
    pub counters: Counters,
    /// What the hooks were used for and cost, those of all workers added up.
    pub hooks: Vec<HookCost>,
    /// Packets that each worker judged.
    pub packets_by_worker: Vec<u64>,
    /// The time at the end: the largest of any packet.
    pub now: Timestamp,
    /// Why the capture could not be read to its end.
    pub error: Option<E>,
}

/// What one worker's work came to.
#[derive(Debug)]
pub struct Work<E> {
    /// Its counters.
    pub counters: Counters,
    /// What its hooks were used for and cost.
    pub hooks: Vec<HookCost>,
    /// Why the capture could not be read to its end.
    pub outcome: Result<(), E>,
}

/// One worker's end.
struct Ended<E> {
    work: Work<E>,
    now: Timestamp,
}

/// Runs each work on its state of the module, in a thread of its own, and calls `look` every now
/// and then meanwhile. A work judges until the module ends or breaks, ends all flows, and gives its
/// counters.
///
/// # Errors
/// A thread could not be started, or panicked. That a module broke is no failure here: what was
/// judged before is in the result, with the error.
pub fn judge<M, W>(pairs: Vec<(M, W)>, look: impl FnMut()) -> Result<Judged<M::Error>, Failure>
where
    M: PacketModule,
    W: FnOnce(&mut M) -> Work<M::Error> + Send,
{
    let ended = scope(|scope| {
        let (alive, gone) = channel::<Infallible>();
        let mut threads = Vec::with_capacity(pairs.len());
        for (index, (module, work)) in pairs.into_iter().enumerate() {
            let alive = alive.clone();
            let thread = Builder::new()
                .name(format!("worker-{index}"))
                .spawn_scoped(scope, move || run(module, work, alive))
                .map_err(|error| Failure::Runtime(format!("cannot start worker {index}: {error}")))?;
            threads.push(thread);
        }
        drop(alive);
        wait(&gone, look);
        threads.into_iter().enumerate().map(join).collect::<Result<Vec<_>, _>>()
    })?;
    let mut judged = Judged {
        counters: Counters::default(),
        hooks: Vec::new(),
        packets_by_worker: Vec::new(),
        now: Timestamp::ZERO,
        error: None,
    };
    for end in ended {
        let Work { counters, hooks, outcome } = end.work;
        judged.packets_by_worker.push(counters.decoder_pkts);
        judged.counters.merge(&counters);
        plugins::add_costs(&mut judged.hooks, &hooks);
        judged.now = judged.now.max(end.now);
        judged.error = judged.error.or_else(|| outcome.err());
    }
    Ok(judged)
}

/// One thread's work. `alive` goes with the thread, however it ends.
fn run<M, W>(mut module: M, work: W, alive: Sender<Infallible>) -> Ended<M::Error>
where
    M: PacketModule,
    W: FnOnce(&mut M) -> Work<M::Error>,
{
    let work = work(&mut module);
    drop(alive);
    Ended { work, now: module.now() }
}

/// Calls `look` until no thread is alive.
fn wait(gone: &Receiver<Infallible>, mut look: impl FnMut()) {
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
    use portcullis_capture::{Burst, CaptureStats, Poll, PortId, Properties, Verdict, Wake, WorkerId};
    use std::task::Waker;

    type Job = Box<dyn FnOnce(&mut MemoryModule) -> Work<Infallible> + Send>;

    /// Steers every second packet to worker 1 and accepts what it is left with.
    fn share(index: u8, module: &mut MemoryModule) -> Counters {
        let mut counters = Counters::default();
        let mut inspect = |burst: &mut Burst<'_>| {
            for slot in 0..burst.len() {
                let id = burst.packets()[slot].meta.id;
                if index == 0 && id.is_multiple_of(2) {
                    burst.judge(slot, Verdict::Steer(WorkerId(1)));
                } else {
                    counters.decoder_pkts += 1;
                    burst.judge(slot, Verdict::Accept);
                }
            }
        };
        loop {
            match module.poll(&mut inspect).unwrap() {
                Poll::Received(_) => {}
                Poll::Empty => drop(module.wait(Timestamp::NEVER).unwrap()),
                Poll::End => break,
            }
        }
        counters.set_capture(&module.stats());
        counters
    }

    fn pairs(frames: u64, panics: bool) -> Vec<(MemoryModule, Job)> {
        let frames = (1..=frames).map(|second| (Timestamp::from_secs(second), PortId(0), vec![0; 60]));
        let (modules, _ports) = MemoryModule::open(frames, 2);
        let work = |index: u8| -> Job {
            Box::new(move |module| {
                assert!(!panics || index == 0, "as the test wants");
                Work { counters: share(index, module), hooks: Vec::new(), outcome: Ok(()) }
            })
        };
        modules.into_iter().zip([work(0), work(1)]).collect()
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

    #[test]
    fn a_module_that_breaks_leaves_what_was_judged_and_its_error() {
        let (modules, _ports) = MemoryModule::open([(Timestamp::from_secs(3), PortId(0), vec![0; 60])], 1);
        let pairs: Vec<_> = modules.into_iter().map(|module| (Broken(module), break_after_one)).collect();
        let judged = judge(pairs, || {}).unwrap();
        assert_eq!(judged.packets_by_worker, [1]);
        assert_eq!(judged.now, Timestamp::from_secs(3));
        assert_eq!(judged.error.unwrap().to_string(), "broken");
    }

    fn break_after_one(module: &mut Broken) -> Work<std::io::Error> {
        let mut counters = Counters::default();
        let mut inspect = |burst: &mut Burst<'_>| counters.decoder_pkts += burst.len() as u64;
        let outcome = loop {
            if let Err(error) = module.poll(&mut inspect) {
                break Err(error);
            }
        };
        Work { counters, hooks: Vec::new(), outcome }
    }

    /// A module that breaks where it should end.
    struct Broken(MemoryModule);

    impl PacketModule for Broken {
        type Error = std::io::Error;

        fn poll(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, Self::Error> {
            match self.0.poll(inspect).unwrap() {
                Poll::End => Err(std::io::Error::other("broken")),
                other => Ok(other),
            }
        }

        fn wait(&mut self, until: Timestamp) -> Result<Wake, Self::Error> {
            Ok(self.0.wait(until).unwrap())
        }

        fn waker(&self) -> Waker {
            self.0.waker()
        }

        fn properties(&self) -> Properties {
            self.0.properties()
        }

        fn now(&self) -> Timestamp {
            self.0.now()
        }

        fn stats(&self) -> CaptureStats {
            self.0.stats()
        }
    }
}
