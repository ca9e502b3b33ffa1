//! The packet module over a capture file.

use crate::direct::Direct;
use crate::error::PcapError;
use crate::input::Progress;
use crate::reader::PcapReader;
use crate::writer::PcapWriter;
use portcullis_capture::{
    Burst, CaptureStats, Frame, FrameSink, Offline, OfflineOptions, PacketModule, Poll, Properties, Wake,
};
use portcullis_wire::Timestamp;
use std::path::{Path, PathBuf};
use std::task::Waker;

/// How a capture file is replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcapOptions {
    /// Where accepted and forged frames are stored, as pcap. The module is then inline.
    pub write: Option<PathBuf>,
    /// Be inline also without a file to write: forged frames are taken, and come back where a
    /// hook made them, but nothing is stored. Otherwise a module that does not write is in
    /// pass-through, where sending is refused.
    pub simulate_ips: bool,
    /// Tell the port by the interface, where the file knows one: see
    /// [`PcapReader::ports_by_interface`].
    pub ports_by_interface: bool,
    /// Workers, and the bounds between them.
    pub offline: OfflineOptions,
}

impl PcapOptions {
    /// Pass-through, with the usual bounds for so many workers.
    #[must_use]
    pub const fn for_workers(workers: usize) -> Self {
        let offline = OfflineOptions::for_workers(workers);
        Self { write: None, simulate_ips: false, ports_by_interface: false, offline }
    }
}

/// One worker's state of a replay.
#[derive(Debug)]
pub struct PcapModule {
    road: Road,
    progress: Progress,
}

/// How packets get to the worker.
#[derive(Debug)]
enum Road {
    /// Lent where they are read: for one worker from which nothing leaves.
    Direct(Box<Direct>),
    /// Copied into frames of their own, which may go to other workers and keep their order on the way out.
    Offline(Box<Offline<PcapReader, Output>>),
}

impl PcapModule {
    /// Opens a capture file for as many workers as the options say; the first state reads.
    ///
    /// # Errors
    /// If the file cannot be opened, is empty or no capture file, or its file header is damaged;
    /// if the output cannot be created or is the input.
    pub fn open(path: &Path, options: PcapOptions) -> Result<Vec<Self>, PcapError> {
        let PcapOptions { write, simulate_ips, ports_by_interface, offline } = options;
        let reader = PcapReader::open(path)?;
        let reader = if ports_by_interface { reader.ports_by_interface() } else { reader };
        let writer = write.map(|write| PcapWriter::create(&write, path, &reader)).transpose()?;
        let output = (writer.is_some() || simulate_ips).then_some(Output(writer));
        let progress = reader.progress();
        let reader = match reader {
            reader if output.is_some() || offline.workers > 1 => reader,
            reader => match reader.into_direct() {
                Ok(direct) => return Ok(vec![Self { road: Road::Direct(Box::new(direct)), progress }]),
                Err(reader) => *reader,
            },
        };
        let states = Offline::open_with(reader, output, offline).into_iter();
        let state = |offline| Self { road: Road::Offline(Box::new(offline)), progress: progress.clone() };
        Ok(states.map(state).collect())
    }

    /// How far the file has been read; the same from every state.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl PacketModule for PcapModule {
    type Error = PcapError;

    fn poll(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, PcapError> {
        match &mut self.road {
            Road::Direct(direct) => direct.poll(inspect),
            Road::Offline(offline) => offline.poll(inspect),
        }
    }

    fn wait(&mut self, until: Timestamp) -> Result<Wake, PcapError> {
        match &mut self.road {
            Road::Direct(direct) => direct.wait(until),
            Road::Offline(offline) => offline.wait(until),
        }
    }

    fn waker(&self) -> Waker {
        match &self.road {
            Road::Direct(direct) => direct.waker(),
            Road::Offline(offline) => offline.waker(),
        }
    }

    fn properties(&self) -> Properties {
        match &self.road {
            Road::Direct(direct) => direct.properties(),
            Road::Offline(offline) => offline.properties(),
        }
    }

    fn now(&self) -> Timestamp {
        match &self.road {
            Road::Direct(direct) => direct.now(),
            Road::Offline(offline) => offline.now(),
        }
    }

    fn stats(&self) -> CaptureStats {
        match &self.road {
            Road::Direct(direct) => direct.stats(),
            Road::Offline(offline) => offline.stats(),
        }
    }
}

/// Where frames leave to: a file, or nowhere.
#[derive(Debug)]
struct Output(Option<PcapWriter>);

impl FrameSink for Output {
    type Error = PcapError;

    fn write(&mut self, frame: &Frame) -> Result<(), PcapError> {
        self.0.as_mut().map_or(Ok(()), |writer| writer.write(frame))
    }

    fn flush(&mut self) -> Result<(), PcapError> {
        self.0.as_mut().map_or(Ok(()), FrameSink::flush)
    }
}
