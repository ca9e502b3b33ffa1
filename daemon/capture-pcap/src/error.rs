//! What can be wrong with a capture file, and where.

use portcullis_wire::LinkType;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a capture file could not be read, or not to its end, or not be written.
#[derive(Debug, Error)]
pub enum PcapError {
    /// It could not be opened.
    #[error("cannot open {path}: {source}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("{path} is empty: not even a file header", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It starts like no capture file.
    #[error("{path} is neither pcap nor pcapng: it starts with {start:02x?}{hint}", path = path.display())]
    NotACapture {
        /// The file.
        path: PathBuf,
        /// Its first bytes, up to four.
        start: Vec<u8>,
        /// What it may be instead, as the end of a sentence; may be empty.
        hint: &'static str,
    },
    /// It is damaged. Every packet before has been delivered.
    #[error("{path} is damaged at byte {offset}, after {packets} packets: {reason}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the header, record or block starts that is damaged.
        offset: u64,
        /// Packets before it.
        packets: u64,
        /// What is wrong.
        reason: Damage,
    },
    /// The system could not read on.
    #[error("cannot read {path} at byte {offset}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Where the header, record or block starts that could not be read.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The output is the input.
    #[error("{path} cannot be written: it is the capture being read", path = path.display())]
    SameFile {
        /// The file.
        path: PathBuf,
    },
    /// The output could not be created.
    #[error("cannot create {path}: {source}", path = path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The output could not be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A pcap file has one link type for all frames, and a frame has another.
    #[error(
        "cannot write packet {packet} to {path}: its link type is {link:?}, and that of the file {first:?}",
        path = path.display()
    )]
    MixedLinkTypes {
        /// The file.
        path: PathBuf,
        /// The packet's number.
        packet: u64,
        /// Its link type.
        link: LinkType,
        /// The file's.
        first: LinkType,
    },
}

/// What is wrong with a header, record or block of a capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// The file ends within it.
    #[error("the file ends within it, {missing} bytes early")]
    Truncated {
        /// Bytes missing, of the part that was being read.
        missing: u64,
    },
    /// It claims more bytes of packet than any capture holds.
    #[error("a packet of {length} bytes, where {} is the most", crate::reader::MAX_CAPTURED)]
    PacketLength {
        /// What it claims.
        length: u32,
    },
    /// A pcapng block's length cannot be: no multiple of four, or too short for its kind.
    #[error("a block of type {kind:#010x} cannot be {length} bytes long")]
    BlockLength {
        /// The block's type.
        kind: u32,
        /// Its length as its head has it.
        length: u32,
    },
    /// A pcapng block has another length at its end than at its start.
    #[error("a block of {length} bytes, says its start, and of {trailer}, its end")]
    BlockTrailer {
        /// The length at the start.
        length: u32,
        /// The length at the end.
        trailer: u32,
    },
    /// A packet does not fit in its pcapng block.
    #[error("a packet of {captured} bytes in a block of {length}")]
    PacketBeyondBlock {
        /// The packet's captured length.
        captured: u32,
        /// The block's length.
        length: u32,
    },
    /// An option does not fit in its pcapng block.
    #[error("option {code} of {length} bytes goes beyond its block")]
    OptionBeyondBlock {
        /// The option's code.
        code: u16,
        /// Its length.
        length: u16,
    },
    /// A section header has no byte-order magic.
    #[error("{magic:#010x} is no byte-order magic")]
    ByteOrder {
        /// What is there instead, read as little-endian.
        magic: u32,
    },
    /// A version that is not known.
    #[error("version {major}.{minor} of the format is not known")]
    Version {
        /// The major version.
        major: u16,
        /// The minor version.
        minor: u16,
    },
    /// A packet of an interface that was not described.
    #[error("a packet of interface {interface}, where {described} are described")]
    NoSuchInterface {
        /// The interface's number, from 0.
        interface: u32,
        /// How many there are.
        described: usize,
    },
    /// More interfaces than anybody has.
    #[error("more than {} interfaces in a section", crate::ng::MAX_INTERFACES)]
    TooManyInterfaces,
}

/// What a part of the reader found; where, the reader adds.
#[derive(Debug)]
pub(crate) enum Fault {
    Damage(Damage),
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Damage> for Fault {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}
