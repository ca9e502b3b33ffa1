//! Frames out of capture files.

use crate::classic::Classic;
use crate::direct::Direct;
use crate::error::{Fault, PcapError};
use crate::input::{Input, Progress};
use crate::ng::{SECTION_HEADER, Section, Step};
use portcullis_capture::{Frame, FrameSource, PortId, Read};
use portcullis_wire::LinkType;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Most bytes of a packet that a capture holds, as libpcap has it; what claims more is damaged.
pub const MAX_CAPTURED: u32 = 262_144;

/// Reads a pcap or pcapng file, streaming.
///
/// pcap: stamps of micro- or nanoseconds, either byte order. pcapng: sections in either byte
/// order, several interfaces with link type, `if_tsresol` and `if_tsoffset` of their own, enhanced,
/// simple and obsolete packet blocks; other blocks are passed over. A packet's id is its number in
/// the file, from 1; all are received at port 0, unless ports are told by interface.
#[derive(Debug)]
pub struct PcapReader {
    path: PathBuf,
    input: Input,
    format: Format,
    packets: u64,
    link: LinkType,
    traits: Arc<Traits>,
    ports_by_interface: bool,
    /// Found while looking for the first interface; told by the first read.
    found: Option<(u64, Fault)>,
}

#[derive(Debug)]
enum Format {
    Classic(Classic),
    Ng(Section),
}

/// What a writer wants to know about the input.
#[derive(Debug, Default)]
pub(crate) struct Traits {
    /// Stamps may be finer than a microsecond.
    pub(crate) fine: AtomicBool,
    /// The number of the first link type, as the file has it: several numbers mean the same.
    pub(crate) link: AtomicU32,
}

impl PcapReader {
    /// Opens a capture file and reads as far as its first link type.
    ///
    /// # Errors
    /// If it cannot be opened, is empty, or no capture file, or its file header is damaged.
    pub fn open(path: &Path) -> Result<Self, PcapError> {
        let refused = |source| PcapError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(refused)?;
        let metadata = file.metadata().map_err(refused)?;
        let mut input = Input::new(file, if metadata.is_file() { metadata.len() } else { 0 });
        let opened = Self::format(path, &mut input)?;
        let mut reader = Self {
            path: path.to_owned(),
            input,
            format: opened,
            packets: 0,
            link: LinkType::Ethernet,
            traits: Arc::default(),
            ports_by_interface: false,
            found: None,
        };
        reader.look_ahead();
        Ok(reader)
    }

    /// Has packets of a pcapng section's first, third … interface received at port 0, and those of
    /// the others at port 1: a capture taken at both ports of a pair.
    #[must_use]
    pub const fn ports_by_interface(mut self) -> Self {
        self.ports_by_interface = true;
        self
    }

