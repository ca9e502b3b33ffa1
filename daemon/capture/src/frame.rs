//! Whole frames that we own, and where they come from and go to where there is no device.

use crate::burst::PacketMeta;
use crate::verdict::PortId;
use portcullis_wire::LinkType;
use std::task::Waker;

/// A frame in a buffer of its own.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// The bytes captured. Buffers are reused: a source clears and fills it.
    pub bytes: Vec<u8>,
    /// What is known besides. A source fills in `id`, `timestamp`, `wire_length`, `ingress` and
    /// `link`; `clock`, `state` and `steered` are the packet module's.
    pub meta: PacketMeta,
}

impl Frame {
    /// The port it leaves through if it is accepted.
    #[must_use]
    pub const fn egress(&self) -> PortId {
        self.meta.ingress.peer()
    }
}

/// What reading from a source brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// A frame.
    Frame,
    /// Nothing now; the waker given to [`FrameSource::attach`] is used when there is more.
    Nothing,
    /// Nothing ever again.
    End,
}

/// Where owned frames come from: a capture file, memory.
pub trait FrameSource: Send {
    /// What can go wrong. Frames read before are still judged.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Reads the next frame into `frame`, over what was there. Blocks no longer than a file does.
    ///
    /// # Errors
    /// The source is then at its end: it is not read again.
    fn read(&mut self, frame: &mut Frame) -> Result<Read, Self::Error>;

    /// The link type of the source, of its first frames where they differ.
    fn link(&self) -> LinkType;

    /// Gives a source that can answer [`Read::Nothing`] the waker to use when that changes.
    fn attach(&mut self, waker: Waker) {
        drop(waker);
    }
}

/// Where accepted and forged frames go. They are [`Frame::egress`]-bound.
pub trait FrameSink: Send {
    /// What can go wrong; it ends the module.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Takes a frame that left.
    ///
    /// # Errors
    /// Where the frame could not be stored.
    fn write(&mut self, frame: &Frame) -> Result<(), Self::Error>;

    /// Called once, after the last frame.
    ///
    /// # Errors
    /// Where what was written did not reach its destination.
    fn flush(&mut self) -> Result<(), Self::Error>;
}
