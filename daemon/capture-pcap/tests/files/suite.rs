//! The suite that every packet module must pass, over a file.

use crate::common::Capture;
use portcullis_capture::suite::Fixture;
use portcullis_capture::{Frame, FrameSink, Offline, PortId};
use portcullis_capture_pcap::{PcapError, PcapReader};
use portcullis_wire::Timestamp;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

portcullis_capture::packet_module_suite!(Replayed);

/// A file that is written until the states are asked for, and then replayed.
struct Replayed {
    workers: usize,
    pass_through: bool,
    folder: TempDir,
    capture: Capture,
    states: Vec<Offline<PcapReader, Departed>>,
    departed: Departed,
}

/// What left, by port, since a pcap file could not say.
#[derive(Clone, Debug, Default)]
struct Departed(Arc<Mutex<[Vec<Vec<u8>>; 2]>>);

impl FrameSink for Departed {
    type Error = PcapError;

    fn write(&mut self, frame: &Frame) -> Result<(), PcapError> {
        self.0.lock().unwrap()[usize::from(frame.egress().0)].push(frame.bytes.clone());
        Ok(())
    }

    fn flush(&mut self) -> Result<(), PcapError> {
        Ok(())
    }
}

impl Fixture for Replayed {
    type Module = Offline<PcapReader, Departed>;

    const IS_LIVE: bool = false;

    fn open(workers: usize, pass_through: bool) -> Self {
        let mut capture = Capture::ng(true);
        for _port in 0..2 {
            capture.interface(1, 0, &[(9, &[9])]);
        }
        let folder = tempfile::tempdir().unwrap();
        let departed = Departed::default();
        Self { workers, pass_through, folder, capture, states: Vec::new(), departed }
    }

    fn states(&mut self) -> &mut Vec<Self::Module> {
        if self.states.is_empty() {
            let path = self.folder.path().join("in.pcapng");
            std::fs::write(&path, &self.capture.bytes).unwrap();
            let reader = PcapReader::open(&path).unwrap().ports_by_interface();
            let sink = (!self.pass_through).then(|| self.departed.clone());
            self.states = Offline::open(reader, sink, self.workers);
        }
        &mut self.states
    }

    fn inject(&mut self, port: PortId, frame: &[u8], at: Timestamp) {
        assert!(self.states.is_empty(), "a file is written before it is read");
        let length = u32::try_from(frame.len()).unwrap();
        self.capture.enhanced(u32::from(port.0), at.as_nanos(), frame, length);
    }

    fn departed(&mut self, port: PortId, _expected: usize) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.departed.0.lock().unwrap()[usize::from(port.0)])
    }

    fn end(&mut self) {}
}
