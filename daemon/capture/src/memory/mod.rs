//! Packets from memory: for tests, and for benchmarks of whatever judges packets.
//!
//! - [`MemoryModule`]: the offline module over frames given at start or fed while it runs
//! - [`LoopModule`]: the same few frames again and again, without a copy

mod looped;

pub use self::looped::LoopModule;

use crate::burst::Burst;
use crate::frame::{Frame, FrameSink, FrameSource, Read};
use crate::module::{CaptureStats, PacketModule, Poll, Properties, Wake};
use crate::offline::{Offline, OfflineOptions};
use crate::verdict::PortId;
use portcullis_wire::{LinkType, Timestamp};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// A frame that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departed {
    /// The module's number for it; 0 if it was forged.
    pub id: u64,
    /// The port it left through.
    pub egress: PortId,
    /// The frame.
    pub bytes: Vec<u8>,
}

/// One worker's state of the memory module.
#[derive(Debug)]
pub struct MemoryModule(Offline<MemorySource, MemorySink>);

impl MemoryModule {
    /// Opens `workers` states over these frames, which are Ethernet, and no more. What leaves is
    /// found in the ports.
    #[must_use]
    pub fn open(
        frames: impl IntoIterator<Item = (Timestamp, PortId, Vec<u8>)>,
        workers: usize,
    ) -> (Vec<Self>, MemoryPorts) {
        let (states, ports) = Self::open_live(OfflineOptions::for_workers(workers), false);
        for (at, port, bytes) in frames {
            ports.inject(at, port, bytes);
        }
        ports.end();
        (states, ports)
    }

    /// Opens states that are fed through the ports until these are told the end. In
    /// `pass_through` nothing leaves and sending is refused.
    #[must_use]
    pub fn open_live(options: OfflineOptions, pass_through: bool) -> (Vec<Self>, MemoryPorts) {
        let ports = MemoryPorts::default();
        let source = MemorySource { shared: Arc::clone(&ports.shared), taken: VecDeque::new(), read: 0 };
        let sink = (!pass_through).then(|| MemorySink { shared: Arc::clone(&ports.shared) });
        let states = Offline::open_with(source, sink, options);
        (states.into_iter().map(Self).collect(), ports)
    }
}

impl PacketModule for MemoryModule {
    type Error = Infallible;

    fn poll(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, Infallible> {
        self.0.poll(inspect)
    }

    fn wait(&mut self, until: Timestamp) -> Result<Wake, Infallible> {
        self.0.wait(until)
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

/// The far side of the module's ports: frames go in, and what left is found here.
#[derive(Clone, Debug, Default)]
pub struct MemoryPorts {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    injected: VecDeque<Injected>,
    ended: bool,
    waker: Option<Waker>,
    departed: Vec<Departed>,
}

#[derive(Debug)]
struct Injected {
    at: Timestamp,
    port: PortId,
    bytes: Vec<u8>,
}

impl MemoryPorts {
    /// Lets a frame arrive.
    pub fn inject(&self, at: Timestamp, port: PortId, bytes: Vec<u8>) {
        let mut shared = lock(&self.shared);
        shared.injected.push_back(Injected { at, port, bytes });
        wake(shared);
    }

    /// Says that no frame follows.
    pub fn end(&self) {
        let mut shared = lock(&self.shared);
        shared.ended = true;
        wake(shared);
    }

    /// Takes what has left since the last call, in the order it left.
    #[must_use]
    pub fn take_departed(&self) -> Vec<Departed> {
        mem::take(&mut lock(&self.shared).departed)
    }
}

/// Frames waiting in memory.
#[derive(Debug)]
struct MemorySource {
    shared: Arc<Mutex<Shared>>,
    taken: VecDeque<Injected>,
    read: u64,
}

impl FrameSource for MemorySource {
    type Error = Infallible;

    fn read(&mut self, frame: &mut Frame) -> Result<Read, Infallible> {
        if self.taken.is_empty() {
            let mut shared = lock(&self.shared);
            mem::swap(&mut self.taken, &mut shared.injected);
            if self.taken.is_empty() {
                return Ok(if shared.ended { Read::End } else { Read::Nothing });
            }
        }
        let Some(Injected { at, port, bytes }) = self.taken.pop_front() else { return Ok(Read::Nothing) };
        self.read += 1;
        frame.bytes.clear();
        frame.bytes.extend_from_slice(&bytes);
        frame.meta.id = self.read;
        frame.meta.timestamp = at;
        frame.meta.wire_length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        frame.meta.ingress = port;
        frame.meta.link = LinkType::Ethernet;
        Ok(Read::Frame)
    }

    fn link(&self) -> LinkType {
        LinkType::Ethernet
    }

    fn attach(&mut self, waker: Waker) {
        lock(&self.shared).waker = Some(waker);
    }
}

/// Keeps what left.
#[derive(Debug)]
struct MemorySink {
    shared: Arc<Mutex<Shared>>,
}

impl FrameSink for MemorySink {
    type Error = Infallible;

    fn write(&mut self, frame: &Frame) -> Result<(), Infallible> {
        let departed = Departed { id: frame.meta.id, egress: frame.egress(), bytes: frame.bytes.clone() };
        lock(&self.shared).departed.push(departed);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets go of the lock and uses the waker.
fn wake(shared: MutexGuard<'_, Shared>) {
    let waker = shared.waker.clone();
    drop(shared);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{Fixture, is_ours};

    struct Memory {
        states: Vec<MemoryModule>,
        ports: MemoryPorts,
        departed: [Vec<Vec<u8>>; 2],
    }

    impl Fixture for Memory {
        type Module = MemoryModule;

        fn open(workers: usize, pass_through: bool) -> Self {
            let (states, ports) = MemoryModule::open_live(OfflineOptions::for_workers(workers), pass_through);
            Self { states, ports, departed: Default::default() }
        }

        fn states(&mut self) -> &mut Vec<MemoryModule> {
            &mut self.states
        }

        fn inject(&mut self, port: PortId, frame: &[u8], at: Timestamp) {
            self.ports.inject(at, port, frame.to_vec());
        }

        fn departed(&mut self, port: PortId, _expected: usize) -> Vec<Vec<u8>> {
            for Departed { egress, bytes, .. } in self.ports.take_departed() {
                assert!(is_ours(&bytes));
                self.departed[usize::from(egress.0)].push(bytes);
            }
            mem::take(&mut self.departed[usize::from(port.0)])
        }

        fn end(&mut self) {
            self.ports.end();
        }
    }

    crate::packet_module_suite!(Memory);

    #[test]
    fn a_sleeping_worker_wakes_for_what_is_injected() {
        let (mut states, ports) = MemoryModule::open_live(OfflineOptions::for_workers(1), true);
        let mut state = states.remove(0);
        assert_eq!(state.poll(&mut |_| {}), Ok(Poll::Empty));
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                let woken = state.wait(Timestamp::NEVER).unwrap();
                (woken, state.poll(&mut |_| {}).unwrap())
            });
            ports.inject(Timestamp::from_secs(1), PortId(0), vec![0; 60]);
            assert_eq!(sleeper.join().unwrap(), (Wake::Ready, Poll::Received(1)));
        });
        ports.end();
        assert_eq!(state.wait(Timestamp::NEVER), Ok(Wake::Ready));
        assert_eq!(state.poll(&mut |_| {}), Ok(Poll::End));
    }
}
