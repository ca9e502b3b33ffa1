//! What to open.

use crate::error::XdpError;
use crate::port::Shape;
use portcullis_bpf::{GatePort, device};
pub use portcullis_capture::CopyMode;
use portcullis_capture::outbox::MAX_FORGED;

/// How sockets are bound to their queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BindMode {
    /// Zero-copy where the driver can, else copy.
    #[default]
    Auto,
    /// The kernel copies. Works with every driver.
    Copy,
    /// The device works on our memory; an error where it cannot.
    ZeroCopy,
}

/// Has workers run the receive loops of their queues (`SO_PREFER_BUSY_POLL`), not the driver's interrupts. Right where
/// each worker has a core of its own that is never idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyPoll {
    /// About how many microseconds the kernel looks for packets where a worker would sleep (`SO_BUSY_POLL`).
    pub time_us: u32,
    /// Most packets a round (`SO_BUSY_POLL_BUDGET`).
    pub budget: u16,
}

/// What [`InlineSet::open`](crate::InlineSet::open) is asked for.
#[derive(Clone, Debug)]
pub struct XdpConfig {
    /// The pairs of interfaces; pair *n* is ports 2*n* and 2*n*+1.
    pub pairs: Vec<(String, String)>,
    /// Worker threads, 1 to 64; `None`: one a receive queue. With fewer than queues, a worker gets several.
    pub workers: Option<u8>,
    /// What becomes of judged packets.
    pub copy_mode: CopyMode,
    /// How sockets are bound.
    pub bind_mode: BindMode,
    /// Entries of each ring: a power of two, 64 to 32768.
    pub ring_size: u32,
    /// Bytes of a frame of the UMEM, 2048 or 4096; `None`: as the MTU needs. The driver igb needs 4096 in
    /// zero-copy mode, or it splits what is longer than 1024 bytes.
    pub frame_size: Option<u32>,
    /// Frames a worker; `None`: enough to fill all its rings.
    pub frames_per_worker: Option<u32>,
    /// Should the UMEM lie in huge pages? Ordinary ones serve where there are none, which
    /// [`InlineSet::huge_pages`](crate::InlineSet::huge_pages) tells.
    pub huge_pages: bool,
    /// Microseconds a worker looks at its rings before it sleeps, 0 to 1000. 0 is right where cores are few.
    pub busy_poll_us: u32,
    /// Do workers run the receive loops of their queues? Where the kernel refuses, interrupts do, which
    /// [`InlineSet::busy_poll`](crate::InlineSet::busy_poll) tells.
    pub busy_poll: Option<BusyPoll>,
    /// By port: does a packet pass unjudged that its owner has no room for (`overload = "bypass"`)? Else it is dropped. A
    /// port beyond the list drops.
    pub bypass: Vec<bool>,
}

/// Frames of each worker that are never put on a fill ring, so that forged packets find one.
pub(crate) const RESERVE: usize = 2 * MAX_FORGED;

/// Most sockets of one worker.
pub(crate) const MAX_LANES: usize = 256;

/// Bytes that the kernel keeps free before a packet (`XDP_PACKET_HEADROOM`).
const HEADROOM: u32 = 256;

/// Ethernet header and two VLAN tags.
const LINK_HEADER: u32 = 22;

impl Default for XdpConfig {
    fn default() -> Self {
        Self {
            pairs: Vec::new(),
            workers: None,
            copy_mode: CopyMode::default(),
            bind_mode: BindMode::default(),
            ring_size: 4096,
            frame_size: None,
            frames_per_worker: None,
            huge_pages: false,
            busy_poll_us: 0,
            busy_poll: None,
            bypass: Vec::new(),
        }
    }
}

impl XdpConfig {
    /// The interfaces by port.
    pub fn interfaces(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().flat_map(|(first, second)| [first.as_str(), second.as_str()])
    }

    /// The ports for [`GateConfig`](portcullis_bpf::GateConfig), with the queues they have now.
    ///
    /// # Errors
    /// An interface is missing, or the two of a pair do not fit together.
    pub fn gate_ports(&self) -> Result<Vec<GatePort>, XdpError> {
        let mut ports = Vec::with_capacity(self.pairs.len() * 2);
        for (first, second) in &self.pairs {
            let (mtu, other_mtu) = (device::mtu(first)?, device::mtu(second)?);
            if mtu != other_mtu {
                let (first, second) = (first.clone(), second.clone());
                return Err(XdpError::DifferentMtus { first, mtu, second, other_mtu });
            }
            let (queues, other_queues) = (device::queues(first)?, device::queues(second)?);
            if queues != other_queues {
                let (first, second) = (first.clone(), second.clone());
                return Err(XdpError::DifferentQueues { first, queues, second, other_queues });
            }
            ports.push(GatePort { name: first.clone(), queues });
            ports.push(GatePort { name: second.clone(), queues });
        }
        Ok(ports)
    }