    /// How far it has read.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.input.progress()
    }

    /// Has frames lent where they are read, if the format lets them.
    pub(crate) fn into_direct(self) -> Result<Direct, Box<Self>> {
        let Self { path, input, format, packets, link, traits, ports_by_interface, found } = self;
        match format {
            Format::Classic(classic) => Ok(Direct::new(path, classic, input.into_unread())),
            Format::Ng(_) => {
                let reader = Self { path, input, format, packets, link, traits, ports_by_interface, found };
                Err(Box::new(reader))
            }
        }
    }

    pub(crate) fn traits(&self) -> Arc<Traits> {
        Arc::clone(&self.traits)
    }

    fn format(path: &Path, input: &mut Input) -> Result<Format, PcapError> {
        let start = input.peek().map_err(|fault| located(path, 0, 0, fault))?;
        match start.first_chunk() {
            None if start.is_empty() => Err(PcapError::Empty { path: path.to_owned() }),
            Some(&SECTION_HEADER) => {
                let mut section = Section::default();
                section.step(input, &mut Frame::default()).map_err(|fault| located(path, 0, 0, fault))?;
                Ok(Format::Ng(section))
            }
            Some(&magic) if Classic::is_magic(magic) => {
                let classic = Classic::open(input).map_err(|fault| located(path, 0, 0, fault))?;
                Ok(Format::Classic(classic))
            }
            _ => {
                let hint = hint(&start);
                Err(PcapError::NotACapture { path: path.to_owned(), start, hint })
            }
        }
    }

    /// Finds the first link type. What is wrong before it is kept for the first read.
    fn look_ahead(&mut self) {
        let mut nothing = Frame::default();
        loop {
            let link = match &mut self.format {
                Format::Classic(classic) => Some(classic.link()),
                Format::Ng(section) => section.interfaces().first().map(|interface| interface.link),
            };
            if let Some(link) = link {
                self.link = LinkType::from_number(link);
                self.traits.link.store(link, Ordering::Relaxed);
                self.note_resolution();
                return;
            }
            let offset = self.input.offset();
            let Format::Ng(section) = &mut self.format else { return };
            match section.step(&mut self.input, &mut nothing) {
                // Without an interface there can be no packet.
                Ok(Step::Packet(_) | Step::Other) => {}
                Ok(Step::End) => return,
                Err(fault) => {
                    self.found = Some((offset, fault));
                    return;
                }
            }
        }
    }

    const fn port(&self, interface: u32) -> PortId {
        PortId((self.ports_by_interface && interface % 2 == 1) as u8)
    }

    fn note_resolution(&self) {
        let is_fine = match &self.format {
            Format::Classic(classic) => classic.is_fine(),
            Format::Ng(section) => section.interfaces().last().is_some_and(|interface| interface.is_fine()),
        };
        if is_fine {
            self.traits.fine.store(true, Ordering::Relaxed);
        }
    }

    /// Reads on to the next packet; an error comes with the place where what is damaged starts.
    fn next(&mut self, frame: &mut Frame) -> Result<bool, (u64, Fault)> {
        if let Some(found) = self.found.take() {
            return Err(found);
        }
        loop {
            let offset = self.input.offset();
            let step = match &mut self.format {
                Format::Classic(classic) => {
                    frame.meta.ingress = PortId(0);
                    return classic.read(&mut self.input, frame).map_err(|fault| (offset, fault));
                }
                Format::Ng(section) => section.step(&mut self.input, frame),
            };
            match step.map_err(|fault| (offset, fault))? {
                Step::Packet(interface) => {
                    frame.meta.ingress = self.port(interface);
                    return Ok(true);
                }
                Step::Other => self.note_resolution(),
                Step::End => return Ok(false),
            }
        }
    }
}

impl FrameSource for PcapReader {
    type Error = PcapError;

    fn read(&mut self, frame: &mut Frame) -> Result<Read, PcapError> {
        match self.next(frame) {
            Ok(true) => {}
            Ok(false) => return Ok(Read::End),
            Err((offset, fault)) => return Err(located(&self.path, offset, self.packets, fault)),
        }
        self.packets += 1;
        frame.meta.id = self.packets;
        Ok(Read::Frame)
    }

    fn link(&self) -> LinkType {
        self.link
    }
}

fn located(path: &Path, offset: u64, packets: u64, fault: Fault) -> PcapError {
    let path = path.to_owned();
    match fault {
        Fault::Damage(reason) => PcapError::Damaged { path, offset, packets, reason },
        Fault::Io(source) => PcapError::Read { path, offset, source },
    }
}

/// What a file that is no capture may be.
fn hint(start: &[u8]) -> &'static str {
    match start {
        [0x1f, 0x8b, ..] => " (compressed with gzip; decompress it first)",
        [0x28, 0xb5, 0x2f, 0xfd] => " (compressed with zstd; decompress it first)",
        [0xfd, b'7', b'z', b'X'] => " (compressed with xz; decompress it first)",
        _ => "",
    }
}