    /// Refuses what could not work, before anything is opened.
    pub(crate) fn validate(&self) -> Result<(), XdpError> {
        let invalid = |reason: &str| Err(XdpError::Invalid(reason.to_owned()));
        if self.pairs.is_empty() || self.pairs.len() > 128 {
            return invalid("1 to 128 pairs of interfaces are needed");
        }
        if !matches!(self.workers, None | Some(1..=64)) {
            return invalid("workers must be 1 to 64");
        }
        if !self.ring_size.is_power_of_two() || !(64..=32768).contains(&self.ring_size) {
            return invalid("ring-size must be a power of two from 64 to 32768");
        }
        if !matches!(self.frame_size, None | Some(2048 | 4096)) {
            return invalid("frame-size must be 2048 or 4096");
        }
        if self.busy_poll_us > 1000 {
            return invalid("busy-poll must be at most 1000 microseconds");
        }
        Ok(())
    }

    /// Frames of the UMEM that the longest packet takes, over all ports: more than 1 where the gate must be loaded with
    /// [`GateConfig::frags`](portcullis_bpf::GateConfig::frags).
    ///
    /// # Errors
    /// An interface is missing, or its MTU is beyond all that is served.
    pub fn segments(&self) -> Result<u32, XdpError> {
        Ok(self.shape()?.segments)
    }

    /// The largest MTU of a port whose packets all find room, given the ports' MTUs now.
    ///
    /// # Errors
    /// As for [`segments`](Self::segments).
    pub fn max_mtu(&self) -> Result<u32, XdpError> {
        let Shape { frame_size, segments } = self.shape()?;
        let most = if segments > 1 { device::MAX_JUMBO_MTU } else { device::MAX_MTU };
        Ok((segments * (frame_size - HEADROOM) - LINK_HEADER).min(most))
    }

    /// How packets of all ports lie in memory.
    pub(crate) fn shape(&self) -> Result<Shape, XdpError> {
        let mut shape = Shape { frame_size: 2048, segments: 1 };
        let mut longest = 0;
        for name in self.interfaces() {
            let mtu = device::mtu(name)?;
            shape.frame_size = shape.frame_size.max(self.frame_size_for(name, mtu)?);
            longest = longest.max(mtu);
        }
        shape.segments = (longest + LINK_HEADER).div_ceil(shape.frame_size - HEADROOM);
        if longest > device::MAX_MTU {
            // One buffer of a driver is a page, whatever a frame holds.
            shape.segments = shape.segments.max(2);
        }
        Ok(shape)
    }

    /// The frame size for ports of at most this MTU.
    pub(crate) fn frame_size_for(&self, name: &str, mtu: u32) -> Result<u32, XdpError> {
        let fits = |size: &u32| mtu + LINK_HEADER <= size - HEADROOM;
        let sizes: &[u32] = match (self.frame_size, self.bind_mode) {
            (Some(2048), _) => &[2048],
            (None, BindMode::Copy) => &[2048, 4096],
            _ => &[4096],
        };
        if mtu > device::MAX_JUMBO_MTU {
            let (name, max) = (name.to_owned(), device::MAX_JUMBO_MTU);
            return Err(XdpError::MtuTooLarge { name, mtu, max });
        }
        // What fits none takes several.
        let found = sizes.iter().copied().find(fits);
        Ok(found.or_else(|| sizes.last().copied()).unwrap_or(4096))
    }

    /// Frames for a worker of `lanes` sockets.
    pub(crate) fn frames_for(&self, lanes: usize) -> Result<u32, XdpError> {
        if lanes > MAX_LANES {
            let reason =
                format!("{lanes} queues for one worker, but at most {MAX_LANES}: more workers are needed");
            return Err(XdpError::Invalid(reason));
        }
        let reserve = u32::try_from(RESERVE).unwrap_or(u32::MAX);
        let lanes = u32::try_from(lanes).unwrap_or(u32::MAX);
        // Less than this and a lane could not hold a burst on its fill ring and one on its way out.
        let least = reserve + lanes * 128;
        match self.frames_per_worker {
            Some(frames) if frames < least => Err(XdpError::Invalid(format!(
                "{frames} frames a worker are too few: {lanes} queues need at least {least}"
            ))),
            Some(frames) => Ok(frames),
            None => Ok(reserve + lanes * self.ring_size * 2),
        }
    }
}
